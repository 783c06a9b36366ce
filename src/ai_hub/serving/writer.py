"""The one write path: a checked batch to the store, then the entities it touched out of the cache.

An acknowledgement comes after both, so an answer given later reflects the batch.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Coroutine, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, TypeVar

from ai_hub.metrics import Metrics
from ai_hub.serving.cache import Cache
from ai_hub.stores.base import Store

if TYPE_CHECKING:
    from ai_hub.intake.batch import Batch, Rejection

_log = logging.getLogger(__name__)

_SILENT_SECONDS = 10.0

Target = Literal["observations", "weather"]
_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class IngestResult:
    """What became of the rows sent: accepted + rejected = rows.

    `replaced` of the accepted changed a stored value and `unchanged` were stored already;
    `aged` are already older than their table keeps them: maintenance will delete them, some time
    after this notice. `reasons` name the first rejected rows.
    """

    accepted: int = 0
    replaced: int = 0
    unchanged: int = 0
    rejected: int = 0
    aged: int = 0
    reasons: tuple[Rejection, ...] = ()

    def and_then(self, other: IngestResult, most_reasons: int) -> IngestResult:
        """This result and that of the next batch as one."""
        return IngestResult(
            self.accepted + other.accepted,
            self.replaced + other.replaced,
            self.unchanged + other.unchanged,
            self.rejected + other.rejected,
            self.aged + other.aged,
            (*self.reasons, *other.reasons)[:most_reasons],
        )


class Writer:
    """Lands batches and weather sources, and keeps the cache true to them."""

    def __init__(self, store: Store, cache: Cache, metrics: Metrics | None = None) -> None:
        self._store = store
        self._cache = cache
        self._metrics = metrics or Metrics()
        self._untold = 0
        self._silent_until = 0.0
        self._tasks: set[asyncio.Task[Any]] = set()

    async def land(self, batch: Batch, target: Target) -> IngestResult:
        """Land one batch whole; the caller may give up waiting, the cache stays true."""
        return await self._to_the_end(self._land(batch, target))

    async def assign_weather_source(
        self, tenant_id: str, source_id: str, asset_ids: Sequence[str]
    ) -> int:
        """Map assets to a weather source; how many had another one before."""
        return await self._to_the_end(self._assign(tenant_id, source_id, asset_ids))

    async def close(self) -> None:
        """Wait for the writes under way."""
        if self._tasks:
            await asyncio.wait(self._tasks)

    async def _to_the_end(self, work: Coroutine[Any, Any, _T]) -> _T:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return await asyncio.shield(task)

    async def _land(self, batch: Batch, target: Target) -> IngestResult:
        append = self._store.append if target == "observations" else self._store.append_weather
        try:
            landed = await append(batch.table)
        except Exception as error:
            self._metrics.lost(target)
            self._tell(batch, target, error)
            raise
        await self._cache.drop(landed.touched)
        newest = batch.newest() if target == "observations" else {}
        self._metrics.landed(target, batch.accepted, batch.rejected, newest)
        return IngestResult(
            batch.accepted,
            landed.replaced,
            landed.unchanged,
            batch.rejected,
            landed.aged,
            batch.reasons,
        )

    def _tell(self, batch: Batch, target: Target, error: Exception) -> None:
        """Log a batch that did not land: while many do not, one line now and then for them all."""
        self._untold += 1
        now = time.monotonic()
        if now < self._silent_until:
            return
        told = {
            "target": target,
            "tenant_id": batch.tenant_id,
            "rows": batch.accepted,
            "error": str(error),
            "batches": self._untold,
        }
        _log.error("ingest failed", extra=told)
        self._untold, self._silent_until = 0, now + _SILENT_SECONDS

    async def _assign(self, tenant_id: str, source_id: str, asset_ids: Sequence[str]) -> int:
        touched = await self._store.assign_weather_source(tenant_id, source_id, asset_ids)
        await self._cache.drop(touched)
        return len(touched)
