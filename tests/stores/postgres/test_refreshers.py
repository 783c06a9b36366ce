"""Who refreshes the aggregates, where the server runs scheduled jobs and where it does not."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

import servers
from ai_hub.config import Settings
from ai_hub.stores.postgres.maintain import maintain
from ai_hub.stores.postgres.refreshers import Refresher, refreshers
from ai_hub.stores.postgres.session import session
from ai_hub.stores.postgres.status import status
from installations import Installation
from servers import Server

pytestmark = [pytest.mark.timescaledb, pytest.mark.versions]

NAME = "work"
POLICIES = "FROM timescaledb_information.jobs WHERE proc_name LIKE 'policy_refresh%'"
HOURLY = f"{POLICIES} AND hypertable_name = 'hourly_features'"
SOON = f"SELECT alter_job(job_id, schedule_interval => INTERVAL '1s', next_start => now()) {HOURLY}"
ROW = """
INSERT INTO ai_features (timestamp, tenant_id, asset_id, value)
VALUES (now() - INTERVAL '3 days', 't', 'a', $1::float8)
ON CONFLICT (tenant_id, asset_id, feature_type, timestamp) DO NOTHING
"""
STORED = """
SELECT coalesce(sum(hourly_count), 0)::int FROM hourly_features WHERE bucket < now() - INTERVAL '2d'
"""
FULL = """
CREATE FUNCTION full_disk() RETURNS trigger LANGUAGE plpgsql AS
  $$ BEGIN RAISE EXCEPTION 'no space left' USING ERRCODE = 'disk_full'; END $$;
