"""Late rows of long ago: what they changed is written, step by step, and space given back."""

from __future__ import annotations

import asyncio
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from ai_hub import FeatureStore
from ai_hub.definitions.values import DAY, HOUR, MINUTE, Duration, parse_time
from ai_hub.stores.postgres import columnstore, refresh
from ai_hub.stores.postgres import points as postgres_points
from ai_hub.stores.postgres.maintain import MAINTENANCE_LOCK
from ai_hub.stores.postgres.session import session
from ai_hub.testing import close
from conformance.kit import Row, observation
from stores.postgres.maintained import TENANT, World, actions, hourly, opened, said

pytestmark = [pytest.mark.timescaledb, pytest.mark.versions]

T = parse_time("2025-10-09T14:30:00Z")
FIRST = T - 200 * DAY
ASSETS = ("a", "b", "c")

# A week of minutes, in one chunk.
_MINUTES = """
INSERT INTO ai_features (timestamp, tenant_id, asset_id, value)
SELECT $1::timestamptz + minute * interval '1 minute', 't', one, random()
FROM unnest($2::text[]) AS one, generate_series(0, 7 * 24 * 60 - 1) AS minute
"""
_INSIDE = """
SELECT c.compress_relid::text FROM show_chunks('ai_features') AS s
JOIN _timescaledb_catalog.compression_settings AS c ON c.relid = s
"""


@pytest.fixture
async def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[World]:
    """Two hundred days of three series, maintained; long windows are read from partials."""
    monkeypatch.setattr(postgres_points, "MERGED_ROWS", 0)
    async with opened("timescaledb", tmp_path, FIRST - DAY) as made:
        made.now = T
        await made.write(*(row for one in ASSETS for row in hourly(one, FIRST, 200 * 24, HOUR)))
        await made.maintain()
        yield made


def scattered(count: int = 40, seed: int = 1) -> list[Row]:
    """Rows anywhere in the two hundred days, new ones and others that replace what is there."""
    chance = random.Random(seed)
    times = (FIRST + chance.randrange(199 * 24) * HOUR for _ in range(count))
    return [
        observation(chance.choice(ASSETS), t + chance.choice((0, 7)) * MINUTE, chance.uniform(0, 9))
        for t in times
    ]


async def all_true(world: World) -> None:
    """Whether hours and days in the tables are what their rows say, and answers the reference's."""
    for unit, width in (("hourly", HOUR), ("daily", DAY)):
        name, end = f"{unit}_features", (T - HOUR) // width * width
        text = f"SELECT * FROM {await declared(world, name)} WHERE bucket < $1"
        anew = await world.sql.fetch(f"{text} ORDER BY asset_id, feature_type, bucket", end)
        stored = [row for row in await world.stored(name) if row["bucket"] < end]
        exactly = ("bucket", "asset_id", f"{unit}_min", f"{unit}_max", f"{unit}_count")
        nearly = (f"{unit}_avg", f"{unit}_stddev")
        assert [[row[one] for one in exactly] for row in stored] == [
            [row[one] for one in exactly] for row in anew
        ]
        for row, expected in zip(stored, anew, strict=True):
            assert all(close(row[one], expected[one]) for one in nearly)
    chance = random.Random(2)
    for asset in ASSETS:
        await world.check(asset, *(T - chance.randrange(199 * 24) * HOUR for _ in range(5)))


async def declared(world: World, name: str) -> str:
    view: str = await world.sql.fetchval(
        "SELECT format('%I.%I', direct_view_schema, direct_view_name) "
        "FROM _timescaledb_catalog.continuous_agg WHERE user_view_name = $1", name
    )  # fmt: skip
    return view


async def test_scattered_late_rows_are_corrected_and_their_space_is_given_back(
    world: World,
) -> None:
    before = await world.sql.fetchval("SELECT pg_database_size(current_database())")
    await world.write(*scattered())
    late = await world.late()
    assert set(late) == set(ASSETS)
    steps = await world.maintain()
    assert actions(steps)[0] == "plan"
    assert "of 3 series" in said(steps, "hourly_features", "plan")
    assert said(steps, "hourly_features", "refresh").endswith(" corrected")
    count = actions(steps).count("step")
    assert f"{count} steps: " in said(steps, "hourly_features", "plan")
    assert await world.late() == []
    await all_true(world)
    for relation in ("ai_features", "hourly_features", "daily_features"):
        # Whatever is in the columnstore is in order, and has no empty pages beside it.
        assert not await world.sql.fetch(columnstore._WITH_LATE_ROWS, relation)
        assert not await world.sql.fetch(columnstore._ROOMY, relation)
    after = await world.sql.fetchval("SELECT pg_database_size(current_database())")
    assert after < 1.3 * before
    assert "step" not in actions(await world.maintain())


