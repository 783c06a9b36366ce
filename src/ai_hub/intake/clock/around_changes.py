"""The rows of a source that are near a repeated hour, and the instants that they turn out to be."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from ai_hub.definitions.values import DAY
from ai_hub.intake.batch import ID_FIELDS
from ai_hub.intake.cells import plain_cells
from ai_hub.intake.clock.passes import UNTOLD, on_grid
from ai_hub.intake.clock.repeated_hour import tell_passes
from ai_hub.intake.clock.wall_times import WallTimes
from ai_hub.intake.clock.zone import Change, Zone
from ai_hub.intake.columns import plain
from ai_hub.intake.ids import id_texts, without_blanks
from ai_hub.intake.times import is_date

Ints = NDArray[np.int64]

_NEAR_DAYS = 2
_MOSTLY = 0.9


class _Near(NamedTuple):
    """Rows near a change: their places, local times, series, and the other time of the row."""

    rows: Ints
    local: Ints
    series: Ints
    other: Ints


class _Window(NamedTuple):
    change: Change
    start: int
    end: int


class AroundChanges:
    """Decides the repeated local times of one column of times, from the whole source.

    `look` at every table of it, then `decide`; `between` then gives what was decided. `step`: the
    times name the ends of intervals of that length (0: nobody said so).
    """

    def __init__(self, zone: Zone, step: int = 0) -> None:
        self._zone = zone
        self._step = step
        self._near: list[_Near] = []
        self._changes: set[Change] = set()
        self._series: dict[tuple[object, ...], int] = {}
        self._others: dict[tuple[object, ...], int] = {}
        self._rows = np.empty(0, dtype=np.int64)
        self._instants = np.empty(0, dtype=np.int64)

    def look(self, table: pa.Table, field: str, other: str, first_row: int) -> None:
        """Keep the rows that matter. `other` names the other time, which forecasts differ by."""
        times = WallTimes.of(plain_cells(field, table.column(field)))
        rows = np.flatnonzero(times.local & ~times.dates)
        local = times.micros[rows]
        changes = self._zone.changes(local, _NEAR_DAYS)
        near = np.zeros(len(rows), dtype=np.bool_)
        for window in _windows(changes):
            near |= (local >= window.start) & (local < window.end)
        if not near.any():
            return
        self._changes |= set(changes)
        rows = rows[near]
        names = sorted(ID_FIELDS & set(table.column_names))
        ids = [id_texts(plain(table.column(name))) for name in names]
        others = (
            [_comparable(plain_cells(other, table.column(other)))]
            if other in table.column_names
            else []
        )
        self._near.append(
            _Near(
                rows + first_row,
                local[near],
                _codes(ids, rows, self._series),
                _codes(others, rows, self._others),
            )
        )

    def decide(self) -> None:
        """Find the instants of the rows that were kept, and let go of them."""
        if not self._near:
            return
        near = _Near(*(np.concatenate(parts) for parts in zip(*self._near, strict=True)))
        self._near.clear()
        found = [self._around(near, window) for window in _windows(sorted(self._changes))]
        rows = np.concatenate([rows for rows, _ in found])
        instants = np.concatenate([instants for _, instants in found])
        order = np.argsort(rows)
        self._rows, self._instants = rows[order], instants[order]

    def between(self, first: int, last: int) -> tuple[Ints, Ints]:
        """The rows from `first` to before `last`, counted from `first`, and their instants.

        UNTOLD where the source does not show it.
        """
        part = slice(*np.searchsorted(self._rows, [first, last]))
        return self._rows[part] - first, self._instants[part]

    def _around(self, near: _Near, window: _Window) -> tuple[Ints, Ints]:
        """The rows that this change concerns, and their instants."""
        change, start, end = window
        inside = np.flatnonzero((near.local >= start) & (near.local < end))
        local = near.local[inside] - change.start
        series, other = near.series[inside], near.other[inside]
        length = change.end - change.start
        groups = series
        if len(inside) and other.any():
            groups = _issues(series * len(self._others) + other, local, series)
        told = tell_passes(groups, local, length, self._step)
        if groups is not series:
            _tell_on_grid(series, local, length, told)
        concerned = ((local >= 0) & (local < length + self._step)) | (told == UNTOLD)
        concerned |= told != np.where(local < length, local, local + length)
        instants = np.where(told == UNTOLD, UNTOLD, told + change.start - change.before)
        return near.rows[inside][concerned], instants[concerned]


def _issues(issues: Ints, local: Ints, series: Ints) -> Ints:
    """The series of rows that have another time as well: each issue of a forecast is one.

    Forecasts have many rows of one issue. Measurements with an issue time have one of each, and
    are series like others.
    """
    names, groups = np.unique(issues, return_inverse=True)
    times, of_time = np.unique(local, return_inverse=True)
    rows = np.unique(groups * len(times) + of_time)
    return series if len(names) >= _MOSTLY * len(rows) else groups


def _tell_on_grid(series: Ints, local: Ints, length: int, told: Ints) -> None:
    """Sets what a series shows by its step, whatever the other time of its rows."""
    for one in np.unique(series[told == UNTOLD]).tolist():
        rows = np.flatnonzero(series == one)
        known = local[rows][(local[rows] < 0) | (local[rows] >= length)]
        untold = rows[told[rows] == UNTOLD]
        instants = np.where(known < 0, known, known + length)
        told[untold] = on_grid(instants, local[untold], length)


def _windows(changes: Sequence[Change]) -> list[_Window]:
    """What is near each repeated stretch, and to no other change nearer."""
    ordered = sorted(changes)
    middles = [(one.end + following.start) // 2 for one, following in pairwise(ordered)]
    windows = []
    for place, change in enumerate(ordered):
        start, end = change.start - _NEAR_DAYS * DAY, change.end + _NEAR_DAYS * DAY
        if place:
            start = max(start, middles[place - 1])
        if place < len(middles):
            end = min(end, middles[place])
        if change.repeats:
            windows.append(_Window(change, start, end))
    return windows


def _comparable(raw: pa.Array) -> pa.Array:
    """Times as values that can be told apart."""
    if pa.types.is_timestamp(raw.type):
        return raw.cast(pa.int64())
    if is_date(raw.type):
        return raw.cast(pa.int64() if pa.types.is_date64(raw.type) else pa.int32())
    return raw if pa.types.is_string(raw.type) else pa.nulls(len(raw), pa.string())


def _codes(columns: Sequence[pa.Array], rows: Ints, known: dict[tuple[object, ...], int]) -> Ints:
    """A number per row, equal where the columns are, through `known` from table to table."""
    codes = np.zeros(len(rows), dtype=np.int64)
    for column in columns:
        encoded = pc.dictionary_encode(column.take(pa.array(rows)))
        place = np.asarray(pc.fill_null(encoded.indices, len(encoded.dictionary)))
        # Dense again, so that the product of many names cannot overflow.
        codes = codes * (len(encoded.dictionary) + 1) + place
        codes = np.unique(codes, return_inverse=True)[1]
    if not columns:
        known.setdefault((), 0)
        return codes
    _, firsts, codes = np.unique(codes, return_index=True, return_inverse=True)
    chosen = pa.array(rows[firsts])
    values = [column.take(chosen).to_pylist() for column in columns]
    names = (tuple(map(_plain_name, name)) for name in zip(*values, strict=True))
    numbers = [known.setdefault(name, len(known)) for name in names]
    return np.array(numbers, dtype=np.int64)[codes]


def _plain_name(value: object) -> object:
    return without_blanks(value) if isinstance(value, str) else value
