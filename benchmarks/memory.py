"""Peak memory of exporting ten million rows from an embedded store's file, in a fresh process."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import duckdb
import pyarrow as pa

from ai_hub import FeatureStore
from benchmarks.data import HOUR, START, TENANT, observations, weather
from benchmarks.measure import Check, Table, Topic, peak

_SHAPES = ((1000, 10_526), (20_000, 526))
_SET = "forecast_advanced"
_ASSETS_AT_ONCE = 100_000
_TARGET = 1000.0


def run() -> Topic:
    topic = Topic("memory")
    rows = []
    for assets, hours in _SHAPES:
        with tempfile.TemporaryDirectory() as folder:
            database = Path(folder) / "features.duckdb"
            asyncio.run(fill(database, assets, hours))
            out = subprocess.run(
                [sys.executable, "-m", "benchmarks.memory", str(database), str(hours)],
                check=True, capture_output=True, text=True,
            ).stdout.split()  # fmt: skip
        count, seconds, start, peak = int(out[0]), float(out[1]), float(out[2]), float(out[3])
        shape = f"{assets:,} assets x {hours:,} h"
        topic.checks.append(Check(f"peak memory of an export, {shape}", peak, _TARGET, "MB"))
        rows.append(
            (shape, f"{count:,}", f"{seconds:.1f}", f"{count / seconds:,.0f}", f"{start:.0f}",
             f"{peak:.0f}")
        )  # fmt: skip
    topic.tables.append(
        Table(
            f"Export of {_SET} from an embedded store's file",
            ("shape", "rows", "s", "rows/s", "MB when opened", "peak MB"),
            rows,
            "Peak: the most resident memory (VmHWM) of a fresh process that opens the file and "
            "exports all of it, with as many weather rows as readings.",
        )
    )
    return topic


async def fill(database: Path, assets: int, hours: int) -> None:
    """The store's own empty tables, filled in bulk as ingest by asset would."""
    async with FeatureStore.open(f"duckdb:///{database}"):
        pass
    with duckdb.connect(str(database)) as con:
        for part, known in _parts(assets, hours):
            con.register("part", part)
            con.register("known", known)
            con.execute(
                "INSERT INTO timeseries_data (timestamp, tenant_id, asset_id, feature_type, "
                "value, quality) SELECT timestamp, ?, asset_id, 'value', value, 1 FROM part",
                [TENANT],
            )
            names = [name for name in known.column_names if name != "asset_id"]
            con.execute(
                f"INSERT INTO weather_features (tenant_id, asset_id, {', '.join(names)}) "
                f"SELECT ?, asset_id, {', '.join(names)} FROM known",
                [TENANT],
            )


def _parts(assets: int, hours: int) -> Iterator[tuple[pa.Table, pa.Table]]:
    step = max(1, _ASSETS_AT_ONCE // hours)
    for first in range(0, assets, step):
        some = min(step, assets - first)
        yield observations(some, hours, first=first), weather(some, hours, first=first)


async def _export(database: Path, hours: int) -> None:
    start = datetime.fromtimestamp(START / 1e6, UTC)
    async with FeatureStore.open(f"duckdb:///{database}") as store:
        opened = peak()
        begin = time.perf_counter()
        record = await store.export_features_to_parquet(
            TENANT,
            _SET,
            start,
            start + timedelta(microseconds=hours * HOUR),
            output_path=database.parent / "train.parquet",
        )
        seconds = time.perf_counter() - begin
    print(record["row_count"], seconds, opened, peak())


if __name__ == "__main__":
    asyncio.run(_export(Path(sys.argv[1]), int(sys.argv[2])))
