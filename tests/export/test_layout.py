"""Exports in folders by month and bucket: the rows of the one file, each where it belongs."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.dataset as ds
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ai_hub import FeatureStore
from ai_hub.definitions.values import HOUR, parse_time, to_datetime
from ai_hub.errors import ExportFailed, InvalidInput
from ai_hub.export import hive, output
from ai_hub.export.layout import Layout, asset_bucket
from ai_hub.export.place import Places
from ai_hub.export.reading import dataset, read_manifest
from ai_hub.export.verify import verify
from conformance.kit import MEMORY, observation

T = parse_time("2024-12-30T14:00:00Z")
ASSETS = ("a", "b", "meter/3", "ü")


def test_buckets_are_the_same_for_ever() -> None:
    assert [asset_bucket("acme", f"meter-{i:03}", 16) for i in range(8)] == [
        4, 10, 10, 9, 12, 4, 14, 11]  # fmt: skip
    assert asset_bucket("a", "b", 1) == 0


@given(
    st.lists(st.tuples(st.sampled_from(ASSETS), st.integers(-(10**15), 4 * 10**15)), max_size=50),
    st.sampled_from([("month",), ("asset_bucket",), ("month", "asset_bucket"),
                     ("asset_bucket", "month")]),
    st.integers(1, 200),
)  # fmt: skip
def test_rows_are_split_by_their_folder(
    rows: list[tuple[str, int]], by: tuple[Any, ...], buckets: int
) -> None:
    table = pa.table(
        {
            "timestamp": pa.array([at for _, at in rows], pa.timestamp("us", "UTC")),
            "tenant_id": pa.array(["t"] * len(rows), pa.string()).dictionary_encode(),
            "asset_id": pa.array([asset for asset, _ in rows], pa.string()).dictionary_encode(),
            "place": range(len(rows)),
        }
    )
    layout = Layout(by, buckets)
    found: list[int] = []
    for folder, own in layout.split(table):
        places = own["place"].to_pylist()
        assert places == sorted(places)
        found += places
        for place in places:
            asset, at = rows[place]
            words = {
                "month": str(np.datetime64(at, "us").astype("datetime64[M]")),
                "asset_bucket": f"{asset_bucket('t', asset, buckets):02}"
                if buckets <= 100 else f"{asset_bucket('t', asset, buckets):03}",
            }  # fmt: skip
            assert folder == "/".join(f"{one}={words[one]}" for one in by)
    assert sorted(found) == [*range(len(rows))]


async def filled(store: FeatureStore) -> None:
    for number, asset in enumerate(ASSETS):
        rows = [observation(asset, T + (i + number) * 7 * HOUR, float(i)) for i in range(60)]
        await store.ingest(rows, "t")


async def exported(store: FeatureStore, to: object, **how: Any) -> dict[str, Any]:
    name = how.pop("feature_set", "forecast_basic")
    return await store.export_features_to_parquet(
        "t", name, to_datetime(T), to_datetime(T + 1000 * HOUR), output_path=to, **how  # type: ignore[arg-type]
    )  # fmt: skip


BOTH = ("month", "asset_bucket")
ORDER = [("asset_id", "ascending"), ("timestamp", "ascending")]


def plain(table: pa.Table, names: list[str]) -> pa.Table:
    own = table.select(names)
    for place, name in enumerate(names):
        if pa.types.is_dictionary(own.schema.field(name).type):
            own = own.set_column(place, name, own.column(name).cast(pa.string()))
    return own.sort_by(ORDER).replace_schema_metadata().combine_chunks()


@pytest.mark.parametrize("in_bucket", [False, True])
async def test_a_layout_has_the_rows_of_the_one_file(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, in_bucket: bool
) -> None:
    monkeypatch.setattr("ai_hub.stores.chunks.CHUNK_ROWS", 30)
    monkeypatch.setattr(hive, "ROUND_ROWS", 150)
    monkeypatch.setattr(output, "PART_ROWS", 20)
    place: Any = tmp_path / "parts"
    if in_bucket:
        place = f"s3://{request.getfixturevalue('bucket')}/x"
    async with MEMORY.open(tmp_path) as store:
        await filled(store)
        one = pq.read_table((await exported(store, tmp_path / "one.parquet"))["storage_path"])
        record = await exported(store, place, parts=True, partition_by=BOTH, buckets=3)
    said = read_manifest(record["storage_path"])
    assert said["layout"] == {"partition_by": [*BOTH], "columns": [*BOTH], "buckets": 3}
    assert verify(Places(), record) == "ok"
    paths = [part["path"] for part in said["parts"]]
    assert len({path.split("/")[0] for path in paths}) == 2
    assert len({path.rpartition("/")[2] for path in paths}) == len(paths) > 6
    found = dataset(record["storage_path"])
    names = one.column_names
    assert plain(found.to_table(), names) == plain(one, names)
    for fragment in found.get_fragments():
        own = fragment.to_table(columns=["asset_id", "timestamp"])
        keys = [*zip(own["asset_id"].to_pylist(), own["timestamp"].to_pylist(), strict=True)]
        assert keys == sorted(keys)
    january = found.to_table(filter=ds.field("month") == "2025-01")
    assert set(january["timestamp"].to_numpy().astype("datetime64[M]").astype(str)) == {"2025-01"}
    if not in_bucket:
        others(tmp_path / "parts", one)


def others(folder: Path, one: pa.Table) -> None:
    """What other readers of Hive's folders see."""
    frame = pl.read_parquet(folder / "**" / "*.parquet", hive_partitioning=True)
    assert set(frame["asset_bucket"]) <= {0, 1, 2}
    ours = pl.DataFrame(pl.from_arrow(one)).select("asset_id", "timestamp", "lag_1h")
    order = ["asset_id", "timestamp"]
    keys = [pl.col("asset_id").cast(pl.String)]
    assert (
        frame.select(ours.columns)
        .with_columns(keys)
        .sort(order)
        .equals(ours.with_columns(keys).sort(order))
    )
    with duckdb.connect() as connection:
        query = "SELECT month, count(*) FROM read_parquet(?, hive_partitioning = true) GROUP BY 1"
        found = dict(connection.execute(query, [f"{folder}/**/*.parquet"]).fetchall())
        months = one["timestamp"].to_numpy().astype("datetime64[M]").astype(str)
        assert found == {month: int((months == month).sum()) for month in set(months)}


