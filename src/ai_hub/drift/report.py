"""A comparison as plain values, and what is drawn of it."""

from __future__ import annotations

from typing import Any

import numpy as np

from ai_hub.drift.baseline import Baseline
from ai_hub.drift.drift import Comparison, Drift
from ai_hub.drift.points import Points, quantiles, summarised
from ai_hub.drift.sketch import HOURS, Sketch
from ai_hub.engines.arrays import Floats, Mask

_SHARES = np.linspace(0.01, 0.99, 50)
"""The quantiles that a picture is made of."""
_MOST_POINTS = 10_000


def report(found: Comparison, baseline: Baseline, current: Sketch) -> dict[str, Any]:
    """What was found: the features with an alarm first, and of these the largest first.

    `quantiles` of a feature are those of its values in the baseline and now, at the same hours of
    the week and in even steps from the 1st to the 99th percentile; none where there is no value.
    """
    hours: Mask = current.rows.sum(0) > 0
    before = _quantiles(baseline.whole, hours)
    now = _quantiles(current, hours)
    return {
        "alarm": found.alarm,
        "weeks": found.windows,
        "enough": found.enough,
        "seasonal": found.seasonal,
        "reference": found.reference,
        "features": [
            {
                "name": one.feature,
                "rows": one.rows,
                "alarm": one.alarm,
                "direction": one.direction,
                "sentence": one.sentence,
                "effects": {
                    effect.name: {
                        "value": effect.value,
                        "threshold": effect.threshold,
                        "alarm": effect.alarm,
                    }
                    for effect in one.effects
                },
                "quantiles": {
                    "baseline": before.get(one.feature, []),
                    "now": now.get(one.feature, []),
                },
            }
            for one in sorted(found.drifts, key=_size)
        ],
    }


def _size(one: Drift) -> tuple[bool, float]:
    """By which features are sorted: an effect counts by how far it is beyond its threshold."""
    sizes = [
        abs(effect.value) / effect.threshold
        for effect in one.effects
        if effect.value is not None and effect.threshold
    ]
    return not one.alarm, -max(sizes, default=0.0)


def _quantiles(sketch: Sketch, hours: Mask) -> dict[str, list[float]]:
    """Quantiles of each feature that has a value, over some hours of the week."""
    cell, value, weight = sketch.points
    chosen = hours[cell % HOURS]
    points = Points(cell[chosen] // HOURS, value[chosen], weight[chosen])
    places, found = quantiles(summarised([points], _MOST_POINTS), _SHARES)
    rows: Floats = found
    return {sketch.features[place]: row.tolist() for place, row in zip(places, rows, strict=True)}
