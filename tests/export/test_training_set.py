"""Training sets of spines: what goes in comes out, of every kind of table, and what is refused."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from ai_hub import FeatureStore
from ai_hub.config import Settings
from ai_hub.definitions.builtin import FORECAST_BASIC
from ai_hub.definitions.target import Target
from ai_hub.errors import ExportFailed, InvalidInput, UnknownFeatureSet

T = datetime(2025, 10, 9, tzinfo=UTC)
HOUR = timedelta(hours=1)


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[FeatureStore]:
    settings = Settings(database_url="duckdb:///:memory:", export_root=tmp_path / "exports")
    async with FeatureStore(settings) as opened:
        rows = [
            {"timestamp": T + hour * HOUR, "asset_id": asset, "value": float(hour)}
            for asset in ("b", "a", "7")
            for hour in range(48)
        ]
        await opened.ingest(rows, "t")
        yield opened


async def found(store: FeatureStore, spine: object, **how: Any) -> pa.Table:
    one = await store.get_training_set(spine, "forecast_basic", tenant_id="t", **how)
    return one.to_arrow()


def frame() -> pd.DataFrame:
    """A spine with every kind of label, no order, rows that come twice, rows before all data."""
    times = [T + 30 * HOUR, T, T + 30 * HOUR, T - 1000 * HOUR, T + 47 * HOUR]
    return pd.DataFrame(
        {
            "bid": [1, 2, 1, 4, 5],
            "asset_id": ["b", "a", "b", "a", "nobody"],
            "kind": pd.Categorical(["x", "y", "x", None, "y"]),
            "timestamp": pd.to_datetime(times),
            "note": ["", "ü", "", None, "007"],
            "won": [True, False, True, False, False],
            "count": pd.array([1, None, 1, 2, 3], dtype="Int64"),
            "share": np.array([0.1, np.nan, 0.1, -0.0, 5e-324], np.float32),
        }
    )


async def test_a_frame_comes_back_with_its_labels_as_they_were(store: FeatureStore) -> None:
    spine = frame()
    one = await store.get_training_set(spine, "forecast_basic", tenant_id="t")
    back = one.to_pandas()
    assert len(one) == len(back) == 5
    pd.testing.assert_frame_equal(back[list(spine.columns)], spine)
    assert list(back.columns) == [
        "timestamp", "tenant_id", "asset_id", "value", "bid", "kind", "note", "won", "count",
        "share", *FORECAST_BASIC.feature_names,
    ]  # fmt: skip
    assert back["value"].tolist()[:2] == [30.0, 0.0]
    assert back["lag_1h"].tolist() == [29.0, 0.0, 29.0, 0.0, 0.0]
    assert set(back["tenant_id"]) == {"t"}


ARROW = pa.Table.from_pandas(frame(), preserve_index=False).replace_schema_metadata()
TABLES: dict[str, Callable[[], object]] = {
    "pandas": frame,
    "pandas by index": lambda: frame().set_index(["timestamp", "asset_id"]),
    "polars": lambda: pl.from_arrow(ARROW),
    "polars lazily": lambda: pl.from_arrow(ARROW).lazy(),  # type: ignore[union-attr]
    "arrow": lambda: ARROW,
    "a batch": lambda: ARROW.to_batches()[0],
    "a reader": lambda: ARROW.to_reader(2),
    "dict rows": lambda: ARROW.to_pylist(),
    "an iterator": lambda: iter(ARROW.to_pylist()),
    "columns": lambda: ARROW.to_pydict(),
}


@pytest.mark.parametrize("table", TABLES.values(), ids=TABLES.keys())
async def test_tables_of_every_kind_give_the_same_rows(
    store: FeatureStore, table: Callable[[], object]
) -> None:
    expected = (await found(store, ARROW)).to_pylist()
    assert [repr(row) for row in (await found(store, table())).select(
        list(expected[0])).to_pylist()] == [repr(row) for row in expected]  # fmt: skip


@pytest.mark.parametrize("kind", ["uint8", "int64", "date", "list", "struct", "decimal", "binary",
                                  "duration", "time", "dictionary", "null"])  # fmt: skip
async def test_labels_of_every_type_are_untouched(store: FeatureStore, kind: str) -> None:
    types = {
        "uint8": pa.array([1, None], pa.uint8()),
        "int64": pa.array([2**63 - 1, -(2**63)]),
        "date": pa.array([0, 1], pa.date32()),
        "list": pa.array([[1], None]),
        "struct": pa.array([{"a": 1}, {"a": None}]),
        "decimal": pa.array([None, "1.10"]).cast(pa.string()).cast(pa.decimal128(5, 2)),
        "binary": pa.array([b"\xff", b""]),
        "duration": pa.array([1, 2], pa.duration("ns")),
        "time": pa.array([1, 2], pa.time64("ns")),
        "dictionary": pa.array(["a", "a"]).dictionary_encode(),
        "null": pa.nulls(2),
    }
    label = types[kind]
    spine = pa.table({"asset_id": ["b", "a"], "timestamp": pa.array([T, T]), "label": label})
    table = await found(store, spine)
    assert table.schema.field("label") == spine.schema.field("label")
    assert table["label"].equals(spine["label"])


@pytest.mark.parametrize(
    ("times", "features_at"),
    [
        (pa.array([T + HOUR]).cast(pa.timestamp("s", "Europe/Berlin")), 1),
        (pa.array(["2025-10-09T03:00:00+02:00"]), 1),
        (pa.array(["2025-10-09T01:00:00.0000009Z"]), 1),
        (pa.array(["2025-10-09T00:59:59.9999999Z"]), 0),
        (pa.array([int((T + HOUR).timestamp()) * 10**9 - 1], pa.timestamp("ns", "UTC")), 0),
        (pa.array([int((T + HOUR).timestamp()) * 10**9 + 999], pa.timestamp("ns", "UTC")), 1),
    ],
)
async def test_times_are_rounded_down_and_come_back_as_they_came(
    store: FeatureStore, times: pa.Array, features_at: int
) -> None:
    table = await found(store, pa.table({"asset_id": ["b"], "timestamp": times}))
    assert table["timestamp"].equals(pa.chunked_array([times]))
    assert table["hour_of_day"].to_pylist() == [features_at]


async def test_a_pandas_time_with_nanoseconds_in_a_dict_row_asks_for_what_was_before(
    store: FeatureStore,
) -> None:
    row = {"asset_id": "b", "timestamp": pd.Timestamp(T + HOUR) - pd.Timedelta(1, "ns")}
    assert (await found(store, [row]))["hour_of_day"].to_pylist() == [0]


async def test_a_value_of_the_spine_stays(store: FeatureStore) -> None:
    spine = pa.table({"value": ["mine"], "asset_id": ["b"], "timestamp": pa.array([T + HOUR])})
    table = await found(store, spine, horizons=["2h"])
    assert table["value"].to_pylist() == ["mine"]
    assert table["target_2h"].to_pylist() == [3.0]
    assert table.column_names.count("value") == 1


async def test_ids_that_are_numbers_stay_numbers(store: FeatureStore) -> None:
    table = await found(store, pd.DataFrame({"asset_id": [7], "timestamp": [T + HOUR]}))
    assert table["asset_id"].to_pylist() == [7]
    assert table["value"].to_pylist() == [1.0]


async def test_targets_and_indicators_stand_behind(store: FeatureStore) -> None:
    table = await found(
        store, frame(), horizons=["1h", Target("peak", "3h", "max", "3h")], indicators=True,
        missing="keep",
    )  # fmt: skip
    assert table.column_names[-5:] == [
        "target_1h", "peak", "lag_1h__missing", "lag_24h__missing", "rolling_avg_24h__missing",
    ]  # fmt: skip
    assert table["peak"].to_pylist() == [33.0, 3.0, 33.0, None, None]
    assert table["lag_1h__missing"].to_pylist() == [False, True, False, True, True]
    assert table["lag_1h"].null_count == 3


async def test_a_spine_without_rows_has_none(store: FeatureStore, tmp_path: Path) -> None:
    table = await found(store, frame().head(0), horizons=["1h"], indicators=True)
    assert table.num_rows == 0
    assert table.schema.field("lag_1h").type == pa.float64()
    record = await store.export_features_to_parquet(
        "t", "forecast_basic", spine=frame().head(0), output_path=tmp_path / "f"
    )
    assert (record["status"], record["storage_path"]) == ("no_data", None)


async def test_a_file_has_the_same_rows_and_says_what_they_are(
    store: FeatureStore, tmp_path: Path
) -> None:
    how: dict[str, Any] = {"horizons": ["1h"], "missing": -1.0}
    one = await store.get_training_set(frame(), "forecast_basic", tenant_id="t", **how)
    one.to_parquet(tmp_path / "one", compression="zstd")
    record = await store.export_features_to_parquet(
        "t", "forecast_basic", spine=frame(), output_path=tmp_path / "other", **how
    )
    assert (record["status"], record["row_count"]) == ("completed", 5)
    assert record["file_size_mb"] == (tmp_path / "other").stat().st_size / 1_000_000
    assert pq.read_table(tmp_path / "one").equals(pq.read_table(tmp_path / "other"))
    assert pq.read_table(tmp_path / "one").to_pylist() == one.to_arrow().to_pylist()
    assert sorted(os.listdir(tmp_path)) == ["one", "other"]
    said = {k.decode(): v.decode() for k, v in pq.read_metadata(tmp_path / "one").metadata.items()}
    assert one.metadata.items() <= said.items()
    assert {key: said[f"ai_hub.{key}"] for key in ("policy", "missing", "semantics", "row_count",
            "start_time", "end_time", "fingerprint")} == {
        "policy": "-1.0", "missing": "-1.0", "semantics": "2", "row_count": "5",
        "start_time": "2025-08-28T08:00:00Z", "end_time": "2025-10-10T23:00:00Z",
        "fingerprint": FORECAST_BASIC.fingerprint,
    }  # fmt: skip
    assert pq.ParquetFile(tmp_path / "one").metadata.row_group(0).column(0).compression == "ZSTD"
    assert one.to_polars().shape == (5, len(one.to_arrow().schema))


async def test_a_file_that_cannot_be_written_leaves_nothing(
    store: FeatureStore, tmp_path: Path
) -> None:
    one = await store.get_training_set(frame(), "forecast_basic", tenant_id="t")
    with pytest.raises(ExportFailed, match="output_path"):
        one.to_parquet(tmp_path / "nowhere" / "f")
    with pytest.raises(InvalidInput, match="compression"):
        one.to_parquet(tmp_path / "f", compression="gzip")  # type: ignore[arg-type]
    assert os.listdir(tmp_path) == []


ROW = {"asset_id": "a", "timestamp": T}


@pytest.mark.parametrize(
    ("spine", "how", "message"),
    [
        ([], {}, "spine"),
        ([{"asset_id": "a"}], {}, "timestamp"),
        ("spine.csv", {}, "rows"),
        ([ROW, ROW | {"tenant_id": "u"}], {}, "spine row 0 tenant_id"),
        ([ROW | {"tenant_id": "t"}, ROW | {"tenant_id": "u"}], {}, "spine row 1 tenant_id.*'t'"),
        ([ROW, {"asset_id": "a", "timestamp": T.replace(tzinfo=None)}], {}, "row 1 timestamp"),
        ([ROW, ROW | {"asset_id": ""}], {}, "spine row 1 asset_id"),
        ([ROW, ROW | {"timestamp": None}], {}, "spine row 1 timestamp"),
        ([ROW | {"lag_1h": 1}], {}, "lag_1h"),
        ([ROW | {"lag_1h__missing": True}], {}, "lag_1h__missing"),
        ([ROW | {"target_1h": 1}], {"horizons": ["1h"]}, "target_1h"),
        ([ROW | {"x": 1}, ROW | {"x": "y"}], {}, "x"),
        ([ROW], {"horizons": ["1h", "1h"]}, "horizons.*target_1h"),
        ([ROW], {"horizons": ["hour_of_day=1h"]}, "horizons.*hour_of_day"),
        ([ROW], {"missing": "never"}, "missing"),
    ],
)
async def test_what_is_refused_is_named(
    store: FeatureStore, spine: object, how: dict[str, Any], message: str
) -> None:
    with pytest.raises(InvalidInput, match=message):
        await found(store, spine, **how)


async def test_an_unknown_set_is_not_found(store: FeatureStore) -> None:
    with pytest.raises(UnknownFeatureSet):
        await store.get_training_set([ROW], "nothing", tenant_id="t")


async def test_labels_of_targets_not_asked_for_are_allowed(store: FeatureStore) -> None:
    assert (await found(store, [ROW | {"target_1h": 5}]))["target_1h"].to_pylist() == [5]


async def test_it_does_not_matter_how_many_rows_are_computed_at_once(
    store: FeatureStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    dice = np.random.default_rng(7)
    count = 500
    minutes = dice.integers(-600, 3_600, count)
    spine = pa.table({
        "timestamp": [T + timedelta(minutes=int(one)) for one in minutes],
        "asset_id": dice.choice(["b", "nobody", "a", "7", "neither"], count),
        "place": np.arange(count),
    })  # fmt: skip
    whole = await found(store, spine, horizons=["1h"], indicators=True)
    assert whole["place"].to_pylist() == list(range(count))
    assert whole["lag_1h"].null_count < count
    for together in (1, 7, count - 1):
        monkeypatch.setattr("ai_hub.export.training_set._TOGETHER", together)
        assert (await found(store, spine, horizons=["1h"], indicators=True)).equals(whole)
