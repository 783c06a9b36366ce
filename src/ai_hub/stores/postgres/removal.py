"""The removal of data from PostgreSQL: on a connection of its own, step by step.

Where hours and days are kept as rows of their own, each step makes them true in its transaction. No
maintenance runs meanwhile: a refresh that began before a step would write back what is gone.
"""

from __future__ import annotations

import asyncio
import itertools
import time
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial

from ai_hub.config import Settings
from ai_hub.definitions.values import HOUR, Duration, Entity
from ai_hub.errors import StoreUnavailable
from ai_hub.stores.audit_log import AuditRecord
from ai_hub.stores.postgres.audit_log import write_audit
from ai_hub.stores.postgres.changes import Telling
from ai_hub.stores.postgres.corrections import Aggregate, aggregates
from ai_hub.stores.postgres.maintain import MAINTENANCE_LOCK, check_owner
from ai_hub.stores.postgres.migrations import Mode
from ai_hub.stores.postgres.series import tidy
from ai_hub.stores.postgres.session import CONFLICTS, Connection, session
from ai_hub.stores.removal import Found, Removal, Removed, Step, Survey, steps, told

_LONGEST = Duration(2 * HOUR)
"""The limit of one statement: what there is of a tenant is counted by one."""
_TRIES = 5
_WAIT_SECONDS, _PAUSE_SECONDS = 30.0, 0.2
_TIDIED = 1_000
_OF_SERIES = ("timeseries_data", "ai_features")
_OF_ASSETS = ("asset_attributes", "asset_weather_source")
_OF_TENANTS = ("ai_hub_baselines", "ai_hub_served")

_SURVEY = """
SELECT asset_id, feature_type, sum(raw)::bigint, sum(usable)::bigint, min(first), max(last)
FROM (
    SELECT asset_id, feature_type, count(*) AS raw, 0 AS usable,
        min(timestamp) AS first, max(timestamp) AS last
    FROM timeseries_data WHERE {where} GROUP BY asset_id, feature_type
    UNION ALL
    SELECT asset_id, feature_type, 0, count(*), min(timestamp), max(timestamp)
    FROM ai_features WHERE {where} GROUP BY asset_id, feature_type
) AS found
GROUP BY asset_id, feature_type
"""
_WEATHER = """
SELECT asset_id, NULL, count(*), 0::bigint, min(timestamp), max(timestamp)
FROM weather_features WHERE {where} GROUP BY asset_id
"""
# Of some series there may be nothing else any more.
_AGGREGATED = """
SELECT asset_id, feature_type, count(*) FROM {stored} WHERE {where} GROUP BY asset_id, feature_type
"""
_MAPPED = """
SELECT asset_id FROM asset_weather_source WHERE tenant_id = $1 AND source_id = ANY($2)
"""
_UNMAPPED = "LOCK TABLE asset_weather_source IN ROW EXCLUSIVE MODE"
_ALONE = "LOCK TABLE asset_weather_source, asset_attributes IN SHARE ROW EXCLUSIVE MODE"
# What a window cuts is computed anew of what is left. The rest of it is gone, and so is a cut hour
# or day of which nothing is kept that it could be computed of.
_MEND = """
WITH gone AS (DELETE FROM {stored} WHERE {where} RETURNING bucket),
made AS (
  INSERT INTO {stored} (tenant_id, asset_id, feature_type, bucket,
    {unit}_avg, {unit}_min, {unit}_max, {unit}_stddev, {unit}_count)
  SELECT tenant_id, asset_id, feature_type, bucket,
    {unit}_avg, {unit}_min, {unit}_max, {unit}_stddev, {unit}_count
  FROM {declared} AS v
  WHERE v.tenant_id = $1 AND v.asset_id = $2 AND v.feature_type = $3
    AND v.bucket = ANY(ARRAY[{cut}]::timestamptz[]) AND v.bucket IN (SELECT bucket FROM gone)
)
SELECT count(*) FROM gone
"""
_FORGET = "WITH gone AS (DELETE FROM {stored} WHERE {where} RETURNING 1) SELECT count(*) FROM gone"


@dataclass(frozen=True, slots=True)
class _Condition:
    """A condition of SQL and its parameters."""

    text: str
    given: list[object]

    @classmethod
    def of(cls, *parts: tuple[str, object | None]) -> _Condition:
        """Parts with a % for the place of their parameter; those of None are left out."""
        kept = [(text, value) for text, value in parts if value is not None]
        texts = [text.replace("%", f"${place}") for place, (text, _) in enumerate(kept, 1)]
        return cls(" AND ".join(texts), [value for _, value in kept])


