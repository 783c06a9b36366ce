"""Attributes of assets in files, bodies and rows, as long tables: a row for each value.

In the long form a row has a key and its value. Without a column `key`, every other column is one:
the wide form, in which an empty cell says nothing.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import pyarrow as pa

from ai_hub.definitions.vocabulary import check_name
from ai_hub.errors import InvalidInput
from ai_hub.intake.batch import BATCH_ROWS, Part
from ai_hub.intake.cells import plain_cells
from ai_hub.intake.clock.local_time import LocalClock
from ai_hub.intake.columns import nulls, plain
from ai_hub.intake.dialect.detection import Detection, Formats
from ai_hub.intake.dialect.dialect import Dialect
from ai_hub.intake.dialect.header import Names, missing
from ai_hub.intake.dialect.layout import Wanted
from ai_hub.intake.dialect.numbers import NumberFormat, Point
from ai_hub.intake.dialect.wide import numbers, of_one_type
from ai_hub.intake.files import (
    Finding,
    findings_of,
    has_nothing,
    of_rows,
    reader_of,
    with_known_letters,
)
from ai_hub.intake.marks import is_marked_row
from ai_hub.intake.read_options import ReadOptions
from ai_hub.intake.readers.rows import Rows
from ai_hub.intake.source import Source

MAX_KEYS = 200
"""Columns of a wide table that are keys."""

_OURS = ("asset_id", "tenant_id", "valid_from", "key", "value", "number", "text")
# Detection and clock know it by this name: a time that a row may lack.
_TIME = "issued_at"
_KEY = "key "


class AttributeFile:
    """The attributes of a source, or of rows or a table in memory; what a DataFile is of readings.

    Raises InvalidInput for a source that is of no known kind, or lacks a column.
    """

    def __init__(
        self, source: Source | Rows | pa.Table, options: ReadOptions, required: Sequence[str]
    ) -> None:
        self.options = options
        self.given = options.dialect
        self._nothing = has_nothing(source)
        mapped = options.names.mapped()
        wanted = Wanted(mapped, tuple(required), anchor="asset_id")
        self._reader = reader_of(source, options, wanted)
        names = self._reader.layout.names
        self._columns = _columns(names, mapped)
        long = self._nothing or "key" in self._columns
        self._keys = {} if long else _keys(names, self._columns)
        self._formats = Formats()
        if "valid_from" in self._columns:
            self._formats = self._detected()
        self._numbers = NumberFormat(self.given.decimal or ".", self.given.thousands or "")

    @property
    def rows(self) -> int | None:
        """How many values there may be, where the source says how many rows it has."""
        rows = self._reader.rows
        return None if rows is None else rows * max(len(self._keys), 1)

    def parts(self, rows: int = BATCH_ROWS) -> Iterator[Part]:
        """All values, unchecked, in long tables of at most `rows` rows, their times in UTC.

        With each comes the fraction of the source that was read so far, 0 to 1.
        """
        if self._nothing:
            yield pa.table({}), 1.0
            return
        clock = LocalClock(self.options.rows, lambda: (table for table, _ in self._tables()))
        most = max(rows // max(len(self._keys), 1), 1)
        for table, fraction in of_rows(self._tables(), most):
            yield self._long(clock.to_utc(table)), fraction

    def findings(self) -> list[Finding]:
        """What was found out and is not what nothing has to be said of."""
        return findings_of(self.explicit(), self.given, self._formats.why)

    def explicit(self) -> Dialect:
        """A dialect that says all that was found out."""
        times = {written.text for written in self._formats.times.values()}
        found = {"time_format": times.pop() if times else None, **self._reader.found.given()}
        return Dialect.of(found | self.given.given())

    def _tables(self) -> Iterator[Part]:
        """All rows as they stand, the columns by our names, those of keys by theirs."""
        named = {_TIME if ours == "valid_from" else ours: at for ours, at in self._columns.items()}
        named |= {f"{_KEY}{key}": at for key, at in self._keys.items()}
        places = tuple(dict.fromkeys(named.values()))
        for table, fraction in self._reader.tables(places):
            found = pa.table({name: table.column(str(at)) for name, at in named.items()})
            found = self._formats.with_times(found)
            yield found if self._reader.letters else with_known_letters(found), fraction

    def _detected(self) -> Formats:
        """How the times are written."""
        detection = Detection(self.given, Point.SURE)
        place = self._columns["valid_from"]
        places = tuple(dict.fromkeys((self._columns["asset_id"], place)))

        def show(table: pa.Table) -> None:
            detection.see_times(pa.table({_TIME: table.column(str(place))}))

        show(self._reader.sample(places))
        if detection.unsettled:
            for table, _ in self._reader.tables(places):
                show(table)
        try:
            return detection.formats()
        except InvalidInput as error:
            raise InvalidInput("valid_from", error.value, error.expected, error.hint) from None

    def _long(self, table: pa.Table) -> pa.Table:
        """A table with a row for each value."""
        if _TIME in table.column_names:
            names = ["valid_from" if name == _TIME else name for name in table.column_names]
            table = table.rename_columns(names)
        if not self._keys:
            return self._pointed(table)
        size, keys = len(table), list(self._keys)
        cells = [numbers(table.column(f"{_KEY}{key}")) for key in keys]
        beside = table.drop_columns([f"{_KEY}{key}" for key in keys])
        said = np.stack([~nulls(values) for values in cells], axis=1)
        # A row at fault as a whole has no cell, and stays one row.
        said[:, 0] |= is_marked_row(plain_cells("asset_id", table.column("asset_id")))
        row, column = np.nonzero(said)
        values = pa.concat_arrays(of_one_type(cells)).take(pa.array(column * size + row))
        long = beside.take(pa.array(row))
        named = pa.array(keys, pa.string()).take(pa.array(column))
        return self._pointed(long.append_column("key", named).append_column("value", values))

    def _pointed(self, table: pa.Table) -> pa.Table:
        """A table whose numbers have decimal points."""
        if self._numbers.plain or "value" not in table.column_names:
            return table
        values = plain(table.column("value"))
        if not pa.types.is_string(values.type):
            return table
        place = table.column_names.index("value")
        return table.set_column(place, "value", self._numbers.pointed(values))


def _columns(names: Sequence[str], mapped: dict[str, str]) -> dict[str, int]:
    """Where our columns stand; those that must be there are known to be."""
    found: dict[str, int] = {}
    every = Names(names)
    for ours in _OURS:
        name = mapped.get(ours, ours)
        places = every.places_of(name)
        if len(places) > 1:
            raise InvalidInput(ours, list(names), f'one column named "{name}"')
        if places:
            found[ours] = places[0]
    if "key" in found and not {"value", "number", "text"} & {*found}:
        raise missing("value", "value", names, readings=False)
    if "key" not in found:
        # In the wide form these are keys like any other.
        found = {ours: at for ours, at in found.items() if ours in _OURS[:3]}
    return found


def _keys(names: Sequence[str], columns: dict[str, int]) -> dict[str, int]:
    """The columns of a wide table that are keys, by key."""
    taken = {*columns.values()}
    found: dict[str, int] = {}
    for place, name in enumerate(names):
        key = name.strip()
        if place in taken or not key:
            continue
        if key in found:
            raise InvalidInput("key", key, "one column of that name")
        try:
            found[check_name("key", key)] = place
        except InvalidInput as error:
            hint = (
                "Every column beside asset_id and valid_from is a key: rename it, or leave it out."
            )
            raise InvalidInput("key", error.value, error.expected, hint) from None
    if not 1 <= len(found) <= MAX_KEYS:
        expected = f"key and value, or 1 to {MAX_KEYS} columns named after their keys"
        raise InvalidInput("key", list(names)[:20], expected)
    return found
