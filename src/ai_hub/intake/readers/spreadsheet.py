"""Spreadsheets: a sheet of typed cells as texts, read by calamine (the extra `xlsx`)."""

from __future__ import annotations

import io
from collections.abc import Iterator, Sequence
from datetime import date, datetime, time, timedelta
from typing import Any

import pyarrow as pa

from ai_hub.errors import InvalidInput
from ai_hub.intake.batch import BATCH_ROWS, Part
from ai_hub.intake.csv_text import Lines
from ai_hub.intake.dialect.dialect import Dialect
from ai_hub.intake.dialect.layout import Layout, Wanted, is_units
from ai_hub.intake.dialect.numbers import Point
from ai_hub.intake.readers.one_table import check_one_table
from ai_hub.intake.source import Source
from ai_hub.intake.spreadsheet_sizes import check_spreadsheet

_SEARCHED = 100
_SAMPLE_ROWS = 1_000
_SECOND = timedelta(seconds=1)
_EXACT = 1 << 53
_INSTALL = "pip install 'ai-hub-feature-store[xlsx]'"

_Rows = list[list[Any]]


class SpreadsheetReader:
    """A sheet whose header was found in its first rows; see `Reader`.

    Numbers become texts with the decimal mark that the dialect says, times ISO 8601. Raises
    InvalidInput where the reader is not installed, where no sheet or more than one has the names
    that are wanted, and for a file that is damaged.
    """

    point = Point.SURE
    letters = True
    lines: Lines | None = None

    def __init__(self, source: Source, dialect: Dialect, wanted: Wanted) -> None:
        self._decimal = dialect.decimal or "."
        self._field = source.field
        sheets = _sheets(source, dialect.sheet)
        found = {name: _header(rows, dialect, wanted) for name, rows in sheets.items()}
        complete = [
            name
            for name, at in found.items()
            if wanted.score(_texts(sheets[name], at)) == len(wanted.names())
        ]
        if len(complete) > 1:
            expected = f"the one to be read of {', '.join(complete)}"
            raise InvalidInput("sheet", None, expected, "Name it with --sheet.")
        name = (complete or list(sheets))[0]
        at, rows = found[name], sheets[name]
        names = _texts(rows, at)
        columns, clock = wanted.match(names)
        body = [row for row in rows[at + 1 :] if any(cell != "" for cell in row)]
        units = dialect.units_row
        if units is None:
            first = [_text(cell) or "" for cell in body[0]] if body else []
            units = is_units(first, names, columns, bool(dialect.wide))
        self._rows = body[1:] if units else body
        self.rows: int | None = len(self._rows)
        self.layout = Layout(tuple(names), columns, clock, "", at, units, at + 1, wanted.anchor)
        self.found = Dialect(sheet=name, skip_lines=at, units_row=units)

    def sample(self, places: Sequence[int]) -> pa.Table:
        """The first 1,000 rows at most."""
        table = self._table(self._rows[:_SAMPLE_ROWS], places)
        check_one_table(table, self.layout, 0, self._field)
        return table

    def tables(self, places: Sequence[int]) -> Iterator[Part]:
        """All rows that are not blank. Raises InvalidInput where another table begins."""
        size = max(len(self._rows), 1)
        for start in range(0, size, BATCH_ROWS):
            rows = self._rows[start : start + BATCH_ROWS]
            table = self._table(rows, places)
            check_one_table(table, self.layout, start, self._field)
            yield table, (start + len(rows)) / size

    def _table(self, rows: _Rows, places: Sequence[int]) -> pa.Table:
        return pa.table({str(place): self._column(rows, place) for place in places})

    def _column(self, rows: _Rows, place: int) -> pa.Array:
        # A midnight comes as a date. Where other cells have a time of day, it is one too.
        times = any(isinstance(row[place], datetime) for row in self._rows)
        cells = [_text(row[place], times, self._decimal) for row in rows]
        return pa.array(cells, pa.string())


def _sheets(source: Source, wanted: str | None) -> dict[str, _Rows]:
    """The rows of the sheets to be looked at, by name."""
    try:
        import python_calamine as calamine
    except ImportError:
        expected = "a text or a Parquet file, unless the reader of spreadsheets is installed"
        raise source.wrong(source.name, expected, _INSTALL) from None
    with source.open() as stream:
        data = io.BytesIO(stream.read())
    try:
        if source.field == "body":
            check_spreadsheet(data, source.size)
            data.seek(0)
        book = calamine.CalamineWorkbook.from_filelike(data)
        names = book.sheet_names if wanted is None else [wanted]
        if wanted is not None and wanted not in book.sheet_names:
            expected = f"one of {', '.join(book.sheet_names)}"
            raise InvalidInput("sheet", wanted, expected)
        return {name: book.get_sheet_by_name(name).to_python() for name in names}
    except (calamine.CalamineError, OSError, ValueError) as error:
        if isinstance(error, InvalidInput):
            raise
        hint = "It is damaged, or has a password."
        raise source.wrong(source.name, "a whole spreadsheet", hint) from None


def _header(rows: _Rows, dialect: Dialect, wanted: Wanted) -> int:
    """The row with all the names that are wanted, or else the one with the most of them."""
    if dialect.skip_lines is not None:
        return dialect.skip_lines
    scores = [wanted.score(_texts(rows, at)) for at in range(min(len(rows), _SEARCHED))]
    return scores.index(max(scores)) if scores else 0


def _texts(rows: _Rows, at: int) -> list[str]:
    return [_text(cell) or "" for cell in rows[at]] if at < len(rows) else [""]


def _text(cell: object, times: bool = False, decimal: str = ".") -> str | None:
    """A cell as the text that a CSV file would have, if its times were ISO 8601."""
    if isinstance(cell, str):
        return cell or None
    if isinstance(cell, bool):
        return str(cell).lower()
    if isinstance(cell, int | float):
        whole = float(cell).is_integer() and abs(cell) < _EXACT
        return str(int(cell)) if whole else repr(cell).replace(".", decimal)
    if isinstance(cell, datetime):
        # A sheet keeps times as days with a fraction, which is known to about a microsecond.
        return (cell + _SECOND / 2000).isoformat(timespec="milliseconds").removesuffix(".000")
    if isinstance(cell, date):
        return f"{cell.isoformat()}T00:00:00" if times else cell.isoformat()
    if isinstance(cell, time):
        return cell.isoformat("seconds")
    if isinstance(cell, timedelta):
        minutes, seconds = divmod(round(cell / _SECOND), 60)
        return f"{minutes // 60:02}:{minutes % 60:02}:{seconds:02}"
    return None if cell is None else str(cell)
