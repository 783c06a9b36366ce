"""The doctor as its users have it: the command, what it says, and the command that it advises."""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import time
from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from typer.testing import CliRunner

import redis_server
import servers
from ai_hub.cli.app import app
from cli.conftest import workplace as workplace
from servers import Kind, Server

Lines = dict[str, list[dict[str, Any]]]
NOW = datetime.now(UTC).replace(microsecond=0)
HOUR = timedelta(hours=1)
Rows = Iterable[tuple[datetime, str, float]]


class Practice:
    """A doctor in a directory of its own, and what is done there."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
        self._patch = monkeypatch
        self.folder = folder

    def set(self, **settings: object) -> None:
        """Have settings in the environment."""
        for name, value in settings.items():
            self._patch.setenv(f"AI_HUB_{name.upper()}", str(value))

    def run(self, *words: object, code: int | None = 0) -> str:
        """What a command prints; it ends with this exit code (None: any)."""
        done = CliRunner().invoke(app, [str(one) for one in words])
        assert code is None or done.exit_code == code, done.output
        assert done.exception is None or isinstance(done.exception, SystemExit), done.output
        return done.stdout

    def look(self, *words: object) -> Lines:
        """The lines by name, with the exit code that they ask for."""
        done = CliRunner().invoke(app, ["doctor", "--json", *map(str, words)])
        assert done.exception is None or isinstance(done.exception, SystemExit), done.output
        found = json.loads(done.stdout)
        lines: Lines = {}
        for one in found["lines"]:
            lines.setdefault(one["line"], []).append(one)
        faults = sum(one["state"] == "fault" for one in found["lines"])
        assert (found["faults"], done.exit_code) == (faults, 1 if faults else 0)
        return lines

    def wrong(self, name: str, state: str, *said: str, tenant: str | None = None) -> str:
        """The command that the one line which is not ok advises, after a look at what it says."""
        (line,) = [one for one in self.look()[name] if one["state"] != "ok"]
        assert line["state"] == state, line
        assert all(one in line["said"] for one in said), line
        assert tenant is None or line["tenant_id"] == tenant
        command: str = line["command"]
        return command

    def fine(self, *names: str) -> None:
        """That these lines are ok."""
        found = self.look()
        assert [one for name in names for one in found[name] if one["state"] != "ok"] == []

    def mend(self, command: str, **given: object) -> None:
        """Do what a line advises, with what only the user knows."""
        first, _, then = command.partition(" && ")
        words = [str(given.get(word, word)) for word in shlex.split(first)]
        match words[0]:
            case "ai-hub":
                self.run(*words[1:])
            case "export":
                name, _, value = words[1].partition("=")
                self._patch.setenv(name, str(given.get(value, value)))
            case _:
                subprocess.run(words, check=True, capture_output=True, env=os.environ)
        if then:
            self.mend(then, **given)

    def csv(self, rows: Rows, header: str = "timestamp,asset_id,value", name: str = "d.csv") -> str:
        """The name of a file with these rows."""
        lines = [",".join([at.isoformat(), *map(str, more)]) for at, *more in rows]
        (self.folder / name).write_text("\n".join([header, *lines, ""]))
        return name

    def ingest(self, rows: Rows, header: str = "timestamp,asset_id,value") -> None:
        """Land readings of the tenant acme."""
        self.run("ingest", self.csv(rows, header), "--tenant", "acme")


def hourly(
    asset: str = "a",
    hours: int = 96,
    until: datetime = NOW,
    value: Callable[[int], float] = lambda n: n % 7,
) -> list[tuple[datetime, str, float]]:
    """Readings of every hour up to a time; `value` is given how many hours before that."""
    return [(until - n * HOUR, asset, value(n)) for n in range(hours)]


def database() -> str:
    """The name of the database that the settings name."""
    return urlsplit(os.environ["AI_HUB_DATABASE_URL"]).path[1:]


def until(holds: Callable[[], bool]) -> None:
    """Wait until something is so."""
    for _ in range(1_200):
        if holds():
            return
        time.sleep(0.1)
    pytest.fail("it did not come")


@pytest.fixture
def practice(monkeypatch: pytest.MonkeyPatch, workplace: Path) -> Practice:
    """On no database yet."""
    return Practice(monkeypatch, workplace)


def _on(kind: Kind, practice: Practice) -> Iterator[Server]:
    server = servers.server(kind)
    made = server.fresh()
    practice.set(database_url=made)
    yield server
    server.discard(made)


@pytest.fixture
def timescaledb(practice: Practice) -> Iterator[Server]:
    """The settings name a migrated database with TimescaleDB."""
    yield from _on("timescaledb", practice)


@pytest.fixture(
    params=[
        pytest.param("plain", marks=pytest.mark.postgresql),
        pytest.param("timescaledb", marks=pytest.mark.timescaledb),
    ]
)
def postgres(request: pytest.FixtureRequest, practice: Practice) -> Iterator[Server]:
    """The settings name a migrated database, without and with TimescaleDB."""
    yield from _on(request.param, practice)


@pytest.fixture(
    params=[
        "embedded",
        pytest.param("plain", marks=pytest.mark.postgresql),
        pytest.param("timescaledb", marks=pytest.mark.timescaledb),
    ]
)
def any_store(request: pytest.FixtureRequest, practice: Practice) -> Iterator[None]:
    """The settings name a database of each kind."""
    if request.param == "embedded":
        yield
    else:
        for _ in _on(request.param, practice):
            yield


@pytest.fixture
def redis(practice: Practice) -> Iterator[redis_server.RedisServer]:
    """The settings name a Redis of the test's own."""
    redis_server.require()
    server = redis_server.RedisServer()
    practice.set(cache_url=server.url())
    yield server
    server.stop()
