"""Attributes of assets on the command line."""

from __future__ import annotations

import csv
from pathlib import Path

from ai_hub.cli.failure import NOTHING
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


LISTED = {
    "tenant_id": "acme",
    "assets": [
        {
            "asset_id": "meter-001",
            "series": [
                {
                    "name": "value",
                    "first": "2025-10-09T12:00:00Z",
                    "last": "2025-10-09T14:00:00Z",
                    "cadence_seconds": 3600.0,
                    "gaps": 0,
                    "flat_since": None,
                }
            ],
            "station": "s",
            "attributes": {"capacity": 120.0, "timezone": "Europe/Berlin"},
        }
    ],
    "next": "meter-001",
}


def fill(run: Run) -> None:
    answer(run("ingest", "load.csv", "--tenant", "acme", "--json"))
    given = ("assets", "set", "meter-001", "timezone=Europe/Berlin", "capacity=120")
    assert answer(run(*given, "--tenant", "acme", "--json"))["accepted"] == 2
    run("weather-source", "--tenant", "acme", "--source", "s", "--asset", "meter-001")


def test_assets_are_listed_page_by_page(run: Run) -> None:
    fill(run)
    listed = ("assets", "--tenant", "acme", "--limit", "1")
    assert answer(run(*listed, "--json")) == LISTED
    result = run(*listed)
    assert "capacity=120, timezone=Europe/Berlin" in result.stdout
    assert "1h" in result.stdout
    assert "There are more: --after meter-001" in result.stderr
    rest = answer(run(*listed, "--after", "meter-001", "--json"))
    assert [one["asset_id"] for one in rest["assets"]] == ["meter-002"]
    assert rest["next"] is None
    recent = run("assets", "--tenant", "acme", "--since", "2025-10-10T00:00:00Z", "--json")
    assert answer(recent, NOTHING)["assets"] == []


def test_a_server_lists_the_same(server: str, run: Run) -> None:
    fill(run)
    listed = ("assets", "--tenant", "acme", "--limit", "1", "--json")
    assert answer(run(*listed)) == LISTED
    assert answer(run(*listed, "--url", server, "--since", "2025-10-09T14:00:00Z")) == LISTED


def test_an_attribute_is_set_changed_and_ended(run: Run) -> None:
    assert run("migrate").exit_code == 0
    one = ("assets", "set", "m", "--tenant", "acme")
    assert "1 attribute changed" in run(*one, "capacity=1").stdout
    assert "0 attributes changed" in run(*one, "capacity=1").stdout
    later = ("--valid-from", "2025-01-01T00:00:00Z")
    assert "2 attributes changed" in run(*one, "capacity=", "area=2", *later).stdout
    (found,) = answer(run("assets", "--tenant", "acme", "--json"))["assets"]
    assert (found["attributes"], found["series"]) == ({"area": 2.0}, [])


def test_what_cannot_be_set_is_refused(run: Run, workplace: Path) -> None:
    one = ("assets", "set", "m", "--tenant", "acme")
    refused(run(*one, "capacity"), "KEY=VALUE", "capacity=120")
    refused(run(*one, "timezone=Berlin"), "value", "an IANA time zone")
    refused(run(*one, "1st=2"), "key", "a name of letters")
    refused(run(*one, "a=1", "--valid-from", "2025-01-01"), "--valid-from", "offset")
    refused(run("assets"), "--tenant")
    assert not (workplace / "features.duckdb").exists()
