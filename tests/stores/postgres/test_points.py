"""One answer now on PostgreSQL: every shape of the statement, gathered callers, index access."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, get_args

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ai_hub import FeatureStore
from ai_hub.administration import maintain
from ai_hub.definitions.builtin import FEATURE_SETS, FEATURES
from ai_hub.definitions.feature_set import FeatureSet
from ai_hub.definitions.freezing import frozen
from ai_hub.definitions.kinds import (
    Age,
    Bucket,
    Calendar,
    Derived,
    Ewm,
    Lag,
    Latest,
    Rolling,
    Seasonal,
)
from ai_hub.definitions.values import DAY, HOUR, MINUTE, parse_time, to_datetime
from ai_hub.definitions.vocabulary import Missing
from ai_hub.engines.plan import Plan
from ai_hub.engines.sql_rows import Depth, Point, Shape
from ai_hub.stores.postgres import points as postgres_points
from ai_hub.stores.postgres.points import PointReader
from ai_hub.stores.postgres.store import PostgresStore
from ai_hub.testing import History, Observation, WeatherRow, feature_sets, policies
from conformance.conftest import on_server as on_server
from conformance.kit import (
    ON_STORES,
    TIMESCALEDB,
    Deployment,
    folder,
    history_of,
    observation,
    plain,
    run,
    vector_at,
    weather_row,
    wrong,
)
from conformance.worlds import TENANT, World, worlds, write

ALL = FeatureSet("every_feature", 1, FEATURES)
T = parse_time("2025-10-09T14:30:00Z")
sets = st.one_of(st.just(ALL), feature_sets())


def points_of(store: FeatureStore) -> PointReader:
    inner = store._open.store
    assert isinstance(inner, PostgresStore)
    return inner._points


@ON_STORES
@given(feature_set=sets, missing=policies(), world=worlds(), data=st.data())
def test_entities_at_times_of_their_own_in_one_statement(
    on_server: Deployment,
    feature_set: FeatureSet,
    missing: Missing | None,
    world: World,
    data: st.DataObject,
) -> None:
    pairs = [(asset, t) for asset in world.assets for t in world.instants[asset]]
    asked = data.draw(st.permutations(pairs))

    async def example(place: Path) -> None:
        async with on_server.open(place, feature_set) as store:
            await write(store, world)
            lane = points_of(store).lane(Plan.of(feature_set), missing)
            found = await lane.read([(TENANT, asset, t) for asset, t in asked])
            for row, (asset, t) in enumerate(asked):
                vector = vector_at(feature_set, found, row)
                assert not wrong(feature_set, t, world.history(asset), vector, missing)

    with folder() as place:
        run(example(Path(place)))


@given(world=worlds(max_size=10))
@settings(max_examples=5)
def test_callers_at_once_share_statements_and_each_gets_its_own(
    on_server: Deployment, world: World
) -> None:
    pairs = [(asset, t) for asset in world.assets for t in world.instants[asset]] * 9

    async def example(place: Path) -> None:
        async with on_server.open(place, ALL) as store:
            await write(store, world)
            lane = points_of(store).lane(Plan.of(ALL), None)
            look, sizes = lane._look, []

            async def noted(points: Sequence[Point]) -> Any:
                sizes.append(len(points))
                return await look(points)

            lane._look = noted  # type: ignore[method-assign]
            found = await asyncio.gather(*(lane.ask((TENANT, asset, t)) for asset, t in pairs))
            for vectors, (asset, t) in zip(found, pairs, strict=True):
                vector = vector_at(ALL, vectors, 0)
                assert not wrong(ALL, t, world.history(asset), vector)
            assert sum(sizes) == len(pairs)
            if len(pairs) > 4:
                assert len(sizes) < len(pairs)
            assert not lane.busy

    with folder() as place:
        run(example(Path(place)))


async def test_a_batch_sees_the_first_weather_of_its_tenant(
    on_server: Deployment, tmp_path: Path
) -> None:
    """And of assets that share a station, each its own: what is there, or the station's mean."""
    assets = [f"a{i}" for i in range(6)]
    at = to_datetime(T)
    stale = [
        weather_row("old", WeatherRow(T - DAY - h * HOUR, T - 9 * DAY, {"temperature": float(h)}))
        for h in range(1, 50)
    ]
    fresh = [
        weather_row("new", WeatherRow(T - 2 * HOUR, T - 2 * HOUR, {"temperature": 5.0})),
        weather_row("new", WeatherRow(T, T - DAY, {"temperature": 7.0})),
        weather_row("a4", WeatherRow(T - 30 * MINUTE, T - 30 * MINUTE, {"humidity": 60.0})),
        weather_row("a4", WeatherRow(T, T - DAY, {"humidity": 50.0})),
    ]
    readings = [observation(asset, T - h * HOUR, float(h)) for asset in assets for h in range(30)]
    mappings = {"a0": "old", "a1": "old", "a2": "new", "a3": "new"}
    async with on_server.open(tmp_path, ALL) as store:
        await store.ingest(readings, TENANT)
        # Weather of others is none of this tenant's.
        await store.ingest_weather(stale + fresh, "other")

        async def check(weather: list[Any], mapped: dict[str, str]) -> None:
            batch = await store.get_batch(
                tenant_id=TENANT, asset_ids=assets, feature_set=ALL.name, timestamp=at, exact=True
            )
            lane = points_of(store).lane(Plan.of(ALL), "mean")
            apart = [(TENANT, asset, T - i) for i, asset in enumerate(assets)]
            found = await lane.read(apart)
            for row, (_, asset, t) in enumerate(apart):
                since = {0: mapped[asset]} if asset in mapped else {}
                history = history_of(readings, weather, asset, since)
                assert not wrong(ALL, T, history, plain(batch[asset]))
                assert not wrong(ALL, t, history, vector_at(ALL, found, row), "mean")

        await check([], {})
        for source in ("old", "new"):
            some = [asset for asset, of in mappings.items() if of == source]
            await store.assign_weather_source(tenant_id=TENANT, source_id=source, asset_ids=some)
        await check([], mappings)
        await store.ingest_weather(stale, TENANT)
        await check(stale, mappings)
        await store.ingest_weather(fresh, TENANT)
        await check(stale + fresh, mappings)


