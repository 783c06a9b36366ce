"""The Redis servers of the tests, and what is said of tests that have none."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import redis

import redis_server
import servers
from redis_server import NO_REDIS, RedisServer, fails_run, notices


@pytest.fixture
def own() -> Iterator[RedisServer]:
    redis_server.require()
    running = RedisServer()
    yield running
    running.stop()


def alive(pid: int) -> bool:
    """Whether a process runs; one that ended and was not waited for does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def eventually(holds: Callable[[], bool]) -> bool:
    return any(holds() for _ in servers._until(120))


@pytest.mark.redis
def test_a_restart_keeps_the_port_and_nothing_else(own: RedisServer) -> None:
    own.call("SET", "key", "value")
    url, pid = own.url(), own.pid
    own.restart()
    assert (own.url(), own.running) == (url, True)
    assert own.pid != pid
    assert own.call("GET", "key") is None


@pytest.mark.redis
def test_a_halted_server_refuses_and_starts_again(own: RedisServer) -> None:
    own.halt()
    with pytest.raises(redis.ConnectionError):
        own.call("PING")
    own.start()
    assert own.call("PING") is True


@pytest.mark.redis
def test_a_paused_server_answers_later(own: RedisServer) -> None:
    with own.client() as client:
        connection = client.connection_pool.get_connection()
        with own.paused():
            connection.send_command("PING")
            assert not connection.can_read(timeout=0.2)
        assert connection.read_response() == "PONG"
        client.connection_pool.release(connection)


@pytest.mark.redis
def test_settings_and_a_password(own: RedisServer) -> None:
    running = RedisServer(requirepass="secret", maxmemory="10mb")
    try:
        with running.client() as client:
            assert client.config_get("maxmemory")["maxmemory"] == str(10 << 20)
        with redis.Redis(port=running.port) as client, pytest.raises(redis.AuthenticationError):
            client.ping()
    finally:
        running.stop()


@pytest.mark.redis
def test_the_server_of_a_process_is_one_until_it_is_stopped() -> None:
    first = redis_server.server()
    assert redis_server.server() is first
    first.halt()
    assert redis_server.server() is not first
    first.stop()
    assert not first.home.exists()


@pytest.mark.redis
@pytest.mark.parametrize("paused", [False, True])
def test_a_server_ends_with_a_process_that_is_killed(paused: bool) -> None:
    code = (
        "import redis_server, sys\n"
        "s = redis_server.RedisServer()\n"
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

@pytest.mark.redis
@pytest.mark.parametrize("n", range(3))
def test_of_the_server(n):
    pass

def test_of_none():
    pass
"""

_INI = """
[pytest]
asyncio_default_fixture_loop_scope = function
markers = redis
"""


@pytest.mark.parametrize(
    ("words", "ci", "status"), [((), "", 0), ((), "true", 1), (("-n", "2"), "true", 1)]
)
@pytest.mark.long
def test_a_run_without_redis(tmp_path: Path, words: tuple[str, ...], ci: str, status: int) -> None:
    (tmp_path / "test_some.py").write_text(_TESTS)
    (tmp_path / "pytest.ini").write_text(_INI)
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-p", "conftest", "-p", "no:cacheprovider", *words],
        cwd=tmp_path,
        env={
            **os.environ,
            "PYTHONPATH": str(Path(__file__).parent),
            "REDIS_SERVER": "no-such-program",
            "CI": ci,
        },
        capture_output=True,
        text=True,
        check=False,
    )
    assert not done.stderr, done.stderr
    assert "1 passed, 3 skipped" in done.stdout
    assert f"REDIS TESTS WERE SKIPPED (3): {NO_REDIS}" in done.stdout
    assert ("this fails the run" in done.stdout) is bool(ci)
    assert done.returncode == status


def test_other_skips_are_not_counted() -> None:
    reasons = ["Skipped: not on this system"]
    assert notices(reasons, ci=True) == []
    assert not fails_run(reasons, ci=True)
