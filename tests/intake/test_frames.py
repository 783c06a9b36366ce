"""Rows and frames of every kind become the same table."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ai_hub.errors import InvalidInput
from ai_hub.intake.batch import Batch
from ai_hub.intake.checks import check_observations
from ai_hub.intake.frames import to_table

START = datetime(2025, 1, 1, tzinfo=UTC)
TIMES = [START, START + timedelta(hours=1)]
COLUMNS = {"timestamp": TIMES, "asset_id": ["a", "b"], "value": [1.0, 2.0]}
ROWS = [dict(zip(COLUMNS, cells, strict=True)) for cells in zip(*COLUMNS.values(), strict=True)]
ARROW = pa.table(COLUMNS)


def checked(data: object) -> Batch:
    return check_observations(to_table(data), "t")


def one(**cells: object) -> Batch:
    row = {"timestamp": START, "asset_id": "a", "value": 1.0}
    return checked([row | {"asset_id": "first"}, row | cells])


@pytest.mark.parametrize(
    "data",
    [
        ROWS,
        tuple(ROWS),
        COLUMNS,
        {**COLUMNS, "value": np.array([1.0, 2.0]), "asset_id": pd.Series(["a", "b"])},
        {**COLUMNS, "value": pl.Series([1.0, 2.0]), "asset_id": pa.array(["a", "b"])},
        ARROW,
        ARROW.to_batches()[0],
        pd.DataFrame(COLUMNS),
        pd.DataFrame(COLUMNS).astype({"asset_id": "category"}),
        pd.DataFrame(COLUMNS).astype(object),
        pd.DataFrame(COLUMNS).set_index("timestamp"),
        pd.DataFrame(COLUMNS).set_index(["asset_id", "timestamp"]),
        pl.DataFrame(COLUMNS),
        pl.DataFrame(COLUMNS).lazy(),
        pl.DataFrame(COLUMNS).with_columns(pl.col("asset_id").cast(pl.Categorical)),
    ],
    ids=lambda data: type(data).__module__.split(".")[0] + "." + type(data).__name__,
)
def test_every_kind_of_data_is_read_the_same(data: object) -> None:
    batch = checked(data)
    assert batch.reasons == ()
    assert batch.table.equals(check_observations(ARROW, "t").table)


@pytest.mark.parametrize("begin", [lambda: iter(ROWS), ARROW.to_reader], ids=["rows", "batches"])
def test_what_can_be_read_once_is_read_the_same(begin: Callable[[], object]) -> None:
    assert checked(begin()).table.equals(check_observations(ARROW, "t").table)


@pytest.mark.parametrize("data", [1, None, "timestamp", b"x", object()])
def test_what_is_no_table_is_an_error(data: object) -> None:
    with pytest.raises(InvalidInput, match="rows"):
        to_table(data)


@pytest.mark.parametrize("data", [[1], [ROWS[0], None], ["a"], [[]], [{}]])
def test_a_list_of_anything_but_rows_is_an_error(data: list[object]) -> None:
    with pytest.raises(InvalidInput, match="rows"):
        to_table(data)


def test_columns_of_different_lengths_are_an_error() -> None:
    with pytest.raises(InvalidInput, match="one length"):
        to_table({"timestamp": TIMES, "value": [1.0]})
    with pytest.raises(InvalidInput, match="value"):
        to_table({"timestamp": TIMES, "value": 1.0})


def test_an_empty_list_is_a_batch_of_nothing() -> None:
    assert checked([]).sent == 0


def test_naive_datetimes_alone_are_a_naive_column() -> None:
    naive = [row | {"timestamp": datetime(2025, 1, 1)} for row in ROWS]
    assert checked(naive).naive
    assert checked(pd.DataFrame(naive)).naive
    assert checked(pl.DataFrame(naive)).naive


def test_a_naive_datetime_among_aware_ones_refuses_its_row() -> None:
    batch = one(timestamp=datetime(2025, 1, 1))
    assert not batch.naive
    assert [(r.row, r.field, r.value) for r in batch.reasons] == [
        (1, "timestamp", "2025-01-01T00:00:00")
    ]


@pytest.mark.parametrize(
    ("cells", "field", "value"),
    [
        ({"timestamp": 1735689600}, "timestamp", "1735689600"),
        ({"timestamp": date(2025, 1, 1)}, "timestamp", "datetime.date(2025, 1, 1)"),
        ({"timestamp": np.datetime64("2025-01-01")}, "timestamp", "2025-01-01"),
        ({"timestamp": pd.NaT}, "timestamp", None),
        ({"asset_id": 1.5}, "asset_id", "1.5"),
        ({"asset_id": True}, "asset_id", "True"),
        ({"asset_id": ["x"]}, "asset_id", "['x']"),
        ({"asset_id": "\ud800"}, "asset_id", "\\ud800"),
        ({"value": True}, "value", "True"),
        ({"value": {"x": 1}}, "value", "{'x': 1}"),
        ({"value": "abc"}, "value", "abc"),
        ({"value": None}, "value", None),
        ({"value": pd.NA}, "value", None),
        ({"value": 10**400}, "value", None),
        ({"quality": 1.5}, "quality", 1.5),
    ],
)
def test_an_odd_cell_refuses_its_row_only(
    cells: dict[str, object], field: str, value: object
) -> None:
    batch = one(**cells)
    assert [(r.row, r.field) for r in batch.reasons] == [(1, field)]
    if value is not None:
        assert batch.reasons[0].value == value
    json.dumps([r.value for r in batch.reasons], allow_nan=False).encode()


@pytest.mark.parametrize(
    ("cells", "field", "value"),
    [
        ({"timestamp": "2025-01-01T00:00:00Z"}, "timestamp", START),
        ({"timestamp": START.astimezone(timezone(timedelta(hours=5)))}, "timestamp", START),
        ({"timestamp": pd.Timestamp(START)}, "timestamp", START),
        ({"asset_id": 1001}, "asset_id", "1001"),
        ({"value": 3}, "value", 3.0),
        ({"value": 2**70}, "value", float(2**70)),
        ({"value": Decimal("0.5")}, "value", 0.5),
        ({"value": np.float32(0.5)}, "value", 0.5),
        ({"value": "0.5"}, "value", 0.5),
        ({"quality": np.int64(3)}, "quality", 3),
    ],
)
def test_cells_of_mixed_types_are_read_one_by_one(
    cells: dict[str, object], field: str, value: object
) -> None:
    batch = one(**cells)
    assert batch.reasons == ()
    assert batch.table.column(field)[0].as_py() == value


def test_a_pandas_timestamp_s_nanoseconds_are_rounded_up() -> None:
    time = pd.Timestamp("2025-01-01T00:00:00.000000001Z")
    up = START + timedelta(microseconds=1)
    assert one(timestamp=time).table.column("timestamp")[0].as_py() == up
    frame = pd.DataFrame({"timestamp": [time], "asset_id": ["a"], "value": [1.0]})
    assert checked(frame).table.column("timestamp")[0].as_py() == up


def test_datetimes_of_any_zone_are_the_same_instant() -> None:
    zones = [timezone(timedelta(minutes=15 * step)) for step in range(-90, 90)]
    rows = [{"timestamp": START.astimezone(z), "asset_id": "a", "value": 1} for z in zones]
    batch = checked(rows)
    assert (batch.sent, batch.table.column("timestamp").to_pylist()) == (180, [START])


anything = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text()
    | st.binary()
    | st.datetimes()
    | st.datetimes(timezones=st.timezones())
    | st.dates()
    | st.decimals(),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(), inner, max_size=2),
    max_leaves=4,
)
names = st.sampled_from(["timestamp", "asset_id", "value", "quality", "feature_type", "other"])


@given(st.lists(st.dictionaries(names, anything), min_size=1, max_size=4))
def test_no_cell_whatsoever_stops_the_rows_beside_it(rows: list[dict[str, object]]) -> None:
    good = {"timestamp": START, "asset_id": "good", "value": 1.5}
    batch = checked([*rows, good])
    assert batch.sent == len(rows) + 1
    assert "good" in batch.table.column("asset_id").to_pylist()
    json.dumps([r.value for r in batch.reasons], allow_nan=False).encode()
