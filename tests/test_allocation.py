"""What the C library does with memory that was let go of, as the system counts it."""

from __future__ import annotations

import platform
import subprocess
import sys

import pytest

pytestmark = pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="another C library")

# Arrays as an export has them, of a chunk at a time.
PROGRAM = """
import os, resource
from contextlib import nullcontext
from pathlib import Path
from ai_hub.allocation import keep_little, keeping

keep_little()
import numpy as np

def chunks():
    for _ in range(5):
        arrays = [np.ones(130_000 + 100_000 * i) for i in range(8)]
        del arrays

def taken(how):
    with how:
        chunks()
        before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
        chunks()
        taken = resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before
    resident = int(Path("/proc/self/statm").read_text().split()[1])
    print(taken, resident * os.sysconf("SC_PAGE_SIZE") // 2**20)

taken(nullcontext())
taken(keeping())
with keeping():
    taken(keeping())
taken(nullcontext())
"""


def test_who_is_at_work_has_no_new_pages_and_then_they_go_back() -> None:
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=True
    )
    told = [[int(word) for word in line.split()] for line in done.stdout.splitlines()]
    little, kept, inside, again = (pages for pages, _ in told)
    assert kept < little / 20
    assert inside < little / 20
    assert again > little / 2
    first, after, under_way, last = (resident for _, resident in told)
    assert after <= first + 8
    assert under_way > first + 20
    assert last <= first + 8
