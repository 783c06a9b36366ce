"""Long windows stay true whatever is written while hours are refreshed, compressed and dropped."""

from __future__ import annotations

import asyncio
import random
import statistics
import time
from collections.abc import AsyncIterator, Collection
from pathlib import Path
from typing import Any

import asyncpg
import pyarrow as pa
import pytest

from ai_hub.definitions.values import DAY, HOUR, MINUTE, Duration, Entity, parse_time, to_datetime
from ai_hub.stores.postgres import columnstore, refresh
from ai_hub.stores.postgres import points as postgres_points
from ai_hub.stores.postgres.session import Connection, session
from ai_hub.stores.postgres.snapshot import Snapshot
from ai_hub.stores.postgres.write import WRITERS_LOCK, RetentionPeriods, append_observations
from ai_hub.testing import close
from conformance.kit import Row, observation
from stores.postgres.maintained import TENANT, World, actions, hourly, opened, said

pytestmark = pytest.mark.timescaledb

T = parse_time("2025-10-09T14:30:00Z")


@pytest.fixture
async def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[World]:
    """A store that reads every window of more than an hour from partials where it may."""
    monkeypatch.setattr(postgres_points, "MERGED_ROWS", 0)
    async with opened("timescaledb", tmp_path, T - 300 * DAY) as made:
        made.now = T
        yield made


async def test_hours_and_days_hold_what_was_ingested(world: World) -> None:
    rows = hourly("a", T - 9 * DAY, 8 * 24, 7 * MINUTE) + hourly("b", T - 3 * DAY, 60)
    rows += [observation("b", T - 2 * DAY, 5.0, "generation")]
    await world.write(*rows)
    assert "refresh" in actions(await world.maintain())
    for aggregate, width in (("hourly", HOUR), ("daily", DAY)):
        groups: dict[tuple[str, str, int], list[float]] = {}
        end = (T - HOUR) // width * width
        for row in rows:
            at = int(row["timestamp"].timestamp() * 1e6) // width * width
            if at < end:
                key = (row["asset_id"], row["feature_type"], at)
                groups.setdefault(key, []).append(row["value"])
        stored = await world.stored(f"{aggregate}_features")
        keys = [(row["asset_id"], row["feature_type"], row["bucket"]) for row in stored]
        assert keys == sorted(groups)
        for row, key in zip(stored, keys, strict=True):
            values = groups[key]
            deviation = statistics.stdev(values) if len(values) > 1 else None
            assert row[f"{aggregate}_count"] == len(values)
            assert row[f"{aggregate}_min"] == min(values)
            assert row[f"{aggregate}_max"] == max(values)
            assert close(row[f"{aggregate}_avg"], statistics.fmean(values))
            assert close(row[f"{aggregate}_stddev"], deviation)


async def test_answers_come_from_partials(world: World) -> None:
    """Or the other tests here would show nothing."""
    await world.write(*hourly("a", T - 8 * DAY, 8 * 24))
    await world.maintain()
    await world.check("a", T)
    table = await world.sql.fetchval(
        "SELECT format('%I.%I', materialization_hypertable_schema, materialization_hypertable_name)"
        " FROM timescaledb_information.continuous_aggregates WHERE view_name = 'hourly_features'"
    )
    await world.sql.execute(f"UPDATE {table} SET hourly_max = 12345")
    asked = {"tenant_id": TENANT, "asset_id": "a", "feature_set": "long", "exact": True}
    answer = await world.store.get(timestamp=to_datetime(T), **asked)
    assert answer.features["week_max"] == 12345.0


