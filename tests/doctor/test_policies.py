"""Lines about aggregates and policies of TimescaleDB, provoked and mended by what they advise."""

from __future__ import annotations

import time

import pytest

import servers
from doctor.conftest import HOUR, NOW, Practice, database, hourly, until
from servers import Server


@pytest.mark.timescaledb
def test_aggregates_that_are_behind(practice: Practice, timescaledb: Server) -> None:
    practice.ingest(hourly())
    practice.mend(practice.wrong("aggregates", "warning", "never refreshed"))
    practice.fine("aggregates", "rows")
    practice.ingest([(NOW - 50 * HOUR, "a", 99.0)])
    practice.mend(practice.wrong("aggregates", "warning", "late rows came to 1 series"))
    practice.fine("aggregates", "rows")
    timescaledb.sql("UPDATE ai_hub_hourly SET done = done - INTERVAL '20 hours'", database())
    practice.mend(practice.wrong("aggregates", "warning", "behind the newest readings"))
    practice.fine("aggregates", "rows")


@pytest.mark.timescaledb
def test_rows_that_no_trigger_saw(practice: Practice, timescaledb: Server) -> None:
    practice.ingest(hourly())
    practice.run("maintain")
    name = database()
    timescaledb.sql("ALTER TABLE ai_features DISABLE TRIGGER USER", name)
    timescaledb.sql(
        "INSERT INTO ai_features (timestamp, tenant_id, asset_id, value) VALUES ($1, 'acme', 'a', "
        "1)", name, NOW - 9 * HOUR - HOUR / 7,
    )  # fmt: skip
    timescaledb.sql("ALTER TABLE ai_features ENABLE TRIGGER USER", name)
    mends = practice.wrong("rows", "fault", "1 hour from", "past the triggers")
    assert mends.startswith("ai-hub maintain --rebuild 20")
    practice.mend(mends)
    practice.fine("rows", "aggregates")


FOREIGN = {
    "SELECT add_retention_policy('weather_features', INTERVAL '1 year', schedule_interval => "
    "INTERVAL '1 day')": ("weather_features", "fault", "deletes rows of weather_features"),
    "SELECT alter_job(job_id, scheduled => true) FROM timescaledb_information.jobs WHERE "
    "proc_name = 'policy_compression' AND hypertable_name = 'hourly_features'": (
        "", "fault", "puts chunks of hourly_features into the columnstore"
    ),
    "SELECT remove_retention_policy('ai_features')": ("", "warning", "the retention policy"),
    "SELECT remove_continuous_aggregate_policy('hourly_features')": (
        "", "warning", "hourly_features does not have the refresh policy"
    ),
    "SELECT remove_columnstore_policy('ai_features')": ("", "warning", "no columnstore policy"),
}  # fmt: skip


@pytest.mark.timescaledb
@pytest.mark.parametrize("statement", FOREIGN)
def test_policies(practice: Practice, timescaledb: Server, statement: str) -> None:
    replaced, state, said = FOREIGN[statement]
    name = database()
    if replaced:
        timescaledb.sql(f"SELECT remove_retention_policy('{replaced}')", name)
    timescaledb.sql(statement.replace("SELECT remove_columnstore", "CALL remove_columnstore"), name)
    practice.mend(practice.wrong("policies", state, said))
    practice.fine("policies")


@pytest.mark.timescaledb
def test_a_refresh_job_that_somebody_added(practice: Practice, timescaledb: Server) -> None:
    practice.ingest(hourly())
    practice.run("maintain")
    timescaledb.sql(
        "SELECT add_job('_timescaledb_functions.policy_refresh_continuous_aggregate', '1 hour', "
        "config => config || '{\"start_offset\": null}', scheduled => false) "
        "FROM timescaledb_information.jobs WHERE hypertable_name = 'hourly_features' "
        "AND proc_name = 'policy_refresh_continuous_aggregate'", database(),
    )  # fmt: skip
    mends = practice.wrong("policies", "fault", "refresh policy that somebody added")
    assert "SELECT delete_job(" in mends
    practice.mend(mends)
    practice.fine("policies", "jobs", "aggregates")


@pytest.mark.timescaledb
@pytest.mark.parametrize(
    ("start", "end", "state", "does"),
    [
        ("INTERVAL '1 year'", "INTERVAL '20 days'", "fault", "empties the aggregate there"),
        ("INTERVAL '30 minutes'", "NULL", "warning", "what the declared one and ai-hub maintain"),
    ],
)
def test_a_second_refresh_policy(
    practice: Practice, timescaledb: Server, start: str, end: str, state: str, does: str
) -> None:
    practice.ingest(hourly())
    practice.run("maintain")
    timescaledb.sql(
        f"SELECT add_continuous_aggregate_policy('hourly_features', {start}, {end}, "
        "INTERVAL '1 day')", database(),
    )  # fmt: skip
    practice.mend(practice.wrong("policies", state, "somebody added to hourly_features", does))
    practice.fine("policies", "jobs", "aggregates")


_HOURLY = (
    "FROM timescaledb_information.jobs WHERE proc_name LIKE 'policy_refresh%' "
    "AND hypertable_name = 'hourly_features'"
)


@pytest.mark.timescaledb
def test_a_job_that_stopped_running(practice: Practice) -> None:
    servers.require("timescaledb")
    server = Server("timescaledb", settings="timescaledb.max_background_workers = 4\n")
    try:
        practice.set(database_url=server.create("work"))
        practice.run("migrate")
        practice.ingest(hourly())
        practice.run("maintain")
        server.sql(f"SELECT alter_job(job_id, next_start => now()) {_HOURLY}", "work")
        runs = "FROM _timescaledb_internal.bgw_job_stat WHERE total_runs > 0"
        until(lambda: bool(server.sql(f"SELECT {runs} AND job_id IN (SELECT job_id {_HOURLY})",
                                       "work")))  # fmt: skip
        later = "next_start => now() + INTERVAL '1d'"
        server.sql(f"SELECT alter_job(job_id, {later}) {_HOURLY}", "work")
        time.sleep(1)  # until a run that had begun has ended
        server.sql(
            "UPDATE _timescaledb_internal.bgw_job_stat SET last_run_success = true, "
            "last_successful_finish = TIMESTAMPTZ '2025-10-09 14:00Z' "
            f"WHERE job_id IN (SELECT job_id {_HOURLY})", "work",
        )  # fmt: skip
        practice.mend(practice.wrong("jobs", "warning", "should refresh hourly_features"))
        until(lambda: practice.look()["jobs"][0]["state"] == "ok")
    finally:
        server.stop()
