"""Lines about a database on PostgreSQL, provoked one by one and mended by what they advise."""

from __future__ import annotations

import asyncio
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from threading import Thread

import pytest

import servers
from ai_hub.config import Settings
from ai_hub.doctor.database import judge
from ai_hub.doctor.line import Line
from ai_hub.stores.opening import open_checkup
from doctor.conftest import Practice, database, hourly, until
from servers import Server

UPKEEP = ("triggers", "functions", "retention", "indexes", "vacuum", "speed")
OF_CHUNKS = ("policies", "jobs", "aggregates", "rows")


def test_all_is_well_at_first(practice: Practice, postgres: Server) -> None:
    practice.ingest(hourly())
    practice.run("maintain")
    extra = OF_CHUNKS if postgres.kind == "timescaledb" else ()
    practice.fine("database", "migrations", "versions", "standby", "lookback", *UPKEEP, *extra)
    assert (OF_CHUNKS[0] in practice.look()) == bool(extra)


@pytest.mark.postgresql
def test_a_database_that_is_not_there(practice: Practice) -> None:
    server = servers.server("plain")
    practice.set(database_url=server.url("nowhere"))
    practice.wrong("database", "fault", "createdb", "was not looked at")
    # All else is looked at.
    assert {"cache", "folder", "workers", "processes"} <= practice.look().keys()
    practice.set(database_url="postgresql://127.0.0.1:1/x")
    practice.wrong("database", "fault", "cannot be reached")


def test_a_file_that_is_not_there(practice: Practice) -> None:
    mends = practice.wrong("database", "fault", "There is no database at")
    assert not (practice.folder / "features.duckdb").exists()
    practice.mend(mends)
    practice.fine("database", "versions", "migrations", "standby")


def test_a_file_of_something_else(practice: Practice) -> None:
    (practice.folder / "features.duckdb").write_text("a,b\n1,2\n" * 9)
    practice.wrong("database", "fault", "is not an embedded database")


@pytest.mark.postgresql
def test_a_database_that_is_not_migrated(practice: Practice) -> None:
    server = servers.server("plain")
    url = server.create("not_migrated")
    practice.set(database_url=url)
    practice.mend(practice.wrong("migrations", "fault", "does not have the tables"))
    practice.fine("migrations", "database")
    server.discard(url)


def test_a_key_that_is_gone(practice: Practice, postgres: Server) -> None:
    practice.ingest(hourly())
    postgres.sql("ALTER TABLE ai_features DROP CONSTRAINT ai_features_pkey", database())
    practice.mend(practice.wrong("indexes", "fault", "ai_features has no primary key"))
    practice.fine("indexes")
    postgres.sql("ALTER TABLE asset_weather_source DROP CONSTRAINT asset_weather_source_pkey",
                 database())  # fmt: skip
    practice.mend(practice.wrong("indexes", "fault", "asset_weather_source"))
    practice.fine("indexes")


@pytest.mark.timescaledb
def test_an_index_of_hours_that_is_gone(practice: Practice, timescaledb: Server) -> None:
    (where,) = timescaledb.sql(
        "SELECT format('%I.%I', schemaname, indexname) FROM pg_indexes "
        "WHERE indexname = 'hourly_features_key'", database(),
    )[0]  # fmt: skip
    timescaledb.sql(f"DROP INDEX {where}", database())
    practice.mend(practice.wrong("indexes", "fault", "hourly_features has no index"))
    practice.fine("indexes")


def test_a_key_of_other_columns(practice: Practice, postgres: Server) -> None:
    practice.ingest(hourly())
    for table, key in (
        ("ai_features", "asset_id, tenant_id, feature_type, timestamp"),
        ("asset_attributes", "tenant_id, asset_id, valid_from, key"),
    ):
        postgres.sql(f"ALTER TABLE {table} DROP CONSTRAINT {table}_pkey", database())
        postgres.sql(f'ALTER TABLE {table} ADD CONSTRAINT "Own" PRIMARY KEY ({key})', database())
        mends = practice.wrong("indexes", "fault", f"the primary key of {table} is (")
        practice.mend(mends)
        practice.fine("indexes")


@pytest.mark.timescaledb
def test_an_index_of_hours_that_is_invalid(practice: Practice, timescaledb: Server) -> None:
    timescaledb.sql(
        "UPDATE pg_index SET indisvalid = false WHERE indexrelid = "
        "'_timescaledb_internal.daily_features_key'::regclass", database(),
    )  # fmt: skip
    practice.mend(practice.wrong("indexes", "fault", "daily_features has an invalid index"))
    practice.fine("indexes")


def test_triggers(practice: Practice, postgres: Server) -> None:
    postgres.sql("ALTER TABLE ai_features DISABLE TRIGGER ai_hub_note_inserted", database())
    practice.mend(practice.wrong("triggers", "fault", "ai_hub_note_inserted of ai_features is"))
    practice.fine("triggers")
    postgres.sql("DROP TRIGGER ai_hub_note_deleted ON ai_features", database())
    practice.mend(practice.wrong("triggers", "fault", "has no trigger ai_hub_note_deleted"))
    practice.fine("triggers")


def test_a_function_of_the_guide(practice: Practice, postgres: Server) -> None:
    postgres.sql(
        "CREATE FUNCTION get_lag_features(text, text, timestamptz, int[]) RETURNS int "
        "LANGUAGE sql AS 'SELECT 1'", database(),
    )  # fmt: skip
    practice.mend(practice.wrong("functions", "warning", "get_lag_features"))
    practice.fine("functions")