DO $$ BEGIN EXECUTE (
  SELECT format('CREATE TRIGGER full_disk BEFORE INSERT ON %I.%I FOR EACH ROW '
    'EXECUTE FUNCTION full_disk()', materialization_hypertable_schema,
    materialization_hypertable_name)
  FROM timescaledb_information.continuous_aggregates WHERE view_name = 'hourly_features'
); END $$;
"""
# The state of a server whose last success was long ago, and whose last run was one.
LONG_AGO = f"""
UPDATE _timescaledb_internal.bgw_job_stat
SET last_successful_finish = TIMESTAMPTZ '2025-10-09 14:00Z'
WHERE job_id IN (SELECT job_id {HOURLY})
"""
RECORDED_RIGHT = f"""
UPDATE _timescaledb_internal.bgw_job_stat SET last_run_success = true
WHERE job_id IN (SELECT job_id {HOURLY})
"""


@pytest.fixture(scope="module")
def scheduling(installation: Installation) -> Iterator[Server]:
    """A server that runs the jobs that are scheduled."""
    servers.require("timescaledb")
    mine = Server("timescaledb", settings="timescaledb.max_background_workers = 4\n")
    yield mine
    mine.stop()


@pytest.fixture
def settings(scheduling: Server, tmp_path: Path) -> Iterator[Settings]:
    url = scheduling.create(NAME)
    servers.migrate(url)
    scheduling.sql(
        "ALTER MATERIALIZED VIEW hourly_features SET (timescaledb.materialized_only = true)", NAME
    )
    yield Settings(database_url=url, export_root=tmp_path)
    scheduling.drop(NAME)


async def of_hours(settings: Settings) -> Refresher:
    async with session(settings) as on:
        return {one.relation: one for one in await refreshers(on)}["hourly_features"]


async def warned(settings: Settings) -> list[str]:
    return [one.said for one in await maintain(settings) if one.action == "warn"]


async def eventually(on: Server, query: str) -> None:
    for _ in range(1_200):
        if on.sql(query, NAME) != [(0,)]:
            return
        await asyncio.sleep(0.1)
    raise AssertionError(on.sql("SELECT * FROM timescaledb_information.job_errors", NAME))


async def test_policies_refresh_and_are_believed_where_they_are_recorded_right(
    scheduling: Server, settings: Settings
) -> None:
    scheduling.sql(ROW, NAME, 1.0)
    scheduling.sql(SOON, NAME)
    await eventually(scheduling, STORED)
    await eventually(
        scheduling,
        f"SELECT count(*) FROM timescaledb_information.job_stats WHERE last_run_status <> '' "
        f"AND job_id IN (SELECT job_id {HOURLY})",
    )
    found = await of_hours(settings)
    version = tuple(map(int, str(scheduling.installation.timescaledb).split(".")))
    assert found.by_server is (version >= (2, 29))
    expected = "its policy ran at 2" if found.by_server else "this TimescaleDB records runs"
    assert found.why.startswith(expected)
    assert await warned(settings) == []
    told = (await status(settings))["aggregates"]["refreshed_by"]
    assert told["hourly_features"]["who"] == found.who
    assert told["hourly_features"]["why"].startswith(expected)
    assert told["daily_features"]["who"] in ("the server", "ai-hub maintain")


async def test_a_policy_that_fails_is_told(scheduling: Server, settings: Settings) -> None:
    scheduling.psql(NAME, script=FULL)
    scheduling.sql(ROW, NAME, 1.0)
    scheduling.sql(SOON, NAME)
    await eventually(
        scheduling,
        "SELECT count(*) FROM timescaledb_information.job_errors WHERE sqlerrcode <> '24000' "
        f"AND job_id IN (SELECT job_id {HOURLY})",
    )
    scheduling.sql(LONG_AGO, NAME)
    found = await of_hours(settings)
    assert (found.by_server, found.is_late) == (False, True)
    # The server says of the fault what it made of it in its own code.
    assert found.why.startswith("its policy fails: ")
    scheduling.psql(NAME, script="DROP FUNCTION full_disk CASCADE")
    (warning,) = await warned(settings)
    assert warning.startswith("the server should refresh hourly_features, and does not: its policy")


async def test_a_policy_that_stopped_running_is_told(
    scheduling: Server, settings: Settings
) -> None:
    scheduling.sql(SOON, NAME)
    runs = "FROM _timescaledb_internal.bgw_job_stat WHERE total_runs > 0 "
    await eventually(scheduling, f"SELECT count(*) {runs} AND job_id IN (SELECT job_id {HOURLY})")
    scheduling.sql(f"SELECT alter_job(job_id, next_start => now() + INTERVAL '1d') {HOURLY}", NAME)
    await asyncio.sleep(1)  # until a run that had begun has ended
    scheduling.sql(LONG_AGO, NAME)
    scheduling.sql(RECORDED_RIGHT, NAME)
    found = await of_hours(settings)
    assert found.why == "its policy last ran at 2025-10-09T14:00:00Z"
    assert (found.by_server, found.is_late) == (False, True)
    assert len(await warned(settings)) == 1


async def test_who_has_no_policy_is_refreshed_by_maintenance(tmp_path: Path) -> None:
    on = servers.server("timescaledb")
    url = on.fresh()
    name = url.rpartition("/")[2]
    settings = Settings(database_url=url, export_root=tmp_path)
    seen = [await of_hours(settings)]
    on.sql(f"SELECT alter_job(job_id, scheduled => false) {POLICIES}", name)
    seen.append(await of_hours(settings))
    on.sql("SELECT remove_continuous_aggregate_policy('hourly_features')", name)
    seen.append(await of_hours(settings))
    assert [one.why for one in seen] == [
        "its policy did not run yet",
        "its policy is paused",
        "it has no policy: too little is kept for one to span",
    ]
    assert not any(one.by_server or one.is_late for one in seen)
    assert await warned(settings) == []
    on.discard(url)


async def test_of_two_policies_the_declared_one_counts(
    scheduling: Server, settings: Settings
) -> None:
    of_hours_alone = await of_hours(settings)
    for start, end in (("INTERVAL '1 year'", "INTERVAL '20 days'"), ("INTERVAL '30 min'", "NULL")):
        scheduling.sql(
            f"SELECT add_continuous_aggregate_policy('hourly_features', {start}, {end}, "
            "INTERVAL '1 day', initial_start => now() + INTERVAL '1 day')", NAME,
        )  # fmt: skip
    async with session(settings) as on:
        found = await refreshers(on)
    assert [one.relation for one in found] == ["hourly_features", "daily_features"]
    assert found[0].why in (
        of_hours_alone.why,
        "this TimescaleDB records runs of its policy as failed",
    )
