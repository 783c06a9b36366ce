"""A PostgreSQL database that cannot be used: one sentence and an exit code, from every command."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from dataclasses import dataclass

import pytest

import servers
from ai_hub.cli.failure import NOTHING
from cli.conftest import Run, free_port, refused
from servers import Server

pytestmark = pytest.mark.postgresql
AT = ("--at", "2025-10-09T14:30:00Z")
RANGE = ("--start", "2025-10-09T00:00:00Z", "--end", "2025-10-10T00:00:00Z")
COMMANDS = (
    ("get", "--tenant", "t", "--asset", "a", *AT),
    ("ingest", "load.csv", "--tenant", "t"),
    ("export", "--tenant", "t", "--set", "forecast_basic", *RANGE),
    ("exports", "--tenant", "t"),
    ("serve",),
    ("status",),
    ("maintain",),
)


@dataclass(frozen=True)
class Fault:
    """A URL (of a migrated database, a password in it) and what is said of it."""

    url: str
    words: tuple[str, ...]
    code: int = 2


@pytest.fixture(autouse=True)
def logging_as_it_was() -> Iterator[None]:
    """A server that is started here sets it up for the process."""
    before = logging.root.handlers[:]
    yield
    logging.root.handlers[:] = before


@pytest.fixture(scope="module")
def server(installation: object) -> Server:
    return servers.server("plain")


@pytest.fixture(scope="module")
def faults(server: Server) -> Iterator[dict[str, Fault]]:
    made = server.fresh()
    name = made.rpartition("/")[2]
    newer = server.fresh()
    server.sql(
        "INSERT INTO ai_hub_migrations VALUES (999, '999_later', 'x', 'plain', '9.0')",
        newer.rpartition("/")[2],
    )
    empty = server.create("cli_faults_empty")
    server.role("cli_faults", "right")
    nobody = f"127.0.0.1:{free_port()}"
    yield {
        "wrong password": Fault(
            server.url(name, "cli_faults", "wrong-secret"), ("cli_faults", "password")
        ),
        "no such role": Fault(server.url(name, "cli_nobody"), ("cli_nobody", "CREATE ROLE")),
        "no such database": Fault(server.url("cli_nowhere"), ("cli_nowhere", "createdb")),
        "nobody listens": Fault(f"postgresql://x:secret@{nobody}/x", (nobody, "running"), 1),
        "not migrated": Fault(empty, ("ai-hub migrate",), NOTHING),
        "newer": Fault(newer, ("999_later", "newer", "Upgrade")),
    }
    server.discard(made)
    server.discard(newer)
    server.discard(empty)


@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: str(command[0]))
@pytest.mark.parametrize(
    "what",
    ["wrong password", "no such role", "no such database", "nobody listens", "not migrated",
     "newer"],
)  # fmt: skip
def test_what_is_wrong_is_one_sentence(
    what: str,
    command: tuple[str, ...],
    faults: dict[str, Fault],
    run: Run,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    fault = faults[what]
    monkeypatch.setenv("AI_HUB_DATABASE_URL", fault.url)
    result = run(*command)
    refused(result, *fault.words, code=fault.code)
    assert "secret" not in result.output


def test_one_who_may_only_read(server: Server, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    url = server.fresh()
    name = url.rpartition("/")[2]
    monkeypatch.setenv("AI_HUB_DATABASE_URL", url)
    assert run("ingest", "load.csv", "--tenant", "t").exit_code == 0
    server.role("cli_reads")
    server.sql("GRANT SELECT ON ALL TABLES IN SCHEMA public TO cli_reads", name)
    monkeypatch.setenv("AI_HUB_DATABASE_URL", server.url(name, "cli_reads"))
    got = run("get", "--tenant", "t", "--asset", "meter-001", "--feature", "lag_1h", *AT, "--json")
    assert got.exit_code == 0
    assert '"lag_1h": 11.5' in got.stdout
    refused(run("ingest", "load.csv", "--tenant", "t"), "GRANT", "cli_reads")
    refused(run("export", "--tenant", "t", "--set", "forecast_basic", *RANGE), "GRANT")
    assert run("exports", "--tenant", "t").exit_code == NOTHING
    server.discard(url)
