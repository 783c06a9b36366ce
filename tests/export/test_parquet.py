"""The file that an export leaves: columns, types, order, metadata; and nothing where it fails."""

from __future__ import annotations

import gc
import json
import os
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from ai_hub import FeatureStore
from ai_hub.config import Settings
from ai_hub.definitions.builtin import FEATURE_SETS, FORECAST_ADVANCED
from ai_hub.errors import ExportFailed, InvalidInput, StoreUnavailable, UnknownExport
from ai_hub.export import parquet, place

T = datetime(2025, 10, 9, tzinfo=UTC)
END = T + timedelta(hours=47)
INTEGERS = {"hour_of_day", "day_of_week", "is_weekend", "day_of_month", "month"}
INTEGERS |= {"is_business_hours"}
OLD = Path(__file__).parent / "files" / "semantics_1.parquet"
"""Written by the release before semantics 2."""


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[FeatureStore]:
    settings = Settings(database_url="duckdb:///:memory:", export_root=tmp_path / "exports")
    async with FeatureStore(settings) as opened:
        await opened.ingest(
            [
                {"timestamp": T + timedelta(hours=h), "asset_id": asset, "value": float(h)}
                for asset in ("b", "a")
                for h in range(48)
            ],
            "t",
        )
        yield opened


async def export(store: FeatureStore, path: Path | None, **how: Any) -> dict[str, Any]:
    arguments = {"tenant_id": "t", "feature_set": "forecast_basic", "start_time": T,
                 "end_time": END, "output_path": path}  # fmt: skip
    return await store.export_features_to_parquet(**(arguments | how))


@pytest.mark.parametrize("feature_set", FEATURE_SETS, ids=lambda s: s.name)
async def test_columns_and_types(store: FeatureStore, tmp_path: Path, feature_set: Any) -> None:
    await export(store, tmp_path / "f", feature_set=feature_set.name)
    schema = pq.read_schema(tmp_path / "f")
    names = ["timestamp", "tenant_id", "asset_id", "value", *feature_set.feature_names]
    assert schema.names == names
    assert schema.field("timestamp").type == pa.timestamp("us", "UTC")
    for name in ("tenant_id", "asset_id"):
        assert schema.field(name).type == pa.dictionary(pa.int32(), pa.string())
    for name in names[3:]:
        expected = pa.int64() if name in INTEGERS else pa.float64()
        assert schema.field(name).type == expected


async def test_the_arguments_stand_in_the_order_of_the_guide(
    store: FeatureStore, tmp_path: Path
) -> None:
    record = await store.export_features_to_parquet(
        "t", "forecast_basic", T, END, str(tmp_path / "f"), ["a"]
    )
    assert record["storage_path"] == str(tmp_path / "f")
    assert set(pq.read_table(tmp_path / "f")["asset_id"].to_pylist()) == {"a"}
    with pytest.raises(InvalidInput, match="output_path"):
        await store.export_features_to_parquet("t", "forecast_basic", T, END, ["a"])


async def test_targets_and_indicators_follow_the_features(
    store: FeatureStore, tmp_path: Path
) -> None:
    await export(store, tmp_path / "f", horizons=["1h", "90m"], indicators=True, missing="keep")
    table = pq.read_table(tmp_path / "f")
    assert table.column_names[10:] == [
        "target_1h", "target_90m",
        "lag_1h__missing", "lag_24h__missing", "rolling_avg_24h__missing",
    ]  # fmt: skip
    assert table.schema.field("lag_1h__missing").type == pa.bool_()
    first, last = table.to_pylist()[0], table.to_pylist()[47]
    assert first["lag_1h"] is None
    assert (first["lag_1h__missing"], last["lag_1h__missing"]) == (True, False)
    assert (first["target_1h"], first["target_90m"], last["target_1h"]) == (1.0, 1.0, None)


async def test_rows_are_sorted_by_asset_and_time(store: FeatureStore, tmp_path: Path) -> None:
    await export(store, tmp_path / "f")
    table = pq.read_table(tmp_path / "f")
    keys = list(zip(table["asset_id"].to_pylist(), table["timestamp"].to_pylist(), strict=True))
    assert keys == sorted(keys)
    assert len(set(keys)) == 96


