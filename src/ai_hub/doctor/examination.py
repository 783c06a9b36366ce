"""Looks everything over: gathers what is there, and has it judged.

Nothing is changed, and no part that cannot be looked at keeps another from it: it is a line that
says why.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AsyncExitStack
from functools import partial
from typing import TypeVar

from ai_hub.config import Settings
from ai_hub.definitions.registry import Registry
from ai_hub.doctor import (
    archives,
    cache,
    clock,
    data,
    database,
    disk,
    exports,
    processes,
    reach,
    settings,
)
from ai_hub.doctor.line import Line, limited, warning
from ai_hub.errors import AiHubError, StoreError, StoreLocked, StoreUnavailable
from ai_hub.process import Process
from ai_hub.serving.cache import CacheStats
from ai_hub.serving.checkup import CacheFacts
from ai_hub.serving.opening import look_at_cache
from ai_hub.serving.registry_plan import registry_of
from ai_hub.stores.checkup import Checkup, DatabaseFacts, DataFacts, ExportFacts
from ai_hub.stores.opening import open_checkup
from ai_hub.stores.registry_table import StoredRegistry

_T = TypeVar("_T")

PATIENCE = 30.0
"""Seconds that one look may take."""


async def examine(
    chosen: Settings,
    now: Callable[[], int],
    tenant_id: str | None = None,
    store: Checkup | None = None,
    stats: CacheStats | None = None,
) -> list[Line]:
    """Every line. `store` and `stats` are those of a store that is open; else the database of the
    settings is looked at by itself. `now` gives microseconds since the epoch.

    Raises StoreLocked where another process has the file: who has it can be asked.
    """
    looks = _Looks(chosen, now, tenant_id, stats)
    async with AsyncExitStack() as stack:
        facts = None
        try:
            async with asyncio.timeout(PATIENCE):
                if store is None:
                    store = await stack.enter_async_context(open_checkup(chosen))
                facts = await store.database()
        except StoreLocked:
            raise
        except StoreError as error:
            looks.lines.append(database.away(error, chosen))
        except TimeoutError:
            late = StoreUnavailable(f"{chosen.database_name} did not answer in {PATIENCE:g} s")
            looks.lines.append(database.away(late, chosen))
        await looks.run(store, facts)
    return limited(looks.lines)


class _Looks:
    """One examination, and the lines that it has so far."""

    def __init__(
        self,
        chosen: Settings,
        now: Callable[[], int],
        tenant_id: str | None,
        stats: CacheStats | None,
    ) -> None:
        self.lines: list[Line] = []
        self._settings = chosen
        self._now = now
        self._tenant = tenant_id
        self._stats = stats

    async def run(self, store: Checkup | None, facts: DatabaseFacts | None) -> None:
        """All of it; of the database what can be had."""
        lines, chosen = self.lines, self._settings
        found_data, others = DataFacts(), list[Process]()
        found_exports, stored = ExportFacts(), StoredRegistry()
        if store is not None and facts is not None:
            lines += database.judge(facts, chosen)
            await self._upkeep(store)
            ask = partial(store.data, self._tenant, self._now())
            found_data = await self._got("readings", ask, found_data)
            # Of hundreds of thousands of readings: a server answers others meanwhile.
            lines += await asyncio.to_thread(data.judge, found_data, self._tenant, self._now())
            others = await self._got("processes", store.processes, others)
            found_exports = await self._got("exports", store.exports, found_exports)
            stored = await self._got("lookback", store.registry, stored)
            await self._archive(store)
        in_cache = await look_at_cache(chosen)
        tenant = self._tenant or next(iter(found_data.series), None)
        if in_cache is None:
            lines += cache.judge_memory(self._stats, tenant)
        else:
            lines += cache.judge(in_cache, chosen, tenant)
        on_cache = in_cache.processes if isinstance(in_cache, CacheFacts) else None
        look = partial(
            disk.look, chosen.export_root, chosen.database_path,
            found_exports.under_way, found_exports.completed,
        )  # fmt: skip
        on_disk = await self._got("folder", partial(asyncio.to_thread, look), None)
        if on_disk is not None:
            lines += exports.judge(found_exports, on_disk)
        self._clocks(facts, in_cache if isinstance(in_cache, CacheFacts) else None)
        lines += settings.judge(chosen)
        if facts is not None:
            lines += self._registry(stored, facts)
            lines += settings.judge_connections(chosen, facts, len(others) + 1)
        lines += processes.judge(Process.of(chosen), others, on_cache)

    async def _upkeep(self, store: Checkup) -> None:
        looked = await self._got("indexes", store.troubles, None)
        refreshed = await self._got("aggregates", store.refreshed, None)
        if looked is not None and self._settings.on_server:
            self.lines += database.judge_looked(looked, self._settings, refreshed is not None)
        if refreshed is not None:
            self.lines += database.judge_refreshed(refreshed, self._now())

    async def _archive(self, store: Checkup) -> None:
        found = await self._got("archive", store.archive, None)
        if found is None:
            return
        look = partial(asyncio.to_thread, reach.away, found)
        away = await self._got("archive", look, None)
        if away is not None:
            self.lines += archives.judge(found, away)

    def _clocks(self, facts: DatabaseFacts | None, on_redis: CacheFacts | None) -> None:
        ahead = self._now() - time.time_ns() // 1_000
        if facts is not None and facts.clock is not None:
            asked = facts.asked_at + ahead
            self.lines.append(clock.judge("the database", facts.clock, asked, facts.seconds))
        if on_redis is not None:
            asked = on_redis.asked_at + ahead
            self.lines.append(clock.judge("Redis", on_redis.clock, asked, on_redis.seconds))

    def _registry(self, stored: StoredRegistry, facts: DatabaseFacts) -> Sequence[Line]:
        lines = settings.judge_keys(self._settings, stored, self._now())
        try:
            registry = registry_of(Registry(), stored)
        except AiHubError as error:
            return [*lines, warning("lookback", str(error))]
        return [*lines, *settings.judge_retention(registry, facts)]

    async def _got(self, line: str, ask: Callable[[], Awaitable[_T]], without: _T) -> _T:
        """What a look gives; where it cannot be had a line says why, and `without` stands in."""
        try:
            async with asyncio.timeout(PATIENCE):
                return await ask()
        except TimeoutError:
            self.lines.append(warning(line, f"not looked at: it took over {PATIENCE:g} s"))
        except (AiHubError, OSError) as error:
            self.lines.append(warning(line, f"not looked at: {error}"))
        return without
