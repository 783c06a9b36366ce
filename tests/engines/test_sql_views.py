"""Names in statements are quoted, whatever they are."""

from __future__ import annotations

import pytest

from ai_hub.engines.sql_views import number, quoted


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("scores", '"scores"'),
        ("own.Scores", '"own"."Scores"'),
        ("select", '"select"'),
        ('a"; DROP TABLE b; --', '"a""; DROP TABLE b; --"'),
    ],
)
def test_a_name_is_quoted(name: str, text: str) -> None:
    assert quoted(name) == text


def test_a_boolean_is_a_number_by_way_of_an_integer() -> None:
    assert number("x", is_boolean=False) == '"x"::float8'
    assert number("x", is_boolean=True) == '"x"::int::float8'
