"""The arrays that engines compute on, and the one axis on which they are compared.

Arrays are sorted by entity and time. Entities are codes from 0; instants are microseconds. One
int64 axis carries both: an entity's part of it is `span` long, so that no window reaches into the
part of another.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from ai_hub.definitions.values import FIRST_INSTANT, HOUR

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]
Mask = NDArray[np.bool_]
Columns = dict[str, NDArray[np.int64] | NDArray[np.float64]]
Masks = dict[str, Mask]
"""Where some columns are of a kind, such as missing; a feature with no such row has none."""

ViewColumn = tuple[str, str]
"""A user's own view, and a column of it."""

_LONGEST = 1 << 61


def anywhere(mask: Mask) -> bool:
    """Whether a mask holds for any row. Of the few rows of an answer `any` takes far longer."""
    return bool(np.count_nonzero(mask))


def everywhere(mask: Mask) -> bool:
    """Whether a mask holds for every row."""
    return bool(np.count_nonzero(mask) == len(mask))


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
class SourceTable:
    """Whose weather each entity reads, and since when: rows sorted by entity and `since`.

    The first row of an entity holds before its `since` too, and each entity from 0 on has one.
    """

    entity: Ints
    since: Ints
    source: Ints

    @classmethod
    def always(cls, source: Ints) -> SourceTable:
        """Entity i reads the weather of `source[i]` at all times."""
        n = len(source)
        return cls(np.arange(n), np.full(n, FIRST_INSTANT, np.int64), source)

    def at(self, points: Points, axis: Axis) -> Ints:
        """The source that each point's entity reads at its time."""
        if len(self.entity) == self.entity[-1] + 1:
            return self.source[points.code]
        since = np.clip(self.since, axis.origin, axis.origin + axis.span - 1)
        first = np.append(True, self.entity[1:] != self.entity[:-1])
        since[first] = axis.origin
        keys = axis.keys(self.entity, since)
        at = axis.keys(points.code, points.time)
        return self.source[np.searchsorted(keys, at, "right") - 1]

    def of(self, entities: Ints) -> tuple[Ints, SourceTable]:
        """The rows of some entities, and of the sources that they read; both coded from 0 again.

        First comes the code that each of these sources had.
        """
        counts, rows = _rows_of(self.entity, entities)
        entity = np.repeat(np.arange(len(entities)), counts)
        sources, source = np.unique(self.source[rows], return_inverse=True)
        return sources, SourceTable(entity, self.since[rows], source)


@dataclass(frozen=True, slots=True)
class Weather:
    """Weather rows sorted by source, time and issue time; NaN where a column is null.

    `source_of` says which source's rows an entity reads when.
    """

    code: Ints
    time: Ints
    issued: Ints
    columns: Mapping[str, Floats]
    source_of: SourceTable


@dataclass(frozen=True, slots=True)
class AttributeTable:
    """What one attribute of each entity is, and since when: rows sorted by entity and `since`.

    `number` is NaN where there is none. For `timezone`, `zone` is the place of the name in `zones`,
    -1 where there is none; for every other attribute it is -1. An entity without a row, or asked
    about a time before its first one, has neither.
    """

    entity: Ints
    since: Ints
    number: Floats
    zone: Ints
    zones: tuple[str, ...] = ()

    def at(self, points: Points, axis: Axis) -> Floats:
        """The number that each point's entity has at its time; NaN for none."""
        row = self._row(points, axis)
        return np.where(row < 0, np.nan, np.append(self.number, np.nan)[row])

    def zone_at(self, points: Points, axis: Axis) -> Ints:
        """The place in `zones` of what each point's entity has at its time; -1 for none."""
        row = self._row(points, axis)
        return np.where(row < 0, -1, np.append(self.zone, -1)[row])

    def of(self, entities: Ints) -> AttributeTable:
        """The rows of some entities, coded from 0 again."""
        counts, rows = _rows_of(self.entity, entities)
        entity = np.repeat(np.arange(len(entities)), counts)
        return replace(
            self,
            entity=entity,
            since=self.since[rows],
            number=self.number[rows],
            zone=self.zone[rows],
        )

    def _row(self, points: Points, axis: Axis) -> Ints:
        """The row that holds at each point; -1 for none."""
        since = np.clip(self.since, axis.origin, axis.origin + axis.span - 1)
        keys = axis.keys(self.entity, since)
        row = np.searchsorted(keys, axis.keys(points.code, points.time), "right") - 1
        return np.where(np.append(self.entity, -1)[row] == points.code, row, -1)


