"""The one write path: a checked batch to the store, then the entities it touched out of the cache.

An acknowledgement comes after both, so an answer given later reflects the batch. The entities are
marked before the commit, so no answer shows what was before it once another one showed the batch.
A write that fails after that may be committed or not: its marks stay until they end by themselves.
"""

from __future__ import annotations

import asyncio
import logging
import secrets
import time
from collections.abc import Callable, Collection, Coroutine, Sequence
from contextlib import aclosing
from typing import TYPE_CHECKING, Any, TypeVar, assert_never

from ai_hub.errors import StoreUnavailable, shown
from ai_hub.metrics import Metrics
from ai_hub.serving.cache import Cache
from ai_hub.stores.audit_log import AuditRecord, What, noted
from ai_hub.stores.base import Announce, Landed, Store
from ai_hub.stores.removal import Removal, Survey
from ai_hub.tracing import span

if TYPE_CHECKING:
    from ai_hub.definitions.values import Entity
    from ai_hub.intake.batch import Batch, BatchKind
    from ai_hub.intake.result import IngestResult

_log = logging.getLogger(__name__)

_SILENT_SECONDS = 10.0
_MOST_REASON = 300
_WHAT: dict[BatchKind, What] = {
    "observations": "ingest",
    "weather": "ingest-weather",
    "attributes": "ingest-attributes",
}

_T = TypeVar("_T")


def _now() -> int:
    return time.time_ns() // 1_000


class Writer:
    """Lands batches and weather sources, and keeps the cache true to them.

    `now` is the time from which attributes hold that do not say it, in microseconds.
    """

    def __init__(
        self,
        store: Store,
        cache: Cache,
        metrics: Metrics | None = None,
        now: Callable[[], int] = _now,
    ) -> None:
        self._store = store
        self._cache = cache
        self._metrics = metrics or Metrics()
        self._now = now
        self._closing = False
        self._untold = 0
        self._silent_until = 0.0
        self._tasks: set[asyncio.Task[Any]] = set()

    async def land(self, batch: Batch, kind: BatchKind) -> IngestResult:
        """Land one batch whole; the caller may give up waiting, the cache stays true."""
        return await self._to_the_end(self._land(batch, kind))

    async def assign_weather_source(
        self,
        tenant_id: str,
        source_id: str | None,
        asset_ids: Sequence[str],
        valid_from: int | None,
        changed_at: int,
    ) -> int:
        """Map assets to a weather source, as the store does; for how many that was a change."""
        return await self._to_the_end(
            self._assign(tenant_id, source_id, asset_ids, valid_from, changed_at)
        )

    async def remove(self, removal: Removal, found: Survey, audit: AuditRecord) -> dict[str, int]:
        """Remove what was found in steps; how many rows of each relation went.

        Whoever gives up waiting does not stop it; the end of the store does, between two steps.
        Raises StoreUnavailable then.
        """
        return await self._to_the_end(self._remove(removal, found, audit))

    async def close(self) -> None:
        """Wait for the writes under way."""
        self._closing = True
        if self._tasks:
            await asyncio.wait(self._tasks)

    async def _to_the_end(self, work: Coroutine[Any, Any, _T]) -> _T:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._ended)
        return await asyncio.shield(task)

    def _ended(self, task: asyncio.Task[Any]) -> None:
        self._tasks.discard(task)
        if not task.cancelled():
            # Its caller may not wait for it any more; an error was logged when it came.
            task.exception()

    async def _land(self, batch: Batch, kind: BatchKind) -> IngestResult:
        marking = _Marking(self._cache)
        try:
            with span("ingest", target=kind, tenant_id=batch.tenant_id or "", rows=batch.accepted):
                landed = await self._appended(batch, kind, marking.announce)
                await self._drop(landed.touched, marking)
        except Exception as error:
            self._metrics.lost(kind)
            self._tell(batch, kind, error)
            raise
        newest = batch.newest() if kind == "observations" else {}
        self._metrics.landed(kind, batch.accepted, batch.rejected, newest)
        self._metrics.arrivals.came(
            kind, batch.rows_by_tenant(), batch.tenant_id or "", batch.rejected, _why(batch), _now()
        )
        return batch.landed(landed.replaced, landed.unchanged, landed.aged)

    async def _appended(self, batch: Batch, kind: BatchKind, announce: Announce) -> Landed:
        audit = _records(batch, kind)
        match kind:
            case "observations":
                return await self._store.append(batch.table, announce, audit)
            case "weather":
                return await self._store.append_weather(batch.table, announce, audit)
            case "attributes":
                now = self._now()
                return await self._store.append_attributes(batch.table, now, announce, audit)
            case _:
                assert_never(kind)

    def _tell(self, batch: Batch, kind: BatchKind, error: Exception) -> None:
        """Log a batch that did not land: while many do not, one line now and then for them all."""
        self._untold += 1
        now = time.monotonic()
        if now < self._silent_until:
            return
        told = {
            "target": kind,
            "tenant_id": batch.tenant_id,
            "rows": batch.accepted,
            "error": str(error),
            "batches": self._untold,
        }
        _log.error("ingest failed", extra=told)
        self._untold, self._silent_until = 0, now + _SILENT_SECONDS

    async def _assign(
        self,
        tenant_id: str,
        source_id: str | None,
        asset_ids: Sequence[str],
        valid_from: int | None,
        changed_at: int,
    ) -> int:
        marking = _Marking(self._cache)
        record = noted("weather-source", tenant_id, len(asset_ids), source_id=source_id)
        touched = await self._store.assign_weather_source(
            tenant_id, source_id, asset_ids, valid_from, changed_at, marking.announce, [record]
        )
        await self._drop(touched, marking)
        return len(touched)

    async def _remove(self, removal: Removal, found: Survey, audit: AuditRecord) -> dict[str, int]:
        marking = _Marking(self._cache)
        gone: dict[str, int] = {}
        removing = self._store.remove(removal, found, marking.announce, audit)
        async with aclosing(removing) as steps:
            async for step in steps:
                await self._drop(step.touched, marking)
                for name, count in step.rows.items():
                    gone[name] = gone.get(name, 0) + count
                if self._closing:
                    raise StoreUnavailable(
                        "the store closes: a part was removed. Run it again for the rest."
                    )
        return gone

    async def _drop(self, touched: Collection[Entity], marking: _Marking) -> None:
        await self._cache.drop(touched, mark=marking.mark)
        if marking.seen and self._cache.owes:
            # The shared cache was lost after it was told: nothing is written down of it yet.
            await self._store.debts.owe(touched)


def _records(batch: Batch, kind: BatchKind) -> list[AuditRecord]:
    return [noted(_WHAT[kind], tenant, rows) for tenant, rows in batch.rows_by_tenant().items()]


def _why(batch: Batch) -> str:
    """Why the first row was rejected, as far as a line tells it; empty where none was."""
    if not batch.reasons:
        return ""
    first = batch.reasons[0]
    place = "" if first.row is None else f"row {first.row}: "
    named = "" if first.field is None else f"{first.field}: got {shown(first.value)}, "
    return f"{place}{named}{first.why}"[:_MOST_REASON]


class _Marking:
    """The mark of one write, and whether other processes see it."""

    def __init__(self, cache: Cache) -> None:
        self._cache = cache
        self.mark = secrets.token_hex(8)
        self.seen = False

    async def announce(self, entities: Collection[Entity]) -> str:
        """Mark the entities of the write before its commit, as the store asks."""
        where = await self._cache.mark(entities, self.mark)
        self.seen = bool(where)
        return where
