"""Commands in a directory of their own, in this process or as real processes beside a server."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.error import URLError
from urllib.request import urlopen

import pytest
from typer.testing import CliRunner, Result

from ai_hub.cli.app import app

READINGS = """timestamp,asset_id,value
2025-10-09T12:00:00Z,meter-001,10.5
2025-10-09T13:00:00Z,meter-001,11.5
2025-10-09T14:00:00Z,meter-001,12.5
2025-10-09T14:00:00Z,meter-002,7
"""

Run = Callable[..., Result]


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@pytest.fixture(autouse=True)
def workplace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty working directory, no settings of the machine, and a port with no server."""
    for name in list(os.environ):
        if name.startswith("AI_HUB_"):
            monkeypatch.delenv(name)
    monkeypatch.setenv("AI_HUB_PORT", str(free_port()))
    monkeypatch.chdir(tmp_path)
    (tmp_path / "load.csv").write_text(READINGS)
    return tmp_path


@pytest.fixture
def run() -> Run:
    """Run a command in this process: its result, whatever the exit code."""

    def invoke(*arguments: object) -> Result:
        return CliRunner().invoke(app, [str(one) for one in arguments])

    return invoke


def answer(result: Result, code: int = 0) -> Any:
    """The one JSON document on standard output of a command, by default of one that went well."""
    assert result.exit_code == code, result.output
    return json.loads(result.stdout)


def refused(result: Result, *words: str, code: int = 2) -> None:
    """A command that ended in one sentence on standard error and nothing else."""
    assert result.exit_code == code, result.output
    assert result.stdout == ""
    assert "Traceback" not in result.stderr
    (sentence,) = [line for line in result.stderr.splitlines() if line.startswith("ai-hub: ")]
    assert all(word in sentence for word in words), sentence


def start(*arguments: object, cwd: Path | None = None) -> subprocess.Popen[str]:
    """Start `ai-hub` as a process of its own."""
    return subprocess.Popen(
        [sys.executable, "-c", "from ai_hub.cli import main; main()", *map(str, arguments)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=cwd,
    )


def wait_for(url: str, process: subprocess.Popen[str], seconds: float = 120) -> None:
    """Until a server answers. Fails if its process ends or the time is over."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        if process.poll() is not None:
            pytest.fail(f"the server ended: {process.communicate()}")
        try:
            with urlopen(f"{url}/health", timeout=30):
                return
        except (URLError, OSError):
            time.sleep(0.05)
    pytest.fail("no server came up")


def stop(process: subprocess.Popen[str]) -> tuple[str, str]:
    """Stop a process as Ctrl-C does; what it printed."""
    if process.poll() is None:
        process.send_signal(signal.SIGINT)
    try:
        return process.communicate(timeout=120)
    except subprocess.TimeoutExpired:
        process.kill()
        return process.communicate()


@pytest.fixture
def server(workplace: Path) -> Iterator[str]:
    """A real server that holds features.duckdb here, on the port of the settings; its address."""
    url = f"http://127.0.0.1:{os.environ['AI_HUB_PORT']}"
    process = start("serve")
    try:
        wait_for(url, process)
        yield url
    finally:
        stop(process)
