"""What a killed archive leaves behind: of processes that drop what they seal, or bring it back."""

from __future__ import annotations

import asyncio
import random
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from conformance.kit import Deployment
from stores.processes import ARCHIVE, UNARCHIVE, Process

FIRST = datetime(2024, 1, 1, tzinfo=UTC)
DAYS = 60
END = FIRST + timedelta(days=DAYS)
ASSETS = ("a", "b", "c")
LONGEST = 1.0
"""Seconds until a process is killed."""


async def exported(deployment: Deployment, folder: Path) -> pa.Table:
    path = folder / "exports" / "all.parquet"
    async with deployment.open(folder) as store:
        await store.export_features_to_parquet(
            "t", "forecast_basic", FIRST, END, output_path=path, force=True, horizons=["24h"]
        )
    return pq.read_table(path)


async def killed(deployment: Deployment, folder: Path, kills: int) -> list[str]:
    """What was wrong after any of so many kills, half of them on the way back."""
    wrong: list[str] = []
    async with deployment.open(folder) as store:
        for asset in ASSETS:
            await store.ingest(
                [{"timestamp": FIRST + timedelta(hours=i), "asset_id": asset, "value": i * 0.1}
                 for i in range(DAYS * 24)], "t",
            )  # fmt: skip
        await store.ingest_weather(
            [{"timestamp": FIRST + timedelta(hours=i), "asset_id": "a", "temperature": 1.0}
             for i in range(DAYS * 24)], "t",
        )  # fmt: skip
    before = await exported(deployment, folder)
    url, archive = deployment.url(folder), folder / "archive"

    async def kill(program: str, what: str, times: int) -> None:
        for _ in range(times):
            with Process(program, url, archive, str(DAYS)) as process:
                assert process.line() == "ready"
                await asyncio.sleep(random.uniform(0, LONGEST))
                process.kill()
            if not (await exported(deployment, folder)).equals(before):
                wrong.append(f"an export is another one after a killed {what}")

    def end(program: str) -> None:
        with Process(program, url, archive, str(DAYS)) as process:
            if process.end() != 0:
                wrong.append("the last run failed")

    await kill(ARCHIVE, "archive", kills - kills // 2)
    end(ARCHIVE)
    async with deployment.open(folder) as store:
        found = await store.archives()
    if not (await exported(deployment, folder)).equals(before):
        wrong.append("the last export is another one")
    sealed = sum(one["rows"] for one in found["layers"] if one["kind"] == "observations")
    if sealed != len(ASSETS) * DAYS * 24:
        wrong.append(f"{sealed} rows are sealed")
    if any(one["state"] != "verified" for one in found["layers"]):
        wrong.append("a layer is not verified")
    if {*found["dropped_before"]} != {"observations", "weather"}:
        wrong.append("nothing was dropped")
    named = {one["layer_id"] for one in found["layers"]}
    files = [one.stem for one in archive.rglob("*.parquet")]
    if {*files} != named:
        wrong.append("there are files of no layer, or layers without files")
    if [*archive.rglob("*.partial")]:
        wrong.append("half a file is left")
    await kill(UNARCHIVE, "unarchive", kills // 2)
    end(UNARCHIVE)
    if not (await exported(deployment, folder)).equals(before):
        wrong.append("an export is another one when all rows are back")
    async with deployment.open(folder) as store:
        found = await store.archives()
    if found["layers"] or found["dropped_before"]:
        wrong.append("an archive is left")
    if [one for one in archive.rglob("*") if one.is_file()]:
        wrong.append("files of the archive are left")
    return wrong
