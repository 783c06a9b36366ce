"""What a feature store removes: data of a tenant, of assets, of a series, of a time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from ai_hub.definitions.values import MAX_SERIES_LENGTH, Time, check_id, iso, to_micros
from ai_hub.errors import InvalidInput
from ai_hub.export.exports import MOST_RECORDS
from ai_hub.front.base import Front
from ai_hub.serving.assets import check_assets
from ai_hub.serving.eraser import Eraser
from ai_hub.stores.audit_log import AuditRecord, noted
from ai_hub.stores.export_log import ExportRecord
from ai_hub.stores.removal import Removal, Survey, shown

MOST_SHOWN = 1_000
"""Series that an answer names."""


class Removing(Front):
    """Data removed for good."""

    async def delete(
        self,
        tenant_id: str,
        asset_ids: Sequence[str] | None = None,
        *,
        series: str | None = None,
        start_time: Time | None = None,
        end_time: Time | None = None,
        weather: bool = False,
        dry_run: bool = False,
    ) -> dict[str, Any]:
        """Remove data of a tenant, or of some of its assets: for ever, from every table.

        Readings of one `series` (None: all) and of [start_time, end_time), each open where it is
        None; with `weather` that of this time too. Without series and time assets go as a whole,
        with weather, stations and attributes. Cached vectors are dropped; files of exports stay,
        and are counted; files of the archive are written anew without it. It goes step by step: one
        that was stopped is run again. A `dry_run` counts what would go. Raises InvalidInput, Busy
        while the archive is written to, StorageError and StoreError.
        """
        removal = self._removal(tenant_id, asset_ids, series, start_time, end_time, weather)
        store = self._open.store
        if removal.whole and asset_ids is None and not dry_run:
            # What is written down of its drift later would come back.
            await self._open.exports.baselines.settle()
            await self._open.served.flush()
        if dry_run:
            found = await store.survey(removal)
            return await self._told(removal, found, found.rows, await self._archived(removal), True)
        # What is removed is not sealed meanwhile.
        async with store.archive.alone():
            found = await store.survey(removal)
            asked = {
                "series": series,
                "start_time": None if removal.start is None else iso(removal.start),
                "end_time": None if removal.end is None else iso(removal.end),
            }
            record = noted("delete", tenant_id, 0, None, **asked)
            gone = await self._open.writer.remove(removal, found, record)
            rows = {name: gone.get(name, 0) for name in found.rows}
            archived = await self._erased(removal, record)
        return await self._told(removal, found, rows, archived, False)

    async def _archived(self, removal: Removal) -> int | None:
        """How many archived rows would go; None where there is no archive."""
        table = self._open.store.archive
        if not await table.layers(removal.tenant_id):
            return None
        return await Eraser(table, removal).count()

    async def _erased(self, removal: Removal, record: AuditRecord) -> int | None:
        """Remove archived rows, and keep who did; None where there is no archive."""
        table = self._open.store.archive
        if not await table.layers(removal.tenant_id):
            return None
        count = 0
        async for more in Eraser(table, removal).run():
            count += more
            details = {**record.details, "removed": {"archive": more}}
            await table.keep([], replace(record, count=more, details=details))
        return count

    async def _told(
        self,
        removal: Removal,
        found: Survey,
        rows: dict[str, int],
        archived: int | None,
        dry_run: bool,
    ) -> dict[str, Any]:
        exports = await self._open.exports.find(removal.tenant_id, MOST_RECORDS)
        named = sorted(found.found, key=lambda one: (one.asset_id, one.series or ""))
        return {
            "tenant_id": removal.tenant_id,
            "dry_run": dry_run,
            "removed": rows if archived is None else {**rows, "archive": archived},
            "series": [shown(one) for one in named[:MOST_SHOWN]],
            "series_count": len(named),
            "exports": sum(_has(one, removal) for one in exports),
        }

    def _removal(
        self,
        tenant_id: str,
        asset_ids: Sequence[str] | None,
        series: str | None,
        start_time: Time | None,
        end_time: Time | None,
        weather: bool,
    ) -> Removal:
        check_id("tenant_id", tenant_id)
        ids = None if asset_ids is None else tuple(check_assets(tenant_id, asset_ids))
        if series is not None:
            check_id("series", series, MAX_SERIES_LENGTH)
            if weather:
                raise InvalidInput("weather", weather, "false with a series, which goes alone")
        start = None if start_time is None else to_micros(start_time, "start_time", "up")
        end = None if end_time is None else to_micros(end_time, "end_time", "up")
        return Removal(tenant_id, ids, series, start, end, weather)


def _has(export: ExportRecord, removal: Removal) -> bool:
    """Whether the file of an export may have rows of what goes; one under way has read some."""
    return (
        (export.status == "completed" or export.under_way)
        and (removal.start is None or export.end_time >= removal.start)
        and (removal.end is None or export.start_time < removal.end)
        and (
            removal.asset_ids is None
            or export.asset_ids is None
            or not set(export.asset_ids).isdisjoint(removal.asset_ids)
        )
    )