async def test_late_rows_in_every_batch_of_a_chunk_leave_it_as_small_as_before(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(columnstore, "_READERS_WAIT", "200ms")
    begin = FIRST // (7 * DAY) * 7 * DAY
    async with opened("timescaledb", tmp_path, FIRST - DAY) as world:
        world.now = T
        await world.sql.execute(_MINUTES, begin, list(ASSETS))
        await world.maintain()
        inside = await world.sql.fetchval(_INSIDE)

        async def held() -> int:
            held: int = await world.sql.fetchval(columnstore._HELD, inside)
            return held

        before = await held()
        late = (
            observation(one, begin + (batch * 1_000 + 1) * MINUTE, 1.0)
            for one in ASSETS
            for batch in range(10)
        )
        await world.write(*late)
        async with session(world.settings) as reader, reader.transaction():
            await reader.fetch(f"SELECT FROM {inside}")
            await world.maintain()
            assert await held() > 1.5 * before
        await world.maintain()
        assert await held() < 1.2 * before


async def test_a_batch_may_take_any_number_of_rows_out_of_the_columnstore(world: World) -> None:
    name = world.settings.database_url.rpartition("/")[2]
    limit = "timescaledb.max_tuples_decompressed_per_dml_transaction"
    await world.sql.execute(f"ALTER DATABASE {name} SET {limit} = 1")
    async with FeatureStore(world.settings) as store:
        result = await store.ingest(scattered(), TENANT)
    assert result.accepted == 40


async def test_only_what_late_rows_changed_is_written(world: World) -> None:
    table = (await refresh.aggregates(world.sql))[0].stored
    await world.write(observation("a", FIRST + 20 * DAY + 7 * MINUTE, 5.0))
    steps = await world.maintain()
    for name in ("hourly_features", "daily_features"):
        assert said(steps, name, "refresh").endswith(", 1 corrected")
    # What no trigger saw is found by a rebuild.
    await world.sql.execute(f"UPDATE {table} SET hourly_max = 12345 WHERE asset_id = 'b' "
                            "AND bucket < (SELECT min(bucket) + INTERVAL '5 hours' FROM "
                            "hourly_features)")  # fmt: skip
    steps = await world.rebuild(FIRST, FIRST + 9 * DAY)
    assert ", 5 corrected" in said(steps, "hourly_features", "refresh")
    await all_true(world)


@pytest.mark.parametrize("start", ["INTERVAL '100 days'", "NULL"])
async def test_late_rows_where_a_scheduled_policy_refreshes_are_left_to_refreshes(
    world: World, start: str
) -> None:
    await world.sql.execute("SELECT remove_continuous_aggregate_policy('hourly_features')")
    await world.sql.execute(
        f"SELECT add_continuous_aggregate_policy('hourly_features', start_offset => {start}, "
        "end_offset => INTERVAL '1 hour', schedule_interval => INTERVAL '1 hour')"
    )
    world.now = time.time_ns() // 1_000
    row = hourly("b", world.now - 20 * DAY, 1, HOUR)
    await world.write(*row)
    await world.maintain()
    await world.write(*(one | {"value": 7.0} for one in row))
    steps = await world.maintain()
    assert "computed anew from " in said(steps, "hourly_features", "refresh")
    assert "corrected" not in said(steps, "hourly_features", "refresh")
    assert await world.late() == []
    await world.check("b", world.now - 19 * DAY)


@pytest.mark.long
async def test_a_run_takes_no_longer_than_it_may_and_the_next_goes_on(world: World) -> None:
    await world.write(*scattered())
    runs, kept = 0, []
    while await world.late():
        steps = await world.maintain(within=Duration(1))
        kept.append(actions(steps).count("step"))
        runs += 1
        for asset in ASSETS:
            await world.check(asset, T - 30 * DAY, T - 150 * DAY)
        if await world.late():
            assert "are left for the next run" in said(steps, "hourly_features", "wait")
            # Rows whose hours are not refreshed are not deleted.
            assert "keep" not in actions(steps)
    assert runs > 2, kept
    await world.maintain()
    await all_true(world)


async def test_a_run_that_is_killed_goes_on_where_it_was(world: World) -> None:
    """Killed again and again after a word of progress, at any place of what comes then."""
    await world.write(*scattered(60, 3))
    chance = random.Random(4)
    for _ in range(2):
        process = maintaining(world.settings.database_url)
        assert process.stdout is not None
        await asyncio.to_thread(process.stdout.readline)
        await asyncio.sleep(chance.uniform(0, 0.5))
        process.send_signal(signal.SIGKILL)
        process.wait()
        process.stdout.close()
        await released(world)
        for asset in ASSETS:
            await world.check(asset, T, T - 30 * DAY, T - 150 * DAY)
    await world.maintain()
    assert await world.late() == []
    await all_true(world)


def maintaining(url: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        (sys.executable, "-c", "from ai_hub.cli import main; main()", "maintain"),
        env=os.environ | {"AI_HUB_DATABASE_URL": url}, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip


async def released(world: World) -> None:
    """Wait until the server has ended the sessions of a process that is gone."""
    async with session(world.settings) as on:
        await on.execute("SELECT pg_advisory_lock($1)", MAINTENANCE_LOCK)


async def test_a_series_written_meanwhile_stays_late(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    await world.write(*scattered())
    real = refresh.correct
    between = [observation("b", FIRST + 50 * DAY + 1, 300.0)]

    async def beside(*arguments: object) -> list[int]:
        if between:
            await world.write(between.pop())
        return await real(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(refresh, "correct", beside)
    await world.maintain()
    assert await world.late() == ["b"]
    for asset in ASSETS:
        await world.check(asset, T - 148 * DAY, T - 150 * DAY, T)
    await world.maintain()
    assert await world.late() == []
    await all_true(world)