class PostgresRemoval:
    """One removal from one database."""

    def __init__(
        self,
        settings: Settings,
        mode: Mode,
        removal: Removal,
        telling: Callable[[Connection], Telling],
    ) -> None:
        self._settings = settings
        self._mode = mode
        self._removal = removal
        self._telling = telling
        self._both: list[Aggregate] = []

    async def run(self, found: Survey, audit: AuditRecord) -> AsyncGenerator[Removed, None]:
        """Remove what was found step by step; what each removed, once it is committed."""
        async with session(self._settings, _LONGEST) as on, self._alone(on):
            series = 0
            for step in steps(self._removal, found.found):
                series += len(step.found)
                yield await _again(partial(self._step, on, step, audit))
            if self._removal.whole:
                yield await _again(partial(self._others, on, audit))
            for _ in range(-(-series // _TIDIED)):
                await tidy(on, has_chunks=False, span=None)

    @asynccontextmanager
    async def _alone(self, on: Connection) -> AsyncIterator[None]:
        """While no maintenance runs, where there are hours and days to be made true."""
        if self._mode != "plain":
            # A row of the columnstore takes a thousand others out with it.
            await on.execute("SET timescaledb.max_tuples_decompressed_per_dml_transaction = 0")
            await on.execute("SET plan_cache_mode = force_custom_plan")
        if self._mode != "timescaledb":
            yield
            return
        await check_owner(on, "On TimescaleDB removing data")
        self._both = await aggregates(on)
        until = time.monotonic() + _WAIT_SECONDS
        while not await on.fetchval("SELECT pg_try_advisory_lock($1)", MAINTENANCE_LOCK):
            if time.monotonic() > until:
                raise StoreUnavailable(
                    "The database is being maintained, or data are removed already: remove them "
                    "when that has ended. Nothing was removed."
                )
            await asyncio.sleep(_PAUSE_SECONDS)
        # The session ends with it, and so does the lock.
        yield

    async def survey(self) -> Survey:
        """What there is to remove."""
        async with session(self._settings, _LONGEST) as on:
            return await self._survey(on)

    async def _survey(self, on: Connection) -> Survey:
        asked = self._removal
        of = self._of_tenant(asked.start, asked.end, asked.series)
        rows = await on.fetch(_SURVEY.format(where=of.text), *of.given)
        if asked.with_weather:
            of = self._of_tenant(asked.start, asked.end)
            rows += await on.fetch(_WEATHER.format(where=of.text), *of.given)
        others: dict[str, int] = {}
        found = {(one.asset_id, one.series): one for one in (Found(*row) for row in rows)}
        if self._mode == "timescaledb":
            for aggregate in await aggregates(on):
                counted = await self._aggregated(on, aggregate)
                others[f"{aggregate.unit}_features"] = sum(counted.values())
                found = {pair: Found(*pair) for pair in counted} | found
        if asked.whole:
            of = self._of_tenant(None, None)
            for table in self._whole():
                text = f"SELECT count(*) FROM {table} WHERE {of.text}"
                others[table] = await on.fetchval(text, *of.given)
        return Survey(tuple(found.values()), others)

    async def _aggregated(
        self, on: Connection, one: Aggregate
    ) -> dict[tuple[str, str | None], int]:
        """How many hours or days there are of each series; those that a window cuts, too."""
        asked = self._removal
        if asked.is_empty:
            return {}
        of = _Condition.of(
            ("tenant_id = %", asked.tenant_id),
            ("asset_id = ANY(%)", _list(asked.asset_ids)),
            ("feature_type = %", asked.series),
            ("bucket > %", None if asked.start is None else asked.start - one.width),
            ("bucket < %", asked.end),
        )
        rows = await on.fetch(one.worded(_AGGREGATED.replace("{where}", of.text)), *of.given)
        return {(asset_id, name): count for asset_id, name, count in rows}

    async def _step(self, on: Connection, step: Step, audit: AuditRecord) -> Removed:
        tenant_id = self._removal.tenant_id
        ids = {one.asset_id for one in step.found}
        telling = self._telling(on)
        async with on.transaction():
            if step.found[0].series is None:
                rows = {"weather_features": 0}
                for one in step.found:
                    of = _of_series(tenant_id, one, step)
                    rows["weather_features"] += await _deleted(on, "weather_features", of)
                await on.execute(_UNMAPPED)
                mapped = await on.fetch(_MAPPED, tenant_id, sorted(ids))
                touched = ids | {asset_id for (asset_id,) in mapped}
            else:
                rows = dict.fromkeys(_OF_SERIES, 0)
                rows |= {f"{aggregate.unit}_features": 0 for aggregate in self._both}
                for one in step.found:
                    of = _of_series(tenant_id, one, step)
                    for table in _OF_SERIES:
                        rows[table] += await _deleted(on, table, of)
                    for aggregate in self._both:
                        mended = await _mend(on, aggregate, tenant_id, one, step)
                        rows[f"{aggregate.unit}_features"] += mended
                touched = ids
            entities = frozenset(Entity(tenant_id, asset_id) for asset_id in touched)
            if any(rows.values()):
                await write_audit(on, [told(audit, ids, rows)])
            await telling.before(entities)
        await telling.after()
        return Removed(rows, entities)

    async def _others(self, on: Connection, audit: AuditRecord) -> Removed:
        """Remove what else is known of assets that go as a whole."""
        of = self._of_tenant(None, None)
        telling = self._telling(on)
        async with on.transaction():
            await on.execute(_ALONE)
            ids: set[str] = set()
            for table in _OF_ASSETS:
                text = f"SELECT DISTINCT asset_id FROM {table} WHERE {of.text}"
                ids |= {asset_id for (asset_id,) in await on.fetch(text, *of.given)}
            rows = {table: await _deleted(on, table, of) for table in self._whole()}
            entities = frozenset(Entity(self._removal.tenant_id, one) for one in ids)
            if any(rows.values()):
                await write_audit(on, [told(audit, ids, rows)])
            await telling.before(entities)
        await telling.after()
        return Removed(rows, entities)

    def _whole(self) -> tuple[str, ...]:
        """The relations beside readings and weather."""
        return _OF_ASSETS if self._removal.asset_ids else (*_OF_ASSETS, *_OF_TENANTS)

    def _of_tenant(
        self, start: int | None, end: int | None, series: str | None = None
    ) -> _Condition:
        return _Condition.of(
            ("tenant_id = %", self._removal.tenant_id),
            ("asset_id = ANY(%)", _list(self._removal.asset_ids)),
            ("feature_type = %", series),
            ("timestamp >= %", start),
            ("timestamp < %", end),
        )


async def _again(work: Callable[[], Awaitable[Removed]]) -> Removed:
    """A step; again if it was rolled back for a conflict with another transaction."""
    for left in itertools.count(_TRIES - 1, -1):
        try:
            return await work()
        except CONFLICTS:
            if left <= 0:
                raise
    raise AssertionError("the loop ends by return or raise")


def _list(ids: Sequence[str] | None) -> list[str] | None:
    return None if ids is None else list(ids)


def _of_series(tenant_id: str, one: Found, step: Step) -> _Condition:
    """The rows of one series (or the weather of one source) in a step: the columnstore finds its
    place by values that the statement names."""
    return _Condition.of(
        ("tenant_id = %", tenant_id),
        ("asset_id = %", one.asset_id),
        ("feature_type = %", one.series),
        ("timestamp >= %", step.start),
        ("timestamp < %", step.end),
    )


async def _deleted(on: Connection, table: str, of: _Condition) -> int:
    done = await on.execute(f"DELETE FROM {table} WHERE {of.text}", *of.given)
    return int(done.split()[-1])


async def _mend(
    on: Connection, aggregate: Aggregate, tenant_id: str, one: Found, step: Step
) -> int:
    """Make the hours or days of a series true of which rows went; how many those are."""
    width = aggregate.width
    of = _Condition.of(
        ("tenant_id = %", tenant_id),
        ("asset_id = %", one.asset_id),
        ("feature_type = %", one.series),
        ("bucket > %", None if step.start is None else step.start - width),
        ("bucket < %", step.end),
    )
    bounds = [bound for bound in (step.start, step.end) if bound is not None and bound % width]
    given = list(of.given)
    marks = []
    for bound in bounds:
        given.append(bound // width * width)
        marks.append(f"${len(given)}")
    text = _MEND.replace("{cut}", ", ".join(marks)) if bounds else _FORGET
    count: int = await on.fetchval(aggregate.worded(text.replace("{where}", of.text)), *given)
    return count
