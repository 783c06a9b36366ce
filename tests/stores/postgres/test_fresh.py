"""Rows that no stored one is in the way of go into the tables as they are: nothing else differs."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Collection, Mapping
from typing import Any

import pytest

from ai_hub.config import Settings
from ai_hub.definitions.values import DAY, HOUR, Duration, Entity, parse_time
from ai_hub.intake.checks import check_observations
from ai_hub.intake.frames import rows_to_table
from ai_hub.stores.base import Landed
from ai_hub.stores.postgres import write as postgres_write
from ai_hub.stores.postgres.session import session
from ai_hub.stores.postgres.write import RetentionPeriods, append_observations
from conformance.kit import observation
from servers import Kind, require, server

T = parse_time("2025-10-09T14:00:00Z")
ALL = RetentionPeriods(None, None)
NOTHING_RAW = RetentionPeriods(Duration(DAY), None)
COMPRESS = "SELECT compress_chunk(c) FROM show_chunks('ai_features') AS c"
Key = tuple[str, int]
Stored = Mapping[Key, tuple[float, int]]


@pytest.fixture(
    params=[
        pytest.param("plain", marks=pytest.mark.postgresql),
        pytest.param("timescaledb", marks=pytest.mark.timescaledb),
    ]
)
async def settings(
    request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Settings]:
    kind: Kind = request.param
    require(kind)
    # Batches of this file are small.
    monkeypatch.setattr(postgres_write, "_FEW_ROWS", 0)
    url = server(kind).fresh()
    yield Settings(database_url=url)
    server(kind).discard(url)


async def has_columnstore(on: Any) -> bool:
    found: bool = await on.fetchval("SELECT to_regproc('compress_chunk') IS NOT NULL")
    return found


async def land(on: Any, rows: Stored, periods: RetentionPeriods = ALL) -> Landed:
    sent = [
        observation(asset, time, value, quality=quality)
        for (asset, time), (value, quality) in rows.items()
    ]
    batch = check_observations(rows_to_table(sent), "t").table
    return await append_observations(on, batch, periods, untold)


async def untold(entities: Collection[Entity]) -> None:
    assert entities


async def raw(on: Any) -> dict[Key, tuple[float, int]]:
    found = await on.fetch("SELECT asset_id, timestamp, value, quality FROM timeseries_data")
    return {(asset, time): (value, quality) for asset, time, value, quality in found}


async def usable(on: Any) -> dict[Key, float]:
    found = await on.fetch("SELECT asset_id, timestamp, value FROM ai_features")
    return {(asset, time): value for asset, time, value in found}


async def test_batches_of_new_and_of_stored_rows_are_counted_and_stored_alike(
    settings: Settings,
) -> None:
    chance, known = random.Random(7), dict[Key, tuple[float, int]]()
    ways = set()
    async with session(settings) as on:
        for turn in range(40):
            if turn == 20 and await has_columnstore(on):
                await on.execute(COMPRESS)
            base = T + (turn // 2 + chance.choice((0, 0, -9))) * 5 * HOUR
            rows = {
                (chance.choice("abc"), base + chance.randrange(8) * HOUR):
                (float(chance.randrange(2)), chance.choice((0, 1, 1, 1)))
                for _ in range(chance.randrange(1, 9))
            }  # fmt: skip
            again = [key for key in rows if key in known]
            changed = [key for key in again if known[key] != rows[key]]
            known |= rows
            landed = await land(on, rows)
            assert (landed.replaced, landed.unchanged) == (len(changed), len(again) - len(changed))
            assert await raw(on) == known
            good = {key: value for key, (value, quality) in known.items() if quality}
            assert await usable(on) == good
            ways.add((bool(again), min(quality for _, quality in rows.values())))
    assert ways == {(True, 0), (True, 1), (False, 0), (False, 1)}


async def test_new_rows_take_no_detour(settings: Settings) -> None:
    detour = "SELECT to_regclass('pg_temp.ai_hub_observations_in') IS NOT NULL"
    async with session(settings) as on:
        for day in (0, 1, 30, 20, -5):  # later, earlier and between
            rows = [(asset, T + day * DAY + hour * HOUR) for asset in "ab" for hour in range(9)]
            await land(on, dict.fromkeys(rows, (1.0, 1)))
        assert not await on.fetchval(detour)
        await land(on, {("a", T + 4 * HOUR): (2.0, 1), ("c", T): (3.0, 1)})
        assert await on.fetchval(detour)
        found = await usable(on)
        assert (len(found), found["a", T + 4 * HOUR], found["c", T]) == (91, 2.0, 3.0)


@pytest.mark.parametrize("in_columnstore", [False, True])
async def test_rows_that_nobody_noted_are_replaced_all_the_same(
    settings: Settings, in_columnstore: bool
) -> None:
    hours = [("a", T + hour * HOUR) for hour in range(30)]
    async with session(settings) as on:
        await land(on, dict.fromkeys(hours[:20], (1.0, 1)), NOTHING_RAW)
        if in_columnstore:
            if not await has_columnstore(on):
                pytest.skip("no columnstore")
            await on.execute(COMPRESS)
        await on.execute("DELETE FROM ai_hub_series")
        landed = await land(on, dict.fromkeys(hours[10:], (2.0, 1)), NOTHING_RAW)
        assert (landed.replaced, landed.unchanged) == (10, 0)
        assert await usable(on) == {key: 1.0 if key in hours[:10] else 2.0 for key in hours}
        assert await raw(on) == {}


async def test_of_two_writers_of_the_same_new_rows_the_later_one_wins(settings: Settings) -> None:
    hours = [("a", T + hour * HOUR) for hour in range(20)]
    async with session(settings) as first, session(settings) as second:
        transaction = first.transaction()
        await transaction.start()
        await land(first, dict.fromkeys(hours[:15], (1.0, 1)))
        # It sees none of them, and waits for the first one with the rows that both have.
        waiting = asyncio.create_task(land(second, dict.fromkeys(hours[5:], (2.0, 1))))
        done, _ = await asyncio.wait([waiting], timeout=0.5)
        assert not done
        await transaction.commit()
        landed = await waiting
        assert (landed.replaced, landed.unchanged) == (10, 0)
        wanted = {key: 1.0 if key in hours[:5] else 2.0 for key in hours}
        assert await usable(first) == wanted
        assert await raw(first) == {key: (value, 1) for key, value in wanted.items()}
