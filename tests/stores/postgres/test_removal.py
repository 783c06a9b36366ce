"""Removal where hours and days are kept, in the columnstore, and beside maintenance."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pytest

from ai_hub.definitions.values import DAY, HOUR, MINUTE, to_datetime
from ai_hub.errors import StoreUnavailable
from ai_hub.stores import removal as removal_steps
from ai_hub.stores.audit_log import noted
from ai_hub.stores.postgres import removal
from ai_hub.stores.postgres.maintain import MAINTENANCE_LOCK
from stores.postgres.maintained import TENANT, World, hourly, opened

NOW = time.time_ns() // 1_000 // DAY * DAY
START = NOW - 40 * DAY
pytestmark = pytest.mark.timescaledb

_HOURS = """
SELECT bucket, asset_id, hourly_count, hourly_min, hourly_max FROM hourly_features
WHERE tenant_id = 't' ORDER BY bucket, asset_id
"""
_HOURS_OF_ROWS = """
SELECT time_bucket(INTERVAL '1 hour', timestamp), asset_id, count(*), min(value), max(value)
FROM ai_features WHERE tenant_id = 't' GROUP BY 1, 2 ORDER BY 1, 2
"""
_DAYS = """
SELECT bucket, asset_id, daily_count, daily_min, daily_max FROM daily_features
WHERE tenant_id = 't' ORDER BY bucket, asset_id
"""


async def aggregates_are_true(world: World) -> None:
    """What SQL sees of hours and days is what follows from the rows."""
    rows = [tuple(row) for row in await world.sql.fetch(_HOURS_OF_ROWS)]
    assert [tuple(row) for row in await world.sql.fetch(_HOURS)] == rows
    days = await world.sql.fetch(_HOURS_OF_ROWS.replace("1 hour", "1 day"))
    assert [tuple(row) for row in await world.sql.fetch(_DAYS)] == [tuple(row) for row in days]


async def filled(world: World) -> None:
    for asset in ("a", "b"):
        await world.write(*hourly(asset, START, 30 * 24))
    await world.maintain(NOW)
    await world.compress()


CASES: dict[str, dict[str, Any]] = {
    "asset": {"asset_ids": ["a"]},
    "window": {"start_time": to_datetime(START + 3 * DAY + 90 * MINUTE),
               "end_time": to_datetime(START + 20 * DAY + 25 * MINUTE)},
    "within an hour": {"start_time": to_datetime(START + DAY + 10 * MINUTE),
                       "end_time": to_datetime(START + DAY + 30 * MINUTE), "asset_ids": ["b"]},
    "tenant": {},
}  # fmt: skip


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("rows", [100, pytest.param(50_000, marks=pytest.mark.long)])
async def test_aggregates_show_nothing_of_it_any_more(
    name: str, rows: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(removal_steps, "STEP_ROWS", rows)
    async with opened("timescaledb", tmp_path, NOW) as world:
        await filled(world)
        await aggregates_are_true(world)
        case = CASES[name]
        told = await world.store.delete(TENANT, **case, dry_run=True)
        done = await world.store.delete(TENANT, **case)
        assert done["removed"] == told["removed"]
        assert done["removed"]["ai_features"] > 0
        await aggregates_are_true(world)
        gone = {one["asset_id"] for one in done["series"]}
        start, end = case.get("start_time"), case.get("end_time")
        world.written = [
            row
            for row in world.written
            if row["asset_id"] not in gone
            or (start is not None and row["timestamp"] < start)
            or (end is not None and row["timestamp"] >= end)
        ]
        for asset in ("a", "b"):
            await world.check(asset, START + 4 * DAY, START + 25 * DAY)
        await world.maintain(NOW)
        await aggregates_are_true(world)
        left = await world.sql.fetch("SELECT asset_id FROM ai_hub_series WHERE tenant_id = 't'")
        assert {asset for (asset,) in left} == {row["asset_id"] for row in world.written}


async def test_hours_that_outlive_their_rows_go_too(tmp_path: Path) -> None:
    async with opened("timescaledb", tmp_path, NOW, retention_features="20d") as world:
        await world.write(*hourly("a", START, 30 * 24), *hourly("b", START, 30 * 24))
        await world.maintain(NOW)
        await world.maintain(NOW, at_once=True)
        first = await world.sql.fetchval("SELECT min(timestamp) FROM ai_features")
        assert first > START
        assert await world.sql.fetchval("SELECT min(bucket) FROM hourly_features") == START
        cut = START + 2 * DAY + 30 * MINUTE
        done = await world.store.delete(TENANT, ["a"], end_time=to_datetime(cut))
        assert done["removed"]["ai_features"] == 0
        assert done["removed"]["hourly_features"] == 49
        hours = "SELECT min(bucket) FROM hourly_features WHERE asset_id = $1"
        # The hour that was cut cannot be computed any more.
        assert await world.sql.fetchval(hours, "a") == START + 2 * DAY + HOUR
        assert await world.sql.fetchval(hours, "b") == START
        await world.store.delete(TENANT, ["a"])
        for relation in ("hourly_features", "daily_features", "ai_features"):
            found = await world.sql.fetch(f"SELECT DISTINCT asset_id FROM {relation}")
            assert [asset for (asset,) in found] == ["b"]


async def test_it_waits_for_maintenance_and_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(removal, "_WAIT_SECONDS", 0.1)
    async with opened("timescaledb", tmp_path, NOW) as world:
        await world.write(*hourly("a", START, 24))
        await world.sql.execute("SELECT pg_advisory_lock($1)", MAINTENANCE_LOCK)
        with pytest.raises(StoreUnavailable, match="Nothing was removed"):
            await world.store.delete(TENANT)
        assert (await world.store.delete(TENANT, dry_run=True))["removed"]["ai_features"] == 72
        await world.sql.execute("SELECT pg_advisory_unlock($1)", MAINTENANCE_LOCK)
        assert (await world.store.delete(TENANT))["removed"]["ai_features"] == 72


async def test_a_removal_that_was_stopped_is_gone_on_with(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(removal_steps, "STEP_ROWS", 100)
    async with opened("timescaledb", tmp_path, NOW) as world:
        await filled(world)
        store = world.store._open.store
        record = noted("delete", TENANT, 0)
        whole = removal_steps.Removal(TENANT)
        stopping = store.remove(whole, await store.survey(whole), _unmarked, record)
        async for _ in stopping:
            break
        await stopping.aclose()
        await aggregates_are_true(world)
        left = (await world.store.delete(TENANT, dry_run=True))["removed"]["ai_features"]
        assert 0 < left < len(world.written)
        assert (await world.store.delete(TENANT))["removed"]["ai_features"] == left


async def _unmarked(_: object) -> str:
    return ""
