"""A sketch of feature vectors: what their values are like, by feature and hour of week."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import numpy as np
from numpy.typing import ArrayLike

from ai_hub.definitions.values import HOUR
from ai_hub.drift.packing import pack, unpack
from ai_hub.drift.points import NO_POINTS, Points, summarised
from ai_hub.engines.arrays import Floats, Ints, Mask
from ai_hub.errors import InvalidInput

HOURS = 168
"""The hours of a week in UTC, from Monday 00:00 on."""
SERVED_POINTS = 32
"""The points that a sketch of served vectors keeps of each feature and hour of week."""
_KIND = "sketch 1"
_MOST_WAITING = 250_000
# Sums and squares of values stay finite within this.
_GREATEST = 1e150
# The first instant was a Thursday.
_THURSDAY = 72


def hour_of_week(time: Ints) -> Ints:
    """The hour of the week in UTC, 0 to 167 from Monday 00:00, of instants in microseconds."""
    return (time // HOUR + _THURSDAY) % HOURS


def week_of(time: Ints) -> Ints:
    """The number of the week, from Monday 00:00 UTC, that instants in microseconds are in."""
    return (time // HOUR + _THURSDAY) // HOURS


def weeks_at(instant: int) -> float:
    """The weeks, with their part, from the first Monday that `week_of` counts to an instant."""
    return (instant / HOUR + _THURSDAY) / HOURS


def usable(column: ArrayLike) -> tuple[Floats, Mask]:
    """The values of a column that are there, and where these are."""
    values = np.asarray(column, np.float64)
    there = np.isfinite(values)
    return values[there].clip(-_GREATEST, _GREATEST), there


class Sketch:
    """How many vectors there were, how many of their values were missing or outside what they may
    be, and what the others were like: by feature and hour of week, in bounded memory.

    `rows`, `missing` and `violations` are arrays of (features, 168), and `counts` is all three. Of
    the values at most `most` points are kept for each feature and hour; see `drift.points` for how
    exact these are. It holds no times but the hour of the week: sketches of single days make that
    of a week when merged.
    """

    def __init__(self, features: Sequence[str], most: int = SERVED_POINTS) -> None:
        if not features or len(set(features)) != len(features):
            raise InvalidInput("features", list(features), "names that differ, at least one")
        if most < 1:
            raise InvalidInput("most", most, "a number of points from 1 on")
        self.features = tuple(features)
        self.most = most
        self.counts = np.zeros((3, len(self.features), HOURS), np.int64)
        self.rows, self.missing, self.violations = self.counts
        self._points = NO_POINTS
        self._waiting: list[Points] = []
        self._count = 0

    def add(
        self,
        time: Ints,
        columns: Mapping[str, ArrayLike],
        violations: Mapping[str, Mask] | None = None,
    ) -> None:
        """Some vectors more: their as-of times in microseconds, and a column for each feature.

        NaN is a missing value, and what is infinite counts as missing. `violations` says where
        values are outside what they may be, for features that have such. A feature without a
        column is not counted.
        """
        hour = hour_of_week(np.asarray(time, np.int64))
        for place, name in enumerate(self.features):
            if name not in columns:
                continue
            value, there = usable(columns[name])
            cell = place * HOURS + hour[there]
            self._waiting.append(Points(cell, value, np.ones(len(value), np.int64)))
            self._count += len(value)
            self.rows[place] += np.bincount(hour, minlength=HOURS)
            self.missing[place] += np.bincount(hour[~there], minlength=HOURS)
            if violations and name in violations:
                wrong = np.asarray(violations[name], np.bool_)
                self.violations[place] += np.bincount(hour[wrong], minlength=HOURS)
        if self._count > max(_MOST_WAITING, len(self._points.cell)):
            self._settle()

    @classmethod
    def merged(cls, sketches: Iterable[Sketch], most: int = SERVED_POINTS) -> Sketch:
        """One sketch of all that some sketches are of, whatever their order.

        The features are those of the first, and the others that sketches after it have. Raises
        InvalidInput without a sketch.
        """
        all_of = [*sketches]
        merged = cls([*dict.fromkeys(name for one in all_of for name in one.features)], most)
        place_of = {name: place for place, name in enumerate(merged.features)}
        parts = []
        for one in all_of:
            places = np.array([place_of[name] for name in one.features])
            merged.counts[:, places] += one.counts
            cell, value, weight = one.points
            cell = places[cell // HOURS] * HOURS + cell % HOURS
            parts.append(Points(cell, value, weight))
        merged._points = summarised(parts, most)
        return merged

    @property
    def points(self) -> Points:
        """What is kept of the values; a cell is 168 times the place of its feature, plus the
        hour."""
        self._settle()
        return self._points

    def to_bytes(self) -> bytes:
        """The sketch as it is kept."""
        cell, value, weight = self.points
        length = np.bincount(cell, minlength=self.rows.size)
        return pack(
            _KIND,
            {"features": self.features, "most": self.most},
            {
                "counts": self.counts.astype(np.uint32),
                "length": length.astype(np.uint16),
                "value": value,
                "weight": weight.astype(np.uint32),
            },
        )

    @classmethod
    def from_bytes(cls, data: bytes) -> Sketch:
        """The sketch that was kept. Raises InvalidInput for what is none."""
        values, arrays = unpack(_KIND, data)
        sketch = cls(values["features"], values["most"])
        sketch.counts += arrays["counts"]
        cell = np.repeat(np.arange(sketch.rows.size), arrays["length"])
        sketch._points = Points(cell, arrays["value"], arrays["weight"].astype(np.int64))
        return sketch

    def _settle(self) -> None:
        if self._waiting:
            self._points = summarised((self._points, *self._waiting), self.most)
            self._waiting = []
            self._count = 0
