"""The command that explains features: as text, as JSON, and through a server that has the file."""

from __future__ import annotations

import json

from cli.conftest import Run, answer, refused

AT = "2025-10-09T14:30:00Z"
MINE = ("explain", "--tenant", "acme", "--asset", "meter-001")
ASKED = (*MINE, "--set", "forecast_basic", "--at", AT)


def test_each_feature_has_a_part(run: Run) -> None:
    answer(run("ingest", "load.csv", "--tenant", "acme", "--json"))
    shown = run(*ASKED)
    assert shown.exit_code == 0
    text = " ".join(shown.stdout.split())
    assert "acme / meter-001 forecast_basic@1 as of 2025-10-09T14:30:00Z" in text
    assert "lag_1h = 11.5 is Lag(by=1h, tolerance=1h, series=value)" in text
    assert "rows 1 row of value at 2025-10-09T13:00:00Z: 11.5" in text
    assert "lag_24h = 11.5 (missing, filled)" in text
    assert "why There is no reading of value in (2025-10-08T13:30:00Z" in text
    assert "`ai-hub ingest FILE --tenant acme`" in text


def test_json_is_what_the_route_answers(run: Run) -> None:
    answer(run("ingest", "load.csv", "--tenant", "acme", "--json"))
    found = answer(run(*ASKED, "--feature", "lag_24h", "--missing", "keep", "--json"))
    (feature,) = found["features"]
    assert (feature["name"], feature["value"], feature["cause"]) == ("lag_24h", None, "not_yet")
    assert feature["filled"] == {"policy": "keep"}
    assert (found["timestamp"], found["policy"]) == (AT, "keep")
    json.dumps(found, allow_nan=False)


def test_what_is_wrong_is_refused_in_a_sentence(run: Run) -> None:
    answer(run("ingest", "load.csv", "--tenant", "acme", "--json"))
    refused(run(*ASKED, "--feature", "lag_2"), "feature_names", "'lag_2'", "lag_1h")
    refused(run(*MINE, "--set", "no"), "feature_set", "'no'")
    refused(run(*MINE, "--at", "today"), "--at", "'today'")


def test_the_exit_code_says_that_nothing_was_there(run: Run) -> None:
    assert run(*ASKED).exit_code == 3
    answer(run("ingest", "load.csv", "--tenant", "acme", "--json"))
    assert run(*ASKED).exit_code == 0
    unknown = run("explain", "--tenant", "acme", "--asset", "METER-001", "--at", AT, "--json")
    assert unknown.exit_code == 3
    assert "There is no asset METER-001 of acme." in unknown.stderr
    assert json.loads(unknown.stdout)["features"]


def test_it_goes_through_the_server_that_has_the_file(run: Run, server: str) -> None:
    answer(run("ingest", "load.csv", "--tenant", "acme", "--json"))
    found = answer(run(*ASKED, "--json"))
    assert found["missing"] == ["lag_24h"]
    assert [one["name"] for one in found["features"]][3:5] == ["lag_1h", "lag_24h"]
    assert "rows 1 row of value" in " ".join(run(*ASKED, "--url", server).stdout.split())
    refused(run(*ASKED, "--feature", "lag_2"), "feature_names", "'lag_2'")
