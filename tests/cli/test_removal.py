"""`delete` and `audit`: on the database itself and through its server."""

from __future__ import annotations

from pathlib import Path

from cli.conftest import Run, answer, refused
from cli.test_definitions import place as place

WINDOW = ("--from", "2025-10-09T13:00:00Z", "--to", "2025-10-09T14:00:00Z")


def test_data_are_counted_removed_and_told_of(place: None, run: Run, workplace: Path) -> None:
    assert run("ingest", "load.csv", "--tenant", "t").exit_code == 0
    told = run("delete", "--tenant", "t", "--asset", "meter-001", *WINDOW, "--dry-run")
    assert told.exit_code == 0
    assert "Would remove 1 row of timeseries_data, 1 row of ai_features.\n" in told.stdout
    assert "meter-001" in told.stdout
    # Nobody is there to say yes.
    refused(run("delete", "--tenant", "t"), "would remove 4 rows", "--yes: expected")
    done = answer(
        run("delete", "--tenant", "t", "--asset", "meter-001", *WINDOW, "--yes", "--json")
    )
    assert done["removed"]["timeseries_data"] == 1
    left = answer(run("delete", "--tenant", "t", "--dry-run", "--json"))
    assert left["removed"]["timeseries_data"] == 3
    (one,) = answer(run("audit", "--what", "delete", "--json"))["records"]
    assert (one["tenant_id"], one["details"]["asset_ids"]) == ("t", ["meter-001"])
    assert one["details"]["start_time"] == "2025-10-09T13:00:00Z"
    shown = run("audit", "--tenant", "t", "--limit", "1")
    assert "delete" in shown.stdout
    assert f"There are more: --before {one['id']}" in shown.stderr
    older = answer(run("audit", "--before", one["id"], "--json"))["records"]
    assert [one["what"] for one in older] == ["ingest"]
    assert run("delete", "--tenant", "t", "--yes").stdout == (
        "Removed 3 rows of timeseries_data, 3 rows of ai_features.\n"
    )
    for how in ("--yes", "--dry-run"):
        again = run("delete", "--tenant", "t", how)
        assert (again.exit_code, again.stdout) == (3, "")
        assert again.stderr == "There is nothing to remove.\n"


def test_what_cannot_be_meant_is_refused(place: None, run: Run) -> None:
    assert run("ingest", "load.csv", "--tenant", "t").exit_code == 0
    refused(run("delete", "--tenant", "t", "--series", "x", "--weather", "--yes"), "weather")
    refused(run("delete", "--tenant", "t", "--from", "today", "--yes"), "--from")
    refused(run("audit", "--what", "ingests"), "what", "Did you mean ingest?")
