"""Help costs little and says enough."""

from __future__ import annotations

import subprocess
import sys

import pytest

from ai_hub.definitions.vocabulary import WEATHER_COLUMNS
from cli.conftest import Run

COMMANDS = (
    "demo",
    "serve",
    "migrate",
    "adopt",
    "grant-tenant",
    "maintain",
    "status",
    "top",
    "doctor",
    "retention",
    "sql",
    "ingest",
    "ingest-weather",
    "weather-source",
    "ingest-attributes",
    "assets",
    "get",
    "explain",
    "plot",
    "export",
    "exports",
    "plan",
    "apply",
    "sets",
    "models",
    "rollout",
    "profile",
    "importance",
    "drift",
    "keys",
    "audit",
    "delete",
    "archive",
    "archives",
    "unarchive",
    "warm",
    "invalidate",
    "config",
)
HEAVY = {"duckdb", "httpx", "litestar", "msgspec", "numpy", "pandas", "polars", "pyarrow",
         "uvicorn"}  # fmt: skip


@pytest.mark.parametrize("arguments", [["--help"], ["get", "--help"], ["--version"]])
def test_help_loads_nothing_heavy(arguments: list[str]) -> None:
    program = (
        "import sys\n"
        "from ai_hub.cli import main\n"
        "try:\n"
        "    main()\n"
        "finally:\n"
        "    print(*sys.modules, file=sys.stderr)\n"
    )
    run = subprocess.run(
        [sys.executable, "-c", program, *arguments], capture_output=True, text=True
    )
    assert run.returncode == 0, run.stderr
    assert HEAVY.isdisjoint(run.stderr.split())


def test_help_lists_every_command(run: Run) -> None:
    listed = run("--help").stdout.partition("Commands:")[2]
    assert [line.split()[0] for line in listed.splitlines() if line.startswith("  ")] == [
        *COMMANDS,
        "Start",
    ]


def test_help_names_every_measurement_of_weather(run: Run) -> None:
    told = run("ingest-weather", "--help").stdout
    assert [name for name in WEATHER_COLUMNS if name not in told] == []


def test_every_summary_fits_its_line(run: Run) -> None:
    assert "..." not in run("--help").stdout.partition("Commands:")[2]


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_an_example_and_json(command: str, run: Run) -> None:
    text = " ".join(run(command, "--help").stdout.split())
    assert f"ai-hub {command}" in text.partition("Example: ")[2]
    assert "--json" in text


def test_a_missing_option_is_bad_input(run: Run) -> None:
    result = run("get", "--asset", "meter-001")
    assert result.exit_code == 2
    assert "--tenant" in result.stderr
