"""What migrating does to a real database, and what it leaves alone."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import asyncpg
import pytest

from ai_hub.config import Settings
from ai_hub.definitions.values import Duration
from ai_hub.errors import NotMigrated, StoreError, StoreRefused, StoreUnavailable
from ai_hub.stores.postgres import migrate as postgres_migrate
from ai_hub.stores.postgres import migrations as ours
from ai_hub.stores.postgres.maintain import maintain
from ai_hub.stores.postgres.migrate import DatabaseFacts, check, migrate
from ai_hub.stores.postgres.migration_script import script
from ai_hub.stores.postgres.migrations import Migration, migrations, stored_relations
from ai_hub.stores.postgres.status import status
from servers import Server
from stores.postgres.migrations.catalog import differences, fresh, objects
from stores.postgres.migrations.conftest import Empty, on

ALL = tuple(one.name for one in migrations())
GUIDE_FUNCTIONS = """
CREATE OR REPLACE FUNCTION get_lag_features(
  p_tenant_id TEXT, p_asset_id TEXT, p_timestamp TIMESTAMPTZ, p_lags INTEGER[]
) RETURNS TABLE (lag_hours INTEGER, lag_value NUMERIC) LANGUAGE sql AS 'SELECT 1, 1.0';
CREATE OR REPLACE FUNCTION get_rolling_features(
  p_tenant_id TEXT, p_asset_id TEXT, p_timestamp TIMESTAMPTZ, p_window_hours INTEGER
) RETURNS TABLE (rolling_avg NUMERIC, rolling_std NUMERIC) LANGUAGE sql AS 'SELECT 1.0, 1.0';
"""


@asynccontextmanager
async def connected(url: str) -> AsyncIterator[Any]:
    connection = await asyncpg.connect(url)
    try:
        yield connection
    finally:
        await connection.close()


async def facts(url: str) -> DatabaseFacts:
    async with connected(url) as connection:
        return await check(connection)


def relations(server: Server, database: str) -> set[str]:
    rows = server.sql(
        "SELECT relname FROM pg_class WHERE relnamespace = 'public'::regnamespace", database
    )
    return {name for (name,) in rows}


def add(monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    """A later release with one more migration."""
    more = (*migrations(), Migration(999, "999_more", text))
    monkeypatch.setattr(ours, "migrations", lambda: more)


async def test_it_applies_all_once_and_says_what_is_there(server: Server, empty: Empty) -> None:
    url = server.url(empty())
    first = await migrate(url)
    assert first.applied == ALL
    assert first.mode == server.kind
    assert (first.extension_version is None) == (server.kind == "plain")
    again = await migrate(url)
    assert again.applied == ()
    found = await facts(url)
    assert found.mode == server.kind
    assert found.server_version.startswith("1")
    assert found.keep == again.keep
    assert found.keep == {name: Duration.of(keep) for name, keep in {
        "timeseries_data": "7d", "ai_features": "90d", "weather_features": "365d",
        "hourly_features": "365d", "daily_features": "730d",
    }.items() if name in stored_relations(found.mode)}  # fmt: skip


async def test_retention_is_what_the_settings_say(server: Server, empty: Empty) -> None:
    database = empty()
    url = server.url(database)
    settings = Settings(
        database_url=url, retention_raw="36h", retention_features=None, retention_weather="90m"
    )
    await migrate(url)
    server.sql("UPDATE ai_hub_retention SET told_at = now()", database)
    await migrate(url, settings)
    keep = (await facts(url)).keep
    assert keep["timeseries_data"] == Duration.of("36h")
    assert keep["ai_features"] is None
    assert keep["weather_features"] == Duration.of("90m")
    told = "SELECT relation, told_at IS NOT NULL FROM ai_hub_retention"
    shortened = {"timeseries_data": False, "ai_features": False, "weather_features": False}
    assert dict(server.sql(told, database)).items() >= shortened.items()
    server.sql("UPDATE ai_hub_retention SET told_at = now()", database)
    # Kept for longer, or as long: what was told stays true.
    await migrate(url, Settings(database_url=url, retention_raw="48h", retention_weather="90m"))
    assert dict(server.sql(told, database))["timeseries_data"]
    assert dict(server.sql(told, database))["weather_features"]
    # What is not said by name stands.
    await migrate(url)
    assert (await facts(url)).keep["timeseries_data"] == Duration.of("48h")
    with pytest.raises(asyncpg.InvalidParameterValueError, match="relation: got 'x', expected"):
        server.sql("SELECT ai_hub_keep('x', NULL)", database)


@on("timescaledb")
async def test_policies_are_declared_and_not_scheduled(server: Server, empty: Empty) -> None:
    database = empty()
    url = server.url(database)
    await migrate(url)

    def jobs(kind: str, key: str) -> dict[str, tuple[bool, str]]:
        rows = server.sql(
            "SELECT hypertable_name, scheduled, config->>$1 FROM timescaledb_information.jobs "
            "WHERE hypertable_name IS NOT NULL AND proc_name LIKE $2", database, key, f"%{kind}%",
        )  # fmt: skip
        return {name: (scheduled, text) for name, scheduled, text in rows}

    assert jobs("retention", "drop_after") == {
        "timeseries_data": (False, "7 days"),
        "ai_features": (False, "90 days"),
        "weather_features": (False, "365 days"),
        "hourly_features": (False, "365 days"),
        "daily_features": (False, "730 days"),
    }
    # Late enough that no refresh by time reaches what is in the columnstore.
    assert jobs("compression", "compress_after") == {
        "ai_features": (True, "14 days"),
        "weather_features": (True, "14 days"),
        "hourly_features": (False, "16 days"),
        "daily_features": (False, "16 days"),
    }
    whole = {"hourly_features": (True, "14 days"), "daily_features": (True, "15 days")}
    assert jobs("refresh", "start_offset") == whole
    settings = Settings(
        database_url=url, retention_features="5d", retention_hourly="2d", retention_daily=None
    )
    await migrate(url, settings)
    assert jobs("retention", "drop_after")["ai_features"] == (False, "5 days")
    assert "daily_features" not in jobs("retention", "drop_after")
    # A refresh must not reach where rows were deleted, and needs two whole buckets.
    assert jobs("refresh", "start_offset") == {"hourly_features": (True, "5 days")}
    # Who says nothing by name changes nothing.
    await migrate(url)
    assert jobs("retention", "drop_after")["ai_features"] == (False, "5 days")
    # What somebody scheduled or removed is again as it is declared.
    server.sql("SELECT alter_job(job_id, scheduled => true) FROM timescaledb_information.jobs "
               "WHERE proc_name = 'policy_retention'", database)  # fmt: skip
    server.sql("SELECT remove_retention_policy('timeseries_data')", database)
    report = await migrate(url, Settings(
        database_url=url, retention_features="90d", retention_hourly="365d", retention_daily="730d"
    ))  # fmt: skip
    assert [note.partition(" deletes rows of ")[2].split()[0] for note in report.notes] == [
        "ai_features", "hourly_features", "weather_features"
    ]  # fmt: skip
    assert differences(objects(server, database), fresh(server)) == []


async def test_a_dry_run_changes_nothing_and_its_sql_does_the_same(
    server: Server, empty: Empty
) -> None:
    database = empty()
    before = relations(server, database)
    report = await migrate(server.url(database), dry_run=True)
    assert report.applied == ALL
    assert relations(server, database) == before
    assert report.sql is not None
    server.psql(database, script=report.sql)
    assert differences(objects(server, database), fresh(server)) == []
    again = await migrate(server.url(database), dry_run=True)
    assert again.applied == ()
    assert "CREATE" not in (again.sql or "")


def test_processes_at_once_do_not_collide(server: Server, empty: Empty) -> None:
    database = empty()
    program = (
        "import asyncio, sys; from ai_hub.stores.postgres.migrate import migrate\n"
        "print(*asyncio.run(migrate(sys.argv[1])).applied)"
    )
    running = [
        subprocess.Popen([sys.executable, "-c", program, server.url(database)],
                         stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        for _ in range(3)
    ]  # fmt: skip
    done = [process.communicate(timeout=60) for process in running]
    assert [process.returncode for process in running] == [0, 0, 0], done
    assert sorted(out.split() for out, _ in done) == [[], [], list(ALL)]
    assert differences(objects(server, database), fresh(server)) == []


async def test_a_migration_that_fails_leaves_nothing_of_itself(
    server: Server, empty: Empty, monkeypatch: pytest.MonkeyPatch
) -> None:
    database = empty()
    add(monkeypatch, "CREATE TABLE half (n int);\nSELECT 1 / 0;\n")
    with pytest.raises(StoreError, match="division by zero"):
        await migrate(server.url(database))
    assert "half" not in relations(server, database)
    with pytest.raises(NotMigrated, match=r"lacks 999_more of ai-hub .*: run ai-hub migrate"):
        await facts(server.url(database))
    monkeypatch.undo()
    assert (await migrate(server.url(database))).applied == ()
    assert differences(objects(server, database), fresh(server)) == []


async def test_a_migration_that_is_killed_leaves_nothing_of_itself(
    server: Server, empty: Empty, monkeypatch: pytest.MonkeyPatch
) -> None:
    database = empty()
    add(monkeypatch, "CREATE TABLE half (n int);\nSELECT pg_sleep(600);\n")
    migrating = asyncio.create_task(migrate(server.url(database)))
    kill = (
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
        "WHERE datname = $1 AND wait_event = 'PgSleep'"
    )
    while not server.sql(kill, "postgres", database):
        assert not migrating.done()
        await asyncio.sleep(0.02)
    with pytest.raises(StoreUnavailable, match=r"connection .* was lost"):
        await migrating
    assert "half" not in relations(server, database)
    add(monkeypatch, "CREATE TABLE half (n int);\n")
    # The lock went with the session that held it.
    assert (await migrate(server.url(database))).applied == ("999_more",)
    assert "half" in relations(server, database)


async def test_tables_of_the_guide_are_refused(server: Server, empty: Empty) -> None:
    database = empty()
    server.sql(
        "CREATE TABLE ai_features (timestamp TIMESTAMPTZ NOT NULL, tenant_id TEXT NOT NULL, "
        "asset_id TEXT NOT NULL, value NUMERIC NOT NULL, feature_type TEXT NOT NULL)", database
    )  # fmt: skip
    server.sql("CREATE TABLE asset_weather_source (asset_id TEXT, source_id TEXT)", database)
    server.sql("CREATE MATERIALIZED VIEW forecast_basic_features AS SELECT 1 AS one", database)
    before = relations(server, database)
    for dry_run in (True, False):
        with pytest.raises(StoreRefused) as refusal:
            await migrate(server.url(database), dry_run=dry_run)
    with pytest.raises(RuntimeError) as in_psql:
        server.psql(database, script=script(Settings()))
    for text in (str(refusal.value), str(in_psql.value)):
        assert "ai_features (with columns of type numeric)" in text
        assert "asset_weather_source (whose primary key is not tenant_id, asset_id)" in text
        assert "forecast_basic_features (not a view)" in text
        assert "Rename them" in text
    assert relations(server, database) == before


async def test_a_database_of_another_release_or_mode_is_refused(
    server: Server, empty: Empty
) -> None:
    database = empty()
    url = server.url(database)
    with pytest.raises(NotMigrated, match="does not have the tables of ai-hub: run ai-hub migrate"):
        await facts(url)
    await migrate(url)
    other = "plain" if server.kind != "plain" else "apache"
    for change, words in {
        f"mode = '{other}'": "and the server now has",
        "checksum = 'x'": "other content",
        "number = number + 900": "a newer ai-hub migrated it",
    }.items():
        server.sql(f"UPDATE ai_hub_migrations SET {change}", database)
        for ask in (facts(url), migrate(url)):
            with pytest.raises((NotMigrated, StoreRefused), match=words):
                await ask
        with pytest.raises(RuntimeError, match=words):
            server.psql(database, script=script(Settings()))
        server.sql("DELETE FROM ai_hub_migrations", database)
        await migrate(url)


@on("plain", "timescaledb")
async def test_who_does_not_own_the_tables_is_told_who_does(server: Server, empty: Empty) -> None:
    database = empty()
    await migrate(server.url(database))
    if not server.sql("SELECT FROM pg_roles WHERE rolname = 'no_owner'"):
        server.role("no_owner")
    words = r"belong to ai_hub, and no_owner may not change them: run ai-hub migrate as their owner"
    server.sql("GRANT SELECT ON ALL TABLES IN SCHEMA public TO no_owner", database)
    with pytest.raises(StoreRefused, match=words):
        await migrate(server.url(database, "no_owner"))
    with pytest.raises(RuntimeError, match=words):
        server.psql(database, script="SET ROLE no_owner;\n" + script(Settings()))
    # A member of the owner is as good as the owner.
    server.sql("GRANT ai_hub TO no_owner")
    assert (await migrate(server.url(database, "no_owner"))).applied == ()
    server.sql("REVOKE ai_hub FROM no_owner")


@on("timescaledb", "apache")
async def test_an_older_timescaledb_is_refused_before_anything_is_made(
    server: Server, empty: Empty, monkeypatch: pytest.MonkeyPatch
) -> None:
    database = empty()
    before = relations(server, database)
    monkeypatch.setattr(ours, "OLDEST_TIMESCALEDB", (99, 0, 0))
    with pytest.raises(StoreRefused, match=r"TimescaleDB .* is too old"):
        await migrate(server.url(database))
    older = script(Settings()).replace("ARRAY[2, 28, 3]", "ARRAY[99, 0, 0]")
    with pytest.raises(RuntimeError, match=r"TimescaleDB .* is too old"):
        server.psql(database, script=older)
    assert relations(server, database) == before


@on("plain")
async def test_plain_postgresql_beside_an_installed_extension_is_noted(
    server: Server, empty: Empty, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = server.url(empty())

    async def probe(connection: Any) -> ours.ServerFacts:
        found = dict(await connection.fetchrow(ours.PROBE))
        return ours.ServerFacts(**found | {"extension_installed": True})

    monkeypatch.setattr(postgres_migrate, "_probe", probe)
    first = await migrate(url)
    assert ["CREATE EXTENSION timescaledb" in note for note in first.notes] == [True]
    assert (await migrate(url)).notes == ()


async def test_functions_of_the_guide_beside_ours_are_named(server: Server, empty: Empty) -> None:
    database = empty()
    url = server.url(database)
    await migrate(url)
    ask = "SELECT * FROM get_rolling_features('t', 'a', now(), 24)"
    server.sql(ask, database)
    server.psql(database, script=GUIDE_FUNCTIONS)
    with pytest.raises(asyncpg.AmbiguousFunctionError):
        server.sql(ask, database)
    for notes in ((await migrate(url)).notes, (await migrate(url, dry_run=True)).notes):
        assert len(notes) == 2
        assert "get_rolling_features(text,text,timestamp with time zone,integer) stands" in notes[1]
    settings = Settings(database_url=url)
    warned = [one.said for one in await maintain(settings) if one.action == "warn"]
    assert warned == list(notes) == (await status(settings))["warnings"]
    for note in notes:
        server.sql(note.partition("Drop it: ")[2], database)
    server.sql(ask, database)
    assert (await migrate(url)).notes == ()