async def test_hours_go_to_the_columnstore_within_a_month(world: World) -> None:
    """And stay true there, of readings of every hour and of every minute."""
    now = world.now = time.time_ns() // 1_000 // HOUR * HOUR
    sparse, dense = (
        hourly("a", now - 60 * DAY, 60 * 24, HOUR),
        hourly("b", now - 32 * DAY, 48, MINUTE),
    )
    await world.write(*sparse, *dense)
    await world.maintain()
    rest = await world.sql.fetchval(
        "SELECT min(c.range_start) FROM timescaledb_information.chunks AS c "
        "JOIN timescaledb_information.continuous_aggregates AS a "
        "ON a.materialization_hypertable_name = c.hypertable_name "
        "WHERE a.view_name = 'hourly_features' AND NOT c.is_compressed"
    )
    assert now - 31 * DAY < rest < now - 14 * DAY
    times = (now, now - 30 * DAY, now - 31 * DAY, now - 40 * DAY)
    late = [
        observation("a", now - 40 * DAY - 10 * MINUTE, 1e6),
        observation("b", now - 31 * DAY - MINUTE, -1e6),
        *(row | {"quality": 0} for row in sparse[500:510]),
    ]
    for rows in ([], late):
        await world.write(*rows)
        for maintained in (False, True):
            if maintained:
                await world.maintain()
            for asset in "ab":
                await world.check(asset, *times)


@pytest.mark.parametrize("compressed", [False, True])
async def test_late_rewritten_and_removed_rows(world: World, compressed: bool) -> None:
    first = T - 12 * DAY
    await world.write(*hourly("a", first, 12 * 24, HOUR), *hourly("b", first, 12 * 24, HOUR))
    await world.maintain()
    if compressed:
        await world.compress()
    times = (T, T - DAY, T - 5 * DAY, T - 5 * DAY + 1)
    await world.check("a", *times)
    late = observation("a", T - 6 * DAY + 5 * MINUTE, 1e6)
    rewritten = observation("a", T - 6 * DAY - 30 * MINUTE, -1e6)
    rewritten["timestamp"] = hourly("a", first, 24)[3]["timestamp"]
    removed = [observation("a", first + i * HOUR, 0.0, quality=0) for i in range(30)]
    for rows in ([late], [rewritten], removed, [removed[-1] | {"quality": 1, "value": 77.0}]):
        await world.write(*rows)
        assert await world.late() == ["a"]
        await world.check("a", *times)
        await world.check("b", T)
        await world.maintain()
        assert await world.late() == []
        await world.check("a", *times)
        await world.check("b", T)
        if compressed:
            await world.compress()


async def test_the_first_rows_of_all_removed(world: World) -> None:
    """Nothing is left of the time that has to be refreshed."""
    rows = hourly("a", T - 3 * DAY, 60, HOUR)
    await world.write(*rows)
    await world.maintain()
    await world.check("a", T)
    await world.write(*(row | {"quality": 0} for row in rows[:30]))
    await world.maintain()
    await world.check("a", T, T - 2 * DAY)
    await world.write(*(row | {"quality": 0} for row in rows[30:]))
    await world.maintain()
    await world.check("a", T, T - 2 * DAY)


@pytest.mark.parametrize("seed", [0, *(pytest.param(i, marks=pytest.mark.long)
                                               for i in range(3, 40))])  # fmt: skip
async def test_any_order_of_writes_refreshes_and_compression(world: World, seed: int) -> None:
    chance = random.Random(seed)
    now = T - 20 * DAY

    def times(n: int, back: int) -> list[int]:
        return [now - chance.randrange(back) for _ in range(n)]

    for _ in range(25):
        asset = chance.choice("ab")
        match chance.choice(("new", "new", "late", "old", "rewrite", "remove", "far", "maintain",
                             "maintain", "hurry", "compress", "policy")):  # fmt: skip
            case "new":
                now += chance.choice((HOUR, 5 * HOUR, 26 * HOUR))
                await world.write(*(observation(asset, t, chance.uniform(-9, 9))
                                    for t in times(30, 3 * HOUR)))  # fmt: skip
            case "late":
                await world.write(*(observation(asset, t, chance.uniform(50, 90))
                                    for t in times(5, 9 * DAY)))  # fmt: skip
            case "old":
                await world.write(*(observation(asset, t - 15 * DAY, chance.uniform(90, 99))
                                    for t in times(5, 90 * DAY)))  # fmt: skip
            case "hurry":
                # Time is up after a step.
                await world.maintain(now, within=Duration(1))
            case "far":
                await world.write(observation(asset, now + 40 * DAY, 1.0, "generation"))
            case "rewrite" | "remove" as what:
                mine = [row for row in world.written if row["asset_id"] == asset]
                some = chance.sample(mine, min(5, len(mine)))
                more = {"value": 500.0} if what == "rewrite" else {"quality": 0}
                await world.write(*(row | more for row in some))
            case "maintain":
                await world.maintain(now)
            case "compress":
                await world.compress()
            case "policy":
                await _run_policies(world.sql)
        await world.check(asset, now, *times(1, 8 * DAY), *times(1, 100 * DAY))
    await world.maintain(now)
    assert await world.late() == []
    await world.check("a", now, *times(3, 8 * DAY), *times(3, 100 * DAY))