def test_a_setting_that_is_ignored(practice: Practice, postgres: Server) -> None:
    practice.run("retention", "set", "ai_features", "400d")
    practice.set(retention_features="90d")
    practice.mend(practice.wrong("retention", "warning", "AI_HUB_RETENTION_FEATURES"))
    practice.fine("retention")


def test_dead_rows(practice: Practice, postgres: Server) -> None:
    postgres.sql(
        "INSERT INTO weather_features (timestamp, issued_at, tenant_id, asset_id) "
        "SELECT t, t, 'acme', 's' FROM generate_series(now() - INTERVAL '11000 s', now(), '1 s') t",
        database(),
    )
    postgres.sql("UPDATE weather_features SET humidity = 1", database())
    # The server counts them a moment later.
    until(lambda: practice.look()["vacuum"][0]["state"] != "ok")
    practice.mend(practice.wrong("vacuum", "warning", "rows of weather_features are dead"))
    until(lambda: practice.look()["vacuum"][0]["state"] == "ok")


def test_less_is_kept_than_sets_look_back(practice: Practice, postgres: Server) -> None:
    practice.run("retention", "set", "ai_features", "3d")
    practice.mend(practice.wrong("lookback", "warning", "keeps 3 days", "looks back 9 days"))
    practice.fine("lookback")


def test_statements_that_take_longer_than_requests_wait(
    practice: Practice, postgres: Server
) -> None:
    practice.ingest(hourly())
    practice.set(patience="1us", view_timeout="1us", cache_timeout="1us")
    practice.mend(practice.wrong("speed", "warning", "AI_HUB_PATIENCE"))
    practice.fine("speed")


@contextmanager
def far_away(server: Server, seconds: float) -> Iterator[int]:
    """A port from where the server answers that much later."""

    def carry(come: socket.socket, go: socket.socket, wait: float) -> None:
        with suppress(OSError):
            while some := come.recv(65_536):
                time.sleep(wait)
                go.sendall(some)
            go.shutdown(socket.SHUT_WR)

    def connect(near: socket.socket) -> None:
        with near, socket.create_connection(("127.0.0.1", server.port)) as far:
            asks = Thread(target=carry, args=(near, far, 0.0))
            asks.start()
            carry(far, near, seconds)
            asks.join()

    def serve() -> None:
        with suppress(OSError):
            while True:
                near, _ = listener.accept()
                connections.append(Thread(target=connect, args=(near,)))
                connections[-1].start()

    connections: list[Thread] = []
    with socket.create_server(("127.0.0.1", 0)) as listener:
        accepts = Thread(target=serve)
        accepts.start()
        yield listener.getsockname()[1]
        listener.shutdown(socket.SHUT_RDWR)
        for one in (accepts, *connections):
            one.join()


@pytest.mark.postgresql
def test_a_database_that_is_slow() -> None:
    def answers(url: str) -> Line:
        async def look() -> Line:
            settings = Settings.load(database_url=url)
            async with open_checkup(settings) as store:
                return judge(await store.database(), settings)[0]

        return asyncio.run(look())

    server = servers.server("plain")
    near = server.fresh()
    try:
        with far_away(server, 0.52) as port:
            line = answers(near.replace(f":{server.port}/", f":{port}/"))
            assert (line.state, line.command) == ("warning", None)
            assert "far away. No command mends that" in line.said
        assert answers(near).state == "ok"
    finally:
        server.discard(near)


def test_more_connections_than_the_server_takes(practice: Practice, postgres: Server) -> None:
    practice.set(pool_size=1_000)
    practice.mend(practice.wrong("connections", "warning", "takes 100"))
    practice.fine("connections")


def test_keys_where_they_are_asked_for(practice: Practice, any_store: None) -> None:
    practice.ingest(hourly())
    practice.set(auth="keys")
    practice.mend(practice.wrong("access_keys", "fault", "no key that is valid"))
    practice.fine("access_keys", "access")


@pytest.mark.timescaledb
def test_an_index_of_a_chunk_that_is_invalid(practice: Practice, timescaledb: Server) -> None:
    practice.ingest(hourly())
    practice.run("maintain")
    timescaledb.sql(
        "UPDATE pg_index SET indisvalid = false WHERE indisunique AND indrelid IN (SELECT "
        "format('%I.%I', chunk_schema, chunk_name)::regclass FROM timescaledb_information.chunks "
        "WHERE hypertable_name = 'ai_features')", database(),
    )  # fmt: skip
    found = [one for one in practice.look()["indexes"] if one["state"] != "ok"]
    assert found
    for one in found:
        assert "without its key" in one["said"]
        assert 'REINDEX TABLE "_timescaledb_internal"."_hyper_' in one["command"]
        practice.mend(one["command"])
    practice.fine("indexes")


def test_a_key_that_is_invalid(practice: Practice, postgres: Server) -> None:
    practice.ingest(hourly())
    postgres.sql(
        "UPDATE pg_index SET indisvalid = false WHERE indexrelid = 'ai_features_pkey'::regclass",
        database(),
    )
    practice.mend(practice.wrong("indexes", "fault", "ai_features", "invalid"))
    practice.fine("indexes")


@pytest.mark.postgresql
@pytest.mark.long
def test_a_standby(practice: Practice) -> None:
    primary = servers.server("plain")
    url = primary.fresh()
    standby = primary.standby()
    try:
        practice.set(database_url=standby.url(url.rpartition("/")[2]))
        practice.mend(practice.wrong("standby", "warning", "no primary is named"), URL=url)
        practice.fine("standby", "indexes")
    finally:
        standby.stop()
        primary.discard(url)
