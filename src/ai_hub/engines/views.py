"""Features that are read of users' own views: the newest row of each point, if it is one alone."""

from __future__ import annotations

from typing import Literal

import numpy as np

from ai_hub.definitions.kinds import FromView
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
    axis_of,
    by_entity,
)
from ai_hub.engines.plan import Plan
from ai_hub.engines.tracks import Track

Fault = Literal["several", "changed", "gone", "refused", "slow", "failed"]
"""Why a view has no value: several rows of the newest time; it says something else than when the
set was applied; it or its column is not there; it may not be read; it took too long; it fails."""

Faults = dict[tuple[str, Fault], Mask]
"""Where a feature has no value for a reason."""


def viewed(plan: Plan, points: Points, history: HistoryArrays, axis: Axis) -> Columns:
    """Every feature that is read of a view, at every point (NaN = null)."""
    return {one.name: _newest(one, points, history, axis)[0] for one in plan.viewed}


def several(plan: Plan, points: Points, history: HistoryArrays) -> Faults:
    """Where features are null since a view has several rows of the newest time."""
    if not plan.viewed or not len(points):
        return {}
    axis = axis_of(points, history, plan.view_lookback)
    if axis is None:
        parts = by_entity(points, history)
        each = [(several(plan, p, h), np.zeros(len(p), bool)) for p, h in parts]
        keys = {key for faults, _ in each for key in faults}
        return {k: np.concatenate([faults.get(k, none) for faults, none in each]) for k in keys}
    masks = {one.name: _newest(one, points, history, axis)[1] for one in plan.viewed}
    return {(name, "several"): mask for name, mask in masks.items() if mask.any()}


def _newest(
    feature: FromView, points: Points, history: HistoryArrays, axis: Axis
) -> tuple[Floats, Mask]:
    """The value of the newest row, and where there is a row and no value."""
    series = history.views.get((feature.view, feature.column), NO_SERIES)
    at = axis.keys(points.code, points.time)
    track = Track(axis.keys(series.code, series.time), series.value, at, points.time)
    # Places of rows in turn: they tell a row without a value from none.
    held = Track(track.keys, np.arange(len(track.keys), dtype=np.float64), at, points.time)
    width = feature.max_age.micros
    values, _ = track.latest(at.copy(), width)
    rows, _ = held.latest(at.copy(), width)
    return values, np.isnan(values) & ~np.isnan(rows)


def view_series(code: Ints, time: Ints, value: Floats) -> Series:
    """A column of a view as rows came, in the order of entity and time: NaN where a time has
    several of an entity."""
    order = np.lexsort((time, code))
    code, time, value = code[order], time[order], value[order]
    first = np.append(True, (np.diff(code) != 0) | (np.diff(time) != 0))[: len(code)]
    alone = first & np.append(first[1:], True)[: len(code)]
    return Series(code[first], time[first], np.where(alone, value, np.nan)[first])
