"""`drift` and `drift baseline`, on the database file and through the server that holds it."""

from __future__ import annotations

import json
import math
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest

from cli.conftest import Run, answer, refused

START = datetime(2025, 7, 7, tzinfo=UTC)
WEEKS = 10
OF = ("--tenant", "acme", "--set", "forecast_basic")
LEARNED = ("--from", "2025-07-07T00:00:00Z", "--to", "2025-09-08T00:00:00Z")
USUAL = ("--to", "2025-09-15T00:00:00Z")


def written(path: Path, weeks: tuple[int, int], factor: float) -> None:
    """Hourly readings of some weeks, of a daily shape with noise."""
    drawn = np.random.default_rng(weeks[0])
    lines = ["timestamp,asset_id,value"]
    for n in range(weeks[0] * 168, weeks[1] * 168):
        at = START + timedelta(hours=n)
        value = factor * (20 + 8 * math.sin(at.hour / 12 * math.pi) + drawn.normal())
        lines.append(f"{at:%Y-%m-%dT%H:%M:%SZ},m,{value:.4f}")
    path.write_text("\n".join(lines))


@pytest.fixture(autouse=True)
def data(run: Run, workplace: Path) -> None:
    written(workplace / "usual.csv", (0, WEEKS), 1.0)
    written(workplace / "wrong.csv", (WEEKS, WEEKS + 1), 1_000.0)
    for name in ("usual.csv", "wrong.csv"):
        assert run("ingest", name, "--tenant", "acme").exit_code == 0


@pytest.mark.parametrize("way", ["local", "server"])
def test_a_week_is_compared_with_a_baseline(
    run: Run, workplace: Path, way: str, request: pytest.FixtureRequest
) -> None:
    if way == "server":
        request.getfixturevalue("server")
    made = answer(run("drift", "baseline", *OF, *LEARNED, "--json"))
    assert (made["rows"], made["of_export"], made["version"]) == (9 * 168, False, 1)
    found = answer(run("drift", *OF, *USUAL, "--json"))
    assert (found["alarm"], found["source"], found["rows"]) == (False, "history", 168)
    assert found["baseline"]["baseline_id"] == made["baseline_id"]
    # The one tenant with data need not be named.
    told = run("drift", *OF[2:], *USUAL, "--days", "7")
    assert told.exit_code == 0, told.output
    assert "Nothing drifts." in told.stdout
    result = run("drift", *OF, "--to", "2025-09-22T00:00:00Z", "--plot", "now.png", "--json")
    assert result.exit_code == 4, result.output
    changed = json.loads(result.stdout)
    assert changed["alarm"]
    first = changed["features"][0]
    assert first["alarm"]
    assert first["effects"]["wasserstein"]["alarm"]
    assert max(first["quantiles"]["now"]) > 100 * max(first["quantiles"]["baseline"])
    assert (workplace / "now.png").read_bytes().startswith(b"\x89PNG")
    told = run("drift", *OF, "--to", "2025-09-22T00:00:00Z", "--baseline", made["baseline_id"])
    assert told.exit_code == 4
    assert "drifts" in told.stdout
    assert first["sentence"] in told.stdout.replace("\n", " ")
    assert run("ingest", "usual.csv", "--tenant", "bravo").exit_code == 0
    refused(run("drift", *OF[2:], *USUAL), "tenant_id", "one of acme, bravo", "--tenant")


def test_what_was_served_is_compared_where_there_is_any(run: Run) -> None:
    assert run("drift", "baseline", *OF, *LEARNED).exit_code == 0
    for hour in range(3):
        at = f"2025-09-12T{hour:02}:30:00Z"
        asked = ("--asset", "m", "--set", "forecast_basic", "--at", at)
        assert run("get", "--tenant", "acme", *asked).exit_code == 0
    found = json.loads(run("drift", *OF, *USUAL, "--json").stdout)
    assert (found["source"], found["rows"]) == ("served", 3)
    found = answer(run("drift", *OF, *USUAL, "--source", "history", "--json"))
    assert found["source"] == "history"
    refused(run("drift", *OF, "--source", "served"), "start_time", "none of forecast_basic@1")


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ((), ("--set", "--model")),
        (("--tenant", "acme"), ("--set", "--model")),
        ((*OF, "--days", "3", "--from", "2025-09-08T00:00:00Z"), ("--days", "--from")),
        ((*OF, "--plot", "now.pdf"), ("output", ".png")),
        ((*OF, *LEARNED), ("start_time", "seven days")),
        ((*OF, *USUAL, "--source", "other"), ("source", "served or history")),
        ((*OF, *USUAL), ("baseline_id", "has none", "ai-hub drift baseline")),
    ],
)
def test_what_is_wrong_is_said(run: Run, options: tuple[str, ...], words: tuple[str, ...]) -> None:
    refused(run("drift", *options), *words)
