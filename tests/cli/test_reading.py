"""The options of the commands that read files: dry runs, rejects, exit codes."""

from __future__ import annotations

import csv
import json
import shlex
from pathlib import Path

import pytest

from cli.conftest import Run

GERMAN = "Lastgang\n\nZeit;Zähler;Wert\n26.10.2025 01:30;m1;1.234,5\n26.10.2025 03:00;m1;2,25\n"
SAID = ("--tenant", "acme", "--timestamp-column", "Zeit", "--asset-column", "Zähler",
        "--value-column", "Wert", "--timezone", "Europe/Berlin")  # fmt: skip


def test_a_dry_run_names_the_command_that_leaves_nothing_open(run: Run, workplace: Path) -> None:
    (workplace / "load.csv").write_text(GERMAN, "cp1252")
    found = run("ingest", "load.csv", *SAID, "--dry-run")
    assert found.exit_code == 0, found.output
    assert "2 rows would be accepted" in found.stdout
    assert "2025-10-25T23:30:00Z" in found.stdout
    assert not (workplace / "features.duckdb").exists()
    (line,) = (line for line in found.stdout.splitlines() if line.startswith("All of it said: "))
    words = shlex.split(line.removeprefix("All of it said: "))
    assert words[:2] == ["ai-hub", "ingest"]
    assert {"--delimiter", "--decimal", "--encoding", "--time-format", "--skip-lines"} < {*words}
    again = json.loads(run(*words[1:], "--dry-run", "--json").stdout)
    assert (again["accepted"], again["detected"]) == (2, [])
    assert json.loads(run(*words[1:], "--json").stdout)["accepted"] == 2


def test_every_rejected_row_is_written_with_its_reason(run: Run, workplace: Path) -> None:
    lines = ["timestamp,asset_id,value"]
    lines += [f"2025-10-09T12:{minute:02}:00Z,a,{'?' if minute % 2 else minute}"
              for minute in range(60)]  # fmt: skip
    (workplace / "load.csv").write_text("\n".join(lines) + '\n2025-10-09T13:00:00Z,"a,1\n')
    found = run("ingest", "load.csv", "--tenant", "acme", "--rejects", "bad.csv", "--json")
    assert found.exit_code == 2  # 31 of 61
    counts = json.loads(found.stdout)
    assert (counts["accepted"], counts["rejected"], len(counts["reasons"])) == (30, 31, 20)
    with (workplace / "bad.csv").open(newline="") as stream:
        rejected = list(csv.DictReader(stream))
    assert [int(one["rejected_row"]) for one in rejected] == [*range(1, 60, 2), 60]
    assert rejected[0] == {
        "rejected_row": "1", "rejected_field": "value", "rejected_value": "?",
        "why": "expected a finite number; this stands for null",
        "timestamp": "2025-10-09T12:01:00Z", "asset_id": "a", "value": "?",
    }  # fmt: skip
    assert '2025-10-09T13:00:00Z,"a,1' in rejected[-1].values()


def test_rejected_rows_are_put_right_and_ingested_as_they_are(run: Run, workplace: Path) -> None:
    (workplace / "load.csv").write_text(GERMAN.replace("2,25", "2,25 kWh"), "cp1252")
    found = run("ingest", "load.csv", *SAID, "--interval-start", "15m", "--rejects", "bad.csv")
    assert found.exit_code == 0, found.output
    text = (workplace / "bad.csv").read_text()
    (workplace / "bad.csv").write_text(text.replace('"2,25 kWh"', "2.25"))
    found = run("ingest", "bad.csv", "--tenant", "acme", "--dry-run", "--json")
    (row,) = json.loads(found.stdout)["rows"]
    assert (row["timestamp"], row["asset_id"], row["value"]) == ("2025-10-26T02:15:00Z", "m1", 2.25)


