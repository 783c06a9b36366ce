"""Filled vectors from a history: the kernel's columns, and means where something is missing."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from ai_hub.definitions.vocabulary import Missing
from ai_hub.engines.arrays import Columns, Floats, HistoryArrays, Ints, Masks, Points
from ai_hub.engines.columnar import compute, means
from ai_hub.engines.fill import fill
from ai_hub.engines.plan import Plan
from ai_hub.engines.tracks import Tracks
from ai_hub.engines.traits import FILL_WINDOW, Source

ReadOn = Callable[[Source, Ints], HistoryArrays]
"""Reads a source as far back as means reach, for some rows of the points: entity i of what it
returns is that of the i-th row asked for."""


def vectors(
    plan: Plan,
    points: Points,
    history: HistoryArrays,
    missing: Missing | None,
    read_on: ReadOn | None = None,
    dense: bool | None = None,
) -> tuple[Columns, Masks, Masks]:
    """Every feature of the plan at every point, filled, where each was missing, and where
    each was outside its range.

    `missing` is the request's policy. A caller whose history goes back no further than the plan's
    windows need gives `read_on`; it is called only for a mean that is wanted and reaches further.
    `dense` is that of `compute`.
    """

    tracks = None
    if read_on is None and len(points) and plan.filled_from:
        reach = max(plan.lookback, plan.weather_lookback, plan.view_lookback, FILL_WINDOW)
        tracks = Tracks.reaching(points, history, reach)

    def mean_of(source: Source, rows: Ints) -> Floats:
        time = points.time[rows]
        if read_on is None or plan.reach(source) >= FILL_WINDOW:
            return means(source, Points(points.code[rows], time), history, tracks)
        return means(source, Points(np.arange(len(rows)), time), read_on(source, rows))

    columns, violations = compute(plan, points, history, dense, tracks)
    return *fill(plan, missing, columns, mean_of), violations