async def test_an_ingest_while_hours_are_refreshed_stays_late(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    await world.write(*hourly("a", T - 9 * DAY, 9 * 24), *hourly("b", T - 9 * DAY, 9 * 24))
    await world.maintain(T - 2 * DAY)
    await world.write(observation("a", T - 6 * DAY, 100.0), observation("b", T - 6 * DAY, 100.0))
    real = refresh._call_refresh
    between = [observation("a", T - 5 * DAY + 1, 200.0)]

    async def beside(*arguments: Any) -> None:
        if between:
            await world.write(between.pop())
        await real(*arguments)

    monkeypatch.setattr(refresh, "_call_refresh", beside)
    await world.maintain()
    assert await world.late() == ["a"]
    for asset in "ab":
        await world.check(asset, T, T - 2 * DAY, T - 5 * DAY)
    await world.maintain()
    assert await world.late() == []
    await world.check("a", T, T - 2 * DAY, T - 5 * DAY)


async def test_what_the_database_forgot_to_refresh_is_refreshed(world: World) -> None:
    """It notes no change that is committed while the first refresh of its time runs."""
    await world.write(*hourly("a", T - 9 * DAY, 9 * 24))
    await world.maintain(T - 2 * DAY)
    await world.write(observation("a", T - 6 * DAY, 100.0))
    await world.sql.execute("DELETE FROM _timescaledb_catalog."
                            "continuous_aggs_hypertable_invalidation_log")  # fmt: skip
    await world.maintain()
    await world.check("a", T, T - 4 * DAY)


KEPT = RetentionPeriods(None, None)


async def untold(_: Collection[Entity]) -> None:
    """Nobody is told of these writes."""


async def test_a_refresh_waits_for_who_wrote_without_knowing_of_it(world: World) -> None:
    await world.write(*hourly("a", T - 9 * DAY, 9 * 24))
    row = observation("a", T - 3 * HOUR - 1, 1e5)
    async with session(world.settings) as other:
        transaction = other.transaction()
        await transaction.start()
        await append_observations(other, batch(row), KEPT, untold)
        running = asyncio.create_task(world.maintain())
        await asyncio.sleep(0.5)
        assert not running.done()
        assert await world.sql.fetchval("SELECT done FROM ai_hub_hourly") < T - 100 * DAY
        await world.check("a", T)
        await transaction.commit()
        await running
    world.written.append(row)
    await world.check("a", T)
    assert await world.late() == []


async def test_who_writes_after_it_was_announced_is_late_also_if_it_began_before(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    await world.write(*hourly("a", T - 9 * DAY, 9 * 24))
    row = observation("a", T - 3 * HOUR - 1, 1e5)
    real = refresh._call_refresh
    between = [row]
    async with session(world.settings) as other:
        transaction = other.transaction()
        await transaction.start()
        await other.fetch("SELECT count(*) FROM ai_features")

        async def beside(*arguments: Any) -> None:
            if between:
                between.clear()
                await append_observations(other, batch(row), KEPT, untold)
                await transaction.commit()
                world.written.append(row)
            await real(*arguments)

        monkeypatch.setattr(refresh, "_call_refresh", beside)
        await world.maintain()
    assert await world.late() == ["a"]
    await world.check("a", T)


def batch(*rows: Row) -> pa.Table:
    """A checked batch, as the pipeline makes it."""
    from ai_hub.intake.checks import check_observations
    from ai_hub.intake.frames import to_table

    return check_observations(to_table(list(rows)), TENANT).table


async def _run_policies(sql: Connection) -> None:
    jobs = "SELECT job_id FROM timescaledb_information.jobs WHERE scheduled AND hypertable_name"
    for (job,) in await sql.fetch(f"{jobs} IS NOT NULL"):
        await sql.execute(f"CALL run_job({job})")


async def test_maintenance_beside_writers_and_scheduled_policies(world: World) -> None:
    """All at the same days at once, also at those that are in the columnstore by now."""
    now = time.time_ns() // 60_000_000_000 * MINUTE
    await world.write(*hourly("a", now - 40 * DAY, 40 * 24, HOUR))
    await world.maintain(now - 4 * DAY)
    ended = asyncio.Event()

    async def write() -> None:
        chance = random.Random(1)
        while not ended.is_set():
            t = now - chance.randrange(30 * DAY)
            await world.write(observation("a", t, chance.uniform(0, 9)))
            await world.check("a", chance.choice((now, t + HOUR)))

    async def policies() -> None:
        async with session(world.settings) as sql:
            while not ended.is_set():
                try:
                    await _run_policies(sql)
                except (asyncpg.LockNotAvailableError, asyncpg.DataError):
                    await asyncio.sleep(0.05)

    async def upkeep() -> None:
        for i in range(4):
            await world.maintain(now - (3 - i) * DAY)
        ended.set()

    async with asyncio.TaskGroup() as group:
        for work in (write, policies, upkeep):
            group.create_task(work())
    await world.maintain(now)
    assert await world.late() == []
    await world.check("a", *(now - day * DAY for day in range(0, 30, 4)))


async def test_two_maintainers_at_once(world: World) -> None:
    await world.write(*hourly("a", T - 9 * DAY, 9 * 24))
    async with session(world.settings) as other:
        # Whoever comes second while the first waits for a writer.
        await other.execute("SELECT pg_advisory_lock_shared($1)", WRITERS_LOCK)
        first = asyncio.create_task(world.maintain())
        await asyncio.sleep(0.3)
        assert actions(await world.maintain()) == ["skip"]
        assert not first.done()
    assert "refresh" in actions(await first)
    assert "refresh" in actions(await world.maintain())


async def test_who_stops_in_the_middle_leaves_work_and_no_wrong_answer(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    await world.write(*hourly("a", T - 9 * DAY, 9 * 24))
    await world.maintain(T - 2 * DAY)
    await world.write(observation("a", T - 6 * DAY, 100.0))
    with monkeypatch.context() as patch:
        for name in ("_call_refresh", "settle"):

            async def fail(*_: object) -> None:
                raise asyncio.CancelledError

            patch.setattr(refresh, name, fail)
            with pytest.raises(asyncio.CancelledError):
                await world.maintain()
            assert await world.late() == ["a"]
            await world.check("a", T, T - 5 * DAY)
    await world.maintain()
    assert await world.late() == []
    await world.check("a", T, T - 5 * DAY)


async def test_late_rows_in_the_columnstore_are_put_in_order_again(world: World) -> None:
    await world.write(*hourly("a", T - 40 * DAY, 20 * 24))
    await world.maintain()
    statuses = ("SELECT _timescaledb_functions.chunk_status(c) FROM show_chunks('ai_features') c "
                "ORDER BY 1")  # fmt: skip
    assert {status for (status,) in await world.sql.fetch(statuses)} == {1}
    await world.write(observation("a", T - 35 * DAY + 1, 5.0))
    assert {status for (status,) in await world.sql.fetch(statuses)} > {1}
    steps = await world.maintain()
    (told,) = [s for s in steps if (s.action, s.relation) == ("compress", "ai_features")]
    assert told.count == 1
    assert "1 with late rows" in told.said
    assert {status for (status,) in await world.sql.fetch(statuses)} == {1}
    await world.check("a", T - 33 * DAY)


async def test_a_reader_of_an_old_chunk_delays_its_compression_and_nothing_else(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(columnstore, "_READERS_WAIT", "200ms")
    await world.write(*hourly("a", T - 40 * DAY, 20 * 24))
    async with session(world.settings) as reader:
        transaction = reader.transaction()
        await transaction.start()
        await reader.fetch("SELECT count(*) FROM ai_features")
        assert {"refresh", "wait"} < set(actions(await world.maintain()))
        await transaction.rollback()
    assert "wait" not in actions(await world.maintain())
    await world.check("a", T - 33 * DAY)


async def test_an_export_sees_what_was_there_whatever_maintenance_does(world: World) -> None:
    await world.write(*hourly("a", T - 40 * DAY, 20 * 24))
    await world.maintain()
    await world.write(*(observation("a", T - 35 * DAY + i, 5.0) for i in range(1, 9)))
    snapshot = await asyncio.to_thread(Snapshot, world.settings)
    try:
        assert "wait" in actions(await world.maintain())
        count = "SELECT count(*) FROM ai_features"
        (found,) = await asyncio.to_thread(lambda: next(snapshot.rows(count)))
        assert found == len(world.written)
    finally:
        await asyncio.to_thread(snapshot.close)
    steps = await world.maintain()
    assert "1 with late rows" in said(steps, "ai_features", "compress")
    assert "wait" not in actions(steps)


async def test_late_rows_are_not_put_in_order_between_a_snapshot_and_its_queries(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(columnstore, "_READERS_WAIT", "200ms")
    await world.write(*hourly("a", T - 40 * DAY, 20 * 24))
    await world.maintain()
    await world.write(*(observation("a", T - 35 * DAY + i, 5.0) for i in range(1, 9)))
    async with (
        session(world.settings) as reader,
        reader.transaction(isolation="repeatable_read", readonly=True),
    ):
        await reader.execute("LOCK TABLE ai_features IN ACCESS SHARE MODE")
        await reader.fetchval("SELECT count(*) FROM ai_hub_late")
        assert "wait" in actions(await world.maintain())
        assert await reader.fetchval("SELECT count(*) FROM ai_features") == len(world.written)
    steps = await world.maintain()
    assert "1 with late rows" in said(steps, "ai_features", "compress")
    await world.check("a", T - 33 * DAY)


async def test_maintenance_without_any_policy(world: World) -> None:
    for (job,) in await world.sql.fetch("SELECT job_id FROM timescaledb_information.jobs "
                                        "WHERE hypertable_name IS NOT NULL"):  # fmt: skip
        await world.sql.execute(f"SELECT delete_job({job})")
    await world.write(*hourly("a", T - 40 * DAY, 40 * 24))
    assert set(actions(await world.maintain())) == {"plan", "step", "refresh", "keep"}
    await world.check("a", T)


async def test_an_empty_database_twice_and_rows_after_it(world: World) -> None:
    for _ in range(2):
        assert "refresh" not in actions(await world.maintain())
    await world.write(*hourly("a", T - 9 * DAY, 9 * 24))
    await world.check("a", T, T - 3 * DAY)
    await world.maintain()
    await world.check("a", T, T - 3 * DAY)


async def test_a_clock_that_goes_back_takes_nothing_back(world: World) -> None:
    await world.write(*hourly("a", T - 9 * DAY, 9 * 24))
    await world.maintain(T + 3 * DAY)
    await world.write(observation("a", T + HOUR, 50.0))
    await world.maintain(T - DAY)
    assert await world.late() == []
    await world.check("a", T, T + DAY, T + 3 * DAY)
