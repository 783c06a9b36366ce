"""Names of columns: which is meant, however they are spelled and however many there are."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ai_hub.errors import InvalidInput
from ai_hub.intake.dialect.header import MAX_COLUMNS, Names
from ai_hub.intake.formats import read_body

SPELLED = st.sampled_from(
    ["kWh", "kwh", " kWh", "#kWh", "# kwh ", "k Wh", "k  wh", "k\nWh", "#", ""]
)


def loosely(name: str) -> str:
    return " ".join(name.strip().lstrip("#").split()).casefold()


@given(st.lists(SPELLED, max_size=6), SPELLED)
def test_as_it_stands_there_or_as_nearly_so_as_it_does_anywhere(
    names: list[str], name: str
) -> None:
    found = Names(names).places_of(name)
    assert found == sorted(found)
    if name in names:
        assert found == [place for place, other in enumerate(names) if other == name]
    else:
        alike = [place for place, other in enumerate(names) if loosely(other) == loosely(name)]
        assert {*found} <= {*alike}
        assert bool(found) == bool(alike)


def test_a_number_says_which_of_the_same_name() -> None:
    names = Names(["a", "kWh", "b", "kWh"])
    assert names.places_of("kWh") == [1, 3]
    assert names.places_of("kWh#2") == [3]
    assert names.places_of("kWh#3") == []


def table(columns: int) -> bytes:
    more = columns - 2
    head = b"timestamp,asset_id" + b"".join(b",%x" % at for at in range(more))
    return head + b"\n2025-01-01T00:00:00Z,a" + b"," * more


def test_as_many_columns_as_one_may_have_and_no_more() -> None:
    assert read_body("text/csv", table(MAX_COLUMNS), required=("asset_id",)).num_rows == 1
    for body in (table(MAX_COLUMNS + 1), b"timestamp,asset_id" + b";" * MAX_COLUMNS):
        with pytest.raises(InvalidInput, match=rf"^header: got .*, expected at most {MAX_COLUMNS}"):
            read_body("text/csv", body, required=("asset_id",))


def test_of_many_names_the_error_is_short() -> None:
    same = b"timestamp,asset_id" + b",value" * (MAX_COLUMNS - 2)
    with pytest.raises(InvalidInput, match="and others have that name") as refused:
        read_body("text/csv", same, required=("value",))
    assert len(str(refused.value)) < 1_000