async def test_the_file_says_what_is_in_it(store: FeatureStore, tmp_path: Path) -> None:
    await export(store, tmp_path / "f", feature_set="forecast_advanced@1", missing=-1)
    found = {
        key.decode(): value.decode()
        for key, value in pq.read_metadata(tmp_path / "f").metadata.items()
    }
    definitions = json.loads(found["ai_hub.definitions"])
    assert [d["name"] for d in definitions] == list(FORECAST_ADVANCED.feature_names)
    assert {key: found[f"ai_hub.{key}"] for key in
            ("feature_set", "version", "fingerprint", "start_time", "end_time", "row_count",
             "tenant_id", "missing", "policy", "semantics", "targets")} == {
        "feature_set": "forecast_advanced", "version": "1",
        "fingerprint": FORECAST_ADVANCED.fingerprint, "start_time": "2025-10-09T00:00:00Z",
        "end_time": "2025-10-10T23:00:00Z", "row_count": "96", "tenant_id": "t", "missing": "-1.0",
        "policy": "-1.0", "semantics": "2", "targets": "[]",
    }  # fmt: skip


@pytest.mark.parametrize(("asked", "stored"), [(None, "SNAPPY"), ("zstd", "ZSTD")])
async def test_compression_and_dictionaries(
    store: FeatureStore, tmp_path: Path, asked: str | None, stored: str
) -> None:
    await export(store, tmp_path / "f", **({} if asked is None else {"compression": asked}))
    group = pq.read_metadata(tmp_path / "f").row_group(0)
    for i in range(group.num_columns):
        column = group.column(i)
        assert column.compression == stored
        if column.path_in_schema in ("asset_id", "hour_of_day"):
            assert "RLE_DICTIONARY" in column.encodings


async def test_the_default_name_says_set_and_export(store: FeatureStore, tmp_path: Path) -> None:
    record = await export(store, None)
    path = tmp_path / "exports" / f"forecast_basic_{record['export_id']}.parquet"
    assert record["storage_path"] == str(path)
    assert record["status"] == "completed"
    assert record["row_count"] == 96
    assert record["file_size_bytes"] == path.stat().st_size
    assert record["file_size_mb"] == path.stat().st_size / 1_000_000
    assert os.listdir(path.parent) == [path.name]
    assert await store.export_record(record["export_id"]) == record
    assert await store.exports("t") == [record]
    assert await store.exports("u") == []
    with pytest.raises(UnknownExport):
        await store.export_record("nothing")


async def test_no_rows_are_no_data_and_no_file(store: FeatureStore, tmp_path: Path) -> None:
    out = tmp_path / "out"
    for how in ({"tenant_id": "u"}, {"asset_ids": ["nobody"]}):
        record = await export(store, out / "f", **how)
        assert (record["status"], record["row_count"]) == ("no_data", 0)
        assert record["storage_path"] is None
    assert list(out.iterdir()) == []


