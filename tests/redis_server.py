"""Private Redis servers, each on a port of its own, in memory and with the process that made it.

The counterpart of `servers.py`; `REDIS_SERVER` names another program to test, such as Valkey's.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

import servers

NO_REDIS = (
    "no Redis server in PATH; to install it on Debian or Ubuntu: apt-get install redis-server"
)

_PATIENCE = 30.0

# Reads until the process of the tests says that it stopped the server, or is gone without a word.
_GUARD = """
read -r stopped && exit
kill -CONT "$1"
kill -KILL "$1"
rm -rf "$2"
"""


def program() -> str | None:
    """The server's program: the one chosen, or that of PATH."""
    return shutil.which(os.environ.get("REDIS_SERVER") or "redis-server")


def require() -> None:
    """Skip the test where there is no server."""
    if program() is None:
        pytest.skip(NO_REDIS)


def server() -> RedisServer:
    """The running server of this process, which tests share; skips the test where there is none."""
    require()
    if not _shared or not _shared[0].running:
        _shared[:] = [RedisServer()]
    return _shared[0]


def stop_all() -> None:
    """Stop every server that this process started."""
    for running in list(_started):
        running.stop()
    _shared.clear()


class RedisServer:
    """A server of its own, running from when it is made until `stop`.

    `settings` are those of redis.conf, with `_` for `-`: `requirepass="secret"`.
    """

    def __init__(self, _watching: str = "", **settings: str | int) -> None:
        found = program()
        if found is None:
            raise RuntimeError(NO_REDIS)
        self.program = found
        self.port = servers._free_port()
        self.home = Path(tempfile.mkdtemp(prefix="ai-hub-redis-"))
        self.settings = dict(settings)
        self._watching = _watching
        _started.append(self)
        try:
            self.start()
        except BaseException:
            self.stop()
            raise

    @classmethod
    def sentinel(cls, service: str, port: int) -> RedisServer:
        """A Sentinel that watches the master on a port; three of them agree on a new one."""
        return cls(_watching=f"sentinel monitor {service} 127.0.0.1 {port} 2\n"
                   f"sentinel down-after-milliseconds {service} 500\n"
                   f"sentinel failover-timeout {service} 5000\n")  # fmt: skip

    @property
    def pid(self) -> int:
        assert self._process is not None, "the server is stopped"
        return self._process.pid

    @property
    def running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    @property
    def log(self) -> Path:
        return self.home / "log"

    def url(self, password: str | None = None, database: int = 0) -> str:
        """The URL of a database; with the password that the server was started with."""
        secret = self.settings.get("requirepass") if password is None else password
        user = "" if secret is None else f":{secret}@"
        return f"redis://{user}127.0.0.1:{self.port}/{database}"

    def client(self, password: str | None = None) -> Any:
        """A client that waits for its answers, with texts as values."""
        import redis

        return redis.Redis.from_url(self.url(password), decode_responses=True)

    def call(self, *words: str | bytes | int) -> Any:
        """The answer to one command."""
        with self.client() as client:
            return client.execute_command(*words)

    def start(self) -> None:
        """Start it, new or after `halt`, on the same port; wait until it answers."""
        assert not self.running, "the server runs"
        self.halt()
        words = [self.program, *self._configured()]
        words += ["--port", str(self.port), "--bind", "127.0.0.1", "--dir", str(self.home)]
        for name, value in self.settings.items():
            words += [f"--{name.replace('_', '-')}", *str(value).split(" ")]
        starts = self._starts()
        with self.log.open("a") as log:
            # In a session of its own, Ctrl-C reaches the tests alone and they stop it in order.
            self._process = subprocess.Popen(
                words, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True
            )
        self._guard = subprocess.Popen(
            ["sh", "-c", _GUARD, "sh", str(self.pid), str(self.home)],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        for _ in servers._until(_PATIENCE):
            if self._process.poll() is not None:
                break
            if self._starts() > starts:
                return
        raise RuntimeError(f"Redis does not start:\n{self.log.read_text()[-4000:]}")

    def _configured(self) -> list[str]:
        if not self._watching:
            return ["--save", "", "--appendonly", "no"]
        # A Sentinel writes to its file what it learns.
        file = self.home / "sentinel.conf"
        file.write_text(self._watching)
        return [str(file), "--sentinel"]

    def _starts(self) -> int:
        ready = "Sentinel ID is" if self._watching else "Ready to accept connections"
        return self.log.read_text().count(ready) if self.log.exists() else 0

    def halt(self) -> None:
        """Kill the process, as a crash would; what it did not save is gone."""
        if self._process is None:
            return
        if self.running:
            self._process.kill()
        self._process.wait()
        self._process = None
        if self._guard is not None:
            self._guard.communicate(b"stopped\n")
            self._guard = None

    def restart(self) -> None:
        """Kill and start it: connections and data are lost."""
        self.halt()
        self.start()

    def pause(self) -> None:
        """Stop it where it is, so that connections stay open and nothing answers."""
        os.kill(self.pid, signal.SIGSTOP)

    def resume(self) -> None:
        """Let it go on after `pause`."""
        os.kill(self.pid, signal.SIGCONT)

    @contextmanager
    def paused(self) -> Iterator[None]:
        """Paused until the end of the block, also of one that fails."""
        try:
            self.pause()
            yield
        finally:
            self.resume()

    def stop(self) -> None:
        """Stop it for good, and remove its files."""
        self.halt()
        shutil.rmtree(self.home, ignore_errors=True)
        if self in _started:
            _started.remove(self)

    _process: subprocess.Popen[bytes] | None = None
    _guard: subprocess.Popen[bytes] | None = None


_shared: list[RedisServer] = []
_started: list[RedisServer] = []


def notices(reasons: Iterable[str], ci: bool) -> list[str]:
    """The line about the tests that had no server, from the reasons of all skips."""
    count = sum(NO_REDIS in reason for reason in reasons)
    end = " (this fails the run, as CI is set)" if ci else ""
    return [f"REDIS TESTS WERE SKIPPED ({count}): {NO_REDIS}{end}"] if count else []


def fails_run(reasons: Iterable[str], ci: bool) -> bool:
    """Whether the run fails for want of a server."""
    return ci and any(NO_REDIS in reason for reason in reasons)
