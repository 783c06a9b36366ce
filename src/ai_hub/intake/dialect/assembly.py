"""From the columns of a file to ours: names, dates joined with times of day, wide made long."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Self

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ai_hub.errors import InvalidInput
from ai_hub.intake.batch import FIELDS
from ai_hub.intake.cells import plain_cells
from ai_hub.intake.dialect.dialect import Dialect
from ai_hub.intake.dialect.layout import Layout, Wanted
from ai_hub.intake.dialect.wide import Wide, fields_beside, find_wide
from ai_hub.intake.marks import mark_cell, read_mark

_CLOCK = "time"
_MAX_OTHERS = 20  # more say no more in an error
_MIXED = "a date, with the time of day in the column that time_column names"


@dataclass(frozen=True, slots=True)
class Assembly:
    """Where our columns stand in a file: `columns` by place, the times of day if they have a
    column, the wide columns if there are any; `others` are the first names of the rest."""

    columns: Mapping[str, int]
    clock: int | None
    wide: Wide | None
    others: tuple[str, ...]

    @staticmethod
    def wanted(columns: Mapping[str, str], required: Sequence[str], dialect: Dialect) -> Wanted:
        """What a header must have; in a wide file it has neither values nor what its names say."""
        needed = dict.fromkeys(("timestamp", *required))
        if dialect.wide is not None:
            beside = fields_beside(dialect.wide)
            for field in columns:
                if field not in beside:
                    expected = f"no column of it in a file with --wide {dialect.wide}"
                    raise InvalidInput(field, columns[field], expected)
            needed = {field: None for field in needed if field in beside}
        return Wanted(columns, tuple(needed), dialect.time_column)

    @classmethod
    def of(cls, layout: Layout, dialect: Dialect) -> Self:
        """The assembly of a file with this header."""
        columns = dict(layout.columns)
        wide = None
        if dialect.wide is not None:
            wide = find_wide(dialect.wide, layout.names, columns, layout.time)
            beside = fields_beside(dialect.wide)
            columns = {field: place for field, place in columns.items() if field in beside}
        read = {*columns.values(), layout.time, *(wide.places if wide else ())}
        names = (" ".join(name.split()) for at, name in enumerate(layout.names) if at not in read)
        others: dict[str, None] = {}
        for name in names:
            if name and name not in FIELDS:
                others[name] = None
                if len(others) == _MAX_OTHERS:
                    break
        return cls(columns, layout.time, wide, tuple(others))

    @property
    def places(self) -> tuple[int, ...]:
        """The places that are read, that of the times first."""
        places = [self.columns["timestamp"], *self.columns.values()]
        places += [self.clock] if self.clock is not None else []
        return tuple(dict.fromkeys([*places, *(self.wide.places if self.wide else ())]))

    def only(self, fields: frozenset[str]) -> Self:
        """The same for a part of our columns."""
        columns = {field: place for field, place in self.columns.items() if field in fields}
        return replace(self, columns={"timestamp": self.columns["timestamp"], **columns})

    def joined(self, table: pa.Table) -> pa.Table:
        """A table of places with our names, and with whole times in `timestamp`."""
        columns = {name: table.column(str(place)) for name, place in self.columns.items()}
        if self.clock is not None:
            columns["timestamp"] = _joined(columns["timestamp"], table.column(str(self.clock)))
        if self.wide is not None:
            wide = {str(place): table.column(str(place)) for place in self.wide.places}
            columns |= wide
            if self.wide.times:
                long = self.wide.spread(pa.table(columns))
                joined = _joined(long.column("timestamp"), long.column(_CLOCK))
                place = long.column_names.index("timestamp")
                return long.set_column(place, "timestamp", joined).drop_columns([_CLOCK])
        return pa.table(columns)

    def spread(self, table: pa.Table) -> pa.Table:
        """What `joined` gave as a long table, if it is not one already."""
        return table if self.wide is None or self.wide.times else self.wide.spread(table)

    def with_other_names(self, table: pa.Table) -> pa.Table:
        """`table` with an empty column for every name that is not ours."""
        if not self.others:
            return table
        empty = pa.nulls(len(table))
        columns = dict(zip(table.column_names, table.columns, strict=True))
        found = pa.table(columns | dict.fromkeys(self.others, empty))
        return found.replace_schema_metadata(table.schema.metadata)


def _joined(dates: pa.ChunkedArray, clocks: pa.ChunkedArray) -> pa.Array:
    """Dates and times of day as one text; where one of them is not there, that is a fault."""
    days, times = _text(dates), _text(clocks)
    found = pc.binary_join_element_wise(
        pc.utf8_trim_whitespace(days), pc.utf8_trim_whitespace(times), " "
    )
    lone = np.flatnonzero(np.asarray(pc.and_(days.is_valid(), times.is_null())))
    if len(lone):
        texts = [days[int(row)].as_py() for row in lone]
        marks = [text if read_mark(text) else mark_cell(text, _MIXED) for text in texts]
        mask = np.zeros(len(days), dtype=np.bool_)
        mask[lone] = True
        found = pc.replace_with_mask(found, pa.array(mask), pa.array(marks, pa.string()))
    return found


def _text(values: pa.ChunkedArray) -> pa.Array:
    """A column as texts; a midnight that a sheet or a Parquet file has in a date is left out."""
    found = plain_cells("timestamp", values)
    texts = found if pa.types.is_string(found.type) else found.cast(pa.string())
    return pc.replace_substring_regex(texts, r"[T ]00:00(:00(\.0+)?)?$", "")
