"""What features read, on the axis of points: a series, or a weather column as known at each point.

A row of a series is known from its time on. A row of the weather may be known later or be replaced
by a later issue of its time: then each point has a view of its own.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np

from ai_hub.definitions.values import LAST_INSTANT
from ai_hub.definitions.vocabulary import Closed
from ai_hub.engines.arrays import (
    NO_SERIES,
    Axis,
    Floats,
    HistoryArrays,
    Ints,
    Points,
    axis_of,
    everywhere,
)
from ai_hub.engines.as_of import FEW, AsOfIndex
from ai_hub.engines.ranges import gathered_rows, slices, window_bounds
from ai_hub.engines.traits import Input


@dataclass(frozen=True, slots=True)
class Issues:
    """From when a row is known (`issued`) until when (`replaced`), where that is not its time."""

    issued: Ints
    replaced: Ints


@dataclass(frozen=True, slots=True)
class Rows:
    """Values on their axis, and the rows [low, high) of each of some windows."""

    keys: Ints
    values: Floats
    low: Ints
    high: Ints


@dataclass(frozen=True)
class Track:
    """Values by key, sorted, and where the points are among them (`at`); `now` are their times.

    Points need not be in the order of `at`: several assets may share a source of weather.
    """

    keys: Ints
    values: Floats
    at: Ints
    now: Ints
    issues: Issues | None = None
    index: AsOfIndex | None = None
    """Finds keys, if there is one already."""
    _tables: dict[int, Floats] = field(default_factory=dict, init=False)

    @classmethod
    def of(cls, read: Input, history: HistoryArrays, axis: Axis, points: Points) -> Track:
        """What an input is for some points."""
        return Tracks(history, axis).of(read, points)

    @cached_property
    def _index(self) -> AsOfIndex:
        return AsOfIndex(self.keys) if self.index is None else self.index

    @cached_property
    def _slots(self) -> Ints | None:
        """Where the points are on the grid of the keys, if these are on one, and they too."""
        return None if self.issues is not None else self._index.slots_of(self.at)

    def bounds(self, width: int, closed: Closed) -> tuple[Ints, Ints]:
        """The rows [low, high) in the window of `width` that ends at each point."""
        slots, step = self._slots, self._index.step
        if slots is None or width % step:
            return window_bounds(self.keys, self.at, width, closed)
        low = slots - width // step
        if closed in ("right", "none"):
            low += 1
        high = slots + 1 if closed in ("both", "right") else slots
        low = self._index.before(low)
        return low, np.maximum(low, self._index.before(high))

    def back(self, by: int, tolerance: int) -> Floats:
        """The value with the latest key in (t - by - tolerance, t - by] at each point, NaN for
        none."""
        slots, step = self._slots, self._index.step
        if slots is None or by % step:
            return self.latest(self.at - by, tolerance)[0]
        # The first of the table stands for all slots before the first.
        return self._table(-(-tolerance // step)).take(slots + (1 - by // step), mode="clip")

    def _table(self, most: int) -> Floats:
        """The value that holds in each slot, behind one that stands for all before the first: it is
        of that slot, or of fewer than `most` before it; NaN where there is none."""
        if most not in self._tables:
            taken, slots = self._index.slots, self._slots
            assert taken is not None
            assert slots is not None
            table = np.full(max(int(taken[-1]), int(slots.max())) + 2, np.nan)
            table[taken + 1] = self.values
            if most > 1:
                _hold(table, taken + 1, most)
            self._tables[most] = table
        return self._tables[most]

    def windows(self, first: Ints, last: Ints) -> Iterator[tuple[slice, Rows]]:
        """What the points know of the keys in [first, last], for some points at a time."""
        low = np.searchsorted(self.keys, first, "left")
        high = np.maximum(low, np.searchsorted(self.keys, last, "right"))
        if self.issues is None:
            yield slice(0, len(low)), Rows(self.keys, self.values, low, high)
            return
        for part in slices(high - low):
            size = (high - low)[part]
            rows, _ = gathered_rows(low[part], size)
            now = np.repeat(self.now[part], size)
            known = (self.issues.issued[rows] <= now) & (now < self.issues.replaced[rows])
            window = np.repeat(np.arange(len(size)), size)
            ends = np.cumsum(np.bincount(window[known], minlength=len(size)))
            starts = np.concatenate((np.zeros(1, np.int64), ends[:-1]))
            rows = rows[known]
            yield part, Rows(self.keys[rows], self.values[rows], starts, ends)

    def latest(self, wanted: Ints, tolerance: int) -> tuple[Floats, Ints]:
        """The value with the latest key in (wanted - tolerance, wanted], NaN for none, and its key
        (of no meaning then). `wanted` is used up."""
        if self.issues is None and len(self.keys):
            few = len(wanted) <= FEW
            row = (
                np.searchsorted(self.keys, wanted, "right") - 1 if few else self._index.last(wanted)
            )
            # Row -1 reads the last key, which is never inside the tolerance of an earlier time.
            keys = self.keys[row]
            wanted -= tolerance
            known = (row >= 0) & (keys > wanted)
            return np.where(known, self.values[row], np.nan), keys
        values, keys = np.full(len(wanted), np.nan), np.zeros(len(wanted), np.int64)
        for part, rows in self.windows(wanted - tolerance + 1, wanted):
            some = rows.high > rows.low
            row = rows.high[some] - 1
            values[part][some], keys[part][some] = rows.values[row], rows.keys[row]
        return values, keys


def _hold(table: Floats, taken: Ints, most: int) -> None:
    """Let what stands in some slots hold in the free ones behind them, fewer than `most` on."""
    free = np.ones(len(table), bool)
    free[taken] = False
    empty = np.flatnonzero(free)
    begins = np.maximum.accumulate(np.where(np.diff(empty, prepend=-2) != 1, empty, 0))
    held = (begins > 0) & (empty - begins + 1 < most)
    table[empty[held]] = table[begins[held] - 1]


class Tracks:
    """The inputs of a history on one axis: each is laid on it once, whatever points ask for it."""

    def __init__(self, history: HistoryArrays, axis: Axis) -> None:
        self.axis = axis
        self._history = history
        self._laid: dict[Input, Track] = {}
        self._asked: dict[str, tuple[Points, Ints]] = {}

    @classmethod
    def reaching(cls, points: Points, history: HistoryArrays, longest: int) -> Tracks | None:
        """On an axis for some points that read so far back; None where there is none for all."""
        axis = axis_of(points, history, longest)
        return None if axis is None else cls(history, axis)

    def of(self, read: Input, points: Points) -> Track:
        """What an input is for some points."""
        laid = self._laid.get(read)
        if laid is None:
            laid = (
                self._series(read, points) if read.kind == "series" else self._column(read, points)
            )
            self._laid[read] = laid
            return laid
        return Track(
            laid.keys, laid.values, self._at(read, points), points.time, laid.issues, laid._index
        )

    def _series(self, read: Input, points: Points) -> Track:
        series = self._history.series.get(read.name, NO_SERIES)
        keys = self.axis.keys(series.code, series.time)
        same = points.code is series.code and points.time is series.time
        return Track(keys, series.value, keys if same else self._at(read, points), points.time)

    def _column(self, read: Input, points: Points) -> Track:
        weather, at = self._history.weather, self._at(read, points)
        if weather is None or not len(weather.code):
            return Track(np.empty(0, np.int64), np.empty(0), at, points.time)
        keys, index = self._weather
        values, issued = weather.columns[read.name], weather.issued
        held = ~np.isnan(values)
        if read.measured:
            held &= issued >= weather.time
        if index is not None:
            return Track(keys[held], values[held], at, points.time, None, index.of(held))
        keys, values, issued = keys[held], values[held], issued[held]
        again = np.flatnonzero(keys[1:] == keys[:-1])
        if not len(again) and everywhere(issued <= weather.time[held]):
            return Track(keys, values, at, points.time)
        # From then on a later issue of the same time is known.
        replaced = np.full(len(keys), LAST_INSTANT + 1)
        replaced[again] = issued[again + 1]
        return Track(keys, values, at, points.time, Issues(issued, replaced))

    def _at(self, read: Input, points: Points) -> Ints:
        """Where points are among the keys of an input."""
        asked, at = self._asked.get(read.kind, (None, None))
        if asked is not points or at is None:
            weather = self._history.weather
            if read.kind == "series":
                at = self.axis.keys(points.code, points.time)
            elif weather is None or not len(weather.code):
                at = np.zeros(len(points), np.int64)
            else:
                at = self.axis.keys(weather.source_of.at(points, self.axis), points.time)
            self._asked[read.kind] = points, at
        return at

    @cached_property
    def _weather(self) -> tuple[Ints, AsOfIndex | None]:
        """The keys of all rows of the weather; an index of them where each time has one row, which
        is known by then."""
        weather = self._history.weather
        assert weather is not None
        keys = self.axis.keys(weather.code, weather.time)
        alone = everywhere(weather.issued <= weather.time) and everywhere(keys[1:] > keys[:-1])
        return keys, AsOfIndex(keys) if alone else None