async def test_callers_of_times_far_apart_share_no_statement(
    on_server: Deployment, tmp_path: Path
) -> None:
    """A statement looks at all chunks between its times."""
    eras = [T - era * 365 * DAY for era in range(9)]
    async with on_server.open(tmp_path) as store:
        await store.ingest([observation("a", t, float(n)) for n, t in enumerate(eras)], TENANT)
        plan = Plan.of(FeatureSet("s", 1, (Lag("x", "1h"),)))
        lane = points_of(store).lane(plan, None)
        look, spans = lane._look, []

        async def noted(points: Sequence[Point]) -> Any:
            times = [t for _, _, t in points]
            spans.append(max(times) - min(times))
            return await look(points)

        lane._look = noted  # type: ignore[method-assign]
        asked = [(n, t + HOUR + i * MINUTE) for i in range(20) for n, t in enumerate(eras)]
        found = await asyncio.gather(*(lane.ask((TENANT, "a", t)) for _, t in asked))
        assert [vectors.columns["x"].item() for vectors in found] == [float(n) for n, _ in asked]
        assert max(spans) < 30 * DAY
        assert len(spans) < len(asked) / 2
        assert not lane.busy


async def test_one_who_gives_up_takes_nobody_elses_answer_away(
    on_server: Deployment, tmp_path: Path
) -> None:
    async with on_server.open(tmp_path) as store:
        await store.ingest([observation("a", T, 5.0)], "t")
        lane = points_of(store).lane(Plan.of(FeatureSet("s", 1, (Lag("x", "1h"),))), None)
        asking = [asyncio.create_task(lane.ask(("t", "a", T + HOUR))) for _ in range(40)]
        await asyncio.sleep(0)
        for one in asking[::2]:
            one.cancel()
        rest = await asyncio.gather(*asking[1::2])
        assert [vectors.columns["x"].tolist() for vectors in rest] == [[5.0]] * 20
        assert (await lane.ask(("t", "a", T + HOUR))).columns["x"].tolist() == [5.0]


HUGE = FeatureSet(
    "huge",
    1,
    (
        *(Rolling(stat, stat, "24h") for stat in ("mean", "std", "sum", "range", "min", "count")),
        Rolling("median", "median", "24h"),
        Bucket("bucket", "mean", "1h"),
        Lag("lag", "1h"),
    ),
)


