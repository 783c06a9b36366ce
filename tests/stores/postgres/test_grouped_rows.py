"""Rows that came in any order stand by code, and in each code as they came."""

from __future__ import annotations

from datetime import UTC, datetime

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ai_hub.stores.postgres import grouped_rows
from ai_hub.stores.postgres.grouped_rows import IdCodes, RowBuffer


def column(values: list[int]) -> pa.Array:
    return pa.array(values, pa.int64())


@given(
    batches=st.lists(st.lists(st.integers(-1, 9), max_size=12), max_size=6),
    piece=st.integers(1, 30),
    asked=st.lists(st.integers(0, 9), unique=True),
)
def test_rows_by_code(batches: list[list[int]], piece: int, asked: list[int]) -> None:
    rows = RowBuffer(1, 1)
    came: dict[int, list[int]] = {code: [] for code in range(10)}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(grouped_rows, "_PIECE_ROWS", piece)
        serial = 0
        for batch in batches:
            numbers = list(range(serial, serial + len(batch)))
            serial += len(batch)
            for code, number in zip(batch, numbers, strict=True):
                if code >= 0:
                    came[code].append(number)
            rows.add(np.array(batch, np.int32), [column(numbers), column(numbers).cast("double")])
        grouped = rows.grouped(10)
    assert len(rows) == sum(map(len, came.values()))
    assert grouped.sizes.tolist() == [len(came[code]) for code in range(10)]
    places, (whole, real) = grouped.of(np.array(asked, np.int64))
    expected = [(at, number) for at, code in enumerate(asked) for number in came[code]]
    assert list(zip(places.tolist(), whole.tolist(), strict=True)) == expected
    assert (whole.dtype, real.dtype) == (np.int64, np.float64)
    assert real.tolist() == whole.tolist()


def test_more_codes_than_sixteen_bits_tell_apart() -> None:
    codes = np.random.default_rng(1).integers(0, 200_000, 50_000).astype(np.int32)
    rows = RowBuffer(1, 0)
    rows.add(codes, [column(list(range(len(codes))))])
    _, (found,) = rows.grouped(200_000).of(np.arange(200_000))
    assert found.tolist() == np.argsort(codes, kind="stable").tolist()


def test_times_become_microseconds_and_null_is_nan() -> None:
    rows = RowBuffer(2, 1)
    at = datetime(1969, 12, 31, 23, 59, 59, 999_999, UTC)
    rows.add(
        np.zeros(2, np.int32),
        [
            pa.array([at, at], pa.timestamp("us", "UTC")),
            pa.array([at, at], pa.timestamp("ms", "UTC")),
            pa.array([None, 2.5]),
        ],
    )
    _, (micros, millis, values) = rows.grouped(1).of(np.zeros(1, np.int64))
    assert micros.tolist() == [-1, -1]
    assert millis.tolist() == [-1_000, -1_000]
    assert np.isnan(values[0])
    assert values[1] == 2.5


def test_ids_get_codes_as_they_come_unless_closed() -> None:
    open_ids, closed = IdCodes(["b"]), IdCodes(["b", "a", "b"], closed=True)
    for batch in (["a", "b", "c"], ["c", "d", "d"]):
        open_ids.codes(pa.array(batch))
    assert open_ids.ids() == ["b", "a", "c", "d"]
    assert open_ids.codes(pa.array(["d", "b"])).tolist() == [3, 0]
    assert closed.codes(pa.array(["a", "c", "b"])).tolist() == [1, -1, 0]
    assert closed.ids() == ["b", "a"]
    assert len(closed) == 2
    assert IdCodes().codes(pa.array([], pa.string())).tolist() == []
