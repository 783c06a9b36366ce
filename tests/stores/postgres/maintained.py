"""A store whose database is maintained at times of the test's own, and all that was written."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from ai_hub import FeatureStore
from ai_hub.config import Settings
from ai_hub.definitions.feature_set import FeatureSet
from ai_hub.definitions.kinds import Bucket, Rolling
from ai_hub.definitions.values import HOUR, MINUTE, Duration, to_datetime
from ai_hub.definitions.vocabulary import STATS, Stat
from ai_hub.engines.plan import Plan
from ai_hub.engines.sql import mergeable
from ai_hub.stores.postgres.maintain import maintain
from ai_hub.stores.postgres.retention import Step
from ai_hub.stores.postgres.session import Connection, session
from ai_hub.testing import taking
from conformance.kit import Row, history_of, observation, plain, wrong
from servers import Kind, server

TENANT = "t"


def week_of(stat: Stat) -> Rolling:
    return Rolling(f"week_{stat}", stat, "168h", **taking(stat))  # type: ignore[arg-type]


def merges(feature: Rolling) -> bool:
    """Whether a statistic of a window follows from those of its hours."""
    (window,) = Plan.of(FeatureSet("one", 1, (feature,))).windows
    return mergeable(window)


LONG = FeatureSet(
    "long",
    1,
    (
        # One that does not merge would keep its window from being read from partials.
        *(week for stat in STATS if merges(week := week_of(stat))),
        Rolling("median", "median", "168h", "left"),
        Rolling("left", "mean", "30h", "left"),
        Rolling("right", "std", "30h", "right"),
        Rolling("none", "sum", "3h", "none"),
        Rolling("generation", "mean", "50h", series="generation"),
        Bucket("today", "mean", "1d"),
    ),
)
KEEP_ALL = dict.fromkeys(
    f"retention_{name}" for name in ("raw", "features", "weather", "hourly", "daily")
)


class World:
    """A database that is maintained at times of its own, and all that was written to it."""

    def __init__(self, url: str, folder: Path, **more: Any) -> None:
        self.settings = Settings(
            database_url=url, export_root=folder, pool_size=3, **KEEP_ALL | more
        )
        self.written: list[Row] = []
        self.now: int | None = None
        self.store: FeatureStore
        self.sql: Connection

    async def write(self, *rows: Row) -> None:
        await self.store.ingest(list(rows), TENANT)
        self.written += rows

    async def maintain(
        self, now: int | None = None, at_once: bool = False, within: Duration | None = None
    ) -> list[Step]:
        when = self.now if now is None else now
        return await maintain(self.settings, when, at_once, within=within)

    async def rebuild(self, first: int, end: int) -> list[Step]:
        return await maintain(self.settings, self.now, rebuild=(first, end))

    async def check(self, asset: str, *times: int) -> None:
        """By the reference; twice, since the first answer says how many rows a window has."""
        history = history_of(self.written, [], asset)
        for t in times:
            for _ in range(2):
                answer = await self.store.get(
                    tenant_id=TENANT, asset_id=asset, feature_set="long",
                    timestamp=to_datetime(t), exact=True,
                )  # fmt: skip
                assert not wrong(LONG, t, history, plain(answer))

    async def late(self) -> list[str]:
        return [asset for (asset,) in await self.sql.fetch("SELECT asset_id FROM ai_hub_late")]

    async def compress(self) -> None:
        await self.sql.execute("SELECT compress_chunk(c, true) FROM show_chunks('ai_features') c")

    async def stored(self, aggregate: str) -> list[Any]:
        """What is in the table of an aggregate, without what is computed when it is asked."""
        await self.sql.execute(
            f"ALTER MATERIALIZED VIEW {aggregate} SET (timescaledb.materialized_only = true)"
        )
        found = await self.sql.fetch(
            f"SELECT * FROM {aggregate} ORDER BY asset_id, feature_type, bucket"
        )
        await self.sql.execute(
            f"ALTER MATERIALIZED VIEW {aggregate} SET (timescaledb.materialized_only = false)"
        )
        return list(found)


@asynccontextmanager
async def opened(
    kind: Kind, folder: Path, now: int | None = None, **settings: Any
) -> AsyncIterator[World]:
    """A new database of a server of this kind, maintained once, and a store on it."""
    on = server(kind)
    url = on.fresh()
    made = World(url, folder, **settings)
    await made.maintain(now)
    async with session(made.settings) as made.sql, FeatureStore(made.settings) as made.store:
        made.store.register(LONG)
        yield made
    on.discard(url)


def hourly(asset: str, first: int, hours: int, step: int = 20 * MINUTE) -> list[Row]:
    times = range(first, first + hours * HOUR, step)
    return [observation(asset, t, (t // MINUTE) % 97 - 40.0) for t in times]


def actions(steps: list[Step]) -> list[str]:
    return [step.action for step in steps]


def retention(steps: list[Step], relation: str) -> list[str]:
    """What was done to the retention of a relation."""
    beside = ("plan", "step", "refresh", "compress")
    return [one.action for one in steps if one.relation == relation and one.action not in beside]


def said(steps: list[Step], relation: str, action: str) -> str:
    (step,) = [one for one in steps if (one.relation, one.action) == (relation, action)]
    return step.said