@pytest.mark.parametrize(
    ("good", "bad", "options", "code"),
    [
        (2, 2, (), 0),
        (2, 3, (), 2),
        (0, 3, (), 2),
        (2, 3, ("--allow-rejects",), 0),
        (0, 3, ("--allow-rejects",), 0),
        (2, 3, ("--dry-run",), 2),
    ],
)
def test_more_than_half_rejected_is_bad_input(
    run: Run, workplace: Path, good: int, bad: int, options: tuple[str, ...], code: int
) -> None:
    cells = ["1"] * good + ["x"] * bad
    rows = [f"2025-10-09T12:{at:02}:00Z,a,{cell}" for at, cell in enumerate(cells)]
    (workplace / "load.csv").write_text("\n".join(["timestamp,asset_id,value", *rows]))
    assert run("ingest", "load.csv", "--tenant", "acme", *options).exit_code == code


def test_readings_that_cannot_be_are_rejected_by_series(
    run: Run, workplace: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = "timestamp,asset_id,value,feature_type\n"
    for series, value in (("load", -1), ("load", 5), ("flow", -1), ("flow", 501)):
        text += f"2025-10-09T12:00:00Z,{value},{value},{series}\n"
    (workplace / "load.csv").write_text(text)
    monkeypatch.setenv("AI_HUB_VALID_RANGES", "load=0:500, flow=:500")
    found = run("ingest", "load.csv", "--tenant", "acme", "--json")
    reasons = json.loads(found.stdout)["reasons"]
    assert [(one["row"], one["value"]) for one in reasons] == [(0, "-1"), (3, "501")]
    assert "0:500" in reasons[0]["why"]
    said = run("ingest", "load.csv", "--tenant", "acme", "--valid-range", "-1:501", "--json")
    assert json.loads(said.stdout)["rejected"] == 0


def test_a_column_named_quality_can_be_something_else(run: Run, workplace: Path) -> None:
    text = "timestamp,asset_id,value,quality\n2025-10-09T12:00:00Z,a,1,0\n"
    (workplace / "load.csv").write_text(text)
    shown = [
        json.loads(run("ingest", "load.csv", "--tenant", "acme", "--dry-run", "--json", *more)
                   .stdout)["rows"][0]["quality"]
        for more in ((), ("--quality-column", "none"))
    ]  # fmt: skip
    assert shown == [0, 1]


def test_standard_input_is_a_file(run: Run, workplace: Path) -> None:
    import subprocess
    import sys

    command = [sys.executable, "-c", "from ai_hub.cli import main; main()", "ingest", "-"]
    text = "timestamp,asset_id,value\n2025-10-09T12:00:00Z,a,1\n"
    done = subprocess.run([*command, "--tenant", "acme", "--json"], input=text,
                          capture_output=True, text=True, check=True)  # fmt: skip
    assert json.loads(done.stdout)["accepted"] == 1


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--timezone", "Mars"), "--timezone"),
        (("--interval-start", "P1D"), "--interval-start"),
        (("--asset-id", "x"), "--asset-id"),
        (("--value-column", "kwh"), "--value-column"),
        (("--skip-lines", "9"), "timestamp"),
        (("--rejects", "no/such/folder.csv"), "--rejects"),
    ],
)
def test_an_error_names_the_option(
    run: Run, workplace: Path, words: tuple[str, str], said: str
) -> None:
    found = run("ingest", "load.csv", "--tenant", "acme", *words)
    assert found.exit_code == 2
    assert said in found.stderr


@pytest.fixture
def guarded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AI_HUB_VALID_RANGES", "guarded=0:")


def test_a_server_refuses_what_its_own_settings_do(
    guarded: None, server: str, run: Run, workplace: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("AI_HUB_VALID_RANGES")
    text = "timestamp,asset_id,value,feature_type\n"
    text += "2025-10-09T12:00:00Z,a,-1,guarded\n2025-10-09T13:00:00Z,a,1,guarded\n"
    (workplace / "load.csv").write_text(text)
    found = json.loads(run("ingest", "load.csv", "--tenant", "acme", "--json").stdout)
    assert (found["accepted"], found["rejected"]) == (1, 1)
    assert (found["reasons"][0]["row"], found["reasons"][0]["value"]) == (None, -1)
