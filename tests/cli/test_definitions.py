"""`plan`, `apply` and `sets`: on the database itself and through its server."""

from __future__ import annotations

import json
import os
from pathlib import Path

import jsonschema_rs
import pytest

from ai_hub.definitions.json_schema import json_schema
from cli.conftest import Run, answer, refused

FILE = """
feature_sets:
  - name: own
    version: {version}
    owner: grid-team
    features:
      - hour_of_day
      - {{kind: Lag, name: lag_2h, by: {by}}}
"""


def write(folder: Path, version: int = 1, by: str = "2h", name: str = "features.yaml") -> Path:
    (folder / name).write_text(FILE.format(version=version, by=by))
    return folder / name


@pytest.fixture(params=["direct", "server"])
def place(request: pytest.FixtureRequest, workplace: Path) -> None:
    """The database file itself, and held by a server."""
    if request.param == "server":
        request.getfixturevalue("server")


def test_a_file_is_planned_applied_and_changed(place: None, run: Run, workplace: Path) -> None:
    file = write(workplace)
    told = run("plan", file)
    assert told.exit_code == 0
    assert "+ own@1  new, the default of its name" in told.stdout
    assert "lag_2h reads 3h of value" in told.stdout
    planned = answer(run("plan", file, "--json"))
    assert [one["action"] for one in planned["changes"]] == ["create"]
    assert answer(run("apply", file, "--json"))["revision"] == planned["revision"] + 1
    assert "Nothing to apply." in run("apply", file).stdout
    assert "= own@1  no change" in run("plan", file).stdout

    # Another definition of it is refused, by both.
    write(workplace, by="3h")
    told = run("plan", file)
    assert told.exit_code == 2
    assert "! own@1  there with another definition" in told.stdout
    assert "~ lag_2h.by: 2h -> 3h" in told.stdout
    refused(run("apply", file), "own@1", "apply the new definition as own@2")

    write(workplace, version=2, by="3h")
    told = run("apply", file).stdout
    assert "Compared with own@1:\n    ~ lag_2h.by: 2h -> 3h" in told
    assert "1 change applied." in told
    assert run("sets", "diff", "own@1", "own@2").stdout == "~ lag_2h.by: 2h -> 3h\n"
    assert run("sets", "diff", "own@1", "own@1").stdout == "They are the same.\n"

    refused(run("sets", "retire", "own@1"), "not the default")
    assert run("sets", "default", "own@2").stdout == "own alone means own@2 now.\n"
    assert answer(run("sets", "show", "own", "--json"))["version"] == 2
    assert run("sets", "retire", "own@1").stdout == "own@1 is retired.\n"
    assert answer(run("sets", "show", "own@1", "--json"))["state"] == "retired"
    get = ("get", "--tenant", "t", "--asset", "a", "--set", "own@1")
    refused(run(*get), "retired", "own@2")


def test_sets_are_listed_and_shown(place: None, run: Run, workplace: Path) -> None:
    run("apply", write(workplace))
    listed = answer(run("sets", "--json"))["feature_sets"]
    assert [one["name"] for one in listed] == [
        "anomaly_detection", "forecast_advanced", "forecast_basic", "own",
    ]  # fmt: skip
    assert "active, default" in run("sets").stdout
    assert answer(run("sets", "show", "own@1", "--json")) == listed[3]
    shown = run("sets", "show", "forecast_basic").stdout
    assert "rolling_avg_24h" in shown
    assert "active, the default, fingerprint" in shown
    assert "by=2h, tolerance=1h" in run("sets", "show", "own").stdout
    refused(run("sets", "show", "forecast_basic@9"), "feature_set", "forecast_basic@9")


def test_looking_makes_no_database(run: Run, workplace: Path) -> None:
    file = write(workplace)
    for command in (("sets",), ("sets", "show", "forecast_basic"), ("plan", file)):
        assert run(*command).exit_code == 0
    assert sorted(os.listdir(workplace)) == ["features.yaml", "load.csv"]
    assert run("apply", file).exit_code == 0
    assert (workplace / "features.duckdb").exists()


def test_a_python_file_is_run_here_and_sent_as_a_document(
    server: str, run: Run, workplace: Path
) -> None:
    file = workplace / "features.py"
    file.write_text(
        "from ai_hub import FeatureSet, Lag\n"
        "print('not the answer')\n"
        "own = FeatureSet('of_python', version=1, features=['month', Lag('lag_2h', '2h')])\n"
    )
    answer(run("apply", file, "--url", server, "--json"))
    assert answer(run("sets", "show", "of_python", "--json"))["features"] == ["month", "lag_2h"]


def test_sets_with_holidays_and_hidden_inputs_are_planned_and_compared(
    run: Run, workplace: Path
) -> None:
    file = workplace / "features.yaml"
    file.write_text(
        """
feature_sets:
  - name: own
    version: 1
    features:
      - {kind: Calendar, name: holiday, part: is_holiday, tz: Europe/Berlin, country: DE}
      - {kind: Derived, name: ratio, expression: lag_24h / lag_168h}
"""
    )
    (change,) = answer(run("apply", file, "--json"))["changes"]
    assert change["reads"]["series"] == {"value": "169h"}
    told = run("sets", "diff", "own@1", "forecast_basic@1").stdout
    assert "- holiday: Calendar(part=is_holiday, tz=Europe/Berlin, country=DE" in told
    assert "+ lag_1h: Lag(by=1h" in told


def test_a_wrong_file_is_one_sentence(run: Run, workplace: Path) -> None:
    refused(run("plan", write(workplace, by="2x")), "features.yaml line 8, own@1.lag_2h.by", "2x")
    refused(run("apply", workplace / "none.yaml"), "none.yaml", code=1)
    assert not (workplace / "features.duckdb").exists()


def test_the_schema_is_printed(run: Run, workplace: Path) -> None:
    printed = run("sets", "schema").stdout
    assert json.loads(printed) == json_schema()
    jsonschema_rs.meta.validate(json_schema())


def test_what_a_set_says_of_itself_does_not_reach_the_terminal(run: Run, workplace: Path) -> None:
    file = workplace / "f.json"
    own = {"name": "own", "version": 1, "features": ["month"], "description": "a\u001b[31mb"}
    file.write_text(json.dumps({"feature_sets": [own]}))
    run("apply", file)
    for command in (("sets", "show", "own"), ("sets",), ("sets", "diff", "own@1", "own@1")):
        assert "\u001b" not in run(*command).stdout
