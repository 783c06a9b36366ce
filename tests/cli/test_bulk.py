"""`ingest --bulk` says from where it goes on, and what it cannot be asked for."""

from __future__ import annotations

from pathlib import Path

import pytest

from ai_hub.config import Settings
from ai_hub.intake.bookmark import Bookmark, Place
from ai_hub.intake.result import IngestResult
from cli.conftest import Run, answer, refused
from servers import Kind, server


def test_a_file_in_bulk_lands_and_leaves_no_bookmark(run: Run, workplace: Path) -> None:
    before = sorted(workplace.iterdir())
    counts = answer(run("ingest", "load.csv", "--tenant", "acme", "--bulk", "--json"))
    assert (counts["accepted"], counts["rejected"]) == (4, 0)
    assert sorted(workplace.iterdir()) == sorted([*before, workplace / "features.duckdb"])
    again = run("ingest", "load.csv", "--tenant", "acme", "--bulk")
    assert "4 rows accepted (0 replaced older values)" in again.stdout


def test_it_says_from_where_it_goes_on(run: Run, workplace: Path) -> None:
    into = Settings.load().database_name
    mark = Bookmark.of(workplace / "load.csv", None, into, "acme", {})
    mark.keep(Place(3, IngestResult(accepted=2, rejected=1)))
    result = run("ingest", "load.csv", "--tenant", "acme", "--bulk", "--json")
    assert "Going on behind the first 3 rows of load.csv" in result.stderr
    counts = answer(result)
    assert (counts["accepted"], counts["rejected"]) == (3, 1)
    assert not mark.path.exists()
    found = answer(run("assets", "--tenant", "acme", "--json"))["assets"]
    assert len(found) == 1


def test_a_bookmark_of_other_options_is_named(run: Run, workplace: Path) -> None:
    mark = workplace / "mark"
    Bookmark.of(workplace / "load.csv", mark, "elsewhere", "acme", {}).keep(
        Place(3, IngestResult())
    )
    words = ("ingest", "load.csv", "--tenant", "acme", "--bulk", "--bookmark", "mark")
    refused(run(*words), "Remove mark to begin at the first row")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("load.csv", "--bookmark", "mark"), "--bookmark"),
        (("load.csv", "--bulk", "--rejects", "bad.csv"), "--rejects"),
        (("-", "--bulk"), "can be read again"),
    ],
)
def test_what_cannot_be_asked_for_is_refused(run: Run, words: tuple[str, ...], said: str) -> None:
    refused(run("ingest", *words, "--tenant", "acme"), said)


def test_a_dry_run_is_the_same_with_it(run: Run, workplace: Path) -> None:
    shown = run("ingest", "load.csv", "--tenant", "acme", "--bulk", "--dry-run").stdout
    assert shown == run("ingest", "load.csv", "--tenant", "acme", "--dry-run").stdout
    assert not (workplace / "features.duckdb").exists()


@pytest.mark.parametrize(
    "kind",
    [
        pytest.param("plain", marks=pytest.mark.postgresql),
        pytest.param("timescaledb", marks=pytest.mark.timescaledb),
    ],
)
def test_on_a_server_the_aggregates_are_computed_at_the_end(
    run: Run, workplace: Path, monkeypatch: pytest.MonkeyPatch, kind: Kind
) -> None:
    url = server(kind).fresh()
    monkeypatch.setenv("AI_HUB_DATABASE_URL", url)
    counts = answer(run("ingest", "load.csv", "--tenant", "acme", "--bulk", "--json"))
    assert counts["accepted"] == 4
    hours = "SELECT count(*), sum(hourly_count) FROM hourly_features WHERE bucket < ({})"
    until = "SELECT done FROM ai_hub_hourly" if kind == "timescaledb" else "now()"
    found = server(kind).sql(hours.format(until), url.rpartition("/")[2])
    assert tuple(found[0])[1] == 4
    server(kind).discard(url)
