"""No export stays `processing`: what a stopped process left behind is found, also in time."""

from __future__ import annotations

import asyncio
import uuid
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from ai_hub import FeatureStore
from ai_hub.definitions.values import HOUR, parse_time, to_datetime
from ai_hub.export import sweep
from ai_hub.export.place import partial_name
from ai_hub.stores.export_log import ExportLog, ExportRecord
from ai_hub.stores.postgres import exports as postgres_exports
from conformance.kit import Deployment, observation

T = parse_time("2025-10-09T14:00:00Z")


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sweep, "SECONDS", 0.05)
    monkeypatch.setattr(postgres_exports, "_DEAD_AFTER", 1)


async def export(store: FeatureStore, path: Path) -> ExportRecord:
    await store.ingest([observation("a", T + i * HOUR, 1.0) for i in range(5)], "t")
    record = await store.export_features_to_parquet(
        "t", "forecast_basic", to_datetime(T), to_datetime(T + 9 * HOUR), output_path=path
    )
    (found,) = await log_of(store).find(export_id=record["export_id"])
    return found


def log_of(store: FeatureStore) -> ExportLog:
    return store._open.store.export_log


async def orphaned(store: FeatureStore, record: ExportRecord) -> None:
    """A record that says processing, of no process."""
    log: Any = log_of(store)
    await log.record(replace(record, status="processing", completed_at=None))
    log._under_way.clear()


async def becomes(store: FeatureStore, export_id: str, status: str) -> ExportRecord:
    for _ in range(200):
        (found,) = await log_of(store).find(export_id=export_id)
        if found.status != "processing":
            assert found.status == status
            return found
        await asyncio.sleep(0.05)
    raise AssertionError("it stayed processing")


async def test_a_half_file_is_removed_and_its_export_waits(
    deployment: Deployment, tmp_path: Path
) -> None:
    async with deployment.open(tmp_path) as store:
        done = await export(store, tmp_path / "f")
        half = replace(done, export_id=str(uuid.uuid4()), checksum=None)
        partial = tmp_path / partial_name("f", half.export_id)
        partial.write_bytes(b"PAR1")
        await orphaned(store, half)
        found = await becomes(store, half.export_id, "pending")
        assert (found.deaths, found.error) == (1, None)
        assert not partial.exists()
        assert await log_of(store).find(export_id=done.export_id) == [done]


async def test_a_file_that_is_in_its_place_is_completed(
    deployment: Deployment, tmp_path: Path
) -> None:
    async with deployment.open(tmp_path) as store:
        done = await export(store, tmp_path / "f")
        await orphaned(store, done)
        found = await becomes(store, done.export_id, "completed")
        assert (found.row_count, found.checksum) == (5, done.checksum)


@pytest.mark.parametrize("what", ["gone", "another's", "half"])
async def test_a_file_that_is_not_in_its_place_is_made_again(
    deployment: Deployment, tmp_path: Path, what: str
) -> None:
    path = tmp_path / "f"
    async with deployment.open(tmp_path) as store:
        done = await export(store, path)
        match what:
            case "gone":
                path.unlink()
            case "another's":
                path.write_bytes(b"other")
            case _:
                path.rename(tmp_path / partial_name("f", done.export_id))
        await orphaned(store, done)
        found = await becomes(store, done.export_id, "pending")
        assert (found.row_count, found.checksum) == (0, None)
        assert not list(tmp_path.glob(".*"))  # noqa: ASYNC240


@pytest.mark.parametrize(
    ("what", "status", "why"),
    [
        ({"request": None}, "failed", "the process that wrote it was stopped"),
        ({"deaths": 2}, "failed", "the process that wrote it was stopped, 3 times"),
        ({"cancelled_by": "ann"}, "cancelled", "cancelled by ann"),
    ],
)
async def test_one_that_cannot_go_on_has_ended(
    deployment: Deployment, tmp_path: Path, what: dict[str, Any], status: str, why: str
) -> None:
    async with deployment.open(tmp_path) as store:
        done = await export(store, tmp_path / "f")
        (tmp_path / "f").unlink()
        await orphaned(store, replace(done, checksum=None, **what))
        found = await becomes(store, done.export_id, status)
        assert found.error == why
        assert not list(tmp_path.glob(".*"))  # noqa: ASYNC240


async def test_one_that_is_under_way_here_is_left_alone(
    deployment: Deployment, tmp_path: Path
) -> None:
    async with deployment.open(tmp_path) as store:
        await store.ingest([observation("a", T + i * HOUR, 1.0) for i in range(5)], "t")
        loop = asyncio.get_running_loop()

        def slow(rows: int) -> None:
            asyncio.run_coroutine_threadsafe(asyncio.sleep(0.5), loop).result()

        record = await store.export_features_to_parquet(
            "t", "forecast_basic", to_datetime(T), to_datetime(T + 9 * HOUR),
            output_path=tmp_path / "f", progress=slow,
        )  # fmt: skip
        assert record["status"] == "completed"
        assert pq.read_metadata(tmp_path / "f").num_rows == 5


async def test_one_that_cannot_be_recorded_is_completed_later(
    deployment: Deployment, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with deployment.open(tmp_path) as store:
        log: Any = log_of(store)
        write = type(log).record

        async def breaks(self: Any, record: ExportRecord, keep: bool = True) -> None:
            self._under_way.discard(record.export_id)
            if record.status == "completed":
                monkeypatch.setattr(type(log), "record", write)
                raise ConnectionError("gone")
            await write(self, record, keep)

        monkeypatch.setattr(type(log), "record", breaks)
        with pytest.raises(ConnectionError):
            await export(store, tmp_path / "f")
        (record,) = await log.find()
        found = await becomes(store, record.export_id, "completed")
        assert found.row_count == 5
