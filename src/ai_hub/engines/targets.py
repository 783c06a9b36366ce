"""Training targets on sorted arrays: features of the time ahead, known as far as the data goes."""

from __future__ import annotations

import numpy as np

from ai_hub.definitions.feature_set import FeatureSet
from ai_hub.definitions.kinds import Feature, Lag, Rolling
from ai_hub.definitions.target import Target
from ai_hub.definitions.values import Duration
from ai_hub.engines.arrays import Floats, HistoryArrays, Ints, Points
from ai_hub.engines.columnar import compute
from ai_hub.engines.plan import Plan

_INSTANT = Duration(1)


def target_values(
    target: Target, series: str, points: Points, history: HistoryArrays, last: Ints
) -> Floats:
    """A target at every point; NaN where it is null.

    `last` is the time of each entity's last stored observation of the series, by code: what is to
    happen after it is unknown.
    """
    at = points.time + target.horizon.micros
    if target.stat is None:
        found = _value(target, series, Points(points.code, at), history)
    else:
        found = _statistic(target, series, Points(points.code, at), history)
    return np.where(at <= last[points.code], found, np.nan)


def _value(target: Target, series: str, ahead: Points, history: HistoryArrays) -> Floats:
    """The latest value in (u - tolerance, u]; with a tolerance of 0 that at u alone."""
    assert target.tolerance is not None
    width = max(target.tolerance, _INSTANT)
    later = Points(ahead.code, ahead.time + _INSTANT.micros)
    return _computed((Lag("ahead", _INSTANT, width, series),), later, history)["ahead"]


def _statistic(target: Target, series: str, ahead: Points, history: HistoryArrays) -> Floats:
    assert target.stat is not None
    assert target.window is not None
    features = (
        Rolling("ahead", target.stat, target.window, "right", series),
        Rolling("held", "count", target.window, "right", series),
    )
    found = _computed(features, ahead, history)
    return np.where(found["held"] >= target.min_count, found["ahead"], np.nan)


def _computed(
    features: tuple[Feature, ...], points: Points, history: HistoryArrays
) -> dict[str, Floats]:
    columns, _ = compute(Plan.of(FeatureSet.unnamed(features)), points, history)
    return {name: np.asarray(column, np.float64) for name, column in columns.items()}
