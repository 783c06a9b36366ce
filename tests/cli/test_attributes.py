"""Attributes of assets on the command line."""

from __future__ import annotations

import csv
from pathlib import Path

from cli.conftest import Run, answer, refused

FILE = """asset_id,capacity,timezone
a,120,Europe/Berlin
b,60,
c,5,Berlin
"""


def ingest(run: Run, *options: object) -> dict[str, int]:
    found = answer(run("ingest-attributes", "meters.csv", "--tenant", "acme", "--json", *options))
    return {name: found[name] for name in ("accepted", "replaced", "unchanged", "rejected")}


def test_a_file_lands_and_its_rejects_can_be_sent_again(run: Run, workplace: Path) -> None:
    (workplace / "meters.csv").write_text(FILE)
    preview = run("ingest-attributes", "meters.csv", "--tenant", "acme", "--dry-run")
    assert "ai-hub ingest-attributes meters.csv --tenant acme" in preview.stdout
    assert ingest(run, "--rejects", "rejects.csv") == {
        "accepted": 4, "replaced": 0, "unchanged": 0, "rejected": 1
    }  # fmt: skip
    assert ingest(run)["unchanged"] == 4
    with (workplace / "rejects.csv").open() as file:
        (row,) = csv.DictReader(file)
    assert (row["asset_id"], row["key"], row["value"]) == ("c", "timezone", "Berlin")
    (workplace / "meters.csv").write_text(
        (workplace / "rejects.csv").read_text().replace("Berlin", "Europe/Berlin")
    )
    assert ingest(run) == {"accepted": 1, "replaced": 0, "unchanged": 0, "rejected": 0}


def test_a_server_that_holds_the_file_does_the_same(server: str, run: Run, workplace: Path) -> None:
    (workplace / "meters.csv").write_text(FILE)
    assert ingest(run) == {"accepted": 4, "replaced": 0, "unchanged": 0, "rejected": 1}
    assert ingest(run, "--url", server)["unchanged"] == 4


def test_a_file_without_assets_is_refused(run: Run, workplace: Path) -> None:
    (workplace / "meters.csv").write_text("id,capacity\na,1\n")
    result = run("ingest-attributes", "meters.csv", "--tenant", "acme")
    refused(result, 'a column named "asset_id"', "--asset-column")
