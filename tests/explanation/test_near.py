"""The names nearest to one that nothing is stored of."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ai_hub.explanation.near import MOST, nearest

NAMES = sorted(["meter-001", "meter-002", "Meter-010", "pump 7", "Zähler 5", "solar", "x"])


@pytest.mark.parametrize(
    ("wanted", "first"),
    [
        ("METER-001", "meter-001"),
        ("meter_1", "meter-001"),
        ("meter-10", "Meter-010"),
        ("metre-001", "meter-001"),
        ("emter-002", "meter-002"),
        ("pump7", "pump 7"),
        ("pump 77", "pump 7"),
        ("zähler 5", "Zähler 5"),
        ("solr", "solar"),
    ],
)
def test_what_people_mistype(wanted: str, first: str) -> None:
    assert nearest(wanted, NAMES)[0] == first


@pytest.mark.parametrize("wanted", ["transformer", "meter", "-", "y" * 200])
def test_what_is_like_none(wanted: str) -> None:
    assert nearest(wanted, ["pump 7", "solar"]) == []


@given(st.lists(st.text(max_size=8), unique=True).map(sorted), st.text(max_size=8))
def test_they_are_few_and_others(names: list[str], wanted: str) -> None:
    found = nearest(wanted, names)
    assert len(found) <= MOST
    assert len(set(found)) == len(found)
    assert set(found) <= set(names) - {wanted}


@given(st.text("abc0", min_size=1, max_size=6), st.data())
def test_one_edit_is_found_among_many(name: str, data: st.DataObject) -> None:
    others = [f"meter-{i:05}" for i in range(300)]
    place = data.draw(st.integers(0, len(name)))
    typed = name[:place] + "z" + name[place:]
    assert name in nearest(typed, sorted([*others, name]))
