"""Wide tables, with a column for each asset, series or time of day, as long ones.

Every cell of such a column is a row of its own: first those of the first row, from left to right.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from ai_hub.errors import InvalidInput
from ai_hub.intake.cells import plain_cells
from ai_hub.intake.marks import is_marked_row

_BESIDE = {
    "assets": ("timestamp", "issued_at", "tenant_id", "feature_type"),
    "series": ("timestamp", "issued_at", "tenant_id", "asset_id"),
    "times": ("timestamp", "issued_at", "tenant_id", "asset_id", "feature_type"),
}

MAX_WIDE = 15_000
"""The most columns of a wide table: each takes some memory, however few rows there are."""
_SPREAD = {"assets": "asset_id", "series": "feature_type", "times": "time"}
LABEL_FORMAT = "%H:%M:%S"
"""How the labels of times of day are written, whatever the names in the file were."""

_TIME = re.compile(r"(\d{1,2}):(\d\d)(?::(\d\d))?(?: ?([AaPp])\.?[Mm]\.?)?")


@dataclass(frozen=True, slots=True)
class Wide:
    """What the names of the wide columns say (`assets`, `series` or `times`), and the columns:
    the label of each and its place."""

    what: str
    labels: tuple[str, ...]
    places: tuple[int, ...]

    @property
    def times(self) -> bool:
        """Whether the names are times of day."""
        return self.what == "times"

    def spread(self, table: pa.Table) -> pa.Table:
        """The long table of a wide one, whose wide columns are named by their places.

        It has a column `asset_id`, `feature_type` or `time` with the label of each cell, and
        `value` with the cell. A row that is marked as a whole stays one row.
        """
        count, size = len(self.places), len(table)
        # Cell c of row r stands at c * size + r when the columns stand one after the other.
        order = np.arange(count * size).reshape(count, size).T.ravel()
        row, column = order % max(size, 1), order // max(size, 1)
        kept = ~is_marked_row(table.column("timestamp"))[row] | (column == 0)
        row, column, order = row[kept], column[kept], order[kept]
        cells = [numbers(table.column(str(place))) for place in self.places]
        wide = {str(place) for place in self.places}
        others = [name for name in table.column_names if name not in wide]
        beside = {name: plain_cells(name, table.column(name)) for name in others}
        long = pa.table(beside).take(pa.array(row))
        labels = pa.array(self.labels, pa.string()).take(pa.array(column))
        values = pa.concat_arrays(of_one_type(cells)).take(pa.array(order))
        return long.append_column(_SPREAD[self.what], labels).append_column("value", values)


def numbers(values: pa.ChunkedArray) -> pa.Array:
    """A column of readings; what is no number by its type is so as a text."""
    if pa.types.is_string(values.type) and values.num_chunks == 1:
        return values.chunk(0)
    found = plain_cells("value", values)
    numbers = (pa.types.is_null, pa.types.is_integer, pa.types.is_floating, pa.types.is_decimal)
    return found if any(is_of(found.type) for is_of in numbers) else found.cast(pa.string())


def of_one_type(cells: Sequence[pa.Array]) -> Sequence[pa.Array]:
    """Columns of one type that holds what is in all of them: texts, where one has texts."""
    kinds = {values.type for values in cells}
    if len(kinds) == 1:
        return cells
    texts = any(pa.types.is_string(kind) for kind in kinds)
    return [values.cast(pa.string() if texts else pa.float64(), safe=False) for values in cells]


def fields_beside(what: str) -> tuple[str, ...]:
    """Which of our columns a wide table may have beside the wide ones."""
    return _BESIDE[what]


def find_wide(
    what: str, names: Sequence[str], columns: Mapping[str, int], time: int | None
) -> Wide:
    """The wide columns of a table with these names, of which `columns` are ours.

    Raises InvalidInput where there are none, or where a column says what their names should say.
    """
    taken = {columns[field] for field in _BESIDE[what] if field in columns}
    for field in ("value", _SPREAD[what]):
        if field in columns and columns[field] not in taken:
            expected = f"a file without a column of it ({names[columns[field]].strip()})"
            raise InvalidInput("wide", what, expected)
    rest = [place for place, name in enumerate(names) if place not in taken and name.strip()]
    if what == "times":
        if time is not None:
            raise InvalidInput("time_column", names[time], "none in a file with --wide times")
        labels = {place: label for place in rest if (label := _time(names[place])) is not None}
        _check_times(list(labels.values()), [names[place] for place in rest])
        for place in rest:
            if place not in labels and names[place].strip()[0].isdigit():
                hint = "Rename the column, or leave it out of the file."
                raise InvalidInput("wide", names[place].strip(), "a name such as 00:30", hint)
        return Wide(what, tuple(labels.values()), tuple(labels))
    rest = [place for place in rest if place != time]
    if not rest:
        raise InvalidInput("wide", what, "columns beside that of the times", _came(names))
    if len(rest) > MAX_WIDE:
        hint = (
            "Turn the table, so that each reading has a row, or send the columns in several files."
        )
        raise InvalidInput("wide", f"{len(rest)} columns", f"at most {MAX_WIDE:,}", hint)
    return Wide(what, tuple(" ".join(names[place].split()) for place in rest), tuple(rest))


def _time(name: str) -> str | None:
    """A name that is a time of day, as `HH:MM:SS`."""
    match = _TIME.fullmatch(name.strip())
    if match is None:
        return None
    hour, minute, second = (int(part or 0) for part in match.group(1, 2, 3))
    half = (match.group(4) or "").lower()
    if half and not 1 <= hour <= 12:
        return None
    hour = hour % 12 + 12 * (half == "p") if half else hour
    fits = hour < 24 or (hour == 24 and not minute and not second)
    return f"{hour:02}:{minute:02}:{second:02}" if fits and minute < 60 and second < 60 else None


def _check_times(labels: Sequence[str], names: Sequence[str]) -> None:
    if not labels:
        expected = "columns whose names are times of day, such as 00:30"
        raise InvalidInput("wide", "times", expected, _came(names))
    if "00:00:00" in labels[1:] and labels[labels.index("00:00:00", 1) - 1] > "12":
        hint = "If it is the end of the day, call it 24:00; if it is the start, put it first."
        raise InvalidInput("wide", "times", "no column 00:00 behind the others", hint)


def _came(names: Sequence[str]) -> str:
    return f"The names are {', '.join(' '.join(name.split()) for name in names[:10])}."
