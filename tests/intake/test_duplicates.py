"""Rows of a batch that another one of it replaced: counted, and named where they differ."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st

from ai_hub.intake.batch import Batch
from ai_hub.intake.checks import check_observations, check_weather
from ai_hub.intake.duplicates import last_of_each

T, LATER = "2025-01-01T00:00:00Z", "2025-01-01T01:00:00Z"


def observed(**columns: Any) -> Batch:
    size = len(next(iter(columns.values())))
    defaults = {"timestamp": [T] * size, "asset_id": ["a"] * size, "value": [1.0] * size}
    return check_observations(pa.table(defaults | columns), "t")


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3)), min_size=1))
def test_the_last_of_each_key_is_kept_and_every_other_row_knows_it(
    keys: list[tuple[int, int]],
) -> None:
    last, replaced = last_of_each([np.array(column) for column in zip(*keys, strict=True)])
    newest = {key: place for place, key in enumerate(keys)}
    assert last.tolist() == [newest[key] for key in sorted(newest)]
    expected = {place: newest[key] for place, key in enumerate(keys) if newest[key] != place}
    assert dict(replaced.tolist()) == expected


def test_rows_that_another_one_replaced_are_counted_and_are_accepted() -> None:
    batch = observed(value=[1.0, 2.0, 3.0, None])
    assert (batch.sent, batch.accepted, batch.rejected, batch.duplicates) == (4, 3, 1, 2)
    assert batch.table.column("value").to_pylist() == [3.0]
    assert observed(asset_id=["a", "b"]).duplicates == 0


def test_the_same_row_twice_is_counted_and_no_matter() -> None:
    batch = observed(value=[1.0, 1.0], asset_id=["a", " a "])
    assert (batch.duplicates, batch.remarks) == (1, ())


def test_rows_that_say_something_else_are_named_first_to_last() -> None:
    batch = observed(
        timestamp=[T, LATER, T, LATER], value=[1.0, 2.0, 9.0, 2.0], quality=[1, 1, 1, 0]
    )
    (remark,) = batch.remarks
    assert (remark.about, remark.field) == ("duplicates", "timestamp")
    assert (
        "a value 2025-01-01T00:00:00Z: value 1.0, then 9.0; "
        "a value 2025-01-01T01:00:00Z: quality 1, then 0. If" in remark.text
    )


def test_only_some_are_named() -> None:
    batch = observed(value=[float(number) for number in range(10)])
    assert batch.duplicates == 9
    assert batch.remarks[0].text.count("then 9.0") == 3


def test_weather_that_says_the_same_is_no_contradiction_where_cells_are_null() -> None:
    rows = {"timestamp": [T, T], "asset_id": ["a", "a"], "temperature": [1.0, 1.0]}
    same = check_weather(pa.table({**rows, "humidity": pa.array([None, None], pa.float64())}), "t")
    assert (same.duplicates, same.remarks) == (1, ())
    other = check_weather(pa.table({**rows, "humidity": [None, 5.0]}), "t")
    assert "a 2025-01-01T00:00:00Z: humidity None, then 5.0" in other.remarks[0].text
    issued = check_weather(pa.table({**rows, "issued_at": [T, LATER]}), "t")
    assert issued.duplicates == 0
