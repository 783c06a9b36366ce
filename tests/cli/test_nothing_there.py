"""Where nothing is there, every command says so, ends with its exit code, and makes nothing."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import typer.main

import servers
from ai_hub.cli.app import app
from ai_hub.cli.failure import FAILED, NOTHING
from cli.conftest import Run, answer, refused

NO_DATABASE = "There is no database at "
CREATED = "Created "
DAY = ("--start", "2025-10-09T00:00:00Z", "--end", "2025-10-10T00:00:00Z")
OF_BOTH = ("--tenant", "nobody", "--asset", "none")
OF_A_SET = ("--tenant", "nobody", "--set", "forecast_basic")


@dataclass(frozen=True)
class Case:
    """How a command is called, and how it ends: `without` a database, and in an `empty` one.

    `without` a database it says so, but for what makes one (`makes`) or needs none (`free`).
    """

    arguments: tuple[str, ...] = ()
    without: int = NOTHING
    empty: int = NOTHING
    makes: bool = False
    free: bool = False
    on_server: bool = True
    """Whether it asks PostgreSQL, so that it needs our tables there."""


CASES: dict[str, Case] = {
    "migrate": Case(without=0, empty=0, makes=True, on_server=False),
    "adopt": Case(("old",), empty=2),
    "grant-tenant": Case(("role", "acme"), empty=2),
    "maintain": Case(empty=0),
    "status": Case(empty=0),
    "top": Case(("--once",), empty=FAILED, on_server=False),
    "retention": Case(empty=0),
    "retention show": Case(empty=0),
    "retention set": Case(("ai_features", "1d"), empty=0),
    "sql": Case(("SELECT * FROM ai_features",)),
    # It says so in a line of its own.
    "doctor": Case(without=FAILED, empty=0, free=True, on_server=False),
    "ingest": Case(("load.csv", "--tenant", "acme"), without=0, empty=0, makes=True),
    "ingest-weather": Case(
        ("load.csv", "--tenant", "acme", "--column", "temperature=value"),
        without=0, empty=0, makes=True,
    ),
    "ingest-attributes": Case(
        ("attributes.csv", "--tenant", "acme"), without=0, empty=0, makes=True
    ),
    "weather-source": Case((*OF_BOTH, "--source", "JFK"), empty=0),
    "assets": Case(("--tenant", "nobody")),
    "assets set": Case(("none", "area=1", "--tenant", "nobody"), empty=0),
    "audit": Case(),
    "archive": Case(("--before", "2024-01-01T00:00:00Z", "--to", "history")),
    "archives": Case(),
    "unarchive": Case(),
    "delete": Case(("--tenant", "nobody", "--yes")),
    "get": Case(OF_BOTH),
    "explain": Case(OF_BOTH),
    "plot": Case(OF_BOTH),
    "export": Case(("--tenant", "nobody", "--set", "forecast_basic", *DAY)),
    "exports": Case(),
    "exports verify": Case(),
    "exports watch": Case(("none",), empty=2),
    "exports cancel": Case(("none",), empty=2),
    "exports resume": Case(("none",), empty=2),
    "plan": Case(("sets.json",), without=0, empty=0),
    "apply": Case(("sets.json",), without=0, empty=0, makes=True),
    "sets": Case(without=0, empty=0),
    "sets show": Case(("forecast_basic",), without=0, empty=0),
    "sets diff": Case(("forecast_basic", "forecast_advanced"), without=0, empty=0),
    "sets default": Case(("forecast_basic@1",), empty=0),
    "sets retire": Case(("own@1",), empty=2),
    "sets schema": Case(without=0, empty=0, free=True),
    "models": Case(),
    "models bind": Case(("model@1", "forecast_basic@1"), empty=0),
    "models unbind": Case(("model@1",), empty=2),
    "rollout": Case(),
    "rollout set": Case(),
    "rollout split": Case(("forecast_basic", "--tenant", "nobody"), empty=2),
    "drift": Case(OF_A_SET, empty=2),
    "drift baseline": Case(OF_A_SET, empty=2),
    "profile": Case(("none",), empty=2),
    "importance": Case(
        ("--model", "m", "--set", "forecast_basic", "--data", "d"), without=FAILED, empty=FAILED
    ),
    "keys": Case(),
    "keys create": Case(
        ("k", "--tenant", "t", "--scope", "read"), without=0, empty=0, makes=True
    ),
    "keys list": Case(),
    "keys revoke": Case(("none",), empty=2),
    # They ask a server, and there is none.
    "warm": Case(("--tenant", "nobody"), empty=FAILED, on_server=False),
    "invalidate": Case(OF_BOTH, empty=FAILED, on_server=False),
    "config": Case(without=0, empty=0, free=True),
}  # fmt: skip
# They go on until they are stopped: test_server.py and tests/demo have them.
BESIDE = {"serve", "demo"}
LISTS = [name for name, one in CASES.items() if one.empty == NOTHING]


@pytest.fixture(autouse=True)
def files(workplace: Path) -> None:
    (workplace / "attributes.csv").write_text("asset_id,capacity\nmeter-001,5\n")
    own = {"name": "own", "version": 1, "features": ["lag_24h"]}
    (workplace / "sets.json").write_text(json.dumps({"feature_sets": [own]}))


def names() -> Iterator[str]:
    """Every command and every command of a group, as one writes them."""
    for name, command in typer.main.get_command(app).commands.items():
        alone = not hasattr(command, "commands")
        if alone or command.invoke_without_command or name == "rollout":
            yield name
        yield from (() if alone else (f"{name} {one}" for one in command.commands))


def test_no_command_is_left_out_here() -> None:
    assert {*names()} == {*CASES, *BESIDE}


@pytest.mark.parametrize("name", CASES)
def test_without_a_database(name: str, run: Run, workplace: Path) -> None:
    case = CASES[name]
    result = run(*name.split(), *case.arguments)
    assert result.exit_code == case.without, result.output
    path = workplace / "features.duckdb"
    assert path.exists() == case.makes
    assert [one for one in workplace.rglob("*.duckdb*") if one != path] == []
    assert (f"{CREATED}{path}" in result.stderr) == case.makes
    assert (f"{NO_DATABASE}{path}" in result.stderr) == (not case.makes and not case.free)


@pytest.mark.parametrize("name", CASES)
def test_in_an_empty_database(name: str, run: Run) -> None:
    assert run("migrate").exit_code == 0
    case = CASES[name]
    result = run(*name.split(), *case.arguments)
    assert result.exit_code == case.empty, result.output
    assert CREATED not in result.output
    assert NO_DATABASE not in result.output
    if case.empty == NOTHING and name != "exports verify":
        (told,) = result.stderr.splitlines()
        assert told.endswith(".")


@pytest.mark.parametrize("name", LISTS)
def test_a_program_gets_its_document_all_the_same(name: str, run: Run) -> None:
    assert run("migrate").exit_code == 0
    result = run(*name.split(), *CASES[name].arguments, "--json")
    assert result.exit_code == NOTHING, result.output
    assert json.loads(result.stdout)


@pytest.mark.postgresql
@pytest.mark.parametrize("name", [name for name, one in CASES.items() if not one.free])
def test_in_a_database_of_a_server_without_our_tables(
    name: str, run: Run, empty: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AI_HUB_DATABASE_URL", empty)
    case = CASES[name]
    if case.on_server:
        arguments = [*name.split(), *case.arguments]
        refused(run(*arguments), "run ai-hub migrate", code=NOTHING)
    else:
        assert run(*name.split(), *case.arguments, "--help").exit_code == 0


@pytest.fixture(scope="module")
def empty() -> Iterator[str]:
    """The URL of an empty database on PostgreSQL."""
    server = servers.server("plain")
    url = server.create("cli_nothing")
    yield url
    server.discard(url)


def test_a_made_database_is_said_once(run: Run, workplace: Path) -> None:
    assert "without --dry-run" in run("migrate", "--dry-run").stderr
    assert not (workplace / "features.duckdb").exists()
    made = answer(run("migrate", "--json"))
    assert made == {
        "database": str(workplace / "features.duckdb"), "mode": "embedded", "dry_run": False
    }  # fmt: skip
    refused(run("migrate"), "nothing to migrate", code=0)
    assert CREATED not in run("ingest", "load.csv", "--tenant", "acme").output


def test_a_plan_without_a_database_compares_with_what_is_built_in(run: Run) -> None:
    found = answer(run("plan", "sets.json", "--json"))
    assert [one["action"] for one in found["changes"]] == ["create"]


def test_a_file_without_rows_is_nothing(run: Run, workplace: Path) -> None:
    (workplace / "none.csv").write_text("timestamp,asset_id,value\n")
    result = run("ingest", "none.csv", "--tenant", "acme")
    assert result.exit_code == NOTHING, result.output


def test_of_several_assets_those_are_named_that_are_not_there(run: Run) -> None:
    assert run("ingest", "load.csv", "--tenant", "acme").exit_code == 0
    at = ("--at", "2025-10-09T14:30:00Z")
    both = ("get", "--tenant", "acme", "--asset", "meter-001", "--asset", "meter-1", *at)
    for of in (("--set", "forecast_basic"), ("--feature", "lag_1h"), ()):
        result = run(*both, *of)
        assert result.exit_code == 0, result.output
        assert result.stderr == "acme has no readings or attributes of meter-1.\n"
        alone = run("get", "--tenant", "acme", "--asset", "meter-1", *at, *of)
        assert alone.exit_code == NOTHING, alone.output
        there = run("get", "--tenant", "acme", "--asset", "meter-001", *at, *of)
        assert (there.exit_code, there.stderr) == (0, "")
    # What is known of the time alone says nothing of an asset.
    assert run("get", "--tenant", "acme", "--asset", "meter-1", "--feature", "month").exit_code == 0


@pytest.mark.postgresql
@pytest.mark.parametrize("assets", [["a"], ["a", "b"]])
def test_degraded_answers_say_so_and_are_no_success(
    assets: list[str], run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = servers.server("plain")
    name = server.fresh().rpartition("/")[2]
    role = f"reads_{name}"
    server.role(role)
    server.sql(f'GRANT SELECT ON ALL TABLES IN SCHEMA public TO "{role}"', name)
    server.sql(f'REVOKE SELECT ON ai_features FROM "{role}"', name)
    monkeypatch.setenv("AI_HUB_DATABASE_URL", server.url(name, role))
    asked = [word for one in assets for word in ("--asset", one)]
    result = run("get", "--tenant", "acme", *asked, "--set", "forecast_basic")
    assert result.exit_code == FAILED, result.output
    assert result.stdout.count("Degraded: the store did not answer") == 1
