"""Numbers of a column: readings, which have to be, and measurements, which need not."""

from __future__ import annotations

import math
from decimal import Decimal

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ai_hub.definitions.valid_range import ValidRange
from ai_hub.intake.columns import Column
from ai_hub.intake.dialect.nulls import TOKENS, Nulls
from ai_hub.intake.readings import check_measurements, check_quality, check_readings

ANY = ValidRange()


def readings(values: object, low: float = -math.inf, high: float = math.inf, *nulls: str) -> Column:
    raw = values if isinstance(values, pa.Array) else pa.array(values)
    return check_readings("value", raw, len(raw), low, high, Nulls(nulls))


def measured(values: object, limits: ValidRange = ANY, *nulls: str) -> Column:
    raw = values if isinstance(values, pa.Array) else pa.array(values)
    return check_measurements("humidity", raw, len(raw), limits, Nulls(nulls))


def cells(checked: Column) -> list[object]:
    return checked.build(checked.keys).to_pylist()


@pytest.mark.parametrize("token", [*TOKENS, "Null", "N/A", " NA ", "NaN", "None"])
def test_what_stands_for_null_costs_a_reading_its_row_and_a_measurement_nothing(token: str) -> None:
    checked = readings(["1", token])
    assert checked.faulty.tolist() == [False, True]
    quiet = token.strip().lower() in ("", "nan")
    assert checked.why(1) == "expected a finite number" + (
        "" if quiet else "; this stands for null"
    )
    checked = measured(["1", token])
    assert not checked.faulty.any()
    assert cells(checked) == [1.0, None]
    assert checked.unreadable == (0 if quiet else 1)
    assert checked.remarks == ()


def test_what_is_counted_as_no_number_is_named_with_it() -> None:
    checked = measured(["NA"] * 200 + ["warm", "1"])
    assert checked.unreadable == 201
    (remark,) = checked.remarks
    assert remark.text == "humidity: warm, NA is no number, and taken as null."


def test_a_decimal_comma_that_was_not_taken_for_one_can_be() -> None:
    assert "--decimal comma" in readings(["1", "+0056,5"]).why(1)
    assert "--decimal" not in readings(["1", "56.5 W"]).why(1)


def test_a_caller_may_say_what_else_stands_for_null() -> None:
    assert readings(["x", "Missing"], -math.inf, math.inf, "missing").why(1).endswith("null")
    assert readings(["x", "Missing"], -math.inf, math.inf, "missing").why(0).endswith("number")


@pytest.mark.parametrize(
    "values",
    [
        ["-9999", "-9999.0", "-9.999e3", "1"],
        [-9999.0, -9999.0, -9999.0, 1.0],
        [-9999, -9999, -9999, 1],
        [Decimal("-9999"), Decimal("-9999.0"), Decimal("-9999.00"), Decimal(1)],
    ],
)
def test_a_number_that_stands_for_null_does_so_however_it_is_written(values: list[object]) -> None:
    assert readings(values, -math.inf, math.inf, "-9999").faulty.tolist() == [True] * 3 + [False]
    checked = measured(values, ANY, "-9999")
    assert cells(checked) == [None, None, None, 1.0]
    assert (checked.unreadable, checked.outside) == (0, 0)


def test_a_reading_outside_the_valid_range_is_refused_and_both_ends_are_inside() -> None:
    checked = readings([-0.1, 0.0, 500.0, 500.1, None, math.inf], 0, 500)
    assert checked.faulty.tolist() == [True, False, False, True, True, True]
    assert checked.why(0) == "expected a reading in the valid range 0:500"
    assert checked.why(4) == checked.why(5) == "expected a finite number"


def test_each_row_may_have_a_range_of_its_own() -> None:
    low, high = np.array([0.0, -math.inf]), np.array([1.0, math.inf])
    checked = check_readings("value", pa.array([5.0, 5.0]), 2, low, high)
    assert checked.faulty.tolist() == [True, False]
    assert checked.why(0).endswith("0:1")


def test_measurements_that_cannot_be_are_null_counted_and_named() -> None:
    checked = measured([50.0, 100.0, 100.1, -1.0, None, math.nan], ValidRange(0, 100))
    assert cells(checked) == [50.0, 100.0, None, None, None, None]
    assert (checked.outside, checked.unreadable) == (2, 0)
    (remark,) = checked.remarks
    assert (remark.about, remark.field) == ("outside", "humidity")
    assert remark.text == (
        "humidity: 100.1, -1.0 is outside the physical limits 0:100, and taken as null."
    )


@pytest.mark.parametrize("values", [["1", "x"], [1.0, math.inf], [False, True], ["1", "1,5"]])
def test_measurements_that_are_no_numbers_are_null_counted_and_named(values: list[object]) -> None:
    checked = measured(values)
    assert not checked.faulty.any()
    assert cells(checked)[1] is None
    assert checked.unreadable == (2 if values[0] is False else 1)
    (remark,) = checked.remarks
    assert remark.about == "unreadable"
    assert "is no number, and taken as null" in remark.text


def test_few_examples_are_named() -> None:
    (remark,) = measured([str(number) + "x" for number in range(9)]).remarks
    assert remark.text.startswith("humidity: 0x, 1x, 2x, ... is no number")


def test_a_quality_in_letters_is_not_used_and_that_is_said() -> None:
    checked = check_quality("quality", pa.array(["A", "E", None, "NA"]), 4)
    assert not checked.faulty.any()
    assert cells(checked) == [1, 1, 1, 1]
    (remark,) = checked.remarks
    assert remark.about == "quality"
    assert remark.text.startswith("quality: A, E is no whole number, so the column is not used")


@pytest.mark.parametrize("values", [["0", "x"], [1.5, 0.0], [True, False], ["0", "1.5"]])
def test_a_quality_that_is_no_whole_number_among_others_costs_its_row(values: list[object]) -> None:
    checked = check_quality("quality", pa.array(values), 2)
    assert checked.faulty.any()
    assert checked.remarks == ()


def test_a_quality_that_stands_for_null_is_one() -> None:
    assert cells(check_quality("quality", pa.array(["0", "-", "", None]), 4)) == [0, 1, 1, 1]


@given(st.lists(st.floats(allow_nan=False, allow_infinity=False), max_size=9), st.floats(-1e9, 1e9))
def test_a_range_splits_readings_as_comparison_does(values: list[float], high: float) -> None:
    checked = readings(pa.array(values, pa.float64()), -math.inf, high)
    assert checked.faulty.tolist() == [value > high for value in values]


KINDS = [
    pa.decimal32(5, 2),
    pa.decimal64(10, 2),
    pa.decimal128(10, 2),
    pa.decimal256(40, 2),
]


@pytest.mark.parametrize("kind", KINDS, ids=str)
def test_decimals_of_every_width_are_numbers(kind: pa.DataType) -> None:
    assert cells(readings(pa.array([Decimal("1.25")], kind))) == [1.25]


@pytest.mark.parametrize("kind", [pa.float16(), pa.float32(), pa.int8(), pa.uint64()], ids=str)
def test_numbers_of_every_width_are_numbers(kind: pa.DataType) -> None:
    assert cells(readings(pa.array([2], pa.int8()).cast(kind))) == [2.0]
