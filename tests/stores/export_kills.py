"""What exports leave behind whose process is killed at any moment, over and over to one path.

    PYTHONPATH=src:tests python tests/stores/export_kills.py [KILLS]

Prints a row of a table for `docs/reliability.md`; `test_durability.py` holds it.
"""

from __future__ import annotations

import asyncio
import hashlib
import os
import random
import sys
import tempfile
import time
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from ai_hub import FeatureStore
from ai_hub.config import Settings
from stores.processes import EXPORTS, Process

T = datetime(2025, 10, 9, 14, 30, tzinfo=UTC)
ROWS = 3_000
LONGEST = 0.4
"""Seconds until a process is killed; it makes some exports in that time."""


@dataclass
class Found:
    """What was found after all kills."""

    kills: int
    completed: int = 0
    failed: int = 0
    processing: int = 0
    half_files: int = 0
    wrong_files: int = 0


async def killed(folder: Path, kills: int) -> Found:
    """Kill processes that export to one path, and look at what a new one finds each time."""
    path, out = folder / "f.duckdb", folder / "out.parquet"
    found = Found(kills)
    settings = Settings(database_url=f"duckdb:///{path}", export_root=folder / "exports")
    async with FeatureStore(settings) as store:
        await store.ingest(
            [{"timestamp": T + timedelta(minutes=i), "asset_id": "a", "value": float(i)}
             for i in range(ROWS)], "t",
        )  # fmt: skip
    for _ in range(kills):
        with Process(EXPORTS, path, out) as process:
            assert process.line() == "ready"
            await asyncio.sleep(random.uniform(0, LONGEST))
            process.kill()
        async with FeatureStore(settings) as store:
            records = await store.exports(limit=10_000)
        found.processing += sum(one["status"] == "processing" for one in records)
        found.half_files += sum(name.startswith(".") for name in os.listdir(folder))
        # Of all that completed, one names no newer one, and its file is what is there.
        last = [one for one in records if one["status"] == "completed" and not one["replaced_by"]]
        sums = [one["checksum"] for one in last]
        there = [hashlib.sha256(out.read_bytes()).hexdigest()] if out.exists() else []
        found.wrong_files += sums != there
    found.completed = sum(one["status"] == "completed" for one in records)
    found.failed = sum(one["status"] == "failed" for one in records)
    return found


def main(kills: int) -> None:
    """Measure, and print the row."""
    begin = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        found = asyncio.run(killed(Path(folder), kills))
    print(
        f"| {found.kills:,} | {found.completed:,} | {found.failed:,} | {found.processing} | "
        f"{found.half_files} | {found.wrong_files} |\n"
        f"{time.monotonic() - begin:.0f} s, load {os.getloadavg()[0]:.1f}"
    )


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 100)
