"""The formats that a cell with a time might have been written in."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from ai_hub.intake.dialect.time_formats import EPOCHS, ISO, ISO_PATTERN, TimeFormat

_NAME = "(?:jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec)[a-z]*"
_TWO, _FOUR = r"\d{1,2}", r"\d{4}"
# What a day looks like, and what it may then be; the separator of the cell is put for {}.
_DAYS: tuple[tuple[str, tuple[str, ...]], ...] = (
    (rf"{_FOUR}([-/.]){_TWO}\1{_TWO}", ("%Y{}%m{}%d",)),
    (rf"{_TWO}([-/.]){_TWO}\1{_FOUR}", ("%d{}%m{}%Y", "%m{}%d{}%Y")),
    (rf"{_TWO}([-/.]){_TWO}\1\d\d", ("%d{}%m{}%y", "%m{}%d{}%y", "%y{}%m{}%d")),
    (rf"{_TWO}([- /]){_NAME}\1{_FOUR}", ("%d{}%b{}%Y",)),
    (rf"{_TWO}([- /]){_NAME}\1\d\d", ("%d{}%b{}%y",)),
    (rf"{_NAME}( ){_TWO}, {_FOUR}", ("%b %d, %Y",)),
    (rf"{_NAME}( ){_TWO} {_FOUR}", ("%b %d %Y",)),
    (r"()\d{8}", ("%Y%m%d", "%d%m%Y", "%m%d%Y")),
)
_TIMES: tuple[tuple[str, str], ...] = (
    (r"\d{1,2}:\d\d:\d\d[.]\d+", "%H:%M:%S.%f"),
    (r"\d{1,2}:\d\d:\d\d[,]\d+", "%H:%M:%S,%f"),
    (r"\d{1,2}:\d\d:\d\d", "%H:%M:%S"),
    (r"\d{1,2}:\d\d", "%H:%M"),
    (r"\d{6}", "%H%M%S"),
    (r"\d{4}", "%H%M"),
)
_HALF = re.compile(r"(?i)( ?)[ap]\.?m\.?")
_ZONE = re.compile(r"(?i)( ?)(?:z|utc|gmt|[+-]\d\d(?::?\d\d)?)")
_GAP = re.compile(r"(?i)T|,? +|$")
_DIGITS = re.compile(r"\d{8,}(\.\d*)?")
_PACKED = {
    8: ("%Y%m%d", "%d%m%Y", "%m%d%Y"),
    10: ("%Y%m%d%H",),
    12: ("%Y%m%d%H%M",),
    14: ("%Y%m%d%H%M%S",),
}
_BETWEEN = " - "


def time_candidates(cells: Iterable[str]) -> list[TimeFormat]:
    """The formats in which at least one of the cells could be meant, in an order of no weight."""
    texts = dict.fromkeys(text for cell in cells for text in _formats(cell.strip()))
    return [TimeFormat(text, likely=True) for text in texts]


def _formats(cell: str) -> Iterator[str]:
    if re.fullmatch(ISO_PATTERN, cell):
        yield ISO
    elif _DIGITS.fullmatch(cell):
        yield from EPOCHS
        yield from _PACKED.get(len(cell), ())
    elif _BETWEEN in cell:
        # Both ends of an interval: which of them is meant nobody can tell but the user.
        start, _, end = cell.partition(_BETWEEN)
        ends = list(_stamps(end))
        for text, rest in _stamps(start):
            if not rest or ends:
                yield f"{text}{'*' * bool(rest)}{_BETWEEN}*"
        yield from (f"*{_BETWEEN}{text}{'*' * bool(rest)}" for text, rest in ends)
    else:
        yield from (text for text, rest in _stamps(cell) if not rest)


def _stamps(cell: str) -> Iterator[tuple[str, str]]:
    """A day, perhaps with a time behind it, at the beginning of a cell; and what follows."""
    for pattern, days in _DAYS:
        match = re.match(rf"(?i){pattern}(?!\d)", cell)
        if match is None:
            continue
        rest = cell[match.end() :]
        gap = _GAP.match(rest)
        clock, rest = _clock(rest[gap.end() :]) if gap else ("", rest)
        between = gap.group() if gap and clock else ""
        for day in days:
            yield day.replace("{}", match.group(1)) + between + clock, rest


def _clock(text: str) -> tuple[str, str]:
    """The format of the time of day that a text begins with ("" for none), and the rest of it."""
    for pattern, found in _TIMES:
        match = re.match(rf"{pattern}(?!\d)", text)
        if match is None:
            continue
        rest = text[match.end() :]
        if half := _HALF.match(rest):
            found, rest = f"{found.replace('%H', '%I')}{half.group(1)}%p", rest[half.end() :]
        if zone := _ZONE.match(rest):
            found, rest = f"{found}{zone.group(1)}%z", rest[zone.end() :]
        return found, rest
    return "", text
