"""How a file is written: one frozen value, whose fields are options of every door.

A field that is None is to be found out from the file itself.
"""

from __future__ import annotations

import codecs
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

from ai_hub.errors import InvalidInput
from ai_hub.intake.options import as_command, option, options_of

DELIMITERS = (",", ";", "\t", "|")
WIDE = ("assets", "series", "times")

_WORDS = {
    "delimiter": {"comma": ",", "semicolon": ";", "tab": "\t", "\\t": "\t", "pipe": "|"},
    "decimal": {"comma": ",", "point": "."},
    "thousands": {"none": "", "comma": ",", "point": ".", "space": " ", "apostrophe": "'"},
}


@dataclass(frozen=True, slots=True)
class Dialect:
    """How a file is written; checked when built, so a Dialect that exists is one that can be read.

    Raises InvalidInput, named after the field, for a value that it cannot have.
    """

    delimiter: str | None = option(
        "CHARACTER",
        "What separates the cells: comma, semicolon, tab, pipe or any one character.",
        words=_WORDS["delimiter"],
    )
    decimal: str | None = option(
        "MARK", "The decimal mark of numbers: point or comma.", words=_WORDS["decimal"]
    )
    thousands: str | None = option(
        "MARK",
        "What groups the digits of numbers: point, comma, space, apostrophe or none.",
        words=_WORDS["thousands"],
    )
    encoding: str | None = option(
        "NAME", "The encoding of the text, such as utf-8, utf-16, cp1252 or latin-1."
    )
    time_format: str | None = option(
        "FORMAT",
        "How times are written: iso, epoch-s, epoch-ms, epoch-us, or directives as of strptime, "
        "such as '%d.%m.%Y %H:%M' (a * stands for any text).",
    )
    time_column: str | None = option(
        "NAME", "The column with the times of day, if the column of times has the dates alone."
    )
    skip_lines: int | None = option("N", "How many lines stand before the header.")
    comment: str | None = option("MARK", "What lines that are no rows begin with, such as '#'.")
    units_row: bool | None = option("", "The line after the header says the units.")
    wide: str | None = option(
        "WHAT",
        "The names of the other columns are assets, series, or times (of the day, such as 00:30); "
        "their cells are the readings.",
    )
    sheet: str | None = option("NAME", "The sheet of a spreadsheet.")

    def __post_init__(self) -> None:
        for name, words in _WORDS.items():
            value = getattr(self, name)
            object.__setattr__(self, name, words.get(value, value))
        for name, check in _CHECKS.items():
            value = getattr(self, name)
            if value is not None:
                check(value)
        if self.decimal is not None and self.decimal == self.thousands:
            raise InvalidInput("thousands", self.thousands, "another mark than the decimal mark")
        if self.encoding is not None:
            object.__setattr__(self, "encoding", codecs.lookup(self.encoding).name)

    @classmethod
    def of(cls, options: Mapping[str, str | int | bool | None]) -> Self:
        """A Dialect of values or of their texts, as a query has them; None is not said.

        Raises InvalidInput for a name that is no option.
        """
        found: dict[str, Any] = {}
        for name, value in options.items():
            option = next((option for option in OPTIONS if option.name == name), None)
            if option is None:
                names = ", ".join(option.name for option in OPTIONS)
                raise InvalidInput("options", name, f"one of {names}")
            found[name] = option.parse(value) if isinstance(value, str) else value
        return cls(**found)

    def given(self) -> dict[str, str | int | bool]:
        """The fields that are not None, by name."""
        values = ((option.name, getattr(self, option.name)) for option in OPTIONS)
        return {name: value for name, value in values if value is not None}


def said(**options: object) -> str:
    """Options as an error advises them: `--decimal comma`."""
    return as_command(OPTIONS, options)


def _check_delimiter(value: str) -> None:
    odd = not isinstance(value, str) or len(value) != 1
    if odd or value.isalnum() or value in '"\r\n.-+:' or ord(value) > 126:
        expected = "one character that separates cells: comma, semicolon, tab, pipe or the like"
        raise InvalidInput("delimiter", value, expected)


def _check_decimal(value: str) -> None:
    if value not in (".", ","):
        raise InvalidInput("decimal", value, "point or comma")


def _check_thousands(value: str) -> None:
    if value not in ("", ".", ",", " ", "'"):
        raise InvalidInput("thousands", value, "point, comma, space, apostrophe or none")


def _check_encoding(value: str) -> None:
    try:
        known = codecs.lookup(value)
        "a".encode(value)  # base64 and the like are codecs too, but not of text
    except (LookupError, TypeError, ValueError):
        expected = "the name of an encoding, such as utf-8, utf-16, cp1252 or latin-1"
        raise InvalidInput("encoding", value, expected) from None
    del known


def _check_time_format(value: str) -> None:
    if value == "iso":  # as PLAIN says when this is imported, for a list of options
        return
    from ai_hub.intake.dialect.time_formats import TimeFormat

    TimeFormat(value)


def _check_skip_lines(value: int) -> None:
    if type(value) is not int or value < 0:
        raise InvalidInput("skip_lines", value, "a whole number, 0 or more")


def _check_comment(value: str) -> None:
    if not isinstance(value, str) or not value.strip() or set(value) & set('"\r\n'):
        raise InvalidInput("comment", value, "what comment lines begin with, such as #")


def _check_units_row(value: bool) -> None:
    if type(value) is not bool:
        raise InvalidInput("units_row", value, "true or false")


def _check_wide(value: str) -> None:
    if value not in WIDE:
        raise InvalidInput("wide", value, f"one of {', '.join(WIDE)}")


def _check_name(name: str) -> Any:
    def check(value: str) -> None:
        if not isinstance(value, str) or not value:
            raise InvalidInput(name, value, "a name")

    return check


_CHECKS: dict[str, Any] = {
    "delimiter": _check_delimiter,
    "decimal": _check_decimal,
    "thousands": _check_thousands,
    "encoding": _check_encoding,
    "time_format": _check_time_format,
    "time_column": _check_name("time_column"),
    "skip_lines": _check_skip_lines,
    "comment": _check_comment,
    "units_row": _check_units_row,
    "wide": _check_wide,
    "sheet": _check_name("sheet"),
}


OPTIONS = options_of(Dialect)
"""The fields of Dialect, in order: what every door offers."""

PLAIN = Dialect(
    delimiter=",",
    decimal=".",
    thousands="",
    encoding="utf-8",
    time_format="iso",
    skip_lines=0,
    units_row=False,
)
"""What a file is that nothing has to be said of."""
