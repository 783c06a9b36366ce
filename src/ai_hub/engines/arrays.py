"""The arrays that engines compute on, and the one axis on which they are compared.

Arrays are sorted by entity and time. Entities are codes from 0; instants are microseconds. One
int64 axis carries both: an entity's part of it is `span` long, so that no window reaches into the
part of another.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]
Mask = NDArray[np.bool_]
Columns = dict[str, NDArray[np.int64] | NDArray[np.float64]]

_LONGEST = 1 << 61


@dataclass(frozen=True, slots=True)
class Points:
    """Where features are wanted: entity codes and as-of times, sorted by both."""

    code: Ints
    time: Ints

    def __len__(self) -> int:
        return len(self.code)


@dataclass(frozen=True, slots=True)
class Series:
    """Observations of one series, sorted by entity and time, one value per time."""

    code: Ints
    time: Ints
    value: Floats


@dataclass(frozen=True, slots=True)
class Weather:
    """Weather rows sorted by source, time and issue time; NaN where a column is null.

    `source_of` maps an entity's code to its source's code.
    """

    code: Ints
    time: Ints
    issued: Ints
    columns: Mapping[str, Floats]
    source_of: Ints


@dataclass(frozen=True, slots=True)
class HistoryArrays:
    """What a store read for some entities: every series and the weather that the plan names."""

    series: Mapping[str, Series]
    weather: Weather | None = None


NO_SERIES = Series(np.empty(0, np.int64), np.empty(0, np.int64), np.empty(0))


@dataclass(frozen=True, slots=True)
class Axis:
    """Entity and time as one int64: entity `c` at `origin` is `c * span`."""

    origin: int
    span: int

    def keys(self, code: Ints, time: Ints) -> Ints:
        """Where instants of entities are on it."""
        return code * self.span + (time - self.origin)


def axis_of(points: Points, history: HistoryArrays, longest: int) -> Axis | None:
    """An axis for all times involved; None where they do not fit on one together."""
    times = [points.time]
    codes = int(points.code.max()) + 1
    for series in history.series.values():
        if len(series.time):
            times.append(series.time)
            codes = max(codes, int(series.code.max()) + 1)
    weather = history.weather
    if weather is not None and len(weather.time):
        times.append(weather.time)
        codes = max(codes, int(weather.code.max()) + 1)
    first = min(int(time.min()) for time in times)
    last = max(int(time.max()) for time in times)
    span = last - first + longest + 2
    return Axis(first, span) if codes * span < _LONGEST else None


def by_entity(points: Points, history: HistoryArrays) -> list[tuple[Points, HistoryArrays]]:
    """Each entity's points with its own part of the history, entity and source coded 0."""
    parts = []
    for code in np.unique(points.code):
        mine = points.time[points.code == code]
        series = {name: _of_code(whole, int(code)) for name, whole in history.series.items()}
        weather = history.weather
        if weather is not None:
            rows = weather.code == weather.source_of[code]
            zeros = np.zeros(int(rows.sum()), np.int64)
            columns = {name: values[rows] for name, values in weather.columns.items()}
            weather = Weather(
                zeros, weather.time[rows], weather.issued[rows], columns, np.zeros(1, np.int64)
            )
        parts.append((Points(np.zeros(len(mine), np.int64), mine), HistoryArrays(series, weather)))
    return parts


def _of_code(series: Series, code: int) -> Series:
    rows = series.code == code
    zeros = np.zeros(int(rows.sum()), np.int64)
    return Series(zeros, series.time[rows], series.value[rows])
