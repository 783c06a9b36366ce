"""Rows as dicts, such as those of JSON: made columns part by part."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import pyarrow as pa

from ai_hub.errors import InvalidInput
from ai_hub.intake.batch import BATCH_ROWS, Part
from ai_hub.intake.cells import to_column
from ai_hub.intake.csv_text import Lines
from ai_hub.intake.dialect.dialect import Dialect
from ai_hub.intake.dialect.layout import Layout, Wanted
from ai_hub.intake.dialect.numbers import Point
from ai_hub.intake.marks import mark_row
from ai_hub.intake.read_options import ReadOptions

_SAMPLE_ROWS = 1_000
_MOST_NAMES = 10_000


@dataclass(frozen=True, slots=True)
class Rows:
    """Rows as dicts. What is no dict is a row at fault, shown by `shown`; without that it is an
    error."""

    data: Sequence[object]
    shown: Callable[[object], str] | None = None

    def __len__(self) -> int:
        return len(self.data)


class RowsReader:
    """Rows whose columns are all the keys that they have; see `Reader`.

    A key that a row lacks is null there, an odd cell is a mark. Raises InvalidInput where a column
    is missing.
    """

    point = Point.SURE
    letters = True
    lines: Lines | None = None

    def __init__(self, rows: Rows, options: ReadOptions, wanted: Wanted) -> None:
        self._rows = rows
        self.rows: int | None = len(rows)
        self.found = Dialect()
        keys: dict[object, None] = {}
        for row in rows.data:
            if isinstance(row, dict):
                keys.update(dict.fromkeys(row))
            elif rows.shown is None:
                raise InvalidInput("rows", row, "rows that are objects (dicts) with named columns")
            if len(keys) > _MOST_NAMES:
                raise InvalidInput("rows", len(keys), f"at most {_MOST_NAMES} different names")
        names = tuple(name for name in keys if isinstance(name, str))
        if not names:
            raise InvalidInput(
                "rows", rows.data[0], "rows with the columns timestamp, asset_id, ..."
            )
        self._keys = names
        self._fields = options.fields_of(names)
        shown_names = [name.encode("utf-8", "backslashreplace").decode() for name in names]
        columns, time = wanted.match(shown_names)
        self.layout = Layout(tuple(shown_names), columns, time, before=0, anchor=wanted.anchor)

    def sample(self, places: Sequence[int]) -> pa.Table:
        """The first 1,000 rows at most."""
        return self._table(self._rows.data[:_SAMPLE_ROWS], places)

    def tables(self, places: Sequence[int]) -> Iterator[Part]:
        """All rows."""
        size = max(len(self._rows), 1)
        for start in range(0, size, BATCH_ROWS):
            rows = self._rows.data[start : start + BATCH_ROWS]
            yield self._table(rows, places), (start + len(rows)) / size

    def _table(self, rows: Sequence[object], places: Sequence[int]) -> pa.Table:
        return pa.table({str(place): self._column(rows, place) for place in places})

    def _column(self, rows: Sequence[object], place: int) -> pa.Array:
        key = self._keys[place]
        whole = place == self.layout.columns[self.layout.anchor]
        cells = [
            row.get(key) if isinstance(row, dict) else self._at_fault(row) if whole else None
            for row in rows
        ]
        return to_column(self._fields.get(key, "value"), cells)

    def _at_fault(self, row: object) -> str:
        assert self._rows.shown is not None
        return mark_row(self._rows.shown(row), "a JSON object")
