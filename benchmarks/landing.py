"""One history exported to where exports land: a folder and object storage, plain and in folders.

Each export is a process of its own. The object storage is the S3-compatible server of the tests, on
this machine.
"""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
import tempfile
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from ai_hub import FeatureStore
from benchmarks.data import HOUR, START, TENANT
from benchmarks.measure import Table, Topic, peak
from benchmarks.memory import fill

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

_ROWS, _ASSETS = 5_256_000, 600
_SET = "forecast_basic"
_LAYOUT: dict[str, Any] = {"partition_by": ["month", "asset_bucket"]}
_WAYS: tuple[tuple[str, bool, dict[str, Any]], ...] = (
    ("a folder, in parts", False, {"parts": True}),
    ("a folder, by month and 16 buckets", False, {"parts": True} | _LAYOUT),
    ("S3, in parts", True, {"parts": True}),
    ("S3, by month and 16 buckets", True, {"parts": True} | _LAYOUT),
    ("S3, a Delta table", True, {"format": "delta"}),
)


def run(rows: int = _ROWS, assets: int = _ASSETS) -> Topic:
    from object_server import object_server

    topic, lines, hours = Topic("landing"), [], rows // assets
    with tempfile.TemporaryDirectory() as folder, object_server() as server:
        database = Path(folder) / "features.duckdb"
        asyncio.run(fill(database, assets, hours))
        server.make("bucket")
        for number, (name, far, how) in enumerate(_WAYS):
            to = f"s3://bucket/{number}" if far else f"{folder}/{number}"
            program = [sys.executable, "-m", "benchmarks.landing", str(database), to, str(hours)]
            found = subprocess.run(
                [*program, json.dumps(how)],
                env=os.environ | server.environment(),
                check=True, capture_output=True, text=True,
            ).stdout.split()  # fmt: skip
            seconds, size, memory = map(float, found)
            lines.append((name, f"{seconds:.1f}", f"{size:.1f}", f"{memory:.0f}"))
    topic.tables.append(
        Table(
            f"{rows:,} rows of `{_SET}`, {assets:,} assets",
            ("where, and how", "seconds", "MB", "most memory, MB"),
            lines,
            f"Load at the end: {os.getloadavg()[0]:.1f} of {os.cpu_count()} cores.",
        )
    )
    return topic


async def _one(database: Path, to: str, hours: int, how: dict[str, Any]) -> None:
    start = datetime.fromtimestamp(START / 1e6, UTC)
    end = start + timedelta(microseconds=hours * HOUR)
    async with FeatureStore.open(
        f"duckdb:///{database}", export_root=database.parent / "exports"
    ) as store:
        begin = time.perf_counter()
        record = await store.export_features_to_parquet(TENANT, _SET, start, end, to, **how)
        print(time.perf_counter() - begin, record["file_size_mb"], peak())


if __name__ == "__main__":
    asyncio.run(_one(Path(sys.argv[1]), sys.argv[2], int(sys.argv[3]), json.loads(sys.argv[4])))
