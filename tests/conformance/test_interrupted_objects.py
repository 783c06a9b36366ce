"""No export to object storage stays `processing`, and none leaves anything there."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from ai_hub import FeatureStore
from ai_hub.definitions.values import HOUR, parse_time, to_datetime
from ai_hub.export import sweep
from ai_hub.storage import objects
from ai_hub.storage.opening import open_storage
from ai_hub.storage.url import Url
from ai_hub.stores.export_log import ExportRecord
from ai_hub.stores.postgres import exports as postgres_exports
from conformance.kit import Deployment, observation
from conformance.test_interrupted_exports import becomes, log_of, orphaned
from object_server import ObjectServer

T = parse_time("2025-10-09T14:00:00Z")


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sweep, "SECONDS", 0.05)
    monkeypatch.setattr(postgres_exports, "_DEAD_AFTER", 1)
    monkeypatch.setattr(objects, "_PIECE", 1_000)


async def export(store: FeatureStore, url: str) -> ExportRecord:
    await store.ingest([observation("a", T + i * HOUR, 1.0) for i in range(5)], "t")
    record = await store.export_features_to_parquet(
        "t",
        "forecast_basic",
        to_datetime(T),
        to_datetime(T + 9 * HOUR),
        output_path=url,
        parts=True,
    )
    (found,) = await log_of(store).find(export_id=record["export_id"])
    return found


async def test_what_a_stopped_process_left_is_completed_gone_on_with_or_removed(
    deployment: Deployment, bucket: str, s3_server: ObjectServer, tmp_path: Path
) -> None:
    async with deployment.open(tmp_path) as store:
        done = await export(store, f"s3://{bucket}/x")
        whole = s3_server.keys(bucket)
        storage = open_storage(Url.of(done.storage_path))

        storage.put("_journal/part-00000.parquet.json", b"{}")
        await orphaned(store, done)
        found = await becomes(store, done.export_id, "completed")
        assert (found.row_count, found.checksum) == (5, done.checksum)
        assert s3_server.keys(bucket) == whole

        storage.delete(["manifest.json"])
        half = storage.writer("part-00001.parquet")
        half.write(bytes(20_000))
        await orphaned(store, replace(done, checksum=None))
        await becomes(store, done.export_id, "pending")
        assert s3_server.uploads(bucket) == []
        await store.resume_export(done.export_id)
        again = await store.wait_for_export(done.export_id)
        assert (again["status"], again["checksum"]) == ("completed", done.checksum)
        assert s3_server.keys(bucket) == whole

        storage.delete(["manifest.json"])
        await orphaned(store, replace(done, checksum=None, cancelled_by="ann"))
        await becomes(store, done.export_id, "cancelled")
        assert s3_server.keys(bucket) == s3_server.uploads(bucket) == []
