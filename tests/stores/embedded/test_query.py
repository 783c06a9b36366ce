"""A person's statement on a database file: it reads, or makes a view, and does nothing else."""

from __future__ import annotations

from pathlib import Path

import pytest

from ai_hub.errors import InvalidInput
from ai_hub.stores.embedded.query import run_query
from ai_hub.stores.embedded.session import Sessions

NAMES = "SELECT string_agg(view_name, ' ') FROM duckdb_views() WHERE NOT internal"
EVERYTHING = f"SELECT count(*), sum(value), count(COLUMNS(*)), ({NAMES}) FROM timeseries_data"
ROW = "INSERT INTO timeseries_data VALUES (now(), 't', 'a', 'value', 1.5, 1)"


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("query")
    (folder / "load.csv").write_text("a,b\n1,2\n")
    path = folder / "features.duckdb"
    sessions = Sessions(str(path))
    try:
        sessions.cursor().execute(ROW)
    finally:
        sessions.abandon()
    return path


@pytest.mark.parametrize(
    "query",
    [
        "DROP VIEW ai_features",
        "CREATE OR REPLACE VIEW ai_features AS SELECT 1 AS x",
        "DROP TABLE timeseries_data",
        "CREATE TABLE mine (x INT)",
        "CREATE TABLE mine AS SELECT * FROM ai_features",
        "CREATE TEMP VIEW mine AS SELECT 1 AS x",
        "CREATE SCHEMA mine",
        "CREATE MACRO mine() AS 1",
        "CREATE SEQUENCE mine",
        "CREATE TYPE mine AS ENUM ('a')",
        "CREATE INDEX mine ON timeseries_data (value)",
        "INSERT INTO timeseries_data SELECT * FROM timeseries_data",
        "DELETE FROM timeseries_data",
        "UPDATE timeseries_data SET value = 0",
        "TRUNCATE timeseries_data",
        "ALTER TABLE timeseries_data ADD COLUMN x INT",
        "EXPLAIN ANALYZE DELETE FROM timeseries_data",
        "WITH gone AS (DELETE FROM timeseries_data RETURNING *) SELECT * FROM gone",
        "PREPARE p AS DELETE FROM timeseries_data",
        "COPY timeseries_data TO '{folder}/out.csv'",
        "COPY timeseries_data FROM '{folder}/load.csv'",
        "EXPORT DATABASE '{folder}/out'",
        "ATTACH '{folder}/other.duckdb'",
        "SELECT * FROM read_csv('{folder}/load.csv')",
        "SELECT * FROM '{folder}/load.csv'",
        "SELECT * FROM read_text('{folder}/load.csv')",
        "SELECT * FROM glob('{folder}/*')",
        "CREATE VIEW mine AS SELECT * FROM read_csv('{folder}/load.csv')",
        "SET enable_external_access = true",
        "PRAGMA database_list",
        "CALL force_checkpoint()",
        "INSTALL httpfs",
        "LOAD httpfs",
        "BEGIN",
        "SELECT 1; DELETE FROM timeseries_data",
        "DELETE FROM timeseries_data; SELECT 1",
        "",
        "-- nothing",
        "/* nothing */",
        "SELEC 1",
        "SELECT nothing FROM nowhere",
    ],
)
def test_whatever_else_is_refused_and_changes_nothing(file: Path, query: str) -> None:
    text = query.replace("{folder}", str(file.parent))
    with pytest.raises(InvalidInput, match=r"^query: got "):
        run_query(str(file), text)
    assert run_query(str(file), EVERYTHING).rows == ((1, 1.5, *[1] * 6, "ai_features"),)
    inside = {one.name for one in file.parent.iterdir()}
    assert inside <= {"load.csv", "features.duckdb", "features.duckdb.wal"}


@pytest.mark.parametrize(
    "query",
    [
        "SELECT 1 AS x",
        "WITH a AS (SELECT 1 AS x) FROM a",
        "VALUES (1)",
        "SHOW TABLES",
        "DESCRIBE ai_features",
        "SUMMARIZE ai_features",
        "SELECT 1 AS x; ",
    ],
)
def test_what_reads_is_run(file: Path, query: str) -> None:
    assert run_query(str(file), query).rows


def test_a_view_of_ones_own_is_made_replaced_and_dropped(file: Path) -> None:
    made = [
        "CREATE VIEW mine AS SELECT *, value * 2 AS twice FROM ai_features",
        "CREATE VIEW second AS SELECT twice + 1 AS more FROM mine",
        "CREATE OR REPLACE VIEW mine AS SELECT *, value * 3 AS twice FROM ai_features",
    ]
    for statement in made:
        assert run_query(str(file), statement).columns == ()
    assert run_query(str(file), "SELECT more FROM second").rows == ((5.5,),)
    assert run_query(str(file), "SELECT * FROM range(9)", most=4).rows == ((0,), (1,), (2,), (3,))
    for name in ("second", "mine"):
        run_query(str(file), f"DROP VIEW {name}")
    assert run_query(str(file), NAMES).rows == (("ai_features",),)
