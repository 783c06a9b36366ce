"""Years of readings from a file against a bare COPY, and scattered corrections of a database file.

Private servers are started by the harness of the tests, one after the other.
"""

from __future__ import annotations

import asyncio
import sys
import tempfile
import time
from collections.abc import Awaitable
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from ai_hub import FeatureStore
from ai_hub.config import Settings
from ai_hub.intake.batch import BATCH_ROWS
from ai_hub.intake.checks import check_observations
from ai_hub.stores.postgres.session import session
from ai_hub.stores.postgres.write import copy_rows, copy_table
from benchmarks.data import HOUR, START, observations
from benchmarks.measure import Check, Table, Topic, median_ratio

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))
import servers

_ASSETS, _HOURS, _ROUNDS = 80, 26_000, 2
_ROWS = _ASSETS * _HOURS
_FILE_ASSETS, _FILE_HOURS, _CHANGES = 1_000, 9_600, 24_000
_NAMES: dict[servers.Kind, str] = {"timescaledb": "TimescaleDB", "plain": "PostgreSQL"}
_WAYS = ("bare COPY of one table", "ingest", "ingest --bulk")

# The table that features are read from, by itself: no triggers, and nothing beside it.
_BARE = """
CREATE TABLE bare (
  timestamp TIMESTAMPTZ NOT NULL, tenant_id TEXT COLLATE "C" NOT NULL,
  asset_id TEXT COLLATE "C" NOT NULL, feature_type TEXT COLLATE "C" NOT NULL,
  value DOUBLE PRECISION NOT NULL, quality INTEGER NOT NULL,
  PRIMARY KEY (tenant_id, asset_id, feature_type, timestamp))
"""
_IN_CHUNKS = """
SELECT create_hypertable('bare', by_range('timestamp', INTERVAL '7 days'),
  create_default_indexes => false)
"""


def run() -> Topic:
    topic = Topic("ingest")
    lines: list[tuple[str, ...]] = []
    for kind in _NAMES:
        if reason := servers.absent(kind):
            topic.tables.append(Table(f"No figures of {_NAMES[kind]}: {reason}", (), []))
            continue
        try:
            asyncio.run(_history(kind, topic, lines))
        finally:
            servers.stop_all()
    topic.tables.append(
        Table(
            f"{_ROWS:,} hourly readings of {_ASSETS:,} assets from a Parquet file, asset by asset",
            ("server", "what", "rows/s", "of the bare COPY"),
            lines,
            "Bare: the same rows, checked and packed before, in batches of 100,000 by binary COPY "
            "into a table with the same key.",
        )
    )
    with tempfile.TemporaryDirectory() as folder:
        asyncio.run(_corrections(Path(folder), topic))
    return topic


async def _timed(work: Awaitable[Any]) -> float:
    begin = time.perf_counter()
    await work
    return time.perf_counter() - begin


async def _history(kind: servers.Kind, topic: Topic, lines: list[tuple[str, ...]]) -> None:
    settings = Settings(database_url=servers.server(kind).fresh())
    took: dict[str, list[float]] = {way: [] for way in _WAYS}
    rows = _until_now(observations(_ASSETS, _HOURS, missing=0.0))
    async with session(settings) as on, FeatureStore(settings) as store:
        await on.execute(_BARE)
        if kind == "timescaledb":
            await on.execute(_IN_CHUNKS)
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "history.parquet"
            pq.write_table(rows, path)
            for turn in range(_ROUNDS):
                # Each is the last tenant when it comes, so that all go to the end of the keys.
                checked = check_observations(rows, f"{turn}").table
                batches = [checked.slice(at, BATCH_ROWS) for at in range(0, _ROWS, BATCH_ROWS)]
                packed = [copy_rows(batch) for batch in batches]

                async def bare(packed: list[pa.Buffer], names: list[str]) -> None:
                    for data in packed:
                        await copy_table(on, "bare", names, data)

                took[_WAYS[0]].append(await _timed(bare(packed, checked.column_names)))
                took[_WAYS[1]].append(await _timed(store.ingest(path, f"{turn}-0")))
                took[_WAYS[2]].append(await _timed(store.ingest_bulk(path, f"{turn}-1")))
    for way, seconds in took.items():
        share = 1 / median_ratio(seconds, took[_WAYS[0]])
        lines.append((_NAMES[kind], way, f"{_ROWS / median(seconds):,.0f}", f"{share:.2f}"))
    topic.checks.append(
        Check(f"{_NAMES[kind]}: --bulk against a bare COPY", share, 0.6, least=True)
    )


def _until_now(rows: pa.Table) -> pa.Table:
    """The same rows, the last ones of the hour that is over: what is older than a week, as nearly
    all of them are, is not kept raw."""
    times = np.asarray(rows["timestamp"].cast("int64"))
    end = time.time_ns() // 1_000 // HOUR * HOUR
    moved = pa.array(times + (end - int(times.max()))).cast(pa.timestamp("us", "UTC"))
    return rows.set_column(rows.schema.get_field_index("timestamp"), "timestamp", moved)


async def _corrections(folder: Path, topic: Topic) -> None:
    chance = np.random.default_rng(1)
    settings = Settings(database_url=f"duckdb:///{folder}/features.duckdb")
    new, scattered = [], []
    async with FeatureStore(settings) as store:
        await store.ingest(observations(_FILE_ASSETS, _FILE_HOURS, missing=0.0), "t")
        for turn in range(_ROUNDS):
            hours = _FILE_HOURS + turn * 24 + np.arange(24)
            after = np.tile(hours, _FILE_ASSETS), np.repeat(np.arange(_FILE_ASSETS), 24)
            new.append(await _timed(store.ingest(_at(*after), "t")))
            places = chance.choice(_FILE_ASSETS * _FILE_HOURS, _CHANGES, replace=False)
            asset, hour = np.divmod(places, _FILE_HOURS)
            scattered.append(await _timed(store.ingest(_at(hour, asset), "t")))
    topic.tables.append(
        Table(
            f"{_CHANGES:,} rows into {_FILE_ASSETS * _FILE_HOURS:,} of a database file",
            ("what", "ms"),
            [(name, f"{median(took) * 1e3:,.0f}")
             for name, took in (("new rows", new), ("corrections, scattered over all", scattered))],
        )
    )  # fmt: skip
    topic.checks.append(
        Check("Database file: scattered corrections", median(scattered) * 1e3, 1_000, "ms")
    )


def _at(hour: np.ndarray, asset: np.ndarray) -> pa.Table:
    """A reading of each pair of an hour and an asset."""
    names = pa.array([f"meter-{i:06d}" for i in range(_FILE_ASSETS)])
    return pa.table(
        {
            "timestamp": pa.array(START + hour * HOUR).cast(pa.timestamp("us", "UTC")),
            "asset_id": names.take(pa.array(asset)),
            "value": np.random.default_rng().normal(50, 9, len(hour)),
        }
    )
