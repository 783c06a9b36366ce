"""The tour as a person takes it."""

from __future__ import annotations

import json
import os
import re
import shlex
import signal
import subprocess
import sys
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from cli.conftest import free_port, start, stop, wait_for


@pytest.fixture(autouse=True)
def workplace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in list(os.environ):
        if name.startswith("AI_HUB_"):
            monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def tour(*options: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", "from ai_hub.cli import main; main()", "demo"]
    return subprocess.run(
        [*command, *map(str, options)], capture_output=True, text=True, timeout=120
    )


def test_the_demo_twice_is_safe_and_leaves_other_data_alone(workplace: Path) -> None:
    for _ in range(2):
        run = tour("--no-serve", "--meters", 4, "--days", 20, "--json")
        assert run.returncode == 0, run.stderr
        made = json.loads(run.stdout)
    assert made["export"]["status"] == "completed"
    table = pq.read_table(made["export"]["storage_path"])
    # The suspect readings are stored, but they are not in what features read.
    assert 0.9 * 4 * 20 * 24 < table.num_rows == made["export"]["row_count"] <= made["readings"]
    assert "target_24h" in table.column_names
    assert made["asset_id"] == "meter-001"
    assert len(made["features"]) == 13
    assert sorted(path.name for path in workplace.iterdir()) == ["demo.duckdb", "exports"]


def test_the_demo_serves_and_its_curl_lines_work() -> None:
    port = free_port()
    process = start("demo", "--meters", 3, "--days", 10, "--port", port)
    try:
        wait_for(f"http://127.0.0.1:{port}", process, seconds=60)
        assert process.stdout is not None
        lines: list[str] = []
        while len([line for line in lines if line.startswith("curl ")]) < 4:
            lines.append(process.stdout.readline())
            assert lines[-1], lines
        taken = tour("--no-serve", "--meters", 3, "--days", 10)
        assert taken.returncode == 2
        assert re.search(r"^ai-hub: .*demo\.duckdb", taken.stderr, re.MULTILINE)
        curls = [line for line in lines if line.startswith("curl ")]
        answers = [
            subprocess.run(
                [*shlex.split(line), "--silent", "--fail"], capture_output=True, text=True
            )
            for line in curls
        ]
        assert [one.returncode for one in answers] == [0] * 4
        vector = json.loads(answers[0].stdout)
        assert (vector["asset_id"], vector["feature_count"]) == ("meter-001", 13)
    finally:
        _, err = stop(process)
    assert process.returncode in (130, -signal.SIGINT)
    assert "Traceback" not in err


def test_a_taken_port_is_told_before_the_work(workplace: Path) -> None:
    import socket

    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        held.listen()
        port = held.getsockname()[1]
        run = tour("--port", port)
    assert run.returncode == 2
    assert re.match(rf"ai-hub: port: got {port} ", run.stderr)
    assert not (workplace / "demo.duckdb").exists()


def test_a_demo_in_memory_is_refused() -> None:
    run = tour("--database", "duckdb:///:memory:", "--no-serve")
    assert run.returncode == 2
    assert "database" in run.stderr
