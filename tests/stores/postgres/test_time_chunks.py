"""Rows that lie far apart make few chunks, hold nobody up, and are there afterwards."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ai_hub.definitions.values import (
    DAY,
    FIRST_INSTANT,
    HOUR,
    LAST_INSTANT,
    parse_time,
    to_datetime,
)
from ai_hub.errors import InvalidInput
from ai_hub.stores.postgres import time_chunks
from ai_hub.stores.postgres.time_chunks import NEAR, Layout
from conformance.kit import Row, observation
from servers import Kind
from stores.postgres.maintained import TENANT, World, actions, opened

WEEK = 7 * DAY
NOW = parse_time("2025-10-09T14:30:00Z")
TEN_MILLENNIA = [
    parse_time(f"{year:04}-{month:02}-01T00:00:00Z")
    for year in range(1, 10_000, 7) for month in (1, 6)
]  # fmt: skip

instants = st.integers(FIRST_INSTANT, LAST_INSTANT) | st.integers(*NEAR)
edges = st.sets(instants, max_size=10).map(sorted)


def layout_of(some: list[int], gathers: bool = True) -> Layout:
    """A layout whose chunks are between every other pair of instants."""
    pairs = np.array(some[: len(some) // 2 * 2], np.int64).reshape(-1, 2)
    return Layout("timestamp", WEEK, pairs[:, 0].copy(), pairs[:, 1].copy(), gathers)


@given(st.lists(instants, min_size=1, max_size=20), edges, st.booleans())
def test_each_time_is_in_one_range_that_overlaps_no_chunk(
    times: list[int], some: list[int], gathers: bool
) -> None:
    layout = layout_of(some, gathers)
    there = set(zip(layout.starts.tolist(), layout.ends.tolist(), strict=True))
    ranges = set(map(tuple, layout.ranges(np.array(times)).tolist()))
    assert set(map(tuple, layout.lacking(np.array(times)).tolist())) == ranges - there
    for low, high in ranges - there:
        assert high - low <= WEEK or (gathers and (high <= NEAR[0] or low >= NEAR[1]))
        assert any(low <= time < high for time in times)
    for time in times:
        assert sum(low <= time < high for low, high in ranges) == 1
    every = sorted(ranges | there)
    assert all(one[1] <= other[0] for one, other in pairwise(every))


def test_ten_millennia_are_two_chunks_and_a_century_of_weeks() -> None:
    days = np.arange(FIRST_INSTANT, LAST_INSTANT, 3 * DAY)
    assert len(layout_of([]).ranges(days)) <= 2 + 101 * 53


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    async with opened("timescaledb", tmp_path, NOW - 300 * DAY) as made:
        made.now = NOW
        yield made


def readings(*times: int) -> list[Row]:
    return [observation("a", time, float(place)) for place, time in enumerate(times)]


async def chunks(world: World, relation: str = "ai_features") -> int:
    count = await world.sql.fetchval(
        "SELECT count(*) FROM show_chunks($1::text::regclass)", relation
    )
    return int(count)


@pytest.mark.timescaledb
async def test_readings_of_ten_millennia(world: World) -> None:
    rows = readings(*TEN_MILLENNIA)
    await world.write(*rows)
    near = len({one // WEEK for one in TEN_MILLENNIA if NEAR[0] <= one < NEAR[1]})
    assert await chunks(world) == await chunks(world, "timeseries_data") == near + 2
    assert await world.sql.fetchval("SELECT count(*) FROM ai_features") == len(rows)
    again = await world.store.ingest(rows, TENANT)
    assert again.unchanged == len(rows)
    steps = await world.maintain()
    assert "refresh" in actions(steps)
    stored = await world.stored("hourly_features")
    assert len(stored) == sum(one < NOW - HOUR for one in TEN_MILLENNIA)
    (table,) = await world.sql.fetchrow(
        "SELECT format('%I.%I', materialization_hypertable_schema, materialization_hypertable_name)"
        " FROM timescaledb_information.continuous_aggregates WHERE view_name = 'hourly_features'"
    )
    assert await chunks(world, table) <= near + 1
    await world.check("a", TEN_MILLENNIA[20] + HOUR, TEN_MILLENNIA[-20] + HOUR)


@pytest.mark.timescaledb
async def test_chunks_that_are_there_stay(world: World) -> None:
    """Such as those that SQL made, or another release."""
    first, last = TEN_MILLENNIA[100], TEN_MILLENNIA[-100]
    await world.sql.execute(
        "INSERT INTO ai_features (tenant_id, asset_id, timestamp, value) "
        "VALUES ('t', 'a', $1, 1), ('t', 'a', $2, 1)", first, last,
    )  # fmt: skip
    await world.write(*readings(*TEN_MILLENNIA[::10], first, last))
    near = {one // WEEK for one in TEN_MILLENNIA[::10] if NEAR[0] <= one < NEAR[1]}
    assert await chunks(world) == len(near) + 6


@pytest.mark.timescaledb
async def test_writers_of_the_same_time_at_once(world: World) -> None:
    times = TEN_MILLENNIA[::20]
    rows = [[observation(asset, time, 1.0) for time in times] for asset in "abcd"]
    await asyncio.gather(*(world.write(*some) for some in rows))
    assert await world.sql.fetchval("SELECT count(*) FROM ai_features") == 4 * len(times)


@pytest.mark.timescaledb
async def test_nobody_waits_for_chunks_of_years(world: World) -> None:
    weeks = [NOW - place * WEEK for place in range(150)]
    years = asyncio.create_task(world.write(*readings(*weeks)))
    await asyncio.sleep(0.3)
    assert not years.done()
    # One that needs a chunk of its own.
    await world.write(observation("b", NOW + 50 * WEEK, 1.0))
    assert not years.done()
    await years
    assert await chunks(world) == 151


@pytest.mark.timescaledb
@pytest.mark.parametrize("kind", ["timescaledb", "apache"])
async def test_more_chunks_than_a_transaction_may_lock(
    kind: Kind, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with opened(kind, tmp_path, NOW - 300 * DAY) as world:
        slots = 256 * 100
        monkeypatch.setattr(time_chunks, "_SHARE", 40 * time_chunks._LOCKS / slots)
        weeks = [NOW - place * WEEK for place in range(21)]
        message = "in 42 chunks', expected at most 40 chunks in one batch. Nothing of it was"
        with pytest.raises(InvalidInput, match=message):
            await world.write(*readings(*weeks))
        assert await world.sql.fetchval("SELECT count(*) FROM ai_features") == 0
        await world.write(*readings(*weeks[:20]))
        assert await world.sql.fetchval("SELECT count(*) FROM ai_features") == 20


@pytest.mark.timescaledb
async def test_weather_of_ten_millennia(world: World) -> None:
    rows = [
        {"timestamp": to_datetime(time), "asset_id": "a", "temperature": 1.0}
        for time in TEN_MILLENNIA[::10]
    ]
    await world.store.ingest_weather(rows, TENANT)
    near = {one // WEEK for one in TEN_MILLENNIA[::10] if NEAR[0] <= one < NEAR[1]}
    assert await chunks(world, "weather_features") == len(near) + 2
