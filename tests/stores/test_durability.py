"""What was acknowledged outlives `kill -9`; what was not is there whole or not at all."""

from __future__ import annotations

import asyncio
import random
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from ai_hub import FeatureStore
from ai_hub.config import Settings
from conformance.kit import FILE, PLAIN, Deployment
from stores.export_kills import killed
from stores.processes import APPLY, BATCH, EXPORT, INGEST, SETS, Process

T = datetime(2025, 10, 9, 14, 30, tzinfo=UTC)
END = T + timedelta(days=999)


def opened(path: Path) -> FeatureStore:
    return FeatureStore(Settings(database_url=f"duckdb:///{path}"))


def rows_by_asset(path: Path, out: Path) -> tuple[dict[str, int], float | None]:
    """How many rows each asset has, and what the asset that all batches share has."""

    asyncio.run(export(path, out))
    if not out.exists():
        return {}, None
    table = pq.read_table(out, columns=["asset_id", "value"])
    assets = table["asset_id"].to_pylist()
    counts = {asset: assets.count(asset) for asset in set(assets)}
    shared = dict(zip(assets, table["value"].to_pylist(), strict=True)).get("shared")
    counts.pop("shared", None)
    return counts, shared


@pytest.mark.parametrize("kills", [pytest.param(2), pytest.param(40, marks=pytest.mark.long)])
def test_every_acknowledged_batch_outlives_a_kill_and_no_half_one_does(
    tmp_path: Path, kills: int
) -> None:
    for round_ in range(kills):
        path = tmp_path / f"{round_}.duckdb"
        with Process(INGEST, path) as process:
            assert process.line() == "ready"
            time.sleep(random.uniform(0, 0.5))
            acknowledged = process.kill()
        last = int(acknowledged[-1]) if acknowledged else -1
        counts, shared = rows_by_asset(path, tmp_path / f"{round_}.parquet")
        landed = {int(asset.removeprefix("batch-")) for asset in counts}
        # The one that was under way when the process died may be there, and then it is whole.
        assert landed in (set(range(last + 1)), set(range(last + 2)))
        assert set(counts.values()) <= {BATCH - 1}
        assert shared == (max(landed) if landed else None)


@pytest.mark.long
def test_a_file_goes_on_growing_over_kills(tmp_path: Path) -> None:
    path = tmp_path / "one.duckdb"
    for _ in range(3):
        with Process(INGEST, path) as process:
            assert process.line() == "ready"
            last = int(process.line())
            process.kill()
    counts, _ = rows_by_asset(path, tmp_path / "out.parquet")
    assert set(range(last + 1)) <= {int(asset.removeprefix("batch-")) for asset in counts}


@pytest.mark.parametrize("kills", [pytest.param(2), pytest.param(100, marks=pytest.mark.long)])
def test_whenever_an_export_is_killed_its_record_and_the_file_agree(
    tmp_path: Path, kills: int
) -> None:
    found = asyncio.run(killed(tmp_path, kills))
    assert (found.processing, found.half_files, found.wrong_files) == (0, 0, 0)
    assert found.completed + found.failed > 0


async def fill(path: Path, rows: int) -> None:
    times = pa.array([T + timedelta(minutes=i) for i in range(rows)], pa.timestamp("us", "UTC"))
    async with opened(path) as store:
        for asset in ("a", "b"):
            table = {"timestamp": times, "value": np.arange(float(rows)),
                     "asset_id": pa.array([asset] * rows)}  # fmt: skip
            await store.ingest(pa.table(table), "t")


async def export(path: Path, out: Path) -> dict[str, object]:
    async with opened(path) as store:
        return await store.export_features_to_parquet(
            "t", "forecast_basic", T, END, output_path=out
        )


@pytest.mark.parametrize(
    "before",
    [
        pytest.param(False, id="new file", marks=pytest.mark.long),
        pytest.param(True, id="replacing a file"),
    ],
)
def test_an_export_killed_half_way_leaves_no_file_after_the_next_opening(
    tmp_path: Path, before: bool
) -> None:
    path, out = tmp_path / "f.duckdb", tmp_path / "out" / "train.parquet"
    asyncio.run(fill(path, 40_000))
    out.parent.mkdir()
    if before:
        asyncio.run(export(path, out))
    was = out.read_bytes() if before else b""
    with Process(EXPORT, path, out) as process:
        assert process.line() == "ready"
        assert 0 < int(process.line()) < 80_000
        # A reader that looks while it is written sees no half file under the name.
        assert (out.read_bytes() == was) if before else not out.exists()
        assert [p.name.startswith(".") for p in out.parent.iterdir() if p != out] == [True]
        process.kill()

    async def look() -> list[dict[str, object]]:
        async with opened(path) as store:
            return await store.exports()

    record, *others = asyncio.run(look())
    assert [one["replaced_by"] for one in others] == [None] * before
    assert (record["status"], record["completed_at"]) == ("pending", None)
    assert list(out.parent.iterdir()) == ([out] if before else [])
    if before:
        assert out.read_bytes() == was

    async def go_on() -> dict[str, object]:
        async with opened(path) as store:
            await store.resume_export(str(record["export_id"]))
            return await store.wait_for_export(str(record["export_id"]))

    assert asyncio.run(go_on())["status"] == "completed"
    assert list(out.parent.iterdir()) == [out]


@pytest.mark.parametrize(
    "deployment",
    [FILE, pytest.param(PLAIN, marks=pytest.mark.postgresql)],
    ids=str,
)
@pytest.mark.parametrize("kills", [pytest.param(1), pytest.param(40, marks=pytest.mark.long)])
def test_a_kill_in_the_middle_of_apply_leaves_a_whole_registry(
    tmp_path: Path, deployment: Deployment, kills: int
) -> None:
    for round_ in range(kills):
        place = tmp_path / str(round_)
        place.mkdir()
        with Process(APPLY, deployment.url(place)) as process:
            assert process.line() == "ready"
            time.sleep(random.uniform(0, 0.5))
            acknowledged = process.kill()
        last = int(acknowledged[-1]) if acknowledged else 0

        async def look(place: Path = place) -> tuple[list[int], int]:
            async with deployment.open(place) as store:
                versions = [len(store.registry.versions(f"set_{i}")) for i in range(SETS)]
                known = bool(versions[0])
                return versions, (store.registry.get("set_0").version or 0) if known else 0

        versions, default = asyncio.run(look())
        # What was acknowledged is there; the next one is there whole or not at all.
        assert versions in ([last] * SETS, [last + 1] * SETS)
        assert default in (last, last + 1)
