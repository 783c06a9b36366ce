"""`ai-hub migrate`, and what it says where it cannot do it."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from itertools import count
from pathlib import Path

import pytest

import servers
from ai_hub.stores.postgres.migrations import migrations
from cli.conftest import Run, answer, refused
from servers import Kind, Server

ALL = [one.name for one in migrations()]
_names = count(1)


@pytest.fixture(
    params=[
        pytest.param("plain", marks=pytest.mark.postgresql),
        pytest.param("timescaledb", marks=pytest.mark.timescaledb),
    ]
)
def server(request: pytest.FixtureRequest) -> Server:
    kind: Kind = request.param
    return servers.server(kind)


@pytest.fixture
def database(server: Server, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """An empty database that the settings name."""
    name = f"cli_migrate_{next(_names)}"
    monkeypatch.setenv("AI_HUB_DATABASE_URL", server.create(name))
    yield name
    server.drop(name)


def test_it_migrates_and_has_nothing_left_to_do(server: Server, database: str, run: Run) -> None:
    first = run("migrate")
    assert first.exit_code == 0, first.output
    assert [line for line in first.stdout.splitlines() if line.startswith("Applied ")] == [
        f"Applied {name}." for name in ALL
    ]
    assert "90d" in first.stdout
    assert f"(mode {server.kind})" in first.stderr
    assert "Nothing was left to apply." in run("migrate").stdout


def test_it_answers_programs(
    server: Server, database: str, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AI_HUB_RETENTION_FEATURES", "none")
    monkeypatch.setenv("AI_HUB_RETENTION_RAW", "36h")
    said = answer(run("migrate", "--json"))
    assert said["database"] == f"postgresql://127.0.0.1:{server.port}/{database}"
    assert said["mode"] == server.kind
    assert said["migrations"] == ALL
    assert said["keep"]["ai_features"] is None
    assert said["keep"]["timeseries_data"] == "36h"
    assert said["keep"]["weather_features"] == "365d"
    assert said["sql"] is None
    assert answer(run("migrate", "--json"))["migrations"] == []


def test_a_dry_run_prints_the_sql_and_makes_nothing(
    server: Server, database: str, run: Run
) -> None:
    result = run("migrate", "--dry-run")
    assert result.exit_code == 0, result.output
    assert result.stdout.startswith("BEGIN;\nCREATE TABLE IF NOT EXISTS ai_hub_migrations")
    assert "CREATE TABLE IF NOT EXISTS ai_features" in result.stdout
    assert server.sql("SELECT to_regclass('ai_features')", database) == [(None,)]
    server.psql(database, script=result.stdout)
    assert answer(run("migrate", "--json"))["migrations"] == []


def test_a_file_for_psql(server: Server, database: str, run: Run, tmp_path: Path) -> None:
    result = run("migrate", "--sql", "made.sql")
    assert result.exit_code == 0, result.output
    assert "-f made.sql" in result.stdout
    assert server.sql("SELECT to_regclass('ai_features')", database) == [(None,)]
    for _ in range(2):
        server.psql(database, "-f", str(tmp_path / "made.sql"))
    assert answer(run("migrate", "--json"))["migrations"] == []


def test_the_line_of_the_guide(
    server: Server, database: str, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = server.programs / "psql"
    if not program.exists():
        pytest.skip(f"there is no {program}: install the client programs of PostgreSQL")
    owner = f"omarino_{database}"
    server.role(owner)
    server.sql(f'ALTER DATABASE "{database}" OWNER TO "{owner}"')
    line = f"psql -U {owner} -d {database} -f migrations/001_create_feature_views.sql"
    for _ in range(2):
        done = subprocess.run(
            [program, *line.split()[1:]], cwd=Path(__file__).parents[2],
            env={"PGHOST": "127.0.0.1", "PGPORT": str(server.port), "PSQLRC": os.devnull},
            capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert (done.returncode, done.stderr) == (0, "")
    monkeypatch.setenv("AI_HUB_DATABASE_URL", server.url(database, owner))
    assert answer(run("migrate", "--json"))["migrations"] == []
    assert "Nothing was left to apply." in run("migrate").stdout
    owners = "SELECT DISTINCT tableowner FROM pg_tables WHERE schemaname = 'public'"
    assert server.sql(owners, database) == [(owner,)]
    server.drop(database)
    server.sql(f'DROP ROLE "{owner}"')


def test_a_file_needs_no_database(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AI_HUB_DATABASE_URL", "postgresql://ann:hush@127.0.0.1:1/features")
    assert answer(run("migrate", "--sql", "made.sql", "--json")) == {"file": "made.sql"}
    assert "hush" not in Path("made.sql").read_text("utf-8")
    refused(run("migrate", "--sql", "made.sql", "--dry-run"), "--dry-run", "--sql")
    refused(run("migrate", "--sql", "no/such/folder.sql"), "no/such/folder.sql", code=1)


def test_an_embedded_database_needs_none(run: Run) -> None:
    result = run("migrate")
    assert result.exit_code == 0
    assert "features.duckdb, an empty database." in result.stderr
    assert Path("features.duckdb").exists()


def test_a_server_that_is_away(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AI_HUB_DATABASE_URL", "postgresql://ann:hush@127.0.0.1:1/features")
    result = run("migrate")
    refused(result, "127.0.0.1:1", "connection refused", code=1)
    assert "hush" not in result.output


def test_what_a_person_has_to_do_first(server: Server, database: str, run: Run) -> None:
    server.sql("CREATE TABLE ai_features (value NUMERIC)", database)
    refused(run("migrate"), "ai_features (with columns of type numeric)", "Rename them")
    server.sql("DROP TABLE ai_features", database)
    assert run("migrate").exit_code == 0
    server.sql("UPDATE ai_hub_migrations SET number = 900, name = '900_later' WHERE number = 2",
               database)  # fmt: skip
    refused(run("migrate"), "900_later", "Upgrade ai-hub")