@pytest.mark.parametrize("missing", [None, "keep"])
async def test_values_that_postgresql_cannot_add_up_spoil_nobodys_answer(
    on_server: Deployment, tmp_path: Path, missing: Missing | None
) -> None:
    huge = [observation("huge", T - i * HOUR, (-1) ** i * 1.7e308) for i in range(3)]
    usual = [observation("plain", T - i * HOUR, float(i)) for i in range(3)]
    async with on_server.open(tmp_path, HUGE) as store:
        await store.ingest([*huge, *usual], "t")
        asked = {"timestamp": to_datetime(T), "missing": missing, "exact": True}
        found = await store.get_batch(
            tenant_id="t", asset_ids=["huge", "plain", "none"], feature_set="huge", **asked
        )
        assert not found["plain"].degraded
        assert found["plain"].features["mean"] == 1.0
        assert found["huge"].features["min"] == -1.7e308
        assert found["huge"].features["count"] == 3
        assert "std" in found["huge"].missing
        assert "range" in found["huge"].missing
        alone = await store.get(tenant_id="t", asset_id="huge", feature_set="huge", **asked)
        assert alone.features == found["huge"].features


# Long windows from hourly partials.


def minutes(asset: str, start: int, count: int, step: int = 5 * MINUTE) -> list[dict[str, Any]]:
    chance = random.Random(asset)
    return [
        observation(asset, start + i * step + chance.randrange(MINUTE), 1e9 + chance.random())
        for i in range(count)
        if chance.random() < 0.9
    ]


WINDOWS = FeatureSet(
    "windows",
    1,
    (
        *(Rolling(f"r_{s}", s, "30h") for s in ("mean", "std", "min", "max", "sum", "count")),
        *(Rolling(f"o_{s}", s, "30h", "none") for s in ("mean", "range")),
        *(Bucket(f"b_{s}", s, "7d") for s in ("mean", "std", "count")),
        Rolling("median", "median", "30h"),
        Latest("temperature", "temperature"),
    ),
)


@pytest.fixture
def merging(monkeypatch: pytest.MonkeyPatch) -> None:
    """Read every long window from partials that can be, however few rows it has."""
    monkeypatch.setattr(postgres_points, "MERGED_ROWS", 0)


