"""What goes wrong with a server is told in one sentence, with what to do, and no password."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any

import asyncpg
import pytest

import servers
from ai_hub.errors import (
    NotMigrated,
    StoreError,
    StoreReadOnly,
    StoreRefused,
    StoreSlow,
    StoreUnavailable,
)
from ai_hub.stores.postgres.errors import Address, as_ours, translated
from ai_hub.stores.postgres.migrate import check, migrate
from servers import Server

URL = "postgresql://ann:s3cret@db.example:5433/features"
PASSWORD = "s3cret@/x"


@pytest.fixture(scope="module")
def server(installation: object) -> Server:
    running = servers.server("plain")
    running.role("errors_secret", PASSWORD)
    running.role("errors_reader")
    return running


@pytest.fixture(scope="module")
def database(server: Server) -> Iterator[str]:
    url = server.fresh()
    name = url.rpartition("/")[2]
    server.sql("GRANT SELECT ON ALL TABLES IN SCHEMA public TO errors_reader", name)
    yield name
    server.discard(url)


async def told(url: str, *statements: str, **how: Any) -> StoreError:
    """What becomes of the error of connecting, or of the last statement."""

    async def run() -> None:
        connection = await asyncpg.connect(url, **how)
        try:
            for statement in statements:
                await connection.execute(statement)
        finally:
            await connection.close()

    with pytest.raises(StoreError) as raised, translated(url):
        await run()
    assert raised.value.__cause__ is not None
    text = str(raised.value)
    assert "\n" not in text
    assert not any(secret in text for secret in (PASSWORD, "s3cret", "hush"))
    return raised.value


def says(error: StoreError, kind: type[StoreError], *words: str) -> None:
    assert type(error) is kind, error
    assert all(word in str(error) for word in words), error


@pytest.mark.postgresql
async def test_who_may_not_come_in(server: Server, database: str) -> None:
    place = f"127.0.0.1:{server.port}"
    for password in ("hush", None):
        error = await told(server.url(database, "errors_secret", password))
        says(error, StoreRefused, place, "'errors_secret'", "password is wrong", "AI_HUB_DATABASE")
    error = await told(server.url(database, "nobody"))
    says(error, StoreRefused, place, "'nobody'", "does not exist", "CREATE ROLE")
    error = await told(server.url("nowhere", "errors_secret", PASSWORD))
    says(error, StoreRefused, place, 'database "nowhere" does not exist', "createdb")
    error = await told(server.url(database) + "?sslmode=require")
    says(error, StoreRefused, place, "sslmode")
    error = await told(server.url(database) + "?sslmode=hush!")
    says(error, StoreRefused, "AI_HUB_DATABASE_URL", "sslmode")


async def test_a_server_that_is_not_there() -> None:
    error = await told("postgresql://ann:hush@127.0.0.1:1/features")
    says(error, StoreUnavailable, "127.0.0.1:1", "connection refused", "Is it running")
    error = await told("postgresql://ann:hush@no-such-host.invalid/features")
    says(error, StoreUnavailable, "no-such-host.invalid:5432", "cannot be reached")


@pytest.mark.postgresql
async def test_a_server_that_does_not_answer() -> None:
    own = Server("plain")
    try:
        url = own.url("postgres")
        with own.paused():
            error = await told(url, timeout=0.2)
        says(error, StoreUnavailable, f"127.0.0.1:{own.port}", "in time", "AI_HUB_CONNECT_TIMEOUT")
        # In a thread, so that the loop closes meanwhile what the server else would wait for.
        await asyncio.to_thread(own.halt)
        says(await told(url), StoreUnavailable, "connection refused")
    finally:
        own.stop()


@pytest.mark.postgresql
async def test_a_user_who_may_only_read(server: Server, database: str) -> None:
    url = server.url(database, "errors_reader")
    insert = (
        "INSERT INTO ai_features (timestamp, tenant_id, asset_id, value) SELECT now(), '', '', 1"
    )
    error = await told(url, "SELECT FROM ai_features", insert)
    says(error, StoreRefused, "'errors_reader'", "permission denied for table ai_features",
         "GRANT SELECT, INSERT, UPDATE, DELETE ON ai_features TO errors_reader;")  # fmt: skip
    error = await told(url, "SELECT nextval('ai_hub_late_stamp')")
    says(error, StoreRefused, "GRANT USAGE ON SEQUENCE ai_hub_late_stamp TO errors_reader;")
    error = await told(url, "CREATE TABLE mine (n int)")
    says(error, StoreRefused, "GRANT USAGE, CREATE ON SCHEMA public TO errors_reader;")
    error = await told(url, "ALTER TABLE ai_features ADD mine int")
    says(error, StoreRefused, "must be owner of table ai_features", "as the owner")
    # Who may read what the migrations wrote down may open the database.
    connection = await asyncpg.connect(url)
    assert (await check(connection)).mode == "plain"
    await connection.close()
    with pytest.raises(StoreRefused, match="belong to ai_hub, and errors_reader may not"):
        await migrate(url)


@pytest.mark.postgresql
async def test_statements_that_fail(server: Server, database: str) -> None:
    url = server.url(database)
    error = await told(url, "SET default_transaction_read_only = on", "CREATE TABLE mine (n int)")
    says(error, StoreReadOnly, "accepts no writes", "standby", "primary")
    error = await told(url, "SET statement_timeout = 20", "SELECT pg_sleep(60)")
    says(error, StoreSlow, "AI_HUB_STATEMENT_TIMEOUT")
    error = await told(url, "SELECT pg_terminate_backend(pg_backend_pid())")
    says(error, StoreUnavailable, "was lost", "Try again")
    for statement in ("SELECT FROM ai_gone", "SELECT ai_gone()", "SELECT gone FROM ai_features"):
        says(await told(url, statement), NotMigrated, "gone", "Run ai-hub migrate")
    error = await told(url, "SELECT 1 / 0")
    says(error, StoreError, "division by zero (22012)")


@pytest.mark.parametrize(
    ("error", "kind", "words"),
    [
        (asyncpg.TooManyConnectionsError("sorry, too many clients"), StoreUnavailable,
         ["too many clients", "AI_HUB_POOL_SIZE", "max_connections"]),
        (asyncpg.DiskFullError("could not extend file"), StoreRefused, ["no space", "Make room"]),
        (asyncpg.CannotConnectNowError("starting up"), StoreUnavailable, ["Try again soon"]),
        (asyncpg.AdminShutdownError("terminating"), StoreUnavailable, ["lost"]),
        (asyncpg.DeadlockDetectedError("deadlock"), StoreUnavailable, ["Try again"]),
        (asyncpg.SerializationError("could not serialize"), StoreUnavailable, ["Try again"]),
        (asyncpg.QueryCanceledError("canceling statement due to user request"), StoreUnavailable,
         ["Try again"]),
        (asyncpg.OutOfMemoryError("out of memory"), StoreUnavailable, ["53200", "log"]),
        (asyncpg.InsufficientPrivilegeError("permission denied to create temporary tables in "
                                            'database "features"'),
         StoreRefused, ["GRANT CONNECT, TEMPORARY ON DATABASE features TO ann;"]),
        (asyncpg.InterfaceError("connection is closed"), StoreUnavailable, ["lost"]),
        (TimeoutError(), StoreUnavailable, ["in time", "AI_HUB_POOL_SIZE"]),
        (ConnectionResetError(104, "Connection reset by peer"), StoreUnavailable, ["lost"]),
        (OSError("Multiple exceptions: [Errno 111] Connect call failed ('::1', 5433): refused, "
                 "[Errno 111] Connect call failed ('127.0.0.1', 5433): refused"),
         StoreUnavailable, ["(connection refused)"]),
        (OSError(f"cannot connect to {URL}\nmore"), StoreUnavailable, ["ann:***@db.example"]),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Exception) else "",
)  # fmt: skip
def test_errors_that_are_hard_to_cause(
    error: Exception, kind: type[StoreError], words: list[str]
) -> None:
    got = as_ours(error, URL)
    says(got, kind, "db.example:5433", *words)
    assert "s3cret" not in str(got)
    assert "\n" not in str(got)


def test_errors_of_another_driver_are_told_by_their_state() -> None:
    class Error(Exception):
        sqlstate = "42501"

    says(as_ours(Error("permission denied for view hourly_features"), URL), StoreRefused,
         "GRANT SELECT, INSERT, UPDATE, DELETE ON hourly_features TO ann;")  # fmt: skip


@pytest.mark.parametrize(
    ("url", "address"),
    [
        (URL, Address("db.example:5433", "ann", "features", "s3cret")),
        ("postgresql://db.example/features", Address("db.example:5432", "", "features")),
        ("postgresql:///x?host=/run/pg&port=6000&user=a%20b",
         Address("/run/pg:6000", "a b", "x")),
        ("postgresql://a@b:1,c:2/x?password=p", Address("b:1,c:2", "a", "x", "p")),
        ("postgresql://", Address("localhost:5432", "", "")),
        ("postgresql://a@[::1]:5432/x", Address("[::1]:5432", "a", "x")),
    ],
)  # fmt: skip
def test_addresses(url: str, address: Address) -> None:
    assert Address.of(url) == address


def test_a_user_that_the_url_leaves_to_the_driver() -> None:
    url = "postgresql://localhost/features"
    error = asyncpg.InsufficientPrivilegeError("permission denied for table ai_features")
    says(as_ours(error, url), StoreRefused, "the user of this process", "TO CURRENT_USER;")
    odd = asyncpg.InsufficientPrivilegeError("permission denied for table ai_features")
    says(as_ours(odd, "postgresql://O%22Brien@h/x"), StoreRefused, 'TO "O""Brien";')
