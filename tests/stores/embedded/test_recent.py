"""The memory of recent rows gives what the database gives, whatever landed in between."""

import asyncio

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ai_hub.definitions.builtin import FEATURES
from ai_hub.definitions.feature_set import FeatureSet
from ai_hub.definitions.values import DAY, HOUR, LAST_INSTANT
from ai_hub.engines.plan import Plan
from ai_hub.intake.batch import OBSERVATIONS, WEATHER
from ai_hub.intake.checks import check_observations, check_weather
from ai_hub.intake.frames import rows_to_table
from ai_hub.stores.base import Vectors
from ai_hub.stores.embedded import points as embedded_points
from ai_hub.stores.embedded.points import PointReader
from ai_hub.stores.embedded.recent import Change, Key, Recent, Rows
from ai_hub.stores.embedded.store import EmbeddedStore

T0 = 1_740_000_000_000_000
PLAN = Plan.of(FeatureSet.unnamed(FEATURES))
ASSETS = ("a", "b", "c")

hours = st.integers(0, 14 * 24)
observations = st.lists(
    st.fixed_dictionaries(
        {
            "hour": hours,
            "asset_id": st.sampled_from(ASSETS),
            "value": st.floats(-1e6, 1e6),
            "quality": st.sampled_from((1, 1, 1, 0)),
        }
    ),
    min_size=1,
    max_size=20,
)
weather = st.lists(
    st.fixed_dictionaries(
        {
            "hour": hours,
            "late": st.integers(-2, 2),
            "asset_id": st.sampled_from(("a", "station")),
            "temperature": st.none() | st.floats(-50, 50),
        }
    ),
    min_size=1,
    max_size=10,
)
steps = st.lists(
    st.one_of(
        observations.map(lambda rows: ("observations", rows)),
        weather.map(lambda rows: ("weather", rows)),
        hours.map(lambda hour: ("ask", hour)),
    ),
    min_size=4,
    max_size=14,
)


def observed(rows: list[dict[str, object]]) -> pa.Table:
    times = pa.array([T0 + int(row["hour"]) * HOUR for row in rows]).cast(OBSERVATIONS[0].type)
    plain = [{k: v for k, v in row.items() if k != "hour"} for row in rows]
    return check_observations(
        rows_to_table(plain).append_column("timestamp", times), "tenant"
    ).table


def weathered(rows: list[dict[str, object]]) -> pa.Table:
    about = [T0 + int(row["hour"]) * HOUR for row in rows]
    issued = [t + int(row["late"]) * HOUR for t, row in zip(about, rows, strict=True)]
    columns = {
        "timestamp": pa.array(about).cast(WEATHER[0].type),
        "issued_at": pa.array(issued).cast(WEATHER[0].type),
        "asset_id": [row["asset_id"] for row in rows],
        "temperature": pa.array([row["temperature"] for row in rows], pa.float64()),
    }
    return check_weather(pa.table(columns), "tenant").table


def assert_same(remembered: Vectors, read: Vectors) -> None:
    for name, column in read.columns.items():
        np.testing.assert_allclose(remembered.columns[name], column, rtol=1e-9, atol=1e-9)
    assert {n: m.tolist() for n, m in remembered.masks.items()} == {
        n: m.tolist() for n, m in read.masks.items()
    }


@pytest.fixture(params=[(10_000, 10_000), (2, 10_000), (10_000, 1)],
                ids=["merged", "forgotten", "forgotten with its tenant"])  # fmt: skip
def merged_rows(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    rows, keys = request.param
    monkeypatch.setattr(embedded_points, "_MERGED_ROWS", rows)
    monkeypatch.setattr(embedded_points, "_NAMED_KEYS", keys)


@settings(max_examples=settings.default.max_examples // 4)
@given(script=steps)
@pytest.mark.usefixtures("merged_rows")
def test_remembered_rows_answer_as_the_database_does(script: list[tuple[str, object]]) -> None:
    async def run() -> None:
        store = EmbeddedStore()
        await store.assign_weather_source("tenant", "station", ["b"], None, 0)
        for what, given_ in [*script, ("ask", 14 * 24)]:
            if what == "observations":
                await store.append(observed(given_))
            elif what == "weather":
                await store.append_weather(weathered(given_))
            else:
                at = T0 + int(given_) * HOUR + 1
                remembered = await store.compute(PLAN, None, "tenant", ASSETS, at)
                # Data that ends at the end of time makes every request one about history.
                memory, store._points = store._points, PointReader(LAST_INSTANT, LAST_INSTANT)
                read = await store.compute(PLAN, None, "tenant", ASSETS, at)
                store._points = memory
                assert_same(remembered, read)
        await store.close()

    asyncio.run(run())


def rows(*times: int, since: int = 0) -> Rows:
    time = np.array(times, np.int64)
    return Rows(since, DAY, time, time, np.ones((len(times), 1)))


def change(*times: int) -> Change:
    time = np.array(times, np.int64)
    return Change(time, time, np.ones((len(times), 1)), np.ones(len(times), bool))


KEY: Key = ("series", "t", "a", "value")


def test_rows_read_before_a_write_are_not_kept_after_it() -> None:
    recent = Recent()
    begun = recent.begin()
    recent.merge({KEY: change(5)})
    recent.keep(begun, {KEY: rows(1, 2)})
    assert recent.find([KEY], 0) == [None]
    recent.keep(recent.begin(), {KEY: rows(1, 2, 5)})
    assert recent.find([KEY], 0)[0] is not None


def test_rows_that_do_not_reach_back_far_enough_are_not_found() -> None:
    recent = Recent()
    recent.keep(recent.begin(), {KEY: rows(10, since=10)})
    assert recent.find([KEY], 9) == [None]
    assert recent.find([KEY], 10) != [None]


def test_the_longest_unused_leave_first_when_there_are_too_many_rows() -> None:
    recent = Recent(max_rows=110)
    keys: list[Key] = [("series", "t", name, "value") for name in "abc"]
    for key in keys[:2]:
        recent.keep(recent.begin(), {key: rows(1, 2)})
    recent.find([keys[0]], 0)
    recent.keep(recent.begin(), {keys[2]: rows(1, 2)})
    assert [found is not None for found in recent.find(keys, 0)] == [True, False, True]


def test_keys_that_have_no_rows_are_bounded_as_well() -> None:
    recent = Recent(max_rows=1_000)
    keys: list[Key] = [("series", "t", f"{n}", "value") for n in range(1_000)]
    recent.keep(recent.begin(), {key: rows() for key in keys})
    held = [found is not None for found in recent.find(keys, 0)]
    assert held == [False] * 980 + [True] * 20


def test_what_grows_for_long_is_trimmed_to_what_is_asked_for() -> None:
    recent = Recent()
    recent.keep(recent.begin(), {KEY: rows(0)})
    for day in range(1, 30):
        recent.merge({KEY: change(day * DAY)})
    (found,) = recent.find([KEY], 28 * DAY)
    assert found is not None
    assert len(found.time) < 6
    assert found.time[-1] == 29 * DAY


def test_of_very_many_keys_those_of_their_tenants_are_forgotten() -> None:
    recent = Recent()
    keys: list[Key] = [KEY, ("series", "u", "a", "value"), ("weather", "t", "a", "temperature")]
    begun = recent.begin()
    recent.keep(begun, {key: rows(1, 2) for key in keys})
    recent.forget("series", {"t"})
    assert [found is not None for found in recent.find(keys, 0)] == [False, True, True]
    recent.keep(begun, {KEY: rows(1)})
    assert recent.find([KEY], 0) == [None]
