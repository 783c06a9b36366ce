"""Exports to object storage: below their own id, whole or not at all."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from ai_hub import FeatureStore
from ai_hub.config import Settings
from ai_hub.definitions.values import HOUR, parse_time, to_datetime
from ai_hub.errors import ConfigError, ExportFailed, InvalidInput
from ai_hub.export import output
from ai_hub.export.place import Places
from ai_hub.export.reading import dataset, read_manifest
from ai_hub.export.verify import verify
from conformance.kit import MEMORY, observation
from object_server import ObjectServer

T = parse_time("2025-10-09T14:00:00Z")
ROWS = 40


async def filled(store: FeatureStore) -> None:
    for asset in "abc":
        rows = [observation(asset, T + i * HOUR, float(i)) for i in range(ROWS)]
        await store.ingest(rows, "t")


async def exported(store: FeatureStore, to: object, **how: Any) -> dict[str, Any]:
    return await store.export_features_to_parquet(
        "t", "forecast_basic", to_datetime(T), to_datetime(T + ROWS * HOUR),
        output_path=to, **how,  # type: ignore[arg-type]
    )  # fmt: skip


@pytest.mark.parametrize("parts", [False, True])
async def test_an_export_lands_below_its_own_id(
    bucket: str,
    s3_server: ObjectServer,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    parts: bool,
) -> None:
    monkeypatch.setattr("ai_hub.stores.chunks.CHUNK_ROWS", 4)
    monkeypatch.setattr(output, "PART_ROWS", 40)
    async with MEMORY.open(tmp_path) as store:
        await filled(store)
        one = await exported(store, tmp_path / "one.parquet")
        made = [await exported(store, f"s3://{bucket}/x/y/", parts=parts) for _ in range(2)]
    for record in made:
        assert record["storage_path"] == f"s3://{bucket}/x/y/{record['export_id']}"
        assert (record["status"], record["row_count"]) == ("completed", 3 * ROWS)
        said = read_manifest(record["storage_path"])
        assert said["fingerprint"] == pq.read_metadata(one["storage_path"]).metadata[
            b"ai_hub.fingerprint"].decode()  # fmt: skip
        assert len(said["parts"]) == (3 if parts else 1)
        assert sum(part["rows"] for part in said["parts"]) == 3 * ROWS
        for part in said["parts"]:
            key = f"x/y/{record['export_id']}/{part['path']}"
            content = s3_server.get(bucket, key)
            assert (len(content), hashlib.sha256(content).hexdigest()) == (
                part["bytes"], part["sha256"])  # fmt: skip
        content = s3_server.get(bucket, f"x/y/{record['export_id']}/manifest.json")
        assert record["checksum"] == hashlib.sha256(content).hexdigest()
        assert record["file_size_bytes"] == said["bytes"] + len(content)
        found = dataset(record["storage_path"]).to_table()
        whole = pq.read_table(one["storage_path"])
        assert found.replace_schema_metadata().equals(whole.replace_schema_metadata())
        assert verify(Places(), record) == "ok"
    assert len(s3_server.keys(bucket)) == 2 * (4 if parts else 2)
    assert s3_server.uploads(bucket) == []


async def test_without_rows_nothing_is_there(
    bucket: str, s3_server: ObjectServer, tmp_path: Path
) -> None:
    async with MEMORY.open(tmp_path) as store:
        record = await exported(store, f"s3://{bucket}")
    assert record["status"] == "no_data"
    assert s3_server.keys(bucket) == []


async def test_what_was_changed_or_removed_is_told(
    bucket: str, s3_server: ObjectServer, tmp_path: Path
) -> None:
    async with MEMORY.open(tmp_path) as store:
        await filled(store)
        record = await exported(store, f"s3://{bucket}/x")
    for name, content, state in (
        ("part-00001.parquet", b"more", "changed"),
        ("part-00000.parquet", b"other", "changed"),
        ("part-00000.parquet", None, "missing"),
        ("manifest.json", json.dumps({"manifest": 1}).encode(), "changed"),
        ("manifest.json", None, "missing"),
    ):
        key = f"x/{record['export_id']}/{name}"
        if content is None:
            s3_server.delete(bucket, key)
        else:
            s3_server.put(bucket, key, content)
        assert verify(Places(), record) == state
    with pytest.raises(InvalidInput, match="its manifest"):
        read_manifest(record["storage_path"])


async def test_a_bucket_that_is_not_there_is_told_before_anything_is_read(
    bucket: str, tmp_path: Path
) -> None:
    async with MEMORY.open(tmp_path) as store:
        await filled(store)
        with pytest.raises(ExportFailed, match="there is no bucket nowhere"):
            await exported(store, "s3://nowhere/x")
        assert await store.exports() == []


async def test_a_folder_in_parts_is_read_by_its_manifest(tmp_path: Path) -> None:
    async with MEMORY.open(tmp_path) as store:
        await filled(store)
        record = await exported(store, f"file://{tmp_path}/parts", parts=True)
    assert record["storage_path"] == str(tmp_path / "parts")
    (tmp_path / "parts" / "part-00001.parquet").write_bytes(b"of somebody else")
    assert dataset(tmp_path / "parts").count_rows() == 3 * ROWS
    with pytest.raises(InvalidInput, match="place: got"):
        dataset(tmp_path)


def test_urls_of_settings_are_told() -> None:
    given: Any = "s3://aa/b/, gs://cc"
    assert Settings(export_urls=given).export_urls == ("s3://aa/b", "gs://cc")
    for given in ("exports", "file:///x", "s3://aa,", "s3://aa/../b", 7):
        with pytest.raises(ConfigError, match="expected URLs of object storage with commas"):
            Settings(export_urls=given)
