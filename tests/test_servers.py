"""The servers of the tests, and what is said of tests that have none."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import asyncpg
import pytest

import servers
from servers import KINDS, NO_EXTENSION, NO_SERVER, Kind, Server, fails_run, in_ci, notices


@pytest.fixture(scope="module", params=KINDS)
def own(request: pytest.FixtureRequest, installation: object) -> Iterator[Server]:
    """A server that no other module uses, so that it may be stopped."""
    servers.require(request.param)
    running = Server(request.param)
    yield running
    running.stop()


@pytest.fixture
def database(own: Server) -> Iterator[str]:
    own.create("work")
    yield "work"
    own.drop("work")


def alive(pid: int) -> bool:
    """Whether a process runs; one that ended and was not waited for does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def eventually(holds: Callable[[], bool]) -> bool:
    return any(holds() for _ in servers._until(120))


# Servers


@pytest.mark.postgresql
def test_a_server_is_of_its_kind(own: Server, database: str) -> None:
    extensions = {name for (name,) in own.sql("SELECT extname FROM pg_extension", database)}
    assert ("timescaledb" in extensions) is (own.kind != "plain")
    licenses = {"plain": None, "timescaledb": "timescale", "apache": "apache"}
    found = own.sql("SELECT current_setting('timescaledb.license', true)", database)
    assert found == [(licenses[own.kind],)]


@pytest.mark.postgresql
def test_a_server_answers_over_tcp_and_its_socket(own: Server, database: str) -> None:
    async def reached(**how: object) -> str:
        connection = await asyncpg.connect(**how)
        try:
            found: str = await connection.fetchval("SELECT current_database()")
            return found
        finally:
            await connection.close()

    assert asyncio.run(reached(dsn=own.url(database))) == "work"
    there = {"host": str(own.socket_dir), "port": own.port, "user": "ai_hub", "database": "work"}
    assert asyncio.run(reached(**there)) == "work"


@pytest.mark.postgresql
async def test_sql_is_run_inside_an_event_loop(own: Server, database: str) -> None:
    assert own.sql("SELECT $1::int + 1, 'b'", database, 1) == [(2, "b")]


@pytest.mark.postgresql
def test_psql_runs_a_script_and_stops_at_an_error(own: Server, database: str) -> None:
    assert own.psql(database, "-At", script="SELECT 1;\nSELECT 2;") == "1\n2\n"
    assert own.psql(database, "-At", "-c", "SELECT 3") == "3\n"
    with pytest.raises(RuntimeError, match="does not exist"):
        own.psql(database, script="SELECT 1 FROM nowhere;\nCREATE TABLE later ();")
    assert own.sql("SELECT to_regclass('later')", database) == [(None,)]


@pytest.mark.postgresql
@pytest.mark.parametrize("crash", [False, True])
def test_a_restart_keeps_port_and_data(own: Server, database: str, crash: bool) -> None:
    own.sql("CREATE TABLE kept (n int)", database)
    own.sql("INSERT INTO kept VALUES (1)", database)
    url, pid = own.url(database), own.pid
    own.restart(crash)
    assert (own.url(database), own.running) == (url, True)
    assert own.pid != pid
    assert own.sql("SELECT n FROM kept", database) == [(1,)]


@pytest.mark.postgresql
async def test_a_halted_server_refuses_and_starts_again(own: Server, database: str) -> None:
    own.halt()
    with pytest.raises(ConnectionRefusedError):
        await asyncpg.connect(own.url(database))
    own.start()
    assert own.sql("SELECT 1", database) == [(1,)]


@pytest.mark.postgresql
async def test_a_paused_server_answers_later(own: Server, database: str) -> None:
    connection = await asyncpg.connect(own.url(database))
    with own.paused():
        answer = asyncio.ensure_future(connection.fetchval("SELECT 1"))
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(asyncio.shield(answer), 0.2)
        with pytest.raises(TimeoutError):
            await asyncpg.connect(own.url(database), timeout=0.2)
    assert await answer == 1
    await connection.close()


@pytest.mark.postgresql
def test_a_paused_server_stops() -> None:
    running = Server("plain")
    running.pause()
    running.stop()
    assert not running.running


