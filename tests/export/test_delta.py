"""Exports as versions of a Delta table: one commit each, once, with what the export says."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from deltalake import DeltaTable

from ai_hub import FeatureStore
from ai_hub.definitions.values import HOUR, parse_time, to_datetime
from ai_hub.errors import ExportFailed, InvalidInput
from ai_hub.export import objects, sweep
from ai_hub.export.place import Places
from ai_hub.export.reading import dataset, read_manifest
from ai_hub.export.verify import verify
from ai_hub.storage.objects import delta_options
from ai_hub.storage.url import Url
from conformance.kit import MEMORY, observation

T = parse_time("2024-12-30T14:00:00Z")


async def filled(store: FeatureStore) -> None:
    for asset in "ab":
        rows = [observation(asset, T + i * HOUR, float(i)) for i in range(60)]
        await store.ingest(rows, "t")


async def exported(store: FeatureStore, to: object, **how: Any) -> dict[str, Any]:
    return await store.export_features_to_parquet(
        "t", how.pop("feature_set", "forecast_basic"), to_datetime(T), to_datetime(T + 60 * HOUR),
        output_path=to, **{"format": "delta"} | how,  # type: ignore[arg-type]
    )  # fmt: skip


def table_of(to: object) -> DeltaTable:
    return DeltaTable(str(to), storage_options=delta_options(Url.of(to)))


def rows_of(table: DeltaTable) -> pa.Table:
    found = pa.table(table.to_pyarrow_dataset().to_table())
    return found.sort_by([("asset_id", "ascending"), ("timestamp", "ascending")])


@pytest.mark.parametrize("in_bucket", [False, True])
async def test_each_export_is_a_version(
    request: pytest.FixtureRequest, tmp_path: Path, in_bucket: bool
) -> None:
    to: Any = tmp_path / "a table"
    if in_bucket:
        to = f"s3://{request.getfixturevalue('bucket')}/tables/x"
    async with MEMORY.open(tmp_path) as store:
        await filled(store)
        one = pq.read_table((await exported(store, tmp_path / "x.parquet", format="parquet"))[
            "storage_path"])  # fmt: skip
        first = await exported(store, to)
        table = table_of(to)
        assert rows_of(table).num_rows == len(one) == 120
        found = rows_of(table)
        for name in one.column_names:
            assert found[name].to_pylist() == one[name].to_pylist()
        second = await exported(store, to, missing="keep")
    table.update_incremental()
    assert rows_of(table).num_rows == 240
    (newest, *_) = table.history(1)
    assert newest["ai_hub.export_id"] == second["export_id"]
    said = read_manifest(second["storage_path"])
    assert newest["ai_hub.fingerprint"] == said["fingerprint"]
    assert (newest["ai_hub.row_count"], newest["ai_hub.tenant_id"]) == ("120", "t")
    assert first["storage_path"].endswith(f"/{first['export_id']}")
    for record in (first, second):
        assert verify(Places(), record) == "ok"
        assert dataset(record["storage_path"]).count_rows() == 120


async def test_a_layout_partitions_the_table_and_another_does_not_fit(tmp_path: Path) -> None:
    to = tmp_path / "table"
    async with MEMORY.open(tmp_path) as store:
        await filled(store)
        await exported(store, to, partition_by="month")
        table = table_of(to)
        assert table.metadata().partition_columns == ["month"]
        found = rows_of(table)
        months = found["timestamp"].to_numpy().astype("datetime64[M]").astype(str).tolist()
        assert found["month"].to_pylist() == months
        for how, said in (
            ({}, "a table partitioned by nothing. It is partitioned by month"),
            ({"partition_by": "month", "feature_set": "anomaly_detection"}, "They differ in "),
            ({"partition_by": "month", "indicators": True}, "They differ in lag_"),
        ):  # fmt: skip
            with pytest.raises(InvalidInput, match="output_path: got ") as caught:
                await exported(store, to, **how)
            assert said in str(caught.value)
    assert table_of(to).version() == table.version()
    assert len([*to.iterdir()]) == 2


async def test_a_commit_that_was_not_made_is_made_by_the_sweep_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    to = tmp_path / "table"

    def fails(*_: object) -> None:
        raise ExportFailed("the storage is away")

    monkeypatch.setattr(sweep, "SECONDS", 0.05)
    async with MEMORY.open(tmp_path) as store:
        await filled(store)
        with monkeypatch.context() as patch:
            patch.setattr(objects, "commit", fails)
            with pytest.raises(ExportFailed, match="the storage is away"):
                await exported(store, to)
            (record,) = await store.exports()
            assert record["status"] == "processing"
            assert not DeltaTable.is_deltatable(str(to))
        assert (await store.wait_for_export(record["export_id"]))["status"] == "completed"
        assert rows_of(table_of(to)).num_rows == 120
        # Should the process have ended between the commit and its record.
        log: Any = store._open.store.export_log
        (found,) = await log.find()
        await log.record(replace(found, status="processing", completed_at=None), keep=False)
        assert (await store.wait_for_export(record["export_id"]))["status"] == "completed"
        assert rows_of(table_of(to)).num_rows == 120


async def test_one_that_fails_leaves_no_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(*_: object) -> None:
        raise ExportFailed("the disk is full")

    async with MEMORY.open(tmp_path) as store:
        await filled(store)
        monkeypatch.setattr(objects.ObjectDraft, "conclude", fails)
        with pytest.raises(ExportFailed, match="the disk is full"):
            await exported(store, tmp_path / "table")
    assert not [*(tmp_path / "table").iterdir()]


async def test_what_is_no_table_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with MEMORY.open(tmp_path) as store:
        await filled(store)
        for how, said in (
            ({"format": "csv"}, "format: got 'csv', expected parquet or delta"),
            ({"to": None}, "output_path: got None, expected the folder or URL of a Delta table"),
            ({"to": "x", "in_tenant_folder": True}, "expected a URL, with delta as format"),
        ):
            with pytest.raises(InvalidInput) as caught:
                await exported(store, **{"to": tmp_path / "x"} | how)
            assert said in str(caught.value)
        monkeypatch.setitem(sys.modules, "deltalake", None)
        with pytest.raises(InvalidInput, match=r"ai-hub-feature-store\[delta\]"):
            await exported(store, tmp_path / "x")
