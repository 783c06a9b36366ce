"""Exports as jobs on the command line: left to a server, watched, cancelled and resumed."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from acceptance.serving import Server, serving
from ai_hub.cli import following
from ai_hub.cli.backend import Document
from ai_hub.cli.failure import FAILED, NOTHING
from ai_hub.cli.following import LocalJobs
from cli.conftest import Run
from conformance.kit import database_of
from watching import COMMAND, eventually

YEAR = ("--start", "2025-01-01T00:00:00Z", "--end", "2025-12-31T00:00:00Z")
SHORT = ("export", "--tenant", "t", "--set", "forecast_basic", *YEAR)
LONG = ("export", "--tenant", "t", "--set", "forecast_advanced", "--frequency", "2s", *YEAR)
ROW = {"timestamp": "2025-01-01T00:00:00Z", "asset_id": "a", "value": 1}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    how = {"database_url": "duckdb:///:memory:", "export_jobs": 1, "export_rows": 20_000_000}
    with serving(COMMAND, tmp_path_factory.mktemp("jobs"), **how) as running:
        running.call("POST", "/ingest", {"tenant_id": "t", "rows": [ROW]})
        yield running


def test_a_server_goes_on_with_what_is_left_to_it(run: Run, server: Server) -> None:
    url = ("--url", f"http://127.0.0.1:{server.port}")
    left = run(*SHORT, "--detach", *url)
    assert left.exit_code == 0, left.output
    export_id = left.stdout.strip()
    watched = run("exports", "watch", export_id, *url)
    assert watched.exit_code == 0, watched.output
    assert "1 row" in watched.stdout
    empty = run(*SHORT[:2], "nobody", *SHORT[3:], "--detach", "--json", *url)
    assert run("exports", "watch", json.loads(empty.stdout)["export_id"], *url).exit_code == NOTHING
    long = run(*LONG, "--detach", "--json", *url)
    export_id = json.loads(long.stdout)["export_id"]
    eventually(lambda: server.call("GET", f"/exports/{export_id}")["progress"]["rows"] > 0)
    seen = json.loads(run("top", "--once", "--json", *url).stdout)["exports"]
    assert [(one["export_id"], one["status"]) for one in seen] == [(export_id, "processing")]
    assert seen[0]["progress"]["rows"] > 0
    shown = run("top", "--once", *url).stdout
    assert "exports under way" in shown
    assert "forecast_advanced" in shown
    cancelled = run("exports", "cancel", export_id, *url)
    assert cancelled.stdout == f"{export_id}: cancelled.\n"
    assert run("exports", "cancel", export_id, *url).stdout == cancelled.stdout
    over = run("exports", "watch", export_id, *url)
    assert over.exit_code == FAILED
    assert f"{export_id}: cancelled by " in over.stderr
    assert run("exports", "resume", export_id, *url).stdout.strip() == export_id
    assert run("exports", "cancel", export_id, *url).exit_code == 0


def test_without_a_server_a_file_says_what_to_do(run: Run, workplace: Path) -> None:
    (workplace / "one.csv").write_text("timestamp,asset_id,value\n2025-01-01T00:00:00Z,a,1\n")
    assert run("ingest", "one.csv", "--tenant", "t").exit_code == 0
    left = run(*SHORT, "--detach")
    assert left.exit_code == 2
    assert "--detach: expected a server" in left.stderr
    done = json.loads(run(*SHORT, "--output", "x.parquet", "--json").stdout)
    assert run("exports", "watch", done["export_id"]).exit_code == 0
    over = run("exports", "resume", done["export_id"])
    assert over.exit_code == 2
    assert "an export that has not come to its end" in over.stderr


@pytest.mark.postgresql
def test_whoever_watches_what_no_server_takes_is_told(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AI_HUB_DATABASE_URL", database_of("plain", tmp_path))
    (tmp_path / "one.csv").write_text("timestamp,asset_id,value\n2025-01-01T00:00:00Z,a,1\n")
    assert run("ingest", "one.csv", "--tenant", "t").exit_code == 0
    export_id = run(*SHORT, "--detach").stdout.strip()
    monkeypatch.setattr(following, "_LOOKS", 1)
    wait, looks = LocalJobs.wait, 0

    async def cancelled_after_a_while(jobs: LocalJobs, id: str, seconds: float) -> Document:
        nonlocal looks
        looks += 1
        if looks == 2:
            await jobs.cancel(id)
        return await wait(jobs, id, seconds)

    monkeypatch.setattr(LocalJobs, "wait", cancelled_after_a_while)
    watched = run("exports", "watch", export_id)
    assert (watched.exit_code, looks) == (FAILED, 2)
    assert f"{export_id} waits for a server of its database (`ai-hub serve`)" in watched.stderr
    assert f"`ai-hub exports resume {export_id}` goes on with it now" in watched.stderr


def test_what_a_dead_process_left_is_resumed(run: Run, workplace: Path) -> None:
    rows = "".join(f"2025-01-{d:02}T00:00:00Z,a,{d}\n" for d in range(1, 29))
    (workplace / "some.csv").write_text("timestamp,asset_id,value\n" + rows)
    assert run("ingest", "some.csv", "--tenant", "t").exit_code == 0

    program = "import sys; from ai_hub.cli import main; main()"
    export = (*LONG, "--parts", "--output", "parts")
    process = subprocess.Popen([sys.executable, "-c", program, *export])
    deadline = time.monotonic() + 60
    while not [*workplace.glob(".parts.*.partial/part-*")] and time.monotonic() < deadline:
        time.sleep(0.05)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    (record,) = json.loads(run("exports", "--json").stdout)["exports"]
    assert record["status"] == "pending"
    watched = run("exports", "watch", record["export_id"])
    assert watched.exit_code == FAILED
    assert f"ai-hub exports resume {record['export_id']}" in watched.stderr
    assert run("exports", "cancel", record["export_id"]).stdout.endswith(": cancelled.\n")
    assert not [*workplace.glob(".parts.*")]
    # A short one, made again under its id.
    done = json.loads(run(*SHORT, "--output", "x.parquet", "--json").stdout)
    assert pq.read_metadata("x.parquet").num_rows == done["row_count"] == 28