async def test_a_set_with_a_feature_of_that_name_has_another_folder(tmp_path: Path) -> None:
    async with MEMORY.open(tmp_path) as store:
        await filled(store)
        record = await exported(
            store, tmp_path / "x", parts=True, partition_by="month", feature_set="forecast_advanced"
        )
    assert {path.name for path in (tmp_path / "x").iterdir() if path.is_dir()} == {
        "timestamp_month=2024-12", "timestamp_month=2025-01"}  # fmt: skip
    assert dataset(record["storage_path"]).schema.field("month").type == pa.int64()


async def test_a_spine_has_a_layout_and_a_folder_is_replaced_whole(tmp_path: Path) -> None:
    spine = [
        {"asset_id": asset, "timestamp": to_datetime(T + i * 100 * HOUR), "label": str(i)}
        for i in range(9)
        for asset in ASSETS
    ]
    async with MEMORY.open(tmp_path) as store:
        await filled(store)
        for how in ({"partition_by": "asset_bucket"}, {"partition_by": "month"}, {}):
            record = await store.export_features_to_parquet(
                "t", "forecast_basic", spine=spine, output_path=tmp_path / "x", parts=True, **how
            )  # fmt: skip
            assert dataset(record["storage_path"]).count_rows() == len(spine)
            assert verify(Places(), record) == "ok"
    assert {path.name for path in (tmp_path / "x").iterdir()} == {
        "part-00000.parquet", "manifest.json"}  # fmt: skip
    assert [name for name in os.listdir(tmp_path) if name.startswith(".")] == []


async def test_a_full_disk_is_told_and_nothing_is_left(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with MEMORY.open(tmp_path) as store:
        await filled(store)
        # The device that is always full, in place of a disk that is.
        monkeypatch.setattr(
            output, "nameless", lambda _: os.fdopen(os.open("/dev/full", os.O_RDWR), "r+b", 0)
        )
        with pytest.raises(ExportFailed, match=r"output_path: .*No space left on device"):
            await exported(store, tmp_path / "x", parts=True, partition_by="month")
        (record,) = await store.exports()
    assert record["status"] == "failed"
    assert "No space left on device" in record["error"]
    assert sorted(os.listdir(tmp_path)) in ([], ["exports"])


@pytest.mark.parametrize(
    ("how", "said"),
    [
        ({"partition_by": "day"}, "partition_by: got 'day', expected month, asset_bucket, or both"),
        ({"partition_by": ["month", "month"]}, "expected month, asset_bucket, or both"),
        ({"partition_by": "month", "buckets": 4}, "buckets: got 4, expected none without asset_b"),
        ({"partition_by": "asset_bucket", "buckets": 0}, "buckets: got 0"),
        ({"partition_by": "month", "parts": False}, "expected none without parts (--parts), or"),
    ],
)
async def test_what_is_no_layout_is_told(tmp_path: Path, how: dict[str, Any], said: str) -> None:
    async with MEMORY.open(tmp_path) as store:
        with pytest.raises(InvalidInput) as caught:
            await exported(store, tmp_path / "x", **{"parts": True} | how)
    assert said in str(caught.value)
