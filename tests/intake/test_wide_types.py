"""Wide tables, and times in two columns, whose columns are of any type that a frame has."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal

import polars as pl
import pyarrow as pa
import pytest

from ai_hub.errors import InvalidInput
from ai_hub.intake.batch import Batch
from ai_hub.intake.checks import check_observations
from ai_hub.intake.dialect.wide import MAX_WIDE, find_wide
from ai_hub.intake.frames import to_table
from ai_hub.intake.read_options import ReadOptions
from intake.reading import data_file

START = datetime(2025, 1, 1, tzinfo=UTC)
NUMBERS = (
    pa.array([2], pa.int8()),
    pa.array([2.0]),
    pa.array([Decimal("2.00")]),
    pa.array(["2"]),
    pa.array(["2"], pa.string_view()),
    pa.array(["2"], pa.large_string()),
    pa.array(["2"]).dictionary_encode(),
    pa.RunEndEncodedArray.from_arrays(pa.array([1], pa.int32()), pa.array([2])),
)
OTHERS = (
    pa.array([True]),
    pa.array([None]),
    pa.array([[2]]),
    pa.array([{"x": 2}]),
    pa.array([b"2"]),
    pa.array([b"2"], pa.binary_view()),
    pa.array([timedelta(2)]),
    pa.array([START]),
    pa.array([time(2)]),
    pa.array([None], pa.list_(pa.int8())),
)


def stored(table: pa.Table, columns: dict[str, str] | None = None, **options: str) -> Batch:
    (part, _), *_ = data_file(table, columns, **options).parts()
    return check_observations(part, "t")


@pytest.mark.parametrize("beside", [*NUMBERS, *OTHERS], ids=lambda column: str(column.type))
@pytest.mark.parametrize("column", [*NUMBERS, *OTHERS], ids=lambda column: str(column.type))
def test_a_wide_column_of_any_type_holds_its_numbers_or_is_refused(
    column: pa.Array, beside: pa.Array
) -> None:
    table = pa.table({"timestamp": [START], "m1": column, "m2": beside})
    batch = stored(table, wide="assets")
    numbers = [any(one is number for number in NUMBERS) for one in (column, beside)]
    assert (batch.accepted, batch.rejected) == (sum(numbers), 2 - sum(numbers))
    assert set(batch.table.column("value").to_pylist()) <= {2.0}


@pytest.mark.parametrize("column", [*NUMBERS, *OTHERS], ids=lambda column: str(column.type))
@pytest.mark.parametrize("name", ["timestamp", "clock", "feature_type"])
def test_what_stands_beside_may_be_of_any_type(name: str, column: pa.Array) -> None:
    cells = {"timestamp": ["2025-01-01"], "clock": ["02:00"], "feature_type": ["x"], "m1": [2.0]}
    batch = stored(
        pa.table({**cells, name: column}), wide="assets", time_column="clock", timezone="UTC"
    )
    assert batch.accepted + batch.rejected == 1


def test_a_wide_frame_of_polars_is_read() -> None:
    frame = pl.DataFrame(
        {"day": ["13.01.2025"], "meter": ["m1"], "00:15": ["0,5"], "00:30": ["1,5"]}
    )
    given = {"timestamp_column": "day", "asset_column": "meter", "wide": "times", "timezone": "UTC"}
    options = ReadOptions.of("observations", given)
    table = to_table(frame, options.fields_of)
    batch = stored(table, {"timestamp": "day", "asset_id": "meter"}, wide="times", timezone="UTC")
    assert batch.table.column("value").to_pylist() == [0.5, 1.5]
    assert date(2025, 1, 13) == batch.table.column("timestamp")[0].as_py().date()


def test_a_wide_table_has_a_bound_on_its_columns() -> None:
    """Each takes some kilobytes, however few rows there are: 2 MB of text took more than 1 GB."""
    names = ["timestamp", *(f"a{n}" for n in range(MAX_WIDE + 1))]
    assert len(find_wide("assets", names[:-1], {"timestamp": 0}, None).places) == MAX_WIDE
    with pytest.raises(InvalidInput, match=r"got '15001 columns', expected at most 15,000\. Turn"):
        find_wide("assets", names, {"timestamp": 0}, None)
