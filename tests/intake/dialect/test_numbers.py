"""Decimal and thousands marks."""

from __future__ import annotations

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ai_hub.intake.dialect.numbers import FORMATS, NumberFormat, decisive, marked
from ai_hub.intake.marks import read_mark


def written(value: float, digits: int, form: NumberFormat) -> str:
    text = f"{value:,.{digits}f}" if form.thousands else f"{value:.{digits}f}"
    return text.translate({ord(","): form.thousands, ord("."): form.decimal})


@given(
    st.sampled_from(FORMATS),
    st.lists(st.tuples(st.floats(-1e9, 1e9), st.integers(0, 6)), min_size=1, max_size=20),
)
def test_a_number_comes_back_from_every_way_of_writing_it(
    form: NumberFormat, cells: list[tuple[float, int]]
) -> None:
    texts = pa.array([written(value, digits, form) for value, digits in cells])
    expected = [float(f"{value:.{digits}f}") for value, digits in cells]
    values, known = form.read(texts)
    assert known.all()
    assert values.tolist() == expected
    assert [float(text) for text in form.pointed(texts).to_pylist()] == expected


@pytest.mark.parametrize(
    ("form", "text", "expected"),
    [
        (NumberFormat(",", "."), "1.234,5", "1234.5"),
        (NumberFormat(",", "."), "-1.234.567", "-1234567"),
        (NumberFormat(",", " "), " 1\u202f234,5 ", "1234.5"),
        (NumberFormat(".", "'"), "1\u2019234.5", "1234.5"),
        (NumberFormat(","), ",5", ".5"),
        (NumberFormat(","), "1,5e-3", "1.5e-3"),
        (NumberFormat(",", "."), "-9999", "-9999"),
        # Left to the check, which knows what null is.
        (NumberFormat(","), "NA", "NA"),
        (NumberFormat(","), "-", "-"),
        (NumberFormat(","), "1,2,3", "1,2,3"),
    ],
)
def test_numbers_as_people_write_them(form: NumberFormat, text: str, expected: str) -> None:
    assert form.pointed(pa.array([text, None])).to_pylist() == [expected, None]


@pytest.mark.parametrize("text", ["1.5", "0.1234", "1e5.0", "12.34"])
def test_a_number_written_otherwise_is_never_taken_for_another(text: str) -> None:
    (found,) = NumberFormat(",", ".").pointed(pa.array([text])).to_pylist()
    mark = read_mark(found)
    if text == "1e5.0":
        assert (mark, found) == (None, text)  # no number to the check either
    else:
        assert mark is not None
        assert (mark.value, mark.expected) == (text, "a number with a decimal comma")


def test_groups_are_of_three_digits_and_begin_with_no_zero() -> None:
    form = NumberFormat(".", ",")
    texts = pa.array(["1,23", "12,3456", "0,123", "1,234,5", ",123", "1234,567"])
    assert not form.fits(texts).any()


def test_what_could_have_a_mark_is_found() -> None:
    texts = pa.array(["1", "NA", "-", "1,5", " 1 234 ", "n.a.", "1e5", "-,5", "1.5 kWh", None])
    assert marked(texts).to_pylist() == ["1,5", "1 234", "-,5"]


@pytest.mark.parametrize(
    ("texts", "proof"),
    [
        (["1.234", "0.5"], "0.5"),
        (["1.234"], None),
        (["1.2345", "1"], "1.2345"),
        (["1234.567"], "1234.567"),
        (["0.5", "1,5"], None),
        (["1"], None),
    ],
)
def test_a_decimal_point_is_proved_by_what_no_group_is(texts: list[str], proof: str) -> None:
    assert decisive(pa.array(texts)) == proof
