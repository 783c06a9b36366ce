"""Nothing is deleted before it was told of, what is old goes, and history outlives its rows."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from ai_hub.administration import retention as declared
from ai_hub.administration import set_retention, status
from ai_hub.config import Settings
from ai_hub.definitions.values import (
    DAY,
    HOUR,
    LAST_INSTANT,
    MINUTE,
    SECOND,
    parse_time,
    to_datetime,
)
from ai_hub.errors import InvalidInput
from ai_hub.stores.postgres import points as postgres_points
from ai_hub.stores.postgres import retention as postgres_retention
from ai_hub.stores.postgres.migrate import migrate
from ai_hub.stores.postgres.session import session
from conformance.kit import observation
from servers import Kind
from stores.postgres.maintained import TENANT, World, actions, hourly, opened, retention, said

KEPT = {"retention_raw": "7d", "retention_features": "90d", "retention_weather": "365d"}
MANY = 25


def now() -> int:
    import time

    return time.time_ns() // 1_000


@pytest.fixture(
    params=[
        pytest.param("plain", marks=pytest.mark.postgresql),
        pytest.param("apache", marks=[pytest.mark.timescaledb, pytest.mark.long]),
        pytest.param("timescaledb", marks=pytest.mark.timescaledb),
    ]
)
def kind(request: pytest.FixtureRequest) -> Kind:
    chosen: Kind = request.param
    return chosen


@pytest.fixture(autouse=True)
def small_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    """Windows from partials where they may be, and deletes of a few rows each."""
    monkeypatch.setattr(postgres_points, "MERGED_ROWS", 0)
    monkeypatch.setattr(postgres_retention, "_AT_ONCE", 7)


async def count(world: World, table: str = "ai_features", before: int | None = None) -> int:
    until = now() + 999 * DAY if before is None else before
    found: int = await world.sql.fetchval(
        f"SELECT count(*) FROM {table} WHERE timestamp < $1", until
    )
    return found


def days(first: int, many: int) -> list[dict[str, Any]]:
    """A row a day, from some days ago on."""
    start = now() - first * DAY
    return [observation("a", start + i * DAY, float(i)) for i in range(many)]


async def test_a_backfill_of_old_years_is_told_of_and_deleted_a_notice_period_later(
    kind: Kind, tmp_path: Path
) -> None:
    async with opened(kind, tmp_path, **KEPT) as world:
        result = await world.store.ingest(days(900, MANY), TENANT)
        assert (result.accepted, result.aged) == (MANY, MANY)
        for later in (0, DAY, 7 * DAY - MINUTE):
            steps = await world.maintain(now() + later)
            assert await count(world) == MANY
            told = said(steps, "ai_features", "notice")
            assert "older than 90d" in told
            assert "ai-hub retention set ai_features none" in told
            due = re.search(r"deleted from (\S+) on", told)
            assert due is not None
            assert abs(parse_time(due[1]) - now() - 7 * DAY) < MINUTE
        steps = await world.maintain(now() + 7 * DAY + MINUTE)
        assert retention(steps, "ai_features") == ["delete"]
        assert await count(world) == 0
        assert retention(await world.maintain(now() + 8 * DAY), "ai_features") == ["keep"]


async def test_a_backfill_after_years_of_maintenance_is_told_of_too(
    kind: Kind, tmp_path: Path
) -> None:
    """The notice is about rows: not that somebody once was told of others."""
    async with opened(kind, tmp_path, **KEPT) as world:
        await world.sql.execute("UPDATE ai_hub_retention SET told_at = now() - interval '2 years'")
        await world.store.ingest(days(900, MANY), TENANT)
        weather = {"timestamp": to_datetime(now() - 900 * DAY), "asset_id": "a", "humidity": 1.0}
        assert (await world.store.ingest_weather([weather], TENANT)).aged == 1
        steps = await world.maintain()
        assert retention(steps, "ai_features") == ["notice"]
        assert retention(steps, "weather_features") == ["notice"]
        assert await count(world) == MANY
        # A meter whose clock is wrong keeps nothing else from being deleted.
        await world.sql.execute("UPDATE ai_features SET ingested_at = now() - interval '1 year'")
        await world.store.ingest([observation("b", SECOND, 1.0)], TENANT)
        steps = await world.maintain()
        assert retention(steps, "ai_features") == ["delete", "notice"]
        assert await count(world) == 1
        assert await count(world, "weather_features") == 1


async def test_what_is_kept_for_ever_may_be_of_any_year(kind: Kind, tmp_path: Path) -> None:
    async with opened(kind, tmp_path) as world:
        old = [observation("a", parse_time(f"{year}-01-01T00:00:00Z"), 1.0)
               for year in ("0001", "1500", "1700", "9999")]  # fmt: skip
        assert (await world.store.ingest(old, TENANT)).aged == 0
        for table in ("timeseries_data", "ai_features"):
            assert await count(world, table, LAST_INSTANT) == len(old)


async def test_now_deletes_at_once(kind: Kind, tmp_path: Path) -> None:
    async with opened(kind, tmp_path, **KEPT) as world:
        await world.store.ingest(days(900, MANY) + days(3, 3), TENANT)
        steps = await world.maintain(at_once=True)
        assert retention(steps, "ai_features") == ["delete"]
        assert await count(world) == 3


async def test_what_gets_old_is_deleted_and_nothing_else(kind: Kind, tmp_path: Path) -> None:
    """Steady state: no notice, what every row of every table was told by its age."""
    async with opened(kind, tmp_path, **KEPT) as world:
        await world.store.ingest(days(80, 80), TENANT)
        weather = [{"timestamp": row["timestamp"], "asset_id": "a", "humidity": 1.0}
                   for row in days(80, 80)]  # fmt: skip
        await world.store.ingest_weather(weather, TENANT)
        start = now()
        for later in range(8, 400, 56):
            steps = await world.maintain(start + later * DAY)
            assert "notice" not in actions(steps)
            for table, keep in (("timeseries_data", 7), ("ai_features", 90),
                                ("weather_features", 365)):  # fmt: skip
                cutoff = start + (later - keep) * DAY
                # A chunk of seven days goes as a whole.
                slack = 0 if kind == "plain" else 7 * DAY
                assert await count(world, table, cutoff - slack) == 0
                rows = 7 if table == "timeseries_data" else 80
                fresh = sum(row["timestamp"] >= to_datetime(cutoff) for row in days(rows, rows))
                assert await count(world, table) >= fresh - 1


async def test_none_keeps_all(kind: Kind, tmp_path: Path) -> None:
    async with opened(kind, tmp_path) as world:
        result = await world.store.ingest(days(3_000, MANY), TENANT)
        assert result.aged == 0
        assert await count(world, "timeseries_data") == MANY
        for at_once in (False, True):
            steps = await world.maintain(now() + 9_000 * DAY, at_once)
            assert said(steps, "ai_features", "keep") == "everything is kept"
        assert await count(world) == await count(world, "timeseries_data") == MANY


async def test_who_keeps_less_from_now_on_is_told_first(kind: Kind, tmp_path: Path) -> None:
    async with opened(kind, tmp_path, **KEPT) as world:
        await world.store.ingest(days(80, 80), TENANT)
        start = now() + 30 * DAY  # nothing came in lately
        await world.maintain(start)
        held = await count(world)
        shorter = {"retention_features": "30d", "retention_notice": "2d"}
        world.settings = type(world.settings)(
            **{"database_url": world.settings.database_url, **KEPT, **shorter}
        )
        steps = await world.maintain(start + DAY)
        assert said(steps, "ai_features", "declare") == "kept for 30d from now on"
        assert "retention set ai_features" in said(steps, "ai_features", "notice")
        assert await count(world) == held
        assert retention(await world.maintain(start + 2 * DAY), "ai_features") == ["notice"]
        assert await count(world) == held
        assert retention(await world.maintain(start + 4 * DAY), "ai_features") == ["delete"]
        assert await count(world) < held
        keep = "SELECT keep::text FROM ai_hub_retention WHERE relation = 'ai_features'"
        assert await world.sql.fetchval(keep) == "30 days"


def with_settings(world: World, **settings: Any) -> None:
    """The settings of another shell."""
    world.settings = Settings(database_url=world.settings.database_url, **settings)


@pytest.mark.parametrize("at_once", [False, True], ids=["", "now"])
async def test_a_shell_without_the_variables_changes_nothing(
    kind: Kind, tmp_path: Path, at_once: bool
) -> None:
    """Migrated to keep all, then maintained where no variable is set."""
    async with opened(kind, tmp_path) as world:
        await world.store.ingest(days(900, MANY), TENANT)
        with_settings(world)
        for later in (0, 30 * DAY, 90 * DAY):
            steps = await world.maintain(now() + later, at_once)
            assert retention(steps, "ai_features") == ["keep"]
        await migrate(world.settings.database_url)
        assert said(await world.maintain(), "ai_features", "keep") == "everything is kept"
        assert await count(world) == MANY


async def test_what_was_declared_a_moment_ago_is_not_deleted_in_the_same_run(
    kind: Kind, tmp_path: Path
) -> None:
    async with opened(kind, tmp_path) as world:
        await world.store.ingest(days(900, MANY), TENANT)
        await world.sql.execute("UPDATE ai_features SET ingested_at = now() - interval '1 year'")
        with_settings(world, **KEPT)
        steps = await world.maintain(at_once=True)
        assert retention(steps, "ai_features") == ["declare", "notice"]
        assert "at once by the next run with --now" in said(steps, "ai_features", "notice")
        assert await count(world) == MANY
        assert retention(await world.maintain(at_once=True), "ai_features") == ["delete"]
        assert await count(world) == 0


async def test_what_was_set_by_command_stands_whatever_variables_say(
    kind: Kind, tmp_path: Path
) -> None:
    async with opened(kind, tmp_path, **KEPT) as world:
        await world.store.ingest(days(900, MANY), TENANT)
        made = await set_retention(world.settings, "ai_features", "none")
        assert (made["keep"], made["before"]) == ("none", "90d")
        # A shell that still has the variables, and one that has not.
        steps = await world.maintain(now() + 100 * DAY, at_once=True)
        assert retention(steps, "ai_features") == ["warn", "keep"]
        warning = said(steps, "ai_features", "warn")
        assert "AI_HUB_RETENTION_FEATURES (argument) says 90d, which changes nothing" in warning
        assert warning in (await status(world.settings))["warnings"]
        await migrate(world.settings.database_url, world.settings)
        with_settings(world)
        assert retention(await world.maintain(), "ai_features") == ["keep"]
        assert await count(world) == MANY
        # By name again; told of first, whoever asks.
        await set_retention(world.settings, "ai_features", "30d")
        (kept,) = [
            one for one in await declared(world.settings) if one["relation"] == "ai_features"
        ]
        assert (kept["keep"], kept["told_at"]) == ("30d", None)
        assert kept["set_at"] is not None
        assert retention(await world.maintain(at_once=True), "ai_features") == ["notice"]
        assert retention(await world.maintain(at_once=True), "ai_features") == ["delete"]
        with pytest.raises(InvalidInput, match="relation: got 'features', expected one of ai_feat"):
            await set_retention(world.settings, "features", "30d")
        with pytest.raises(InvalidInput, match=r"keep: got '30', expected .* or \"none\""):
            await set_retention(world.settings, "ai_features", "30")


@pytest.mark.timescaledb
async def test_a_policy_that_somebody_else_added_is_named(tmp_path: Path) -> None:
    async with opened("timescaledb", tmp_path) as world:
        assert (await status(world.settings))["warnings"] == []
        # As the guide has it; so that it runs later than the test.
        for relation in ("ai_features", "hourly_features"):
            await world.sql.execute(
                f"SELECT add_retention_policy('{relation}', INTERVAL '90 days', "
                "initial_start => now() + interval '1 day')"
            )
        steps = await world.maintain()
        for relation in ("ai_features", "hourly_features"):
            warning = said(steps, relation, "warn")
            assert f"deletes rows of {relation} older than 90 days" in warning
            assert warning in (await status(world.settings))["warnings"]
        report = await migrate(world.settings.database_url)
        assert len(report.notes) == 2
        assert "put back as declared" in report.notes[0]
        assert (await status(world.settings))["warnings"] == []
        jobs = "SELECT FROM timescaledb_information.jobs WHERE proc_name = 'policy_retention'"
        assert await world.sql.fetch(jobs) == []


@pytest.mark.timescaledb
async def test_what_is_declared_shows_as_policies(tmp_path: Path) -> None:
    more = {"retention_hourly": "365d", "retention_daily": "90m"}
    async with opened("timescaledb", tmp_path, **KEPT | more | {"retention_raw": None}) as world:
        await world.maintain()
        jobs = await world.sql.fetch(
            "SELECT hypertable_name AS relation, (config->>'drop_after')::interval::text AS keep, "
            "scheduled FROM timescaledb_information.jobs WHERE proc_name = 'policy_retention'"
        )
        assert {tuple(job) for job in jobs} == {
            ("ai_features", "90 days", False),
            ("weather_features", "365 days", False),
            ("hourly_features", "365 days", False),
            ("daily_features", "01:30:00", False),
        }


# History outlives its rows.


async def hours(world: World, end: int) -> list[tuple[Any, ...]]:
    found = await world.stored("hourly_features")
    return [tuple(row) for row in found if row["bucket"] < end]


@pytest.mark.timescaledb
@pytest.mark.parametrize("by_hand", [False, True], ids=["by maintenance", "by hand"])
async def test_hours_outlive_the_rows_they_are_of(tmp_path: Path, by_hand: bool) -> None:
    start = now() // HOUR * HOUR
    old = start - 40 * DAY
    settings = {"retention_features": None if by_hand else "30d", "retention_notice": "1h"}
    async with opened("timescaledb", tmp_path, start - 100 * DAY, **settings) as world:
        await world.write(*hourly("a", start - 60 * DAY, 60 * 24, 4 * HOUR))
        await world.maintain(start)
        kept = await hours(world, old)
        assert len(kept) == 20 * 6
        if by_hand:
            cut = "SELECT drop_chunks('ai_features', older_than => interval '30 days')"
            await world.sql.execute(cut)
        else:
            steps = await world.maintain(start + 2 * HOUR)
            assert retention(steps, "ai_features") == ["delete"]
        assert await count(world, before=old) == 0

        for later in range(2, 30, 9):
            await world.maintain(start + later * HOUR)
            assert await hours(world, old) == kept
        for job in await world.sql.fetch(
            "SELECT job_id FROM timescaledb_information.jobs WHERE scheduled "
            "AND proc_name = 'policy_refresh_continuous_aggregate'"
        ):
            await world.sql.execute(f"CALL run_job({job['job_id']})")
        assert await hours(world, old) == kept

        # A late row does not take its neighbours away.
        await world.store.ingest([observation("a", old - 5 * DAY + 1, 1e6)], TENANT)
        await world.maintain(start + 30 * HOUR)
        assert await hours(world, old) == kept
        assert await world.late() == []


@pytest.mark.timescaledb
async def test_answers_of_a_time_whose_rows_were_deleted_are_of_what_is_there(
    tmp_path: Path,
) -> None:
    start = now() // HOUR * HOUR
    settings = {"retention_features": "30d", "retention_notice": "1h"}
    async with opened("timescaledb", tmp_path, start - 100 * DAY, **settings) as world:
        await world.write(*hourly("a", start - 60 * DAY, 60 * 24, 2 * HOUR))
        await world.maintain(start)
        await world.maintain(start + 2 * HOUR)
        first = await world.sql.fetchval("SELECT min(timestamp) FROM ai_features")
        gone = [row for row in world.written if row["timestamp"] < to_datetime(first)]
        assert gone
        world.written = [row for row in world.written if row not in gone]
        await world.check("a", start, first + HOUR, first + 3 * DAY, first + 8 * DAY, first - DAY)
        # Who kept less when the store was opened may keep more now.
        await world.sql.execute("SELECT ai_hub_keep('ai_features', NULL)")
        async with type(world.store)(world.settings, world.store.registry) as world.store:
            await world.check("a", first + 3 * DAY, first + 8 * DAY, first - DAY)


@pytest.mark.timescaledb
async def test_hours_may_go_before_the_rows_they_are_of(tmp_path: Path) -> None:
    start = now() // HOUR * HOUR
    settings = {"retention_hourly": "30d", "retention_notice": "1h"}
    async with opened("timescaledb", tmp_path, start - 400 * DAY, **settings) as world:
        await world.write(*hourly("a", start - 200 * DAY, 200 * 24, 6 * HOUR))
        steps = await world.maintain(start)
        assert retention(steps, "hourly_features") == ["delete"]
        await world.check("a", *(start - day * DAY for day in range(0, 200, 20)))
        await world.write(observation("a", start - 150 * DAY, 7.0))
        await world.maintain(start + 3 * HOUR)
        await world.check("a", *(start - day * DAY for day in range(0, 200, 20)))


@pytest.mark.timescaledb
async def test_who_reads_what_is_to_be_dropped_is_not_disturbed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(postgres_retention, "_WAIT", "100ms")
    async with opened("apache", tmp_path, **KEPT) as world:
        await world.store.ingest(days(900, MANY), TENANT)
        async with session(world.settings) as reader:
            transaction = reader.transaction()
            await transaction.start()
            await reader.fetch("SELECT count(*) FROM ai_features")
            steps = await world.maintain(at_once=True)
            assert retention(steps, "ai_features") == ["wait"]
            assert await reader.fetchval("SELECT count(*) FROM ai_features") == MANY
            await transaction.rollback()
        steps = await world.maintain(at_once=True)
        assert retention(steps, "ai_features") == ["delete"]
