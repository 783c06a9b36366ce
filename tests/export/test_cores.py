"""How many cores there are for exports: those that the process may use."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from ai_hub.export.cores import cores
from ai_hub.export.threads import Workers


def test_workers_follow_the_affinity_of_the_process() -> None:
    program = "from ai_hub.export.threads import Workers; print(Workers().count)"
    every = sorted(os.sched_getaffinity(0))
    for some in {1, len(every)}:
        run = subprocess.run(
            [sys.executable, "-c", program],
            preexec_fn=lambda some=some: os.sched_setaffinity(0, every[:some]),
            capture_output=True, text=True, check=True,
        )  # fmt: skip
        assert 1 <= int(run.stdout) <= some
    assert Workers(3).count == 3


@pytest.mark.parametrize(
    ("files", "own", "expected"),
    [
        ({}, "", 4),
        ({"cpu.max": "max 100000"}, "0::/", 4),
        ({"cpu.max": "150000 100000"}, "0::/", 2),
        ({"a/b/cpu.max": "max 100000", "a/cpu.max": "100000 100000"}, "0::/a/b", 1),
        ({"a/cpu.max": "100000 100000"}, "0::/b", 4),
        ({"cpu/cpu.cfs_quota_us": "-1", "cpu/cpu.cfs_period_us": "100000"}, "3:cpu,x:/", 4),
        ({"cpu/d/cpu.cfs_quota_us": "20000", "cpu/d/cpu.cfs_period_us": "10000"}, "3:cpu:/d", 2),
        ({"cpu.max": "what"}, "0::/", 4),
        ({"cpu.max": "900000 100000"}, "0::/", 4),
    ],
)
def test_a_quota_counts_as_well(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, files: dict[str, str], own: str, expected: int
) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: {0, 1, 2, 3})
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    (tmp_path / "own").write_text(own)
    assert cores(tmp_path, tmp_path / "own") == expected
