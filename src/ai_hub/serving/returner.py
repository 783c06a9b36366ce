"""Ends an archive: what was taken out of the database comes back, span by span, and then nothing is
kept of the archive any more, nor its files.

A row that came back is one that is in the database and in the archive, which is read once. So a
process may die at any moment, and the next run goes on.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from dataclasses import replace

from ai_hub.archive.layer import KINDS, Kind
from ai_hub.archive.past import Past
from ai_hub.definitions.values import iso
from ai_hub.serving.archiver import Archiver, ArchiveStep
from ai_hub.serving.eraser import clean
from ai_hub.stores.archive_table import DROP_ROWS, ArchiveTable, spans_of
from ai_hub.stores.audit_log import noted


class Returner:
    """Ends the archive of one database."""

    def __init__(self, table: ArchiveTable) -> None:
        self._table = table

    async def run(self, lost: str | None = None) -> AsyncGenerator[ArchiveStep, None]:
        """Bring all rows back, or give them up for a reason for which they are `lost`, and end the
        archive. Raises Busy, StorageError and StoreError: the next run goes on."""
        async with self._table.alone():
            if lost is None:
                async for step in Archiver(self._table).recover():
                    yield step
            layers = await self._table.layers()
            dropped = await self._table.dropped()
            for kind in KINDS if lost is None else ():
                for tenant_id in sorted({one.tenant_id for one in layers}):
                    mine = [one for one in layers if one.tenant_id == tenant_id]
                    async for step in self._return(kind, tenant_id, Past(mine, dropped)):
                        yield step
            # From then on they are such that another layer took the place of.
            ended = [replace(one, number=-2 * one.number - 1, state="writing") for one in layers]
            count = sum(one.rows for one in layers)
            record = noted("unarchive", None, count, layers=len(layers), lost=lost)
            left = ended if lost is None else []
            await self._table.end(left, record if layers or dropped else None)
            for layer in left:
                await clean(self._table, layer)
            for layer in layers:
                yield ArchiveStep(
                    "removed" if lost is None else "forgotten",
                    layer.kind, layer.tenant_id, layer.start, layer.end, layer.rows, layer.size,
                )  # fmt: skip

    async def _return(
        self, kind: Kind, tenant_id: str, past: Past
    ) -> AsyncGenerator[ArchiveStep, None]:
        for start, end in spans_of(past.days(kind), DROP_ROWS):
            rows = await asyncio.to_thread(past.table, kind, start, end)
            record = noted(
                "unarchive", tenant_id, 0, kind=kind, start_time=iso(start), end_time=iso(end)
            )
            count = await self._table.bring_back(kind, tenant_id, rows, record)
            yield ArchiveStep("returned", kind, tenant_id, start, end, count)
