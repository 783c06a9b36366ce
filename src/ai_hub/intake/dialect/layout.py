"""Where the rows of a text begin: the lines before the header, the header, a row of units."""

from __future__ import annotations

import csv
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from ai_hub.errors import InvalidInput
from ai_hub.intake.batch import FIELDS, ID_FIELDS, TIME_FIELDS
from ai_hub.intake.csv_text import record
from ai_hub.intake.dialect.dialect import DELIMITERS, Dialect
from ai_hub.intake.dialect.header import MAX_COLUMNS, Names, match_columns, missing
from ai_hub.intake.dialect.units import is_unit

_SEARCHED = 100
_HEADER_LINES = 20
_COMPARED = 50
_NUMBERS = FIELDS - TIME_FIELDS - ID_FIELDS
_NOTHING = frozenset({"", "-", "?", "na", "n/a", "nan", "null", "none"})


@dataclass(frozen=True, slots=True)
class Layout:
    """The header of a table, and what stands around it.

    `columns` maps our names to places in `names`; `time` is the place of the times of day, if they
    have a column of their own. `skip_lines` is the number of lines before the header, `before` the
    number of those before the first row. `anchor` is our column that every row has.
    """

    names: tuple[str, ...]
    columns: Mapping[str, int]
    time: int | None
    delimiter: str = ""
    skip_lines: int = 0
    units_row: bool = False
    before: int = 1
    anchor: str = "timestamp"


@dataclass(frozen=True, slots=True)
class Wanted:
    """The columns to be found: those mapped (ours to theirs), those of ours that must be there
    (`anchor` among them, in which a row at fault as a whole is told), and the one with the times of
    day, if there is one."""

    columns: Mapping[str, str]
    required: tuple[str, ...]
    time: str | None = None
    anchor: str = "timestamp"

    def names(self) -> list[str]:
        """The names that the header must have."""
        own = [field for field in self.required if field not in self.columns]
        return [*self.columns.values(), *own, *([self.time] if self.time is not None else [])]

    def match(self, names: Sequence[str], delimiter: str = "") -> tuple[dict[str, int], int | None]:
        """The places of our columns, and of the times of day; InvalidInput for what is missing."""
        header = Names(names)
        columns = match_columns(
            header, self.columns, self.required, delimiter, self.anchor == "timestamp"
        )
        if self.time is None:
            return columns, None
        places = header.places_of(self.time)
        if len(places) != 1:
            raise missing("time_column", self.time, names, delimiter)
        return columns, places[0]

    def score(self, names: Sequence[str]) -> int:
        """How many of the names a row of cells has."""
        header = Names(names)
        return sum(bool(header.places_of(name)) for name in self.names())


def find_layout(lines: Sequence[str], dialect: Dialect, wanted: Wanted) -> Layout:
    """The layout of a text that begins with `lines`, each with its end.

    The header is the first line that has all the names that are wanted, with whichever delimiter.
    Raises InvalidInput where none has, naming what came instead.
    """
    delimiter, at, names, length = _header(lines, dialect, wanted)
    first = _next(lines, at + length, dialect.comment)
    rows = _rows(lines[first:], delimiter, dialect.comment)
    names = _fitted(names, rows)
    columns, time = wanted.match(names, delimiter)
    units = dialect.units_row
    if units is None:
        units = bool(rows) and is_units(rows[0], names, columns, bool(dialect.wide))
    before = min(first + 1, len(lines)) if units else at + length
    return Layout(tuple(names), columns, time, delimiter, at, units, before, wanted.anchor)


def is_units(
    row: Sequence[str], names: Sequence[str], columns: Mapping[str, int], wide: bool
) -> bool:
    """Whether a row says the units of columns: no time, and a unit where a number is expected.

    In a wide table a number is expected in every column that is not ours; where rows need have no
    time, no row says units.
    """
    time = columns.get("timestamp", len(row))
    if time >= len(row) or sum(character.isdigit() for character in row[time]) > 1:
        return False
    if row[time].strip() == names[time].strip():
        return False  # the header once more, which is a row at fault and counted as one
    numbers = {place for field, place in columns.items() if field in _NUMBERS}
    if wide:
        numbers = {*range(len(row))} - {*columns.values()}
    said = [row[place].strip() for place in numbers if place < len(row)]
    said = [cell for cell in said if cell.lower() not in _NOTHING]
    return bool(said) and all(map(is_unit, said))


