"""Lines about an archive, as it is, as it is away, and as somebody changed it."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

from doctor.conftest import NOW, Practice, hourly

OLD = (NOW - timedelta(days=400)).replace(hour=0, minute=0, second=0)
SEAL = ("archive", "--before", f"{OLD:%Y-%m-%dT%H:%M:%SZ}", "--to", "history")


def test_an_archive_that_is_away(practice: Practice, any_store: None) -> None:
    practice.ingest(hourly(until=OLD - timedelta(hours=1)))
    (line,) = practice.look()["archive"]
    assert (line["state"], line["said"]) == ("ok", "nothing is archived")
    practice.run(*SEAL)
    (line,) = practice.look()["archive"]
    assert line["state"] == "ok"
    assert line["said"].startswith("96 rows up to ")
    assert line["said"].endswith("; the database has all of it too; it is verified")
    assert line["figure"] == 96
    history, aside = Path("history"), Path("aside")
    history.rename(aside)
    away = practice.wrong("archive", "warning", str(history.absolute()), "unarchive --lost REASON")
    assert away == "ai-hub archives"
    practice.mend(away)
    aside.rename(history)
    practice.fine("archive")
    (manifest,) = history.glob("manifests/*/*.json")
    manifest.write_text("{}")
    practice.wrong("archive", "warning", "is another one than was written")


def test_an_archive_that_was_not_verified(practice: Practice) -> None:
    practice.ingest(hourly(until=OLD - timedelta(hours=1)))
    practice.run(*SEAL)
    import duckdb

    with duckdb.connect("features.duckdb") as file:
        file.execute("UPDATE ai_hub_archive_layers SET state = 'written'")
    practice.mend(practice.wrong("archive", "warning", "1 layer is not verified"))
    practice.fine("archive")
