"""Programs that a test starts, kills and looks behind."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

BATCH = 40
"""Rows of each batch that INGEST lands."""

_START = """
import asyncio, sys
from datetime import datetime, timedelta, timezone
from ai_hub import FeatureStore
from ai_hub.config import Settings
T = datetime(2025, 10, 9, 14, 30, tzinfo=timezone.utc)
path = sys.argv[1]
def opened(): return FeatureStore(Settings(database_url=f"duckdb:///{path}"))
"""

INGEST = (
    _START
    + """
async def main():
    async with opened() as store:
        print("ready", flush=True)
        for batch in range(10**9):
            # New rows, and a rewrite of the row that all batches share: whole or not at all.
            rows = [{"timestamp": T + timedelta(minutes=i), "asset_id": f"batch-{batch}",
                     "value": float(batch)} for i in range(39)]
            rows.append({"timestamp": T, "asset_id": "shared", "value": float(batch)})
            await store.ingest(rows, "t")
            print(batch, flush=True)
asyncio.run(main())
"""
)

GATHERED = 4_000
"""Rows that BULK sorts together."""

BULK = (
    _START
    + """
from ai_hub.intake import bulk
bulk.PART_ROWS, bulk.GATHERED_ROWS, bulk.BATCH_ROWS = 1_000, 4_000, 1_500
async def main():
    async with FeatureStore(Settings(database_url=sys.argv[1])) as store:
        print("ready", flush=True)
        await store.ingest_bulk(sys.argv[2], progress=lambda rows: print(rows, flush=True))
asyncio.run(main())
"""
)

SETS = 20
"""Feature sets of each APPLY."""

APPLY = (
    _START
    + """
from ai_hub import FeatureSet, Lag
async def main():
    async with FeatureStore(Settings(database_url=sys.argv[1])) as store:
        print("ready", flush=True)
        for version in range(1, 10**9):
            await store.apply(FeatureSet(f"set_{i}", version, (Lag("lag", f"{version}h"),))
                              for i in range(20))
            await store.set_default(f"set_0@{version}")
            print(version, flush=True)
asyncio.run(main())
"""
)

EXPORT = (
    _START
    + """
from ai_hub.stores import chunks
chunks.CHUNK_ROWS = 2_000
async def main():
    async with opened() as store:
        print("ready", flush=True)
        await store.export_features_to_parquet(
            "t", "forecast_advanced", T - timedelta(days=1), T + timedelta(days=999),
            output_path=sys.argv[2], progress=lambda rows: print(rows, flush=True))
asyncio.run(main())
"""
)

EXPORTS = (
    _START
    + """
async def main():
    async with opened() as store:
        for missing in range(10**9):
            await store.export_features_to_parquet(
                "t", "forecast_basic", T - timedelta(days=1), T + timedelta(days=999),
                output_path=sys.argv[2], missing=missing)
            if not missing:  # the first one imports what the others need
                print("ready", flush=True)
asyncio.run(main())
"""
)

_SMALL_STEPS = (
    _START
    + """
from ai_hub.errors import Busy
from ai_hub.serving import archiver, returner
from ai_hub.stores import archive_table
archiver.LAYER_ROWS, archive_table.DROP_ROWS, returner.DROP_ROWS = 200, 150, 150
async def whole(work):
    # The server ends what a killed process asked for a moment after it.
    while True:
        try:
            return await work()
        except Busy:
            await asyncio.sleep(0.05)
"""
)

ARCHIVE = (
    _SMALL_STEPS
    + """
async def main():
    async with FeatureStore(Settings(database_url=sys.argv[1])) as store:
        print("ready", flush=True)
        for days in range(2, int(sys.argv[3]) + 1, 2):
            before = datetime(2024, 1, 1, tzinfo=timezone.utc) + timedelta(days=days)
            await whole(lambda: store.archive(before, sys.argv[2], drop=True))
asyncio.run(main())
"""
)

UNARCHIVE = (
    _SMALL_STEPS
    + """
async def main():
    async with FeatureStore(Settings(database_url=sys.argv[1])) as store:
        print("ready", flush=True)
        await whole(store.unarchive)
asyncio.run(main())
"""
)

HOLD = (
    _START
    + """
async def main():
    async with opened():
        print("ready", flush=True)
        await asyncio.sleep(60)
asyncio.run(main())
"""
)


class Process:
    """A Python process whose lines can be read; killed for good at the end of `with`."""

    def __init__(self, program: str, *arguments: str | Path) -> None:
        clean = {k: v for k, v in os.environ.items() if not k.startswith("AI_HUB_")}
        self._popen = subprocess.Popen(
            [sys.executable, "-c", program, *map(str, arguments)],
            stdout=subprocess.PIPE,
            text=True,
            env=clean,
        )

    def __enter__(self) -> Process:
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()

    def line(self) -> str:
        """The next line it prints; empty when it has ended."""
        assert self._popen.stdout is not None
        return self._popen.stdout.readline().strip()

    def end(self) -> int:
        """Its exit status, once it has ended by itself."""
        return self._popen.wait()

    def kill(self) -> list[str]:
        """SIGKILL; the lines that it had printed by then."""
        assert self._popen.stdout is not None
        if self._popen.stdout.closed:
            return []
        self._popen.send_signal(signal.SIGKILL)
        with self._popen.stdout as out:
            rest = out.read().split("\n")
        self._popen.wait()
        # A last line without its end was not printed whole.
        return rest[:-1]