def _header(
    lines: Sequence[str], dialect: Dialect, wanted: Wanted
) -> tuple[str, int, list[str], int]:
    """The delimiter, where the header begins, its names and how many lines it has."""
    delimiters = DELIMITERS if dialect.delimiter is None else (dialect.delimiter,)
    if dialect.skip_lines is not None:
        starts = [_next(lines, dialect.skip_lines, dialect.comment)]
    else:
        searched = range(min(len(lines), _SEARCHED))
        starts = [at for at in searched if _counts(lines[at], dialect.comment)]
    all_names = len(wanted.names())
    for at in starts:
        found = [(*_record(lines, at, delimiter), delimiter) for delimiter in delimiters]
        scored = [(wanted.score(names), len(names)) for names, _, _ in found]
        best = max(scored)
        names, length, delimiter = found[scored.index(best)]
        if best[0] == all_names:
            return delimiter, at, names, length
    delimiter, at = _best_table(lines, starts, delimiters)
    for start in starts:  # a line with some of the names is a better header than one with none
        if wanted.score(_record(lines, start, delimiter)[0]):
            at = start
            break
    return delimiter, at, *_record(lines, at, delimiter)


def _best_table(
    lines: Sequence[str], starts: Sequence[int], delimiters: Sequence[str]
) -> tuple[str, int]:
    """The delimiter by which most lines have as many cells as each other, and the first of them."""
    best = (0, delimiters[0], starts[0] if starts else 0)
    for delimiter in delimiters:
        widths = {at: lines[at].count(delimiter) for at in starts if at < len(lines)}
        (width, count), *_ = Counter(widths.values()).most_common(1) or [(0, 0)]
        if width and count > best[0]:
            best = (count, delimiter, next(at for at in widths if widths[at] == width))
    return best[1:]


def _record(lines: Sequence[str], at: int, delimiter: str) -> tuple[list[str], int]:
    """The cells of a header, which may have line breaks in quotes, and how many lines it has."""
    if at >= len(lines):
        return [""], 0
    columns = lines[at].count(delimiter) + 1
    if columns > MAX_COLUMNS:
        raise InvalidInput("header", f"{columns} columns", f"at most {MAX_COLUMNS}")
    part = lines[at : at + _HEADER_LINES]
    for tried in (part, part[:1]):
        reader = csv.reader(tried, delimiter=delimiter, strict=tried is part)
        try:
            return next(reader), reader.line_num
        except csv.Error:
            pass
    return lines[at].rstrip("\r\n").split(delimiter), 1


def _next(lines: Sequence[str], at: int, comment: str | None) -> int:
    """The first line from `at` on that is neither blank nor a comment."""
    while at < len(lines) and not _counts(lines[at], comment):
        at += 1
    return at


def _counts(line: str, comment: str | None) -> bool:
    return bool(line.strip()) and not (comment and line.lstrip(" \t").startswith(comment))


def _rows(lines: Sequence[str], delimiter: str, comment: str | None) -> list[list[str]]:
    rows = [line for line in lines[:_COMPARED] if _counts(line, comment)]
    long = (line.count(delimiter) > MAX_COLUMNS for line in rows)
    # One with more cells than a header may have is no row of it.
    return [
        [] if so else record([line], 0, delimiter)[0] for line, so in zip(rows, long, strict=True)
    ]


def _fitted(names: list[str], rows: Sequence[Sequence[str]]) -> list[str]:
    """The header with as many names as rows have cells, where a mere delimiter is at the end."""
    if rows and all(len(row) == len(names) + 1 and not row[-1].strip() for row in rows):
        return [*names, ""]
    if rows and not names[-1].strip() and all(len(row) == len(names) - 1 for row in rows):
        return names[:-1]
    return names
