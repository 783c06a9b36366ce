"""What one answer on PostgreSQL reads to the microsecond, exactly, and of one moment."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from ai_hub import FeatureStore
from ai_hub.administration import maintain, status
from ai_hub.definitions.feature_set import FeatureSet
from ai_hub.definitions.kinds import Derived, Feature, Lag, Latest, Rolling
from ai_hub.definitions.values import DAY, FIRST_INSTANT, HOUR, LAST_INSTANT, MINUTE, parse_time
from ai_hub.definitions.values import to_datetime as at
from ai_hub.engines.plan import Plan
from ai_hub.engines.sql_rows import Point
from ai_hub.stores.base import Vectors
from ai_hub.stores.postgres import points as postgres_points
from ai_hub.stores.postgres.session import session
from ai_hub.stores.postgres.store import PostgresStore
from conformance.conftest import on_server as on_server
from conformance.kit import TIMESCALEDB, Deployment, observation
from stores.postgres import absurd_tenant

T = parse_time("2025-10-09T14:30:00Z")
WEEK = 168 * HOUR
ABSURD = (1.7e308, -1.7e308, 1e200, 2e200, -1e308, 5e-324, 1e145, -1.1e145)


def named(*features: Feature) -> FeatureSet:
    return FeatureSet("edges", 1, features)


async def features_of(
    store: FeatureStore, t: int = T, asset: str = "a", tenant: str = "t", **more: Any
) -> Mapping[str, object]:
    answer = await store.get(
        tenant_id=tenant, asset_id=asset, feature_set="edges", timestamp=at(t), exact=True, **more
    )
    assert not answer.degraded
    return answer.features


def weather(asset: str, about: int, temperature: float, issued: int | None = None) -> Any:
    return {"timestamp": at(about), "issued_at": at(about if issued is None else issued),
            "asset_id": asset, "temperature": temperature}  # fmt: skip


async def test_windows_hold_their_edges_as_they_are_closed(
    on_server: Deployment, tmp_path: Path
) -> None:
    closed = ("both", "right", "left", "none")
    chosen = named(*(Rolling(c, "sum", "168h", c) for c in closed))
    rows = [(T - WEEK - 1, 1.0), (T - WEEK, 10.0), (T - HOUR, 100.0), (T, 1000.0), (T + 1, 1e4)]
    async with on_server.open(tmp_path, chosen) as store:
        await store.ingest([observation("a", time, v) for time, v in rows], "t")
        assert await features_of(store) == {
            "both": 1110.0, "right": 1100.0, "left": 110.0, "none": 100.0,
        }  # fmt: skip


async def test_what_does_not_see_t_is_not_filled_from_it(
    on_server: Deployment, tmp_path: Path
) -> None:
    chosen = named(
        Lag("lag", "1h", "1us"),
        Rolling("seen", "mean", "1us", "right", missing="mean"),
        Rolling("none", "mean", "2us", "none"),
    )
    rows = [(T - WEEK - 1, 1.0), (T - WEEK, 3.0), (T - 2, 5.0), (T, 700.0)]
    async with on_server.open(tmp_path, chosen) as store:
        await store.ingest([observation("a", time, v) for time, v in rows], "t")
        assert await features_of(store) == {"lag": 4.0, "seen": 700.0, "none": 4.0}
        # A week later only the last one is in reach, and a week and a bit later nothing is.
        assert (await features_of(store, T + WEEK))["lag"] == 700.0
        assert (await features_of(store, T + WEEK + 1))["lag"] == 0.0


async def test_latest_weather_to_the_microsecond(on_server: Deployment, tmp_path: Path) -> None:
    chosen = named(
        Latest("aged", "temperature", max_age="2h", measured_within="1h", missing="keep"),
        Latest("newest", "temperature", measured_within="0"),
    )
    async with on_server.open(tmp_path, chosen) as store:
        await store.ingest_weather([weather("a", T - 2 * HOUR, 1.0)], "t")
        assert (await features_of(store))["aged"] is None
        assert (await features_of(store, T - 1))["aged"] == 1.0
        # A measurement is preferred to a later forecast for less than an hour.
        await store.ingest_weather(
            [weather("a", T - HOUR, 2.0), weather("a", T - MINUTE, 3.0, T - 3 * HOUR)], "t"
        )
        assert await features_of(store) == {"aged": 3.0, "newest": 3.0}
        assert await features_of(store, T - 1) == {"aged": 2.0, "newest": 3.0}
        # The forecast of an instant that is measured: the later issue, which is no measurement.
        await store.ingest_weather([weather("a", T - MINUTE, 4.0, T)], "t")
        assert await features_of(store) == {"aged": 4.0, "newest": 4.0}


async def test_each_tenant_has_its_own_source(on_server: Deployment, tmp_path: Path) -> None:
    chosen = named(Latest("temperature", "temperature"))
    async with on_server.open(tmp_path, chosen) as store:
        for tenant, shift in (("t", 0.0), ("u", 10.0)):
            rows = [weather("a", T, shift + 1), weather("s", T, shift + 2)]
            await store.ingest_weather(rows, tenant)
        await store.assign_weather_source(tenant_id="u", source_id="s", asset_ids=["a"])
        assert await features_of(store) == {"temperature": 1.0}
        assert await features_of(store, tenant="u") == {"temperature": 12.0}


FLAT = named(
    *(Rolling(stat, stat, "24h") for stat in ("mean", "std", "median", "min", "max")),
    Lag("last", "1us"),
    Derived("score", "(last - mean) / std", missing="keep"),
    Lag("filled", "1000h"),
)


@pytest.mark.parametrize("value", [0.1, 1.1, 40.1, 1234.56, 0.007, 1.7e308, 5e-324])
async def test_a_flat_window_is_flat(on_server: Deployment, tmp_path: Path, value: float) -> None:
    rows = [observation("a", T - i * HOUR, value) for i in range(30)]
    exact = {"mean": value, "std": 0.0, "median": value, "min": value, "max": value,
             "last": value, "score": None, "filled": value}  # fmt: skip
    async with on_server.open(tmp_path, FLAT) as store:
        await store.ingest(rows, "t")
        assert await features_of(store, T + 1) == exact
        inner = store._open.store
        assert isinstance(inner, PostgresStore)
        (row,) = await inner._sessions.fetch(
            "SELECT ai_hub_window('t', 'a', 'value', $1, $2)", [T - DAY, T]
        )
        assert row[0][:5] == [25, value, 0, value, value]
        for view, mean, std in (
            ("forecast_advanced_features", "rolling_avg_24h", "rolling_std_24h"),
            ("anomaly_detection_features", "historical_avg_24h", "historical_std_24h"),
        ):
            (row,) = await inner._sessions.fetch(
                f"SELECT {mean}, {std} FROM {view} WHERE timestamp = $1", [T]
            )
            assert tuple(row) == (value, 0)


@pytest.mark.timescaledb
async def test_a_flat_window_of_partials_is_flat(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(postgres_points, "MERGED_ROWS", 0)
    rows = [observation("a", T - i * 7 * MINUTE, 40.1) for i in range(300)]
    async with TIMESCALEDB.open(tmp_path, FLAT) as store:
        await store.ingest(rows, "t")
        await maintain(store.settings)
        for _ in range(2):  # The first one learns how many rows there are.
            found = await features_of(store)
            assert (found["mean"], found["std"], found["score"]) == (40.1, 0.0, None)


async def test_who_holds_absurd_values_keeps_nobody_waiting(
    on_server: Deployment, tmp_path: Path
) -> None:
    chosen = named(*(Rolling(s, s, "24h") for s in ("mean", "std", "sum", "median", "range")))
    absurd = [observation("absurd", T - i * HOUR, v) for i, v in enumerate(ABSURD)]
    usual = [observation(f"u{n}", T - i * HOUR, 2.0 * i) for i in range(3) for n in range(9)]
    async with on_server.open(tmp_path, chosen) as store:
        await store.ingest([*absurd, *usual], "t")
        inner = store._open.store
        assert isinstance(inner, PostgresStore)
        lane = inner._points.lane(Plan.of(chosen), None)
        free, exactly = asyncio.Event(), lane._exactly

        async def held(points: Sequence[Point]) -> Vectors:
            assert {asset for _, asset, _ in points} == {"absurd"}
            await free.wait()
            return await exactly(points)

        lane._exactly = held  # type: ignore[method-assign]
        waiting = [asyncio.create_task(lane.ask(("t", "absurd", T))) for _ in range(20)]
        asking = [lane.ask(("t", f"u{n}", T)) for n in range(9)]
        for found in await asyncio.wait_for(asyncio.gather(*asking), 20):
            assert found.columns["mean"].tolist() == [2.0]
        assert not any(task.done() for task in waiting)
        free.set()
        for found in await asyncio.gather(*waiting):
            assert not found.masks.keys() & {"mean", "median", "std"}
            assert "range" in found.masks


async def test_a_tenant_of_absurd_values_beside_a_hundred_others(
    on_server: Deployment, tmp_path: Path
) -> None:
    url = on_server.url(tmp_path)
    await absurd_tenant.fill(url)
    seen = await absurd_tenant.load(url, beside=True, rounds=2, patience="30s")
    assert len(seen.times) == 200
    assert (seen.degraded, seen.wrong, seen.absurd_degraded) == (0, 0, 0)


MOMENT = named(
    Rolling("mean", "mean", "30h"),
    Rolling("left", "mean", "30h", "left"),
    Rolling("least", "min", "20h"),
    Rolling("greatest", "max", "30h"),
    Lag("last", "1us"),
    Lag("filled", "1000h"),
)


@pytest.mark.parametrize("merged", [False, True])
@pytest.mark.parametrize("days", [1, 30])
async def test_a_vector_is_of_one_moment(
    on_server: Deployment,
    tmp_path: Path,
    merged: bool,
    days: int,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """All values are rewritten at once, again and again, beside maintenance: no vector holds two.

    Of TimescaleDB's rows, those of a month ago are in the columnstore.
    """
    monkeypatch.setattr(postgres_points, "MERGED_ROWS", 0 if merged else 1 << 60)
    t = time.time_ns() // 1_000 // DAY * DAY - days * DAY
    chosen = MOMENT
    if not merged:  # It does not merge, and would keep its window from being read from partials.
        chosen = named(*MOMENT.features, Rolling("median", "median", "30h"))
    rows = [observation("a", t - i * HOUR - 1, 0.0) for i in range(30)]
    async with on_server.open(tmp_path, chosen) as store, asyncio.TaskGroup() as group:
        await store.ingest(rows, "t")
        await maintain(store.settings)
        done = asyncio.Event()

        async def write() -> None:
            number = 0.0
            while not done.is_set():
                number += 1
                await store.ingest([row | {"value": number} for row in rows], "t")

        async def upkeep() -> None:
            while not done.is_set():
                await maintain(store.settings)

        group.create_task(write())
        group.create_task(upkeep())
        seen = set()
        async with asyncio.timeout(60):
            while len(seen) < 30:
                found = await features_of(store, t)
                assert len(set(found.values())) == 1, found
                seen.add(found["mean"])
        done.set()


@pytest.mark.timescaledb
async def test_rows_that_leave_the_columnstore_while_a_read_is_planned(tmp_path: Path) -> None:
    """A plan says of each chunk whether rows lie beside it, which a write may change."""
    t = time.time_ns() // 1_000 // DAY * DAY - 30 * DAY
    chosen = named(Lag("now", "1us", missing="keep"), Lag("before", "14d", missing="keep"))
    rows = [observation("a", at_, 1.0) for at_ in (t - 14 * DAY, t - 1)]
    async with TIMESCALEDB.open(tmp_path, chosen) as store:
        await store.ingest(rows, "t")
        await maintain(store.settings)
        async with session(store.settings) as sql:
            older = await sql.fetchval(
                "SELECT c::text FROM show_chunks('ai_features') c ORDER BY c"
            )
            async with sql.transaction():
                await sql.execute(f"LOCK TABLE {older} IN ACCESS EXCLUSIVE MODE")
                asked = asyncio.create_task(features_of(store, t))
                waits = "SELECT EXISTS (SELECT FROM pg_locks WHERE NOT granted), pg_sleep(0.01)"
                async with asyncio.timeout(20):
                    while not await sql.fetchval(waits):
                        pass
                await store.ingest([rows[1] | {"value": 2.0}], "t")
            assert await asked == {"now": 2.0, "before": 1.0}


async def test_maintenance_stops_for_no_instant(on_server: Deployment, tmp_path: Path) -> None:
    times = (FIRST_INSTANT, T, LAST_INSTANT)
    async with on_server.open(tmp_path) as store:
        await store.ingest([observation("a", time, 1.0) for time in times], "t")
        await store.ingest_weather([weather("a", time, 1.0) for time in times], "t")
        for at_once in (False, True, True):
            assert await maintain(store.settings, at_once=at_once)
            (series,) = (await status(store.settings, exact=True))["series"]
        assert series["rows"] == 1
