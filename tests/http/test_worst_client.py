"""While one client does its worst, others are answered: a few of its ways, and all of them."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

PROGRAM = Path(__file__).with_name("worst_client.py")


def suffered(*words: str, timeout: float) -> subprocess.CompletedProcess[str]:
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    return subprocess.run(
        [sys.executable, PROGRAM, *words],
        env=environment, capture_output=True, text=True, timeout=timeout, check=False,
    )  # fmt: skip


@pytest.mark.long
def test_others_have_no_error_and_memory_is_bounded() -> None:
    """Of how long they wait only what a busy machine can hold."""
    done = suffered(
        "--seconds", "1", "--slack", "20", "nothing", "a body: arrow dictionary",
        "a body: json texts", "a head: 100 MB of headers", "1,000 silent connections",
        timeout=120,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.count("\n") == 5


@pytest.mark.long
@pytest.mark.parametrize(
    "store",
    [
        "embedded",
        pytest.param("timescaledb", marks=[pytest.mark.timescaledb, pytest.mark.redis]),
    ],
)
def test_every_way(store: str) -> None:
    done = suffered("--seconds", "5", "--slack", "4", "--on", store, timeout=1_800)
    assert done.returncode == 0, done.stdout + done.stderr
