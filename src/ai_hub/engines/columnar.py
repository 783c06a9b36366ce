"""The columnar kernel: a plan over sorted arrays, at every row of a history or at a few points."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from ai_hub.definitions.kinds import Lag, Latest
from ai_hub.definitions.values import BUCKET_ORIGIN, LAST_INSTANT
from ai_hub.engines.arrays import (
    NO_SERIES,
    Axis,
    Columns,
    Floats,
    HistoryArrays,
    Ints,
    Mask,
    Points,
    Series,
    Weather,
    axis_of,
    by_entity,
)
from ai_hub.engines.as_of import AsOfIndex
from ai_hub.engines.calendars import calendars
from ai_hub.engines.expressions import derive
from ai_hub.engines.plan import FILL_WINDOW, Plan, Source
from ai_hub.engines.ranges import gathered_rows, slices, window_bounds
from ai_hub.engines.windows import range_stats, window_stats


def compute(
    plan: Plan, points: Points, history: HistoryArrays, dense: bool | None = None
) -> Columns:
    """Every feature of the plan at every point, before filling: float64 (NaN = null) or int64.

    `dense` forces the way windows are computed; by default the cheaper one is chosen.
    """
    columns = calendars(plan.calendars, points.time)
    if plan.needs_data and len(points):
        axis = axis_of(points, history, max(plan.lookback, plan.weather_lookback))
        if axis is None:
            return _one_by_one(plan, points, history, dense)
        at = axis.keys(points.code, points.time)
        for name in plan.series:
            series = history.series.get(name, NO_SERIES)
            _compute_series(plan, name, series, axis, points, at, dense, columns)
        if plan.latest:
            columns |= _all_latest(plan.latest, history.weather, axis, points)
    elif plan.needs_data:
        columns |= {name: np.empty(0) for name in plan.needs_data}
    return derive(plan, columns)


def means(source: Source, points: Points, history: HistoryArrays) -> Floats:
    """The mean of a source over its window at every point; NaN if that is empty."""
    if not len(points):
        return np.empty(0)
    axis = axis_of(points, history, FILL_WINDOW)
    if axis is None:
        return np.concatenate([means(source, p, h) for p, h in by_entity(points, history)])
    if source.kind == "weather":
        return _weather_mean(source.name, history.weather, axis, points)
    series = history.series.get(source.name, NO_SERIES)
    keys = axis.keys(series.code, series.time)
    at = axis.keys(points.code, points.time)
    found = window_stats(keys, series.value, at, axis.span, FILL_WINDOW, source.closed, ("mean",))
    return np.asarray(found["mean"], np.float64)


def values_at(name: str, points: Points, history: HistoryArrays) -> Floats:
    """The value of a series at exactly each point; NaN where it has none."""
    series = history.series.get(name, NO_SERIES)
    if not len(points) or not len(series.code):
        return np.full(len(points), np.nan)
    axis = axis_of(points, history, 0)
    if axis is None:
        return np.concatenate([values_at(name, p, h) for p, h in by_entity(points, history)])
    keys = axis.keys(series.code, series.time)
    at = axis.keys(points.code, points.time)
    row = np.minimum(np.searchsorted(keys, at), len(keys) - 1)
    return np.where(keys[row] == at, series.value[row], np.nan)


def _compute_series(
    plan: Plan,
    name: str,
    series: Series,
    axis: Axis,
    points: Points,
    at: Ints,
    dense: bool | None,
    columns: Columns,
) -> None:
    keys = axis.keys(series.code, series.time)
    for window in plan.windows:
        if window.series == name:
            stats = window.stats
            found = window_stats(
                keys, series.value, at, axis.span, window.width, window.closed, stats, dense
            )
            columns |= {feature: found[stat] for feature, stat in window.outputs}
    for bucket in plan.buckets:
        if bucket.series == name:
            stats = bucket.stats
            into = (points.time - BUCKET_ORIGIN) % bucket.every
            low = np.searchsorted(keys, at - into, "left")
            high = np.searchsorted(keys, at, "right")
            found = range_stats(series.value, low, high, stats)
            columns |= {feature: found[stat] for feature, stat in bucket.outputs}
    lags = [lag for lag in plan.lags if lag.series == name]
    if lags:
        index = AsOfIndex(keys)
        columns |= {lag.name: _lag(lag, keys, index, series.value, at) for lag in lags}


def _lag(lag: Lag, keys: Ints, index: AsOfIndex, values: Floats, at: Ints) -> Floats:
    if not len(keys):
        return np.full(len(at), np.nan)
    wanted = at - lag.by.micros
    row = index.last(wanted)
    # Row -1 reads the last key, which is never inside the tolerance of an earlier time.
    wanted -= lag.tolerance.micros
    known = (row >= 0) & (keys[row] > wanted)
    return np.where(known, values[row], np.nan)


@dataclass(frozen=True, slots=True)
class _Known:
    """A weather column's rows in the order in which they become known.

    `best[i]` is the row (by time, then issue) that answers once the first i+1 are known.
    """

    available: Ints
    best: Ints
    keys: Ints
    values: Floats


def _known(column: str, weather: Weather, axis: Axis, last: int) -> _Known:
    values = weather.columns[column]
    held = ~np.isnan(values) & (weather.issued <= last)
    code, time, issued = weather.code[held], weather.time[held], weather.issued[held]
    available = axis.keys(code, np.maximum(time, issued))
    best = np.arange(len(code))
    if len(available) > 1 and bool((np.diff(available) < 0).any()):
        order = np.argsort(available, kind="stable")
        available, best = available[order], np.maximum.accumulate(order)
    return _Known(available, best, axis.keys(code, time), values[held])


def _source_axis(weather: Weather, axis: Axis, points: Points) -> Ints:
    return axis.keys(weather.source_of.at(points, axis), points.time)


def _all_latest(
    features: tuple[Latest, ...], weather: Weather | None, axis: Axis, points: Points
) -> Columns:
    if weather is None or not len(weather.code):
        return {feature.name: np.full(len(points), np.nan) for feature in features}
    found = _newest(features, weather, axis, points, [f.max_age.micros for f in features])
    preferring = tuple(f for f in features if f.measured_within.micros)
    measured = weather.issued >= weather.time
    # Where all rows are measurements, or none is, the newest is what is preferred.
    if preferring and measured.any() and not measured.all():
        ages = [min(f.max_age.micros, f.measured_within.micros) for f in preferring]
        preferred = _newest(preferring, _rows_of(weather, measured), axis, points, ages)
        for name, values in preferred.items():
            found[name] = np.where(np.isnan(values), found[name], values)
    return found


def _rows_of(weather: Weather, kept: Mask) -> Weather:
    columns = {name: values[kept] for name, values in weather.columns.items()}
    return replace(
        weather,
        code=weather.code[kept],
        time=weather.time[kept],
        issued=weather.issued[kept],
        columns=columns,
    )


def _newest(
    features: tuple[Latest, ...],
    weather: Weather,
    axis: Axis,
    points: Points,
    ages: Sequence[int],
) -> Columns:
    """The newest row known at each point that has the column and is younger than an age."""
    at = _source_axis(weather, axis, points)
    if bool((weather.issued > weather.time).any()):
        last = int(points.time.max())
        return {
            feature.name: _latest(_known(feature.column, weather, axis, last), at, age)
            for feature, age in zip(features, ages, strict=True)
        }
    # What is known when it happens becomes known in its order: one search serves every column.
    keys = axis.keys(weather.code, weather.time)
    newest = AsOfIndex(keys).last(at)
    found: Columns = {}
    for feature, age in zip(features, ages, strict=True):
        values = weather.columns[feature.column]
        held = ~np.isnan(values)
        row = newest
        if not held.all():
            row = np.maximum.accumulate(np.where(held, np.arange(len(held)), -1))[newest]
        fresh = (newest >= 0) & (row >= 0) & (keys[row] > at - age)
        found[feature.name] = np.where(fresh, values[row], np.nan)
    return found


def _latest(known: _Known, at: Ints, age: int) -> Floats:
    if not len(known.best):
        return np.full(len(at), np.nan)
    newest = np.searchsorted(known.available, at, "right") - 1
    row = known.best[newest]
    fresh = (newest >= 0) & (known.keys[row] > at - age)
    return np.where(fresh, known.values[row], np.nan)


def _weather_mean(column: str, weather: Weather | None, axis: Axis, points: Points) -> Floats:
    """The mean over the rows known at each point, of each time its latest issue."""
    if weather is None or not len(weather.code):
        return np.full(len(points), np.nan)
    values = weather.columns[column]
    held = ~np.isnan(values)
    keys = axis.keys(weather.code[held], weather.time[held])
    issued, values = weather.issued[held], values[held]
    at = _source_axis(weather, axis, points)
    low, high = window_bounds(keys, at, FILL_WINDOW, "both")
    if not bool((np.diff(keys) == 0).any()) and bool((issued <= weather.time[held]).all()):
        return np.asarray(range_stats(values, low, high, ("mean",))["mean"], np.float64)
    # From then on a later issue of the same time is known.
    replaced = np.full(len(keys), LAST_INSTANT + 1)
    again = np.flatnonzero(keys[1:] == keys[:-1])
    replaced[again] = issued[again + 1]
    result = np.empty(len(points))
    for part in slices(high - low):
        size = (high - low)[part]
        rows, _ = gathered_rows(low[part], size)
        now = np.repeat(points.time[part], size)
        known = (issued[rows] <= now) & (now < replaced[rows])
        window = np.repeat(np.arange(len(size)), size)
        ends = np.cumsum(np.bincount(window[known], minlength=len(size)))
        starts = np.concatenate(([0], ends[:-1]))
        result[part] = range_stats(values[rows[known]], starts, ends, ("mean",))["mean"]
    return result


def _one_by_one(plan: Plan, points: Points, history: HistoryArrays, dense: bool | None) -> Columns:
    """Entities whose times are centuries apart: an axis each."""
    names = plan.feature_set.feature_names
    parts = [compute(plan, p, h, dense) for p, h in by_entity(points, history)]
    return {name: np.concatenate([part[name] for part in parts]) for name in names}
