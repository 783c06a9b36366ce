"""The columnar kernel: a plan over sorted arrays, at every row of a history or at a few points."""

from __future__ import annotations

import numpy as np

from ai_hub.definitions.measures import Measure
from ai_hub.engines.arrays import (
    NO_SERIES,
    Columns,
    Floats,
    HistoryArrays,
    Points,
    axis_of,
    by_entity,
)
from ai_hub.engines.as_known import all_latest
from ai_hub.engines.calendars import calendars
from ai_hub.engines.expressions import derive
from ai_hub.engines.plan import Plan
from ai_hub.engines.readings import readings, window_of
from ai_hub.engines.tracks import Tracks
from ai_hub.engines.traits import FILL_WINDOW, Input, Source
from ai_hub.engines.views import viewed
from ai_hub.engines.violations import Unfilled
from ai_hub.engines.zones import Zones

MEAN = Measure("mean")


def compute(
    plan: Plan,
    points: Points,
    history: HistoryArrays,
    dense: bool | None = None,
    tracks: Tracks | None = None,
) -> Unfilled:
    """Every feature of the plan at every point, before filling: float64 (NaN = null) or int64.

    `dense` forces the way windows are computed; by default the cheaper one is chosen. `tracks` of
    the history are for who reads it again.
    """
    if not len(points):
        return _nothing(plan)
    if not plan.reads and not plan.views:
        return derive(plan, calendars(plan.calendars, Zones.named(points.time)))
    if tracks is None:
        reach = max(plan.lookback, plan.weather_lookback, plan.view_lookback)
        tracks = Tracks.reaching(points, history, reach)
        if tracks is None:
            return _one_by_one(plan, points, history, dense)
    axis = tracks.axis
    by_asset = plan.has_asset_zone
    zones = Zones.of(points, history, axis) if by_asset else Zones.named(points.time)
    columns = calendars(plan.calendars, zones)
    for reads in plan.by_input:
        track = tracks.of(reads.input, points)
        columns |= readings(reads, track, zones, axis.span, dense)
    if plan.latest:
        columns |= all_latest(plan.latest, history.weather, tracks, points)
    for feature in plan.held:
        table = history.attributes.get(feature.key)
        absent = np.full(len(points), np.nan)
        columns[feature.name] = absent if table is None else table.at(points, axis)
    columns |= viewed(plan, points, history, axis)
    return derive(plan, columns)


def _nothing(plan: Plan) -> Unfilled:
    """No rows, of the types that rows have."""
    features = plan.feature_set.features
    columns: Columns = {
        f.name: np.empty(0, np.int64) if plan.is_integer(f) else np.empty(0) for f in features
    }
    return Unfilled(columns, {})


def means(
    source: Source, points: Points, history: HistoryArrays, tracks: Tracks | None = None
) -> Floats:
    """The mean of a source over its window at every point; NaN if that is empty. `tracks` of the
    history are there if it was read before."""
    if not len(points):
        return np.empty(0)
    if tracks is None:
        tracks = Tracks.reaching(points, history, FILL_WINDOW)
        if tracks is None:
            return np.concatenate([means(source, p, h) for p, h in by_entity(points, history)])
    track = tracks.of(Input(source.kind, source.name), points)
    if not len(track.keys):
        return np.full(len(points), np.nan)
    found = window_of(track, tracks.axis.span, FILL_WINDOW, source.closed, (MEAN,))
    return np.asarray(found[MEAN], np.float64)


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


def _one_by_one(plan: Plan, points: Points, history: HistoryArrays, dense: bool | None) -> Unfilled:
    """Entities whose times are centuries apart: an axis each."""
    names = plan.feature_set.feature_names
    each = by_entity(points, history)
    parts = [(compute(plan, p, h, dense), np.zeros(len(p), bool)) for p, h in each]
    wrong = {name for part, _ in parts for name in part.violations}
    return Unfilled(
        {name: np.concatenate([part.columns[name] for part, _ in parts]) for name in names},
        {n: np.concatenate([part.violations.get(n, none) for part, none in parts]) for n in wrong},
    )
