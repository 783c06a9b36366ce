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
from ai_hub.intake.clock.local_time import in_utc
from ai_hub.intake.frames import to_table
from ai_hub.intake.row_options import RowOptions

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
        ({"timestamp": 1735689600}, "timestamp", 1735689600),
        ({"timestamp": date(2025, 1, 1)}, "timestamp", "2025-01-01"),
        ({"timestamp": np.datetime64("2025-01-01")}, "timestamp", "2025-01-01"),
        ({"timestamp": pd.NaT}, "timestamp", None),
        ({"asset_id": 1.5}, "asset_id", 1.5),
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


# Types of every kind: refused in our words, never with another library's, never by bytes of memory


class Thing:
    """An object whose repr says where it is in memory."""


UNITS = ["Y", "M", "W", "D", "h", "m", "15m", "s", "ms", "us", "ns", "ps", "fs", "as"]


@pytest.mark.parametrize("unit", UNITS)
def test_datetime64_of_every_unit_is_a_local_time_or_a_date(unit: str) -> None:
    # The weeks of numpy begin on Thursdays; the finest units do not reach far from 1970.
    days = {"W": "2025-01-02", **dict.fromkeys(["ps", "fs", "as"], "1970-01-01")}
    day = days.get(unit, "2025-01-01")
    times = np.array([day, "NaT"], f"M8[{unit}]")
    table = in_utc(to_table({**COLUMNS, "timestamp": times}), RowOptions(timezone="UTC"))
    batch = check_observations(table, "t")
    assert [time.date().isoformat() for time in batch.table.column("timestamp").to_pylist()] == [
        day
    ]
    assert [reason.value for reason in batch.reasons] == [None]
    assert [remark.about for remark in batch.remarks] == (["dates"] if unit in "YMWD" else [])
    one_by_one = in_utc(to_table({**COLUMNS, "timestamp": [*times]}), RowOptions(timezone="UTC"))
    if unit not in "YM":  # "2025" alone is no time
        assert one_by_one.column("timestamp").to_pylist() == table.column("timestamp").to_pylist()


def test_datetime64_that_a_timestamp_cannot_hold_is_refused_and_none_is_null() -> None:
    far = np.array([10**15, 0], "M8[h]")
    batch = checked({**COLUMNS, "timestamp": far})
    assert batch.rejected == 2
    assert batch.reasons[0].value == "3600000000000000000 s from 1970"
    none = checked({**COLUMNS, "timestamp": np.array(["NaT"] * 2, "M8")})
    assert [reason.value for reason in none.reasons] == [None] * 2


@pytest.mark.parametrize("fine", ["ps", "fs", "as"])
def test_datetime64_finer_than_a_microsecond_is_rounded_up(fine: str) -> None:
    texts = ["1970-01-01T00:00:00.0000000001", "1970-01-01T00:00:00.000001"]
    times = np.array(texts, f"M8[{fine}]")
    table = in_utc(to_table({**COLUMNS, "timestamp": times}), RowOptions(timezone="UTC"))
    assert table.column("timestamp").cast(pa.int64()).to_pylist() == [1, 1]


@pytest.mark.parametrize("kind", ["f2", "f4", ">f8", "<f8", ">i4", "u8", "i1", "longdouble", "O"])
def test_arrays_of_every_number_are_numbers(kind: str) -> None:
    batch = checked({**COLUMNS, "value": np.array([1, 2]).astype(kind)})
    assert batch.table.column("value").to_pylist() == [1.0, 2.0]


@pytest.mark.parametrize("field", ["timestamp", "asset_id", "value"])
@pytest.mark.parametrize(
    "column",
    [
        np.ones(2, "c16"),
        np.ones(2, "S3"),
        np.ones(2, "m8[s]"),
        np.ones((2, 2)),
        np.array([Thing(), print]),
        [Thing(), lambda: 1],
        [{1: Thing()}, [Thing()]],
        pl.Series([Thing(), Thing()], dtype=pl.Object),
        pl.Series([[1], [2]]),
        pl.Series([b"1", b"2"]),
        pd.Series(pd.period_range("2025", periods=2, freq="D")),
        pd.Series(pd.interval_range(0, 2)),
        pd.Series([Thing(), Thing()]),
        pa.array([[1], [2]]),
        pa.array([b"1", b"2"], pa.binary_view()),
    ],
    ids=lambda column: type(column).__name__,
)
def test_a_column_of_anything_is_refused_cell_by_cell(field: str, column: object) -> None:
    batch = checked({**COLUMNS, field: column})
    assert [reason.field for reason in batch.reasons] == [field] * 2
    for reason in batch.reasons:
        assert "0x" not in str(reason.value)
        assert "\\x" not in str(reason.value)


def test_a_polars_column_of_objects_is_read_cell_by_cell() -> None:
    frame = pl.DataFrame(COLUMNS).with_columns(
        pl.Series("value", [1, Thing()], dtype=pl.Object), pl.Series("x", [1, 2], dtype=pl.Object)
    )
    for data in (frame, frame.lazy()):
        batch = checked(data)
        assert batch.table.column("value").to_pylist() == [1.0]
        assert "Thing object" in str(batch.reasons[0].value)
    ids = pl.Series("asset_id", ["a", 7], dtype=pl.Object)
    assert checked(frame.with_columns(ids, pl.lit(1.0).alias("value"))).accepted == 2


def test_a_polars_type_that_arrow_lacks_is_read_cell_by_cell() -> None:
    frame = pl.DataFrame(COLUMNS).with_columns(pl.Series("value", [1, 2]).cast(pl.Int128))
    assert checked(frame).table.column("value").to_pylist() == [1.0, 2.0]


@pytest.mark.parametrize("column", [{1, 2}, {1: 2}, "ab", b"ab", None, 5, np.array(5)])
def test_what_is_no_column_is_an_error(column: object) -> None:
    with pytest.raises(InvalidInput, match=r"value: .* a column"):
        to_table({**COLUMNS, "value": column})


def test_dates_and_times_may_be_mixed() -> None:
    rows = [{**ROWS[0], "timestamp": date(2025, 1, 1)}, ROWS[1]]
    table = in_utc(to_table(rows), RowOptions(timezone="UTC"))
    assert table.column("timestamp").to_pylist() == TIMES
    dates = to_table([{**row, "timestamp": date(2025, 1, 1)} for row in ROWS])
    assert dates.schema.field("timestamp").type == pa.date32()


def test_numbers_are_shown_as_they_came_and_null_as_null() -> None:
    rows = [{**ROWS[0], "asset_id": value} for value in (1.5, True, None, 2**60, -1.5e300)]
    batch = checked([ROWS[0], *rows])
    assert [(r.row, r.value) for r in batch.reasons] == [
        (1, 1.5),
        (2, "True"),
        (3, None),
        (5, -1.5e300),
    ]


def test_a_period_is_refused_with_what_to_do() -> None:
    frame = pd.DataFrame(COLUMNS | {"timestamp": pd.period_range("2025", periods=2, freq="h")})
    batch = checked(frame)
    assert (batch.accepted, batch.rejected) == (0, 2)
    assert batch.reasons[0].value == "2025-01-01 00:00"
    assert "to_timestamp" in batch.reasons[0].why
