"""One definition of what a file can be, for every door."""

from __future__ import annotations

import shlex
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ai_hub.errors import InvalidInput
from ai_hub.intake.dialect.dialect import OPTIONS, PLAIN, WIDE, Dialect
from ai_hub.intake.options import as_command, as_words

VALUES: dict[str, st.SearchStrategy[Any]] = {
    "delimiter": st.sampled_from([",", ";", "\t", "|", " ", "~"]),
    "decimal": st.sampled_from([".", ","]),
    "thousands": st.sampled_from(["", " ", "'"]),
    "encoding": st.sampled_from(["utf-8", "utf-16", "cp1252", "iso8859-1"]),
    "time_format": st.sampled_from(["iso", "epoch-ms", "%d.%m.%Y %H:%M", "%m/%d/%y %I:%M %p"]),
    "time_column": st.sampled_from(["Start Time", "clock"]),
    "skip_lines": st.integers(0, 40),
    "comment": st.sampled_from(["#", "//"]),
    "units_row": st.booleans(),
    "wide": st.sampled_from(WIDE),
    "sheet": st.sampled_from(["Sheet 1"]),
}
dialects = st.fixed_dictionaries({}, optional=VALUES).map(lambda given: Dialect(**given))


def command(dialect: Dialect) -> str:
    return as_command(OPTIONS, dialect.given())


def test_every_field_is_an_option_with_a_help_sentence() -> None:
    assert {option.name for option in OPTIONS} == {*VALUES}
    for option in OPTIONS:
        assert option.help[0].isupper()
        assert option.help.endswith(".")
        assert option.flag == "--" + option.name.replace("_", "-")
        assert option.kind in (str, int, bool)


@given(dialects)
def test_a_dialect_comes_back_from_its_words(dialect: Dialect) -> None:
    words = shlex.split(as_command(OPTIONS, dialect.given()))
    assert words == as_words(OPTIONS, dialect.given())
    found: dict[str, Any] = {}
    while words:
        flag = words.pop(0)
        option = next(o for o in OPTIONS if flag in (o.flag, o.flag.replace("--", "--no-")))
        if option.kind is bool:
            found[option.name] = "true" if flag == option.flag else "false"
        else:
            found[option.name] = words.pop(0)
    assert Dialect.of(found) == dialect


def test_words_stand_for_marks_that_a_shell_would_not_show() -> None:
    assert Dialect(delimiter="tab", decimal="comma", thousands="none") == Dialect(
        delimiter="\t", decimal=",", thousands=""
    )
    assert command(Dialect(delimiter="\t", decimal=",")) == "--delimiter tab --decimal comma"
    assert Dialect(encoding="Latin-1") == Dialect(encoding="iso8859-1")
    assert command(Dialect(units_row=False)) == "--no-units-row"
    assert Dialect().given() == {}
    assert command(PLAIN).startswith("--delimiter comma --decimal point --thousands none")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("delimiter", ";;"),
        ("delimiter", '"'),
        ("delimiter", "a"),
        ("delimiter", ""),
        ("decimal", ";"),
        ("thousands", "x"),
        ("encoding", "no-such"),
        ("encoding", "base64"),
        ("time_format", "DD.MM.YYYY"),
        ("time_format", "%H:%M"),
        ("skip_lines", "-1"),
        ("skip_lines", -1),
        ("skip_lines", True),
        ("comment", " "),
        ("comment", '"'),
        ("units_row", "maybe"),
        ("units_row", 1),
        ("wide", "meters"),
        ("sheet", ""),
        ("time_column", ""),
    ],
)
def test_a_value_that_cannot_be_is_an_error_that_names_the_field(name: str, value: Any) -> None:
    with pytest.raises(InvalidInput) as error:
        Dialect.of({name: value})
    assert error.value.field == name


def test_marks_differ_from_each_other() -> None:
    with pytest.raises(InvalidInput, match="thousands"):
        Dialect(decimal=",", thousands=",")
    with pytest.raises(InvalidInput, match=r"options: got 'delimeter', expected one of delimiter"):
        Dialect.of({"delimeter": ";"})
