"""The newest weather as it is known at each point."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np

from ai_hub.definitions.kinds import Latest
from ai_hub.definitions.vocabulary import WEATHER_COLUMNS
from ai_hub.engines.arrays import (
    Axis,
    Columns,
    Floats,
    HistoryArrays,
    Ints,
    Mask,
    Points,
    Weather,
    anywhere,
    everywhere,
)
from ai_hub.engines.as_of import FEW, AsOfIndex
from ai_hub.engines.tracks import Tracks
from ai_hub.engines.traits import Input


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
    if len(available) > 1 and anywhere(np.diff(available) < 0):
        order = np.argsort(available, kind="stable")
        available, best = available[order], np.maximum.accumulate(order)
    return _Known(available, best, axis.keys(code, time), values[held])


def _source_axis(weather: Weather, axis: Axis, points: Points) -> Ints:
    return axis.keys(weather.source_of.at(points, axis), points.time)


def all_latest(
    features: tuple[Latest, ...], weather: Weather | None, tracks: Tracks, points: Points
) -> Columns:
    """Features that are the newest value of a weather column, at every point; NaN for none."""
    axis = tracks.axis
    if weather is None or not len(weather.code):
        return {feature.name: np.full(len(points), np.nan) for feature in features}
    found = _looked_up(features, tracks, points)
    if found is None:
        found = _newest(features, weather, axis, points, [f.max_age.micros for f in features])
    preferring = tuple(f for f in features if f.measured_within.micros)
    measured = weather.issued >= weather.time
    # Where all rows are measurements, or none is, the newest is what is preferred.
    if preferring and anywhere(measured) and not everywhere(measured):
        ages = [min(f.max_age.micros, f.measured_within.micros) for f in preferring]
        preferred = _newest(preferring, _rows_of(weather, measured), axis, points, ages)
        for name, values in preferred.items():
            found[name] = np.where(np.isnan(values), found[name], values)
    return found


class KnownRows(NamedTuple):
    """The rows of weather that answer at some points: their values, the times that they are about
    and those of their issues; NaN for none."""

    value: Floats
    about: Floats
    issued: Floats


def known_rows(feature: Latest, weather: Weather | None, axis: Axis, points: Points) -> KnownRows:
    """Whatever a feature reads at each point, with where it comes from."""
    columns = {}
    if weather is not None:
        held = weather.columns[feature.column]
        there = ~np.isnan(held)
        about = np.where(there, weather.time, np.nan)
        issued = np.where(there, weather.issued, np.nan)
        # Rows are chosen by whether they have the column: two others take the place of their times.
        columns = dict(zip(WEATHER_COLUMNS, (held, about, issued), strict=False))
        weather = replace(weather, columns=columns)
    places = WEATHER_COLUMNS[: len(KnownRows._fields)]
    alike = tuple(replace(feature, name=one, column=one) for one in places)
    tracks = Tracks(HistoryArrays({}, weather), axis)
    found = all_latest(alike, weather, tracks, points)
    return KnownRows(*(np.asarray(found[one], np.float64) for one in places))


def _looked_up(features: tuple[Latest, ...], tracks: Tracks, points: Points) -> Columns | None:
    """The same of very many points; None where that is not to be had by look-ups."""
    found: Columns = {}
    for feature in features if len(points) > FEW else ():
        track = tracks.of(Input("weather", feature.column), points)
        if track.issues is not None or not len(track.keys):
            return None
        found[feature.name] = track.back(0, feature.max_age.micros)
    return found or None


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
    if anywhere(weather.issued > weather.time):
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
        if not everywhere(held):
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
