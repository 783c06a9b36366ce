"""What features read, on the axis of points: a series, or a weather column as known at each point.

A row of a series is known from its time on. A row of the weather may be known later or be replaced
by a later issue of its time: then each point has a view of its own.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from ai_hub.definitions.values import LAST_INSTANT
from ai_hub.engines.arrays import NO_SERIES, Axis, Floats, HistoryArrays, Ints, Points, everywhere
from ai_hub.engines.as_of import FEW, AsOfIndex
from ai_hub.engines.ranges import gathered_rows, slices
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

    @classmethod
    def of(cls, read: Input, history: HistoryArrays, axis: Axis, points: Points) -> Track:
        """What an input is for some points."""
        if read.kind == "series":
            series = history.series.get(read.name, NO_SERIES)
            keys = axis.keys(series.code, series.time)
            return cls(keys, series.value, axis.keys(points.code, points.time), points.time)
        weather = history.weather
        if weather is None or not len(weather.code):
            nothing = np.empty(0, np.int64)
            return cls(nothing, np.empty(0), np.zeros(len(points), np.int64), points.time)
        values = weather.columns[read.name]
        held = ~np.isnan(values)
        if read.measured:
            held &= weather.issued >= weather.time
        keys = axis.keys(weather.code[held], weather.time[held])
        issued, values = weather.issued[held], values[held]
        at = axis.keys(weather.source_of.at(points, axis), points.time)
        again = np.flatnonzero(keys[1:] == keys[:-1])
        if not len(again) and everywhere(issued <= weather.time[held]):
            return cls(keys, values, at, points.time)
        # From then on a later issue of the same time is known.
        replaced = np.full(len(keys), LAST_INSTANT + 1)
        replaced[again] = issued[again + 1]
        return cls(keys, values, at, points.time, Issues(issued, replaced))

    @cached_property
    def _last(self) -> Callable[[Ints], Ints]:
        return AsOfIndex(self.keys).last

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
            row = np.searchsorted(self.keys, wanted, "right") - 1 if few else self._last(wanted)
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
