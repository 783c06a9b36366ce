"""The history of an asset, drawn."""

from __future__ import annotations

from pathlib import Path

import pytest

from ai_hub.cli.failure import NOTHING
from cli.conftest import Run, answer, refused

OF = ("--tenant", "acme", "--asset", "meter-001", "--features", "lag_24h,hour_of_day")
FROM = ("--from", "2025-10-08T00:00:00Z", "--to", "2025-10-12T00:00:00Z")


def readings(folder: Path) -> None:
    hours = [hour for hour in range(96) if not 40 < hour < 60]
    rows = [f"2025-10-{8 + n // 24:02d}T{n % 24:02d}:00:00Z,meter-001,{n % 24}" for n in hours]
    (folder / "some.csv").write_text("timestamp,asset_id,value\n" + "\n".join(rows) + "\n")


def test_what_is_drawn_is_said_and_tabled(run: Run, workplace: Path) -> None:
    readings(workplace)
    assert run("ingest", "some.csv", "--tenant", "acme").exit_code == 0
    shown = run("plot", *OF, *FROM).stdout.splitlines()
    assert shown[0] == "meter-001 of acme, forecast_basic@1"
    assert shown[1] == (
        "77 readings of value from 2025-10-08 00:00:00 to 2025-10-12 00:00:00, mostly every 1 h, "
        "with 1 gap."
    )
    assert shown[2].startswith("lag_24h is missing at ")
    assert shown[3].startswith("hour_of_day is missing at none of ")
    (gap,) = [line for line in shown if line.startswith("       gap ")]
    (lost,) = [line for line in shown if line.startswith("   missing ")]
    # Of four days the gap is near the middle, and what is a day later is missing at the begin too.
    assert 0.35 < (gap.index("░") - 11) / 89 < 0.5
    assert lost.index("▒") == 11
    assert [line for line in shown if line.lstrip().startswith("23┤")]
    assert sum(line.startswith("│ 2025-10-") for line in shown) == 24
    found = answer(run("plot", *OF, *FROM, "--json"))
    assert (found["count"], found["gap_count"]) == (77, 1)
    assert [one["name"] for one in found["features"]] == ["lag_24h", "hour_of_day"]
    assert "as a picture" in run("plot", *OF, "-o", "plot.png").stdout
    assert (workplace / "plot.png").read_bytes().startswith(b"\x89PNG")
    # Without more being said it is of the days before the last reading.
    alone = answer(run("plot", "--tenant", "acme", "--asset", "meter-001", "--json"))
    assert (alone["features"], alone["end_time"]) == ([], "2025-10-11T23:00:00Z")


def test_through_a_server_it_is_the_same(
    server: str, run: Run, workplace: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    readings(workplace)
    ingest = ("ingest", "some.csv", "--tenant", "acme")
    assert run(*ingest).exit_code == 0
    through = answer(run("plot", *OF, *FROM, "--json"))
    assert answer(run("plot", *OF, *FROM, "--json", "--url", server)) == through
    monkeypatch.setenv("AI_HUB_DATABASE_URL", "duckdb:///other.duckdb")
    assert run(*ingest).exit_code == 0
    assert answer(run("plot", *OF, *FROM, "--json")) == through


def test_what_cannot_be_drawn_is_refused(run: Run) -> None:
    assert run("ingest", "load.csv", "--tenant", "acme").exit_code == 0
    refused(run("plot", *OF[:4], "--features", "lag_25h"), "lag_25h")
    refused(run("plot", *OF[:4], "--set", "none"), "none")
    refused(run("plot", *OF, "--from", FROM[3], "--to", FROM[1]), "start_time")
    refused(run("plot", *OF, "-o", "plot.svg"), ".png")
    nobody = run("plot", "--tenant", "acme", "--asset", "meter-9")
    assert (nobody.exit_code, nobody.stderr) == (NOTHING, "acme has no readings of meter-9.\n")
