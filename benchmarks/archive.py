"""An archive of a large history: written beside the bare read of its rows, verified, dropped.

Sealing counts days, reads, sorts, encodes and commits; the bare read streams the same columns and
keeps nothing of them. What comes after reads the archive: the same export.
"""

from __future__ import annotations

import asyncio
import os
import sys
import tempfile
import time
from collections import defaultdict
from contextlib import closing
from datetime import timedelta
from pathlib import Path

import pyarrow.parquet as pq
from adbc_driver_postgresql import dbapi

from ai_hub import FeatureStore
from ai_hub.config import Settings
from benchmarks.measure import Check, Table, Topic
from benchmarks.postgres_export import _FIRST, TENANT, _Case, _database, _statements

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

_ROWS, _ASSETS = 10_000_000, 1_000
_SET, _TARGET = "forecast_basic", 0.6
_KEPT = {"retention_raw": "none", "retention_features": "none", "retention_weather": "none"}


def run(rows: int = _ROWS, assets: int = _ASSETS) -> Topic:
    topic = Topic("archive")
    lines = []
    for kind in ("plain", "timescaledb"):
        case = _Case(kind, assets, rows // assets, "time", "")
        with _database(kind) as url, tempfile.TemporaryDirectory() as folder:
            with _statements(url) as sql:
                case.fill(sql)
                sql("ANALYZE ai_features")
            lines.append(asyncio.run(_measured(kind, url, Path(folder), case, topic)))
    topic.tables.append(
        Table(
            f"An archive of {rows:,} hourly rows of {assets:,} assets",
            ("database", "bare read s", "sealed s", "rows/s", "share", "verified s", "dropped s",
             "MB", "export before s", "after s"),
            lines,
            f"Load at the end: {os.getloadavg()[0]:.1f} of {os.cpu_count()} cores.",
        )
    )  # fmt: skip
    return topic


async def _measured(
    kind: str, url: str, folder: Path, case: _Case, topic: Topic
) -> tuple[str, ...]:
    end = _FIRST + timedelta(hours=case.hours)
    settings = Settings(database_url=url, export_root=folder, **_KEPT)  # type: ignore[arg-type]
    spent: defaultdict[str, float] = defaultdict(float)
    size, last = 0, 0.0

    def tell(step: dict[str, object]) -> None:
        nonlocal last, size
        now = time.perf_counter()
        spent[str(step["action"])] += now - last
        size += int(str(step["bytes"]))
        last = now

    async def exported(store: FeatureStore, name: str) -> float:
        begin = time.perf_counter()
        await store.export_features_to_parquet(TENANT, _SET, _FIRST, end, output_path=folder / name)
        return time.perf_counter() - begin

    async with FeatureStore(settings) as store:
        before = await exported(store, "before.parquet")
        bare = min(_bare(url) for _ in range(2))
        until = (end + timedelta(days=1)).replace(hour=0)
        last = time.perf_counter()
        await store.archive(until, str(folder / "archive"), tell=tell)
        last = time.perf_counter()
        await store.archive(until, str(folder / "archive"), drop=True, tell=tell)
        after = await exported(store, "after.parquet")
    same = pq.read_table(folder / "before.parquet").equals(pq.read_table(folder / "after.parquet"))
    assert same, "the export is another one"
    count = case.assets * case.hours
    share = bare / spent["sealed"]
    topic.checks.append(Check(f"{kind}: sealed, of the bare read", share, _TARGET, least=True))
    figures = (bare, spent["sealed"], count / spent["sealed"], share, spent["verified"],
               spent["dropped"], size / 1e6, before, after)  # fmt: skip
    texts = [f"{one:,.0f}" if one > 1_000 else f"{one:.2f}" for one in figures]
    return (kind, *texts)


def _bare(url: str) -> float:
    begin = time.perf_counter()
    with dbapi.connect(url) as connection, connection.cursor() as cursor:
        cursor.execute("SET jit = off")
        cursor.execute(
            "SELECT timestamp, asset_id, feature_type, value, 1 AS quality FROM ai_features "
            f"WHERE tenant_id = '{TENANT}' AND timestamp BETWEEN '2000-01-01Z' AND '2100-01-01Z'"
        )
        with closing(cursor.fetch_record_batch()) as reader:
            rows = sum(batch.num_rows for batch in reader)
    assert rows
    return time.perf_counter() - begin