@dataclass(frozen=True, slots=True)
class HistoryArrays:
    """What a store read for some entities: every series, the weather, the attributes and the
    columns of views that the plan names.

    A column of a view has one value for each time as a series does, NaN where it has several.
    """

    series: Mapping[str, Series]
    weather: Weather | None = None
    attributes: Mapping[str, AttributeTable] = field(default_factory=dict)
    views: Mapping[ViewColumn, Series] = field(default_factory=dict)


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
    ends = [_ends(points.code, points.time)]
    codes = int(points.code[-1]) + 1
    for series in (*history.series.values(), *history.views.values()):
        if len(series.time):
            ends.append(_ends(series.code, series.time))
            codes = max(codes, int(series.code[-1]) + 1)
    weather = history.weather
    if weather is not None and len(weather.time):
        ends.append(_ends(weather.code, weather.time))
        codes = max(codes, int(weather.code[-1]) + 1, int(weather.source_of.entity[-1]) + 1)
    for table in history.attributes.values():
        if len(table.entity):
            codes = max(codes, int(table.entity[-1]) + 1)
    first = min(first for first, _ in ends)
    last = max(last for _, last in ends)
    # In whole hours: what is on a grid of minutes or hours is on one for all entities together.
    span = (last - first + longest + 2 + HOUR) // HOUR * HOUR
    return Axis(first, span) if codes * span < _LONGEST else None


def _ends(code: Ints, time: Ints) -> tuple[int, int]:
    """The first and the last of some times, which are sorted by entity, then time."""
    if code[0] == code[-1]:
        return int(time[0]), int(time[-1])
    return int(time.min()), int(time.max())


def weather_of(weather: Weather, entities: Ints) -> Weather:
    """The rows that some entities read, entities and sources coded from 0 again."""
    sources, source_of = weather.source_of.of(entities)
    low = np.searchsorted(weather.code, sources, "left")
    high = np.searchsorted(weather.code, sources, "right")
    rows: Ints | slice
    if everywhere(low[1:] == high[:-1]):
        # One behind the other, as those of assets that read their own weather are: no copy.
        rows = slice(low[0], high[-1])
    else:
        rows = np.concatenate([np.arange(a, b) for a, b in zip(low, high, strict=True)])
    code = np.repeat(np.arange(len(sources)), high - low)
    columns = {name: values[rows] for name, values in weather.columns.items()}
    return Weather(code, weather.time[rows], weather.issued[rows], columns, source_of)


def attributes_of(
    attributes: Mapping[str, AttributeTable], entities: Ints
) -> dict[str, AttributeTable]:
    """The attributes of some entities, coded from 0 again."""
    return {key: table.of(entities) for key, table in attributes.items()}


def by_entity(points: Points, history: HistoryArrays) -> list[tuple[Points, HistoryArrays]]:
    """Each entity's points with its own part of the history, entity and source coded 0."""
    parts = []
    for code in np.unique(points.code):
        mine = points.time[points.code == code]
        series = {name: _of_code(whole, int(code)) for name, whole in history.series.items()}
        views = {column: _of_code(whole, int(code)) for column, whole in history.views.items()}
        weather = history.weather
        if weather is not None:
            weather = weather_of(weather, np.array([code]))
        attributes = attributes_of(history.attributes, np.array([code]))
        own = HistoryArrays(series, weather, attributes, views)
        parts.append((Points(np.zeros(len(mine), np.int64), mine), own))
    return parts


def _rows_of(entity: Ints, entities: Ints) -> tuple[Ints, Ints]:
    """How many rows of a table sorted by entity each of some entities has, and which these are."""
    low = np.searchsorted(entity, entities, "left")
    counts = np.searchsorted(entity, entities, "right") - low
    starts = np.repeat(low - np.cumsum(counts) + counts, counts)
    return counts, np.arange(len(starts)) + starts


def _of_code(series: Series, code: int) -> Series:
    rows = series.code == code
    zeros = np.zeros(int(rows.sum()), np.int64)
    return Series(zeros, series.time[rows], series.value[rows])
