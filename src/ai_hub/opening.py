"""What is open of a feature store: its parts, opened together and closed together."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass
from importlib import import_module
from typing import Protocol, TypeVar

from ai_hub.config import Settings
from ai_hub.export.exports import Exports
from ai_hub.metrics import Metrics
from ai_hub.serving.ahead import Ahead, AskedFor
from ai_hub.serving.cache import Cache
from ai_hub.serving.opening import open_cache
from ai_hub.serving.reader import Reader
from ai_hub.serving.readiness import Readiness
from ai_hub.serving.served import Served
from ai_hub.serving.spec import Spec
from ai_hub.serving.writer import Writer
from ai_hub.stores.base import OfflineStore
from ai_hub.stores.opening import open_store
from ai_hub.stores.registry_table import Heard


class _Part(Protocol):
    async def close(self) -> None: ...


_P = TypeVar("_P", bound=_Part)

_FIRST_USES = (
    "ai_hub.intake.bodies",
    "ai_hub.intake.formats",
    "ai_hub.engines.sliding",
    "ai_hub.export.job",
    "ai_hub.export.parquet",
    "ai_hub.export.request",
    "ai_hub.export.training_set",
    "polars",
    "pyarrow.acero",
)
"""What is imported where it is used first: a moment when somebody waits."""


@dataclass(frozen=True, slots=True)
class Open:
    """A store and a cache that are open, and what works on them."""

    store: OfflineStore
    cache: Cache
    reader: Reader
    writer: Writer
    readiness: Readiness
    exports: Exports
    served: Served
    _closing: AsyncExitStack

    async def prepare(self) -> None:
        """Import and connect now what the first ingest and the first export would."""
        await asyncio.gather(self.store.prepare(), asyncio.to_thread(_import_all))

    def count_cache(self, metrics: Metrics) -> None:
        """Have the metrics say how the cache is now."""
        cache = self.cache
        metrics.of_cache(cache.state, cache.errors, cache.near_hits, cache.near_bytes)

    async def close(self) -> None:
        """Finish what is under way, then let go of cache and store.

        A part that fails to close keeps no other from it; its error is raised at the end. Whoever
        is cancelled meanwhile waits for none of the parts that are left.
        """
        await self._closing.aclose()


def _import_all() -> None:
    for name in _FIRST_USES:
        import_module(name)


async def open_parts(
    settings: Settings, spec: Spec, now: Callable[[], int], metrics: Metrics, heard: Heard
) -> Open:
    """The parts that the settings name; `spec` is what readiness asks of the store.

    `heard` is told of the registry now, and whenever another process has changed it. Raises
    StoreError or ConfigError for what cannot be opened, and leaves nothing open then.
    """
    closing = AsyncExitStack()

    def closed_later(part: _P) -> _P:
        closing.push_async_exit(_closes(part))
        return part

    try:
        store = closed_later(await open_store(settings))
        cache = closed_later(await open_cache(settings, store.debts))
        served = closed_later(Served(store.drift_table, now, settings.drift_flush, metrics))
        patience, step = settings.patience.seconds, settings.granularity
        reader = closed_later(Reader(store, cache, now, patience, metrics))
        reader.computed = served.note
        reader.live_part.dropped = store.archive.dropped
        if settings.warm_ahead:
            asked = AskedFor(step, now)
            reader.noted = asked.note
            closed_later(Ahead(asked, reader.ready, step, now))
        parts = Open(
            store,
            cache,
            reader,
            closed_later(Writer(store, cache, metrics, lambda: step.truncate(now()))),
            closed_later(Readiness(store, spec, cache, settings.export_root)),
            closed_later(Exports(store, settings, now, metrics)),
            served,
            closing,
        )
        await store.watch(cache.changed, cache.follow)
        await heard(await store.registry_table.load())
        await store.registry_table.watch(heard)
        await parts.exports.open()
    except BaseException:
        await closing.aclose()
        raise
    return parts


def _closes(part: _Part) -> Callable[[object, object, object], Awaitable[None]]:
    async def close(kind: object, error: object, trace: object) -> None:
        if not isinstance(error, asyncio.CancelledError):
            await part.close()

    return close
