"""Ids of a column: the blanks around them, their defaults, and those that look odd."""

from __future__ import annotations

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ai_hub.definitions.values import id_fault
from ai_hub.intake import ids as intake_ids
from ai_hub.intake.columns import Column
from ai_hub.intake.dialect.nulls import NO_MORE, Nulls
from ai_hub.intake.ids import check_ids


def ids(values: list[object], **options: object) -> Column:
    return check_ids("asset_id", pa.array(values), len(values), 256, **options)  # type: ignore[arg-type]


def named(checked: Column) -> list[object]:
    names = checked.build(checked.keys).to_pylist()
    pairs = zip(names, checked.faulty, strict=True)
    return [None if faulty else name for name, faulty in pairs]


@pytest.mark.parametrize(
    "blank", [" ", "\t", "\u00a0", "\u3000", "\r\n", "\u2003 ", "\ufeff", "\u200b"]
)
def test_blanks_around_an_id_do_not_count(blank: str) -> None:
    checked = ids(["m1", f"{blank}m1", f"m1{blank}", f"{blank}m 1{blank}"])
    assert named(checked) == ["m1", "m1", "m1", "m 1"]
    assert checked.keys[0] == checked.keys[1] == checked.keys[2] != checked.keys[3]


@given(st.lists(st.text(max_size=6)))
def test_an_id_is_what_strip_leaves_if_that_is_one(values: list[str]) -> None:
    values = [value for value in values if value.isprintable() or not value.strip()]
    checked = check_ids("asset_id", pa.array(values, pa.string()), len(values), 256)
    assert named(checked) == [v.strip() if id_fault(v.strip()) is None else None for v in values]


def test_an_id_of_blanks_is_none() -> None:
    checked = ids(["  ", "", None])
    assert named(checked) == [None] * 3
    assert checked.why(0) == checked.why(1) == "expected a string of 1 to 256 characters"
    assert checked.why(2) == "expected a string"
    assert named(ids(["  ", "", None, "x"], default="d")) == ["d", "d", "d", "x"]


def test_what_a_spreadsheet_makes_of_a_number_is_named() -> None:
    (remark,) = ids(["7.22E+13", "1001.0", "m1", "1001", "1.5"]).remarks
    assert (remark.about, remark.field) == ("ids", "asset_id")
    assert '"1001.0", "7.22E+13" may be whole numbers' in remark.text
    (many,) = ids([f"{number}.0" for number in range(9)]).remarks
    assert '"2.0", ...' in many.text


def test_what_may_stand_for_null_is_an_id_and_is_named_unless_the_caller_says_it_is_null() -> None:
    checked = ids(["NULL", "na", "x"])
    assert named(checked) == ["NULL", "na", "x"]
    (remark,) = checked.remarks
    assert remark.about == "null ids"
    assert '"NULL", "na" is taken as an id' in remark.text
    checked = ids(["NULL", "na", "x"], known=Nulls(("null",)))
    assert named(checked) == [None, "na", "x"]
    assert checked.why(0) == "expected a string"


def test_ids_that_are_floats_are_refused_in_words_and_shown_as_they_came() -> None:
    checked = check_ids("asset_id", pa.array([1001.0, None]), 2, 256)
    assert named(checked) == [None, None]
    assert "these ids are floats" in checked.why(0)
    assert (checked.shown(0), checked.shown(1)) == (1001.0, None)


def test_whole_numbers_are_ids() -> None:
    assert named(check_ids("asset_id", pa.array([7, 12], pa.uint64()), 2, 256)) == ["7", "12"]


@given(
    st.lists(
        st.one_of(st.none(), st.sampled_from(["", " a ", "a", "\ufeffb", "é", "\x00", "NA", "1E5"]),
                  st.text(max_size=4)),
        min_size=1),
    st.sampled_from([None, "a", "z"]), st.sampled_from([None, "a"]),
    st.sampled_from([NO_MORE, Nulls(("NA", "é"))]),
)  # fmt: skip
def test_very_many_are_looked_at_as_a_few_are(
    values: list[str | None], default: str | None, only: str | None, known: Nulls
) -> None:
    column = pa.array([None if one is None else one.encode("utf-8", "replace").decode()
                       for one in values], pa.string())  # fmt: skip
    few = check_ids("asset_id", column, len(column), 3, default, only, known)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(intake_ids, "_FEW", -1)
        many = check_ids("asset_id", column, len(column), 3, default, only, known)
    assert few.faulty.tolist() == many.faulty.tolist()
    sound = ~few.faulty
    assert few.keys[sound].tolist() == many.keys[sound].tolist()
    assert few.build(few.keys[sound]) == many.build(many.keys[sound])
    assert few.remarks == many.remarks
    for row in few.faulty.nonzero()[0]:
        assert few.why(int(row)) == many.why(int(row))
