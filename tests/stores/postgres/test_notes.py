"""What every write leaves behind, by SQL too: the series and their days, and what is late."""

from __future__ import annotations

import json
import random
from collections.abc import AsyncIterator
from contextlib import suppress
from pathlib import Path

import asyncpg
import pytest

from ai_hub.definitions.values import DAY, HOUR, MINUTE, iso, parse_time
from ai_hub.stores.postgres import points as postgres_points
from ai_hub.stores.postgres.status import status
from conformance.kit import observation
from servers import Kind, server
from stores.postgres.maintained import TENANT, World, hourly, opened

T = parse_time("2025-10-09T14:30:00Z")
KEY = "tenant_id = 't' AND asset_id = $1 AND feature_type = $2"
INSERT = (
    "INSERT INTO ai_features (tenant_id, asset_id, feature_type, timestamp, value) VALUES "
    "('t', $1, $2, $3, 1) ON CONFLICT (tenant_id, asset_id, feature_type, timestamp) "
    "DO UPDATE SET value = 2"
)
NOTED = "SELECT asset_id, feature_type, first_day, last_day, shrunk FROM ai_hub_series"
DAYS = (
    "SELECT asset_id, feature_type, date_bin('1 day', min(timestamp), '2000-01-03Z'), "
    "date_bin('1 day', max(timestamp), '2000-01-03Z') FROM ai_features GROUP BY 1, 2"
)