@pytest.mark.postgresql
def test_clones_are_independent(own: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    migrations = []

    def migrate(url: str) -> None:
        migrations.append(url)
        own.sql("CREATE TABLE kept (n int, at timestamptz NOT NULL)", "migrated")
        if own.kind != "plain":
            own.sql("SELECT create_hypertable('kept', 'at')", "migrated")

    monkeypatch.setattr(servers, "migrate", migrate)
    first, second = own.fresh(), own.fresh()
    assert migrations == [own.url("migrated")]
    names = [url.rpartition("/")[2] for url in (first, second)]
    own.sql("INSERT INTO kept VALUES (1, now())", names[0])
    assert [own.sql("SELECT n FROM kept", name) for name in names] == [[(1,)], []]
    own.discard(first)
    own.discard(second)
    left = own.sql("SELECT datname FROM pg_database WHERE datname LIKE 'fresh%'")
    assert left == []


@pytest.mark.postgresql
@pytest.mark.parametrize("kind", KINDS)
def test_a_clone_is_migrated_in_the_mode_of_its_server(kind: Kind) -> None:
    running = servers.server(kind)
    url = running.fresh()
    try:
        modes = running.sql("SELECT DISTINCT mode FROM ai_hub_migrations", url.rpartition("/")[2])
        assert modes == [(kind,)]
    finally:
        running.discard(url)


@pytest.mark.postgresql
async def test_a_database_in_use_is_dropped(own: Server) -> None:
    connection = await asyncpg.connect(own.create("used"))
    own.drop("used")
    with pytest.raises((asyncpg.PostgresError, asyncpg.InterfaceError, ConnectionError)):
        await connection.fetchval("SELECT 1")
    connection.terminate()


@pytest.mark.postgresql
async def test_a_role_with_a_password_has_to_give_it(own: Server, database: str) -> None:
    own.role("guest", "s'ecret/@:é")
    own.role("visitor")
    for url in (own.url(database, "guest", "s'ecret/@:é"), own.url(database, "visitor")):
        await (await asyncpg.connect(url)).close()
    for password in (None, "wrong"):
        with pytest.raises((asyncpg.InvalidPasswordError, asyncpg.InterfaceError)):
            await asyncpg.connect(own.url(database, "guest", password))
    own.sql("DROP ROLE guest, visitor")


@pytest.mark.postgresql
def test_a_database_may_have_the_order_of_a_language(own: Server, database: str) -> None:
    words = "SELECT array_agg(w ORDER BY w) FROM unnest(ARRAY['b', 'a', 'B', 'ä']) w"
    own.create("spoken", icu="und")
    try:
        assert own.sql(words, "spoken") == [(["a", "ä", "b", "B"],)]
        assert own.sql(words, database) == [(["B", "a", "b", "ä"],)]
    finally:
        own.drop("spoken")


@pytest.mark.postgresql
def test_a_server_takes_another_port_where_one_is_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    free = servers._free_port()
    ports = iter([servers.server("plain").port, free])
    monkeypatch.setattr(servers, "_free_port", lambda: next(ports))
    running = Server("plain")
    running.stop()
    assert running.port == free


@pytest.mark.postgresql
def test_the_server_of_a_process_is_one_until_it_is_stopped() -> None:
    first = servers.server("plain")
    assert servers.server("plain") is first
    assert first.sql("SELECT 1") == [(1,)]


@pytest.mark.postgresql
def test_a_stopped_server_leaves_nothing() -> None:
    running = Server("plain")
    home, pids = running.home, [running.pid, *servers._children(running.pid)]
    assert len(pids) > 1
    running.stop()
    assert not any(map(alive, pids))
    assert not home.exists()
    running.stop()


@pytest.mark.postgresql
@pytest.mark.parametrize("paused", [False, pytest.param(True, marks=pytest.mark.long)])
def test_a_server_ends_with_a_process_that_is_killed(paused: bool) -> None:
    code = (
        "import servers, sys\n"
        "s = servers.Server('plain')\n"
        f"{'s.pause()' if paused else ''}\n"
        "print(s.pid, s.home, flush=True)\n"
        "sys.stdin.read()\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code],
        cwd=Path(__file__).parent,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        pid, home = process.stdout.readline().split()
        assert alive(int(pid))
        process.send_signal(signal.SIGKILL)
    assert eventually(lambda: not alive(int(pid)))
    assert eventually(lambda: not Path(home).exists())


# Tests without a server

_TESTS = """
import pytest

@pytest.mark.postgresql
@pytest.mark.parametrize("n", range(3))
def test_of_the_server(n):
    pass

@pytest.mark.timescaledb
@pytest.mark.parametrize("n", range(2))
def test_of_the_extension(n):
    pass

def test_of_neither():
    pass
"""

_VERSIONS = """
import pytest

@pytest.mark.postgresql
def test_on_one():
    pass

@pytest.mark.postgresql
@pytest.mark.versions
def test_on_each():
    pass

def test_of_neither():
    pass
"""

_INI = """
[pytest]
asyncio_default_fixture_loop_scope = function
markers =
    long
    postgresql
    timescaledb
    versions
"""


def without(
    folder: Path, *words: str, binaries: Path | str, ci: str = "", of: str = _TESTS
) -> tuple[int, str]:
    """The exit status and the output of a run of some tests by the conftest of all tests."""
    (folder / "test_some.py").write_text(of)
    (folder / "pytest.ini").write_text(_INI)
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-p", "conftest", "-p", "no:cacheprovider", *words],
        cwd=folder,
        env={
            **os.environ,
            "PYTHONPATH": str(Path(__file__).parent),
            "AI_HUB_TEST_POSTGRES": str(binaries),
            "CI": ci,
        },
        capture_output=True,
        text=True,
        check=False,
    )
    assert not done.stderr, done.stderr
    return done.returncode, done.stdout


@pytest.fixture
def bare(tmp_path: Path) -> Path:
    """Programs of a PostgreSQL that has no extension."""
    folder = tmp_path / "bin"
    folder.mkdir()
    for name, answer in (
        ("postgres", "postgres (PostgreSQL) 99.1 (Some 99)"),
        ("pg_config", str(tmp_path / "share")),
    ):
        program = folder / name
        program.write_text(f"#!/bin/sh\necho '{answer}'\n")
        program.chmod(0o755)
    return folder


@pytest.mark.parametrize(
    ("words", "ci", "status"), [((), "", 0), ((), "true", 1), (("-n", "2"), "true", 1)]
)
@pytest.mark.long
def test_a_run_without_postgresql(
    tmp_path: Path, words: tuple[str, ...], ci: str, status: int
) -> None:
    code, output = without(tmp_path, *words, binaries=tmp_path / "none", ci=ci)
    assert "1 passed, 5 skipped" in output
    assert f"POSTGRESQL TESTS WERE SKIPPED (5): {NO_SERVER}" in output
    assert ("this fails the run" in output) is bool(ci)
    assert "TIMESCALEDB" not in output
    assert code == status


@pytest.mark.parametrize("words", [(), ("-n", "2")], ids=["alone", "xdist"])
@pytest.mark.long
def test_a_run_without_the_extension(tmp_path: Path, bare: Path, words: tuple[str, ...]) -> None:
    code, output = without(tmp_path, *words, binaries=bare, ci="true")
    assert "4 passed, 2 skipped" in output
    line = (
        f"TIMESCALEDB TESTS WERE SKIPPED (2): {NO_EXTENSION} for PostgreSQL 99 "
        f"in {tmp_path / 'share' / 'extension'}"
    )
    assert line in output.splitlines()
    assert "POSTGRESQL TESTS" not in output
    assert code == 0


def test_a_run_on_two_postgresqls(tmp_path: Path, bare: Path) -> None:
    """The second is for tests with the mark `versions`, and for the others if they are long."""
    second = tmp_path / "second" / "bin"
    shutil.copytree(bare, second)
    both = os.pathsep.join(map(str, (bare, second)))
    for words, names in ((("-m", "not long"), ["each"]), (("-m", "long"), ["one"])):
        _, output = without(tmp_path, *words, "--collect-only", "-q", binaries=both, of=_VERSIONS)
        on_second = {line for line in output.splitlines() if line.endswith("[on99]")}
        assert on_second == {f"test_some.py::test_on_{name}[on99]" for name in names}
        plain = words[1] == "not long"
        assert ("test_some.py::test_on_one" in output.splitlines()) is plain
        assert ("test_some.py::test_of_neither" in output.splitlines()) is plain


def test_a_run_that_needs_no_server_says_nothing(tmp_path: Path) -> None:
    code, output = without(tmp_path, "-k", "neither", binaries=tmp_path / "none", ci="true")
    assert "SKIPPED" not in output
    assert code == 0


def test_skips_for_other_reasons_are_not_counted() -> None:
    reasons = ["Skipped: slow", f"Skipped: {NO_SERVER}"]
    assert notices(reasons[:1], True) == []
    assert notices(reasons, False) == [f"POSTGRESQL TESTS WERE SKIPPED (1): {NO_SERVER}"]
    assert [fails_run(reasons, ci) for ci in (True, False)] == [True, False]
    assert not fails_run(reasons[:1], True)


@pytest.mark.parametrize(
    ("value", "expected"), [(None, False), ("", False), ("false", False), ("true", True)]
)
def test_ci_is_told_by_its_variable(value: str | None, expected: bool) -> None:
    assert in_ci({} if value is None else {"CI": value}) is expected


@pytest.mark.parametrize("kind", KINDS)
def test_a_server_that_cannot_be_had_is_no_server(
    monkeypatch: pytest.MonkeyPatch, kind: Kind
) -> None:
    monkeypatch.setattr(servers, "_used", None)
    monkeypatch.setattr(servers, "installations", tuple)
    assert servers.absent(kind) == NO_SERVER
    with pytest.raises(pytest.skip.Exception, match="apt-get install postgresql"):
        servers.require(kind)