async def test_a_file_is_replaced_whole(
    store: FeatureStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "f"
    path.write_bytes(b"before")
    seen: list[bytes] = []
    await export(store, path, force=True, progress=lambda rows: seen.append(path.read_bytes()))
    assert set(seen) == {b"before"}
    assert pq.read_table(path).num_rows == 96


async def fails(
    store: FeatureStore, path: Path, error: type[Exception] = ExportFailed, **how: Any
) -> str:
    with pytest.raises(error) as caught:
        await export(store, path, **how)
    return str(caught.value)


async def test_a_path_inside_a_file_fails_and_names_it(store: FeatureStore, tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"x")
    message = await fails(store, tmp_path / "file" / "f.parquet")
    assert "output_path" in message
    assert "file" in message
    assert (tmp_path / "file").read_bytes() == b"x"


async def test_a_directory_is_no_path_of_a_file(store: FeatureStore, tmp_path: Path) -> None:
    assert "output_path" in await fails(store, tmp_path, InvalidInput)


async def test_a_name_that_is_too_long_fails(store: FeatureStore, tmp_path: Path) -> None:
    assert "output_path" in await fails(store, tmp_path / ("x" * 300))
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize("spine", [False, True])
@pytest.mark.parametrize("room", [0, 1, 2])
async def test_a_full_disk_fails_and_leaves_nothing(
    store: FeatureStore, tmp_path: Path, capfd: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch, spine: bool, room: int,
) -> None:  # fmt: skip
    written = []

    def write(draft: place.Draft, data: bytes | memoryview) -> None:
        path = "/dev/full" if len(written) == room else f"/dev/fd/{draft.handle}"
        with open(path, "ab", 0) as file:
            written.append(file.write(data))

    monkeypatch.setattr("ai_hub.stores.chunks.CHUNK_ROWS", 5)
    monkeypatch.setattr(place.Draft, "write", write)
    rows = [{"asset_id": "a", "timestamp": T}] * 300
    how = {"spine": rows, "start_time": None, "end_time": None} if spine else {}
    path = tmp_path / "out" / "f.parquet"
    assert "No space left" in await fails(store, path, **how)
    gc.collect()
    assert list(path.parent.iterdir()) == []
    (record,) = await store.exports()
    assert record["status"] == "failed"
    assert "No space left" in record["error"]
    assert "Exception ignored" not in capfd.readouterr().err


async def test_a_file_is_the_same_however_many_cores_there_are(
    store: FeatureStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ai_hub.stores.chunks.CHUNK_ROWS", 5)
    found = set()
    settings = Settings(database_url=f"duckdb:///{tmp_path}/one.duckdb")
    rows = [
        {"timestamp": T + timedelta(hours=h), "asset_id": asset, "value": h / 7}
        for asset in ("b", "a")
        for h in range(48)
    ]
    for count in (1, 2, 5):
        monkeypatch.setattr("ai_hub.export.threads.cores", lambda count=count: count)
        async with FeatureStore(settings) as one:
            await one.ingest(rows, "t")
            record = await export(one, tmp_path / f"{count}.parquet", horizons=["1h"])
            assert pq.read_metadata(tmp_path / f"{count}.parquet").num_row_groups > 10
        found.add((record["checksum"], record["row_count"]))
    assert found == {(record["checksum"], 96)}


async def test_a_store_that_fails_half_way_leaves_nothing_and_a_job_that_waits(
    store: FeatureStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def chunks(*_: object) -> Any:
        raise StoreUnavailable("away")
        yield

    monkeypatch.setattr("ai_hub.stores.embedded.store.scan_chunks", chunks)
    assert "away" in await fails(store, tmp_path / "out" / "f", StoreUnavailable)
    assert list((tmp_path / "out").iterdir()) == []
    (record,) = await store.exports()
    # With the database it can be made: by a server, or by whoever resumes it.
    assert (record["status"], record["row_count"]) == ("pending", 0)
    monkeypatch.undo()
    await store.resume_export(record["export_id"])
    assert (await store.wait_for_export(record["export_id"]))["status"] == "completed"


async def test_any_other_fault_half_way_leaves_nothing_and_a_failed_record(
    store: FeatureStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> Any:
        raise ZeroDivisionError("a fault")

    monkeypatch.setattr(parquet, "feature_rows", broken)
    with pytest.raises(ZeroDivisionError):
        await export(store, tmp_path / "out" / "f")
    assert list((tmp_path / "out").iterdir()) == []
    (record,) = await store.exports()
    assert record["status"] == "failed"


@pytest.mark.parametrize(
    ("how", "field"),
    [
        ({"start_time": END, "end_time": T}, "start_time"),
        ({"start_time": T.replace(tzinfo=None)}, "start_time"),
        ({"end_time": None}, "end_time"),
        ({"asset_ids": []}, "asset_ids"),
        ({"asset_ids": "a"}, "asset_ids"),
        ({"compression": "gzip"}, "compression"),
        ({"horizons": ["1h", "1h"]}, "horizons"),
        ({"horizons": "1h"}, "horizons"),
        ({"horizons": ["lag_1h=1h"]}, "horizons.*lag_1h"),
        ({"horizons": ["value=1h"]}, "horizons.*value"),
        ({"horizons": ["lag_1h__missing=1h"]}, "horizons.*lag_1h__missing"),
        ({"horizons": ["x=1h,stat=max"]}, "window"),
        ({"horizons": ["x=1h,size=3"]}, "horizons"),
        ({"horizons": [{"name": "x"}]}, "horizon"),
        ({"horizons": ["soon"]}, "horizons"),
        ({"frequency": "often"}, "frequency"),
        ({"frequency": "1h", "spine": [{"asset_id": "a", "timestamp": T}]}, "frequency"),
        ({"spine": [{"asset_id": "a", "timestamp": T}]}, "start_time"),
        ({"missing": "never"}, "missing"),
        ({"tenant_id": ""}, "tenant_id"),
    ],
)
async def test_wrong_arguments_are_named_and_nothing_is_written(
    store: FeatureStore, tmp_path: Path, how: dict[str, Any], field: str
) -> None:
    with pytest.raises(InvalidInput, match=field):
        await export(store, tmp_path / "out" / "f", **how)
    assert not (tmp_path / "out").exists()
    assert await store.exports() == []


async def test_a_file_of_semantics_1_reads_like_one_of_today(
    store: FeatureStore, tmp_path: Path
) -> None:
    old = pq.read_table(OLD)
    await export(
        store, tmp_path / "f", asset_ids=["a", "b"], horizons=["1h"], indicators=True,
        start_time=T + timedelta(hours=25), end_time=T + timedelta(hours=28),
    )  # fmt: skip
    new = pq.read_table(tmp_path / "f")
    assert old.schema.equals(new.schema)
    assert old.equals(new)
    before = pq.read_metadata(OLD).metadata
    now = pq.read_metadata(tmp_path / "f").metadata
    assert b"ai_hub.semantics" not in before
    ours = {key for key in before if key.startswith(b"ai_hub.")}
    # Since then more is said of a built-in feature, which is no part of its definition.
    said = ("unit", "description", "valid")
    defined = [
        {k: v for k, v in one.items() if k not in said}
        for one in json.loads(now[b"ai_hub.definitions"])
    ]
    assert defined == json.loads(before[b"ai_hub.definitions"])
    changed = {b"ai_hub.fingerprint", b"ai_hub.definitions"}
    assert {key: before[key] for key in ours - changed} == {key: now[key] for key in ours - changed}


async def test_a_range_of_one_instant_and_one_that_rounding_empties(
    store: FeatureStore, tmp_path: Path
) -> None:
    at = pd.Timestamp(T)
    record = await export(store, tmp_path / "f", start_time=at, end_time=at)
    assert record["row_count"] == 2
    late = at + pd.Timedelta(1, "ns")
    for frequency in (None, "1h"):
        record = await export(
            store, tmp_path / "g", start_time=late, end_time=late, frequency=frequency
        )
        assert (record["status"], record["storage_path"]) == ("no_data", None)
    record = await export(
        store, tmp_path / "h", start_time=late, end_time=at + pd.Timedelta(3_600_000_000_999, "ns")
    )
    assert pq.read_table(tmp_path / "h")["value"].to_pylist() == [1.0, 1.0]


@pytest.mark.parametrize(
    ("how", "field"),
    [
        ({"frequency": "1h"}, "frequency: got 'more than 95 rows', expected at most 95"),
        ({"frequency": "1h", "asset_ids": ["a", "x"]}, "frequency: got 'up to 96 rows'"),
        ({}, "end_time: got 'more than 95 rows', expected at most 95"),
        (
            {"start_time": None, "end_time": None,
             "spine": [{"asset_id": "a", "timestamp": T}] * 96},
            "spine: got 'up to 96 rows'",
        ),
    ],
)  # fmt: skip
async def test_an_export_has_a_limit_of_rows(
    tmp_path: Path, how: dict[str, Any], field: str
) -> None:
    chosen = Settings(database_url="duckdb:///:memory:", export_rows=95)
    async with FeatureStore(chosen) as store:
        rows = [
            {"timestamp": T + timedelta(hours=h), "asset_id": asset, "value": float(h)}
            for asset in ("b", "a")
            for h in range(48)
        ]
        await store.ingest(rows, "t")
        with pytest.raises(InvalidInput, match=field):
            await export(store, tmp_path / "f", **how)
        assert os.listdir(tmp_path) == []
        if "spine" in how:
            with pytest.raises(InvalidInput, match=field):
                await store.get_training_set(how["spine"], "forecast_basic", tenant_id="t")
            return
        assert (await export(store, tmp_path / "f", **how | {"end_time": T}))["row_count"] > 0