@pytest.fixture(
    params=[
        pytest.param("plain", marks=pytest.mark.postgresql),
        pytest.param("apache", marks=pytest.mark.timescaledb),
        pytest.param("timescaledb", marks=pytest.mark.timescaledb),
    ]
)
async def world(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[World]:
    kind: Kind = request.param
    async with opened(kind, tmp_path, T - 300 * DAY) as made:
        made.now = T
        yield made


async def check_series(world: World, exact: bool = False) -> None:
    """What is noted against the rows; `exact` after maintenance."""
    noted = {(a, s): rest for a, s, *rest in await world.sql.fetch(NOTED)}
    held = {(a, s): (first, last) for a, s, first, last in await world.sql.fetch(DAYS)}
    assert set(held) <= set(noted)
    for key, (first_day, last_day, shrunk) in noted.items():
        assert not (exact and shrunk)
        if key not in held:
            assert shrunk
            continue
        first, last = held[key]
        assert first_day <= first
        assert last_day == last or (shrunk and last_day > last)
    if exact:
        assert set(held) == set(noted)
    for since in (T - 300 * DAY, T - 9 * DAY, T - 9 * DAY + HOUR, T - DAY, T):
        found = await world.sql.fetch(
            "SELECT DISTINCT asset_id FROM ai_features WHERE timestamp >= $1 ORDER BY 1", since
        )
        store = world.store._open.store
        seen = [asset_id for (asset_id,) in found]
        assert await store.seen(TENANT, since) == seen
        page = await store.describe_assets(TENANT, since, "", 100, T)
        assert [one.asset_id for one in page] == seen
    page = await store.describe_assets(TENANT, None, "", 100, T)
    assert [(one.asset_id, s.name) for one in page for s in one.series] == sorted(held)


@pytest.mark.parametrize(
    "seed", [0, *(pytest.param(n, marks=pytest.mark.long) for n in range(1, 8))]
)
async def test_series_are_noted_whoever_writes_and_deletes(world: World, seed: int) -> None:
    chance = random.Random(seed)
    times = [T - day * DAY + hour * HOUR for day in range(12) for hour in (-20, 0)]
    for _ in range(3):
        for _ in range(12):
            asset, series, t = chance.choice("abc"), chance.choice("xy"), chance.choice(times)
            match chance.randrange(6):
                case 0 | 1 | 2:
                    await world.sql.execute(INSERT, asset, series, t)
                case 3:
                    # A correction that takes a row out.
                    await world.write(observation(asset, t, 1.0, series, quality=0))
                case 4:
                    cut = "DELETE FROM ai_features WHERE timestamp >= $3 AND asset_id >= $1 AND "
                    cut += "feature_type >= $2"
                    await world.sql.execute(cut, asset, series, t)
                case _:
                    moved = f"UPDATE ai_features SET asset_id = 'd' WHERE {KEY} AND timestamp > $3"
                    moved += " AND NOT EXISTS (SELECT FROM ai_features WHERE asset_id = 'd')"
                    # TimescaleDB 2.28.3 moves no row between segments that it decompresses for it.
                    with suppress(asyncpg.InternalServerError):
                        await world.sql.execute(moved, asset, series, t)
        await check_series(world)
        if chance.random() < 0.5:
            await world.maintain()
            await check_series(world, exact=True)
    await world.maintain()
    found = (await status(world.settings))["series"]
    exact = (await status(world.settings, exact=True))["series"]
    assert [(one["feature_type"], one["assets"]) for one in found] == [
        (one["feature_type"], one["assets"]) for one in exact
    ]
    await world.sql.execute("TRUNCATE ai_features")
    assert await world.sql.fetch(NOTED) == []
    await check_series(world, exact=True)


@pytest.mark.postgresql
async def test_without_chunks_a_deletion_is_noted_once_for_all_its_rows(tmp_path: Path) -> None:
    async with opened("plain", tmp_path, T - 300 * DAY) as world:
        await world.write(*hourly("a", T - 9 * DAY, 24), *hourly("b", T - 9 * DAY, 24))
        done = await world.sql.fetchval("EXPLAIN (ANALYZE, FORMAT JSON) DELETE FROM ai_features")
        (said,) = [
            one for one in json.loads(done)[0]["Triggers"]
            if one["Trigger Name"] == "ai_hub_note_deleted"
        ]  # fmt: skip
        assert said["Calls"] == 1
        await check_series(world)


async def test_what_no_trigger_saw_is_noted_by_rebuilding(world: World) -> None:
    await world.write(*hourly("a", T - 9 * DAY, 24), *hourly("b", T - 2 * DAY, 24))
    await world.sql.execute("SET session_replication_role = replica")
    await world.sql.execute(INSERT, "c", "x", T - 5 * DAY)
    await world.sql.execute("DELETE FROM ai_features WHERE asset_id = 'b'")
    await world.sql.execute("RESET session_replication_role")
    assert await world.store._open.store.seen(TENANT, T - 30 * DAY) == ["a", "b"]
    await world.rebuild(T - 6 * DAY, T)
    await check_series(world, exact=True)


@pytest.mark.timescaledb
@pytest.mark.parametrize("kind", ["apache", "timescaledb"])
async def test_chunks_that_somebody_dropped_take_their_series_along(
    kind: Kind, tmp_path: Path
) -> None:
    async with opened(kind, tmp_path, T - 300 * DAY) as world:
        world.now = T
        await world.write(*hourly("old", T - 200 * DAY, 24), *hourly("a", T - 60 * DAY, 40 * 24))
        await world.sql.execute("SELECT drop_chunks('ai_features', $1::timestamptz)", T - 40 * DAY)
        await world.maintain()
        await check_series(world, exact=True)
        ((_, _, first, *_),) = await world.sql.fetch(NOTED)
        assert first > T - 55 * DAY


@pytest.mark.timescaledb
async def test_one_who_may_only_write_the_table_leaves_notes_too(tmp_path: Path) -> None:
    async with opened("timescaledb", tmp_path, T - 300 * DAY) as world:
        world.now = T
        await world.maintain()
        on = server("timescaledb")
        name = world.settings.database_url.rpartition("/")[2]
        on.role(f"inserts_{name}")
        await world.sql.execute(f"GRANT SELECT, INSERT, UPDATE ON ai_features TO inserts_{name}")
        await world.sql.execute(f"SET ROLE inserts_{name}")
        # And has tables of those names.
        await world.sql.execute("CREATE TEMPORARY TABLE ai_hub_series (tenant_id text)")
        await world.sql.execute(INSERT, "a", "value", T - 100 * DAY)
        await world.sql.execute("RESET ROLE; DROP TABLE pg_temp.ai_hub_series")
        assert await world.late() == ["a"]
        await check_series(world)


# Rows behind the refreshed hours.


@pytest.fixture
async def refreshed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[World]:
    """A history that is refreshed, read from partials where it may be."""
    monkeypatch.setattr(postgres_points, "MERGED_ROWS", 0)
    async with opened("timescaledb", tmp_path, T - 300 * DAY) as made:
        made.now = T
        await made.write(*hourly("a", T - 90 * DAY, 12 * 24), *hourly("b", T - 90 * DAY, 48))
        await made.maintain()
        assert await made.late() == []
        yield made


async def hours_are_true(world: World) -> None:
    """The hours of the aggregate against those of the rows."""
    stored = await world.stored("hourly_features")
    found = await world.sql.fetch(
        "SELECT asset_id, date_bin('1 hour', timestamp, '2000-01-03Z') AS bucket, count(*), "
        "max(value) FROM ai_features GROUP BY 1, 2 ORDER BY 1, 2"
    )
    hours = [(one["asset_id"], one["bucket"], one["hourly_count"], one["hourly_max"])
             for one in stored]  # fmt: skip
    assert hours == [tuple(row) for row in found]


@pytest.mark.timescaledb
@pytest.mark.parametrize(
    ("compressed", "isolation"), [(False, "repeatable read"), (True, "read committed")]
)
async def test_rows_written_by_sql_behind_the_refreshed_hours_are_never_missed(
    refreshed: World, compressed: bool, isolation: str
) -> None:
    world, sql = refreshed, refreshed.sql
    if compressed:
        await world.compress()
    else:
        await sql.execute("SELECT decompress_chunk(c, true) FROM show_chunks('ai_features') c")
    spot = T - 85 * DAY
    times = (spot + HOUR, spot + DAY, spot + 5 * DAY)

    async def change(statement: str, *arguments: object) -> None:
        async with sql.transaction(isolation=isolation.replace(" ", "_")):
            await sql.execute(statement, *arguments)
        world.written = [
            observation(row["asset_id"], row["timestamp"], row["value"])
            for row in await sql.fetch("SELECT asset_id, timestamp, value FROM ai_features")
        ]
        assert await world.late() == ["a"]
        await world.check("a", *times)
        await world.check("b", T - 88 * DAY)

    await change(INSERT, "a", "value", spot + MINUTE)
    for statement in (
        f"UPDATE ai_features SET value = 1e5 WHERE {KEY} AND timestamp BETWEEN $3 AND "
        "$3::timestamptz + INTERVAL '2 hours'",
        f"DELETE FROM ai_features WHERE {KEY} AND timestamp BETWEEN $3 AND "
        "$3::timestamptz + INTERVAL '9 hours'",
    ):
        await change(statement, "a", "value", spot)
    await world.maintain()
    assert await world.late() == []
    await world.check("a", *times)
    await hours_are_true(world)
    await change(f"DELETE FROM ai_features WHERE {KEY} AND timestamp = $3", "a", "value",
                 T - 90 * DAY)  # fmt: skip


@pytest.mark.timescaledb
async def test_rebuilding_computes_anew_what_no_trigger_saw(refreshed: World) -> None:
    world, spot = refreshed, T - 85 * DAY
    await world.sql.execute("SET session_replication_role = replica")
    await world.sql.execute(INSERT, "a", "value", spot + MINUTE)
    await world.sql.execute("RESET session_replication_role")
    assert await world.late() == []
    world.written.append(observation("a", spot + MINUTE, 1.0))
    with pytest.raises(AssertionError):
        await world.check("a", spot + DAY)
    steps = await world.rebuild(spot - HOUR, spot + HOUR)
    assert [(one.action, one.said) for one in steps if one.action == "rebuild"] == [
        ("rebuild", f"what follows from rows from {iso(spot - HOUR)} to {iso(spot + HOUR)}")
    ]
    await world.check("a", spot + DAY)
    await hours_are_true(world)


@pytest.mark.timescaledb
async def test_a_table_that_was_emptied_leaves_no_hours(refreshed: World) -> None:
    world = refreshed
    await world.sql.execute("TRUNCATE ai_features")
    world.written = []
    await world.check("a", T - 85 * DAY)
    await world.maintain()
    await world.check("a", T - 85 * DAY)
    await world.write(*hourly("b", T - 86 * DAY, 12))
    await world.check("a", T - 85 * DAY)
    await world.check("b", T - 85 * DAY)
