"""What a killed archive leaves behind: a process that drops what it seals."""

from __future__ import annotations

import asyncio
import random
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from ai_hub import FeatureStore
from ai_hub.config import Settings
from stores.processes import ARCHIVE, Process

FIRST = datetime(2024, 1, 1, tzinfo=UTC)
DAYS = 60
ASSETS = ("a", "b", "c")
LONGEST = 1.0
"""Seconds until a process is killed."""


def settings_of(folder: Path) -> Settings:
    return Settings(database_url=f"duckdb:///{folder / 'f.duckdb'}", export_root=folder / "exports")


async def exported(folder: Path) -> pa.Table:
    path = folder / "exports" / "all.parquet"
    async with FeatureStore(settings_of(folder)) as store:
        await store.export_features_to_parquet(
            "t", "forecast_basic", FIRST, FIRST + timedelta(days=DAYS), output_path=path,
            force=True, horizons=["24h"],
        )  # fmt: skip
    return pq.read_table(path)


async def killed(folder: Path, kills: int) -> list[str]:
    """What was wrong after any of so many kills."""
    wrong: list[str] = []
    async with FeatureStore(settings_of(folder)) as store:
        for asset in ASSETS:
            await store.ingest(
                [{"timestamp": FIRST + timedelta(hours=i), "asset_id": asset, "value": i * 0.1}
                 for i in range(DAYS * 24)], "t",
            )  # fmt: skip
        await store.ingest_weather(
            [{"timestamp": FIRST + timedelta(hours=i), "asset_id": "a", "temperature": 1.0}
             for i in range(DAYS * 24)], "t",
        )  # fmt: skip
    before = await exported(folder)
    for _ in range(kills):
        with Process(ARCHIVE, folder / "f.duckdb", folder / "archive", str(DAYS)) as process:
            assert process.line() == "ready"
            await asyncio.sleep(random.uniform(0, LONGEST))
            process.kill()
        if not (await exported(folder)).equals(before):
            wrong.append("an export is another one")
    async with FeatureStore(settings_of(folder)) as store:
        end = FIRST + timedelta(days=DAYS)
        await store.archive(end, str(folder / "archive"), drop=True)
        found = await store.archives()
    if not (await exported(folder)).equals(before):
        wrong.append("the last export is another one")
    sealed = sum(one["rows"] for one in found["layers"] if one["kind"] == "observations")
    if sealed != len(ASSETS) * DAYS * 24:
        wrong.append(f"{sealed} rows are sealed")
    if any(one["state"] != "verified" for one in found["layers"]):
        wrong.append("a layer is not verified")
    named = {one["layer_id"] for one in found["layers"]}
    files = [one.stem for one in (folder / "archive").rglob("*.parquet")]
    if {*files} != named:
        wrong.append("there are files of no layer, or layers without files")
    if [*(folder / "archive").rglob("*.partial")]:
        wrong.append("half a file is left")
    return wrong