@pytest.mark.timescaledb
@pytest.mark.usefixtures("merging")
async def test_long_windows_are_exact_with_late_and_rewritten_rows(tmp_path: Path) -> None:
    now = _now() // HOUR * HOUR
    rows = [row for asset in "ab" for row in minutes(asset, now - 3 * DAY, 3 * 24 * 12)]
    instants = [now - shift for shift in (0, 1, 37 * MINUTE, 5 * HOUR, HOUR - 1, 26 * HOUR)]

    async def check(store: FeatureStore) -> int:
        for t in instants:
            for asset in "ab":
                answer = await store.get(
                    tenant_id="t", asset_id=asset, feature_set="windows",
                    timestamp=to_datetime(t), exact=True,
                )  # fmt: skip
                history = history_of(rows, [], asset)
                assert not wrong(WINDOWS, t, history, plain(answer)), (t, asset)
        lane = points_of(store).lane(Plan.of(WINDOWS), None)
        return sum(bool(merged) for _, merged, _ in lane._statements)

    async with TIMESCALEDB.open(tmp_path, WINDOWS) as store:
        await store.ingest(rows, "t")
        await check(store)
        await maintain(store.settings)
        assert await check(store) > 0
        # Late, rewritten and taken away, behind what was refreshed.
        late = [
            observation("a", now - 20 * HOUR - 7, 5e8),
            rows[40] | {"value": 2e9},
            rows[len(rows) // 4] | {"quality": 0},
        ]
        rows += late
        await store.ingest(late, "t")
        await check(store)
        await maintain(store.settings)
        await check(store)


def _now() -> int:
    return time.time_ns() // 1_000


# How the statement is carried out.

BERLIN = "Europe/Berlin"
MANY = frozen(
    FeatureSet(
        "many",
        1,
        (
            *(
                Calendar(f"local_{part}", part, BERLIN)
                for part in ("hour_of_day", "month", "day_sin", "year_sin")
            ),
            Calendar("holiday_tomorrow", "is_holiday", BERLIN, "P1D", country="DE"),
            *(Lag(f"lag_{days}d", f"P{days}D", tz=BERLIN) for days in range(1, 15)),
            *(Lag(f"utc_{hours}h", f"{hours}h") for hours in (1, 24, 48)),
            *(
                Lag(f"cold_{h}h", f"{h}h", source="weather", column="temperature")
                for h in (1, 2, 3, 9)
            ),
            *(Rolling(f"q{round(q * 100)}", "quantile", "24h", q=q) for q in (0.1, 0.5, 0.9)),
            *(Rolling(stat, stat, "P7D", tz=BERLIN) for stat in ("mean", "std", "max", "increase")),
            Seasonal("same_hour", "mean", "P7D", 4, tz=BERLIN),
            Seasonal("spread", "std", "P1D", 7, tz=BERLIN),
            Bucket("today", "mean", "P1D", tz=BERLIN),
            Ewm("recent", "6h", "24h"),
            Age("age", "24h"),
            Derived("ratio", "utc_1h / mean"),
            Derived("step", "coalesce(utc_1h - utc_24h, 0)"),
        ),
    )
)


@pytest.mark.parametrize("missing", ["keep", "mean"])
async def test_a_set_of_forty_features_is_read_by_one_statement(
    on_server: Deployment, tmp_path: Path, missing: Missing
) -> None:
    assert len(MANY.features) >= 40
    now = _now() // HOUR * HOUR
    times = range(now - 29 * DAY, now + 1, HOUR)
    readings = [Observation(t, float(t // HOUR % 97)) for t in times]
    weather = [WeatherRow(t, t, {"temperature": float(t // HOUR % 31)}) for t in times]
    history = History({"value": readings}, tuple(weather))
    asked: list[str] = []
    async with on_server.open(tmp_path, MANY, pool_size=1) as store:
        await store.ingest([observation("m", o.timestamp, o.value) for o in readings], TENANT)
        await store.ingest_weather([weather_row("m", row) for row in weather], TENANT)
        inner = store._open.store
        assert isinstance(inner, PostgresStore)
        async with inner._sessions.connection() as connection:
            connection.add_query_logger(lambda record: asked.append(record.query))
        for number, t in enumerate((now, now - 1, now - 3 * HOUR), 1):
            answer = await store.get(
                tenant_id=TENANT, asset_id="m", feature_set=MANY.label, missing=missing,
                timestamp=to_datetime(t), exact=True,
            )  # fmt: skip
            assert not answer.missing
            assert not wrong(MANY, t, history, plain(answer), missing)
            # Beside it are only the begin and the end of a transaction, and a lock in it; and of
            # what reads so far back, whether that is archived.
            reads = [text for text in asked if "SELECT" in text and "ai_hub_archive" not in text]
            assert len(reads) == number


@asynccontextmanager
async def filled(deployment: Deployment, place: Path) -> AsyncIterator[PostgresStore]:
    """Thirty days of hourly rows of some assets, and statistics of them."""
    now = _now() // HOUR * HOUR
    times = now - np.arange(30 * 24) * HOUR
    rows = [
        {"timestamp": to_datetime(int(t)), "asset_id": f"m-{i:02d}", "value": float(i)}
        for t in times
        for i in range(30)
    ]
    weather = [
        {"timestamp": to_datetime(int(t)), "asset_id": f"m-{i:02d}", "temperature": 1.0}
        for t in times
        for i in range(30)
    ]
    async with deployment.open(place) as store:
        await store.ingest(rows, "t")
        await store.ingest_weather(weather, "t")
        inner = store._open.store
        assert isinstance(inner, PostgresStore)
        await inner._sessions.fetch("ANALYZE")
        yield inner


@pytest.mark.parametrize("shape", ["one", "together", "apart"])
async def test_the_statement_reads_by_index(
    on_server: Deployment, tmp_path: Path, shape: Shape
) -> None:
    now = _now() // MINUTE * MINUTE
    async with filled(on_server, tmp_path) as store:
        for feature_set in (*FEATURE_SETS, ALL, MANY):
            lane = store._points.lane(Plan.of(feature_set), None)
            chosen = lane._statement(shape, frozenset(), "filled")
            step = HOUR if shape == "apart" else 0
            some = range(1 if shape == "one" else 20)
            points = [("t", f"m-{i:02d}", now - i * step) for i in some]
            rows = await store._sessions.fetch(f"EXPLAIN {chosen.text}", chosen.arguments(points))
            text = "\n".join(row[0] for row in rows)
            assert "Index" in text
            scanned = [line for line in text.splitlines() if "Seq Scan" in line]
            # The map of stations is empty here: there is nothing to look up in it.
            assert [line for line in scanned if "asset_weather_source" not in line] == []


async def test_a_new_connection_knows_the_statements_before_its_first_user(
    on_server: Deployment, tmp_path: Path
) -> None:
    async with on_server.open(tmp_path) as store:
        inner = store._open.store
        assert isinstance(inner, PostgresStore)
        await store.prepare()
        async with inner._sessions.connection() as connection:
            known = {
                row["statement"] for row in await connection.fetch(
                    "SELECT statement FROM pg_prepared_statements"
                )
            }  # fmt: skip
        for feature_set in FEATURE_SETS:
            lane = inner._points.lane(Plan.of(feature_set), None)
            for depth in get_args(Depth)[:2]:
                assert lane._statement("one", frozenset(), depth).text in known
