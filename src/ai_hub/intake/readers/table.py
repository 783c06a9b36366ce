"""A table that is in memory already: an Arrow body, a frame."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import pyarrow as pa

from ai_hub.intake.batch import BATCH_ROWS, Part
from ai_hub.intake.csv_text import Lines
from ai_hub.intake.dialect.dialect import Dialect
from ai_hub.intake.dialect.layout import Layout, Wanted
from ai_hub.intake.dialect.numbers import Point

_SAMPLE_ROWS = 1_000


class TableReader:
    """A table; see `Reader`. Raises InvalidInput where a column is missing."""

    point = Point.SURE
    letters = True
    lines: Lines | None = None

    def __init__(self, table: pa.Table, wanted: Wanted) -> None:
        self._table = table
        self.rows: int | None = table.num_rows
        self.found = Dialect()
        names = tuple(table.column_names)
        columns, time = wanted.match(names)
        self.layout = Layout(names, columns, time, before=0, anchor=wanted.anchor)

    def sample(self, places: Sequence[int]) -> pa.Table:
        """The first 1,000 rows at most."""
        return self._placed(places).slice(0, _SAMPLE_ROWS)

    def tables(self, places: Sequence[int]) -> Iterator[Part]:
        """All rows."""
        table = self._placed(places)
        size = max(len(table), 1)
        for start in range(0, size, BATCH_ROWS):
            part = table.slice(start, BATCH_ROWS)
            yield part, (start + len(part)) / size

    def _placed(self, places: Sequence[int]) -> pa.Table:
        columns = [self._table.column(place) for place in places]
        return pa.table(columns, names=[str(place) for place in places])
