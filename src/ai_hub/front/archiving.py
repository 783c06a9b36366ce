"""What a feature store seals: days of history as Parquet, taken out of the database after that."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from ai_hub.archive.layer import LIVE, Layer, day_of
from ai_hub.definitions.values import Time, check_id, iso, to_micros
from ai_hub.errors import InvalidInput
from ai_hub.front.base import Front
from ai_hub.serving.archiver import Archiver, ArchiveStep
from ai_hub.serving.returner import Returner
from ai_hub.storage.local import in_the_way
from ai_hub.storage.url import Url


class Archiving(Front):
    """Sealed history."""

    async def archive(
        self,
        before: Time,
        to: str,
        tenant_id: str | None = None,
        *,
        drop: bool = False,
        tell: Callable[[dict[str, Any]], None] | None = None,
    ) -> dict[str, Any]:
        """Seal the days (UTC) that end at or before a time: observations and weather of a tenant,
        or of all, as Parquet below a folder or a URL of object storage.

        What is sealed is compared with the database, row by row. With `drop` it is taken out of
        the database then, and exports and training sets read both as one history; that is for
        days that are 30 days old, and for all tenants at once. What came in since the last time is
        sealed in further files. It goes step by step, and `tell` is called with each: one that was
        stopped is run again. Gives the `steps`. Raises InvalidInput, Busy, StorageError and
        StoreError.
        """
        until = to_micros(before, "before")
        if day_of(until) > self.now():
            raise InvalidInput("before", iso(until), "a time that is not in the future")
        if drop and day_of(until) > self.now() - LIVE:
            youngest = f"30 days old or older, with drop: at most {iso(self.now() - LIVE)}"
            raise InvalidInput("before", iso(until), youngest)
        if tenant_id is not None:
            check_id("tenant_id", tenant_id)
            if drop:
                raise InvalidInput(
                    "drop", drop, "false with one tenant: days are dropped for all tenants at once"
                )
        url = Url.of(to, "to")
        if url.scheme == "file":
            other = await asyncio.to_thread(in_the_way, url.path)
            if other is not None:
                raise InvalidInput("to", to, "the path of a folder", f"{other} is none.")
        done = []
        async for step in Archiver(self._open.store.archive).run(until, str(url), tenant_id, drop):
            done.append(_told(step))
            if tell is not None:
                tell(done[-1])
        return {"before": iso(day_of(until)), "to": str(url), "steps": done}

    async def unarchive(
        self, *, lost: str | None = None, tell: Callable[[dict[str, Any]], None] | None = None
    ) -> dict[str, Any]:
        """End the archive: rows that were taken out of the database come back, all of them, but
        where it has newer ones; then the files of the archive are removed.

        Where files are `lost`, with a reason for the audit log, rows that are in them alone are
        given up, and no file is read or removed. Retention holds again for what came back. It goes
        step by step: one that was stopped is run again. Gives the `steps`. Raises InvalidInput,
        Busy, StorageError and StoreError.
        """
        if lost is not None:
            check_id("lost", lost)
        done = []
        async for step in Returner(self._open.store.archive).run(lost):
            done.append(_told(step))
            if tell is not None:
                tell(done[-1])
        return {"steps": done}

    async def archives(self, tenant_id: str | None = None) -> dict[str, Any]:
        """The layers of a tenant's archive, or of all, by age, and before when rows were dropped.

        Raises StoreError.
        """
        if tenant_id is not None:
            check_id("tenant_id", tenant_id)
        table = self._open.store.archive
        dropped = await table.dropped()
        return {
            "dropped_before": {kind: iso(at) for kind, at in dropped.items()},
            "layers": [_shown(one) for one in await table.layers(tenant_id)],
        }


def _told(step: ArchiveStep) -> dict[str, Any]:
    return {
        "action": step.action,
        "kind": step.kind,
        "tenant_id": step.tenant_id,
        "start_time": iso(step.start),
        "end_time": iso(step.end),
        "rows": step.rows,
        "bytes": step.size,
    }


def _shown(layer: Layer) -> dict[str, Any]:
    return {
        "layer_id": layer.id,
        "number": layer.number,
        "kind": layer.kind,
        "tenant_id": layer.tenant_id,
        "start_time": iso(layer.start),
        "end_time": iso(layer.end),
        "state": layer.state,
        "rows": layer.rows,
        "bytes": layer.size,
        "files": len(layer.parts),
        "url": layer.url,
        "created_at": iso(layer.created_at),
    }
