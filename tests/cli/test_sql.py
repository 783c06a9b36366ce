"""`ai-hub sql`: queries that change nothing, and views of one's own in a database file."""

from __future__ import annotations

import csv
import io
import os
from pathlib import Path

import pytest

from ai_hub.cli.failure import NOTHING
from cli.conftest import Run, answer, refused, start, stop, wait_for
from servers import server as database_server

CREATE = "CREATE VIEW doubled AS SELECT *, value * 2 AS twice FROM ai_features"
TWICE = "SELECT asset_id, timestamp, twice FROM doubled ORDER BY ALL"


@pytest.fixture(autouse=True)
def loaded(workplace: Path, run: Run) -> None:
    assert run("ingest", "load.csv", "--tenant", "t").exit_code == 0


def test_a_query_gives_a_table_csv_or_json(run: Run) -> None:
    assert run("sql", CREATE).stdout == "Done.\n"
    found = answer(run("sql", TWICE, "--json"))
    assert found["columns"] == ["asset_id", "timestamp", "twice"]
    assert found["rows"][0] == {
        "asset_id": "meter-001",
        "timestamp": "2025-10-09T12:00:00Z",
        "twice": 21.0,
    }
    lines = [*csv.reader(io.StringIO(run("sql", TWICE, "--csv").stdout))]
    assert lines[0] == found["columns"]
    assert lines[1] == ["meter-001", "2025-10-09T12:00:00Z", "21.0"]
    assert "│ meter-001 │ 2025-10-09T12:00:00Z │    21 │" in run("sql", TWICE).stdout
    many = run("sql", "SELECT * FROM range(500)")
    assert "the first 200 rows" in many.stderr
    assert len(answer(run("sql", "SELECT * FROM range(500)", "--json"))["rows"]) == 500


def test_values_that_json_has_not_are_texts(run: Run) -> None:
    query = (
        "SELECT 'nan'::DOUBLE AS a, 1.50::DECIMAL(9, 2) AS b, DATE '2025-01-02' AS c, NULL AS d, "
        "[1.0, 'inf'::DOUBLE] AS e, {'x': true} AS f, 170141183460469231731687303715884105727 AS g"
    )
    (row,) = answer(run("sql", query, "--json"))["rows"]
    assert row == {
        "a": "nan", "b": 1.5, "c": "2025-01-02", "d": None, "e": [1.0, "inf"], "f": {"x": True},
        "g": 2**127 - 1,
    }  # fmt: skip


def test_a_view_is_replaced_and_dropped(run: Run) -> None:
    assert run("sql", CREATE).exit_code == 0
    assert run("sql", CREATE.replace("CREATE", "CREATE OR REPLACE").replace("* 2", "* 3"))
    refused(run("sql", CREATE), "SQL that this database runs", "already exists")
    assert run("sql", "DROP VIEW doubled").stdout == "Done.\n"
    refused(run("sql", TWICE), "doubled")
    refused(run("sql", "DROP TABLE timeseries_data"), "makes or drops a view of your own")


def test_a_server_takes_no_sql(run: Run, workplace: Path) -> None:
    refused(run("sql", "SELECT 1", "--url", "http://127.0.0.1:1"), "--url", "takes no SQL")
    refused(run("sql", "SELECT 1", "--json", "--csv"), "--csv, --json")
    process = start("serve")
    try:
        wait_for(f"http://127.0.0.1:{os.environ['AI_HUB_PORT']}", process)
        refused(run("sql", "SELECT 1"), "is held by another process", "Stop it first")
    finally:
        stop(process)


def test_without_a_file_there_is_nothing_to_ask(
    run: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("AI_HUB_DATABASE_URL", f"duckdb:///{tmp_path / 'none.duckdb'}")
    result = run("sql", "SELECT 1")
    assert (result.exit_code, "There is no database at" in result.stderr) == (NOTHING, True)
    assert not (tmp_path / "none.duckdb").exists()


@pytest.mark.postgresql
def test_postgresql_reads_and_sends_whoever_makes_views_to_psql(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AI_HUB_DATABASE_URL", database_server("plain").fresh())
    query = "SELECT 1 AS a, 1.5::numeric AS b, '2025-01-02 03:04:05+00'::timestamptz AS c"
    assert answer(run("sql", query, "--json"))["rows"] == [
        {"a": 1, "b": 1.5, "c": "2025-01-02T03:04:05Z"}
    ]
    assert "│ 1 │ 1.5 │ 2025-01-02T03:04:05Z │" in run("sql", query).stdout
    for making in (CREATE, "CREATE TABLE mine (x int)", "DROP TABLE timeseries_data"):
        refused(run("sql", making), "one statement that reads", "psql")
    refused(run("sql", "SELECT 1; SELECT 2"), "SQL that this database runs")
    refused(run("sql", "SELECT nothing"), "SQL that this database runs", "nothing")
    refused(run("sql", "SELECT 1 / 0"), "division by zero")
