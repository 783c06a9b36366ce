"""Features computed in this process from rows, one point at a time.

Where a sum overflows, a feature is null, but PostgreSQL fails the statement: then this answers.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ai_hub.config import Settings
from ai_hub.definitions.kinds import Missing
from ai_hub.engines.arrays import Points
from ai_hub.engines.plan import FILL_WINDOW, Plan
from ai_hub.engines.sql import Point
from ai_hub.engines.vectors import vectors
from ai_hub.stores.base import ScanRequest, Vectors
from ai_hub.stores.postgres.scan import scan_chunks


def vectors_from_rows(
    settings: Settings, plan: Plan, missing: Missing | None, points: Sequence[Point]
) -> Vectors:
    """The features at some points, in their order (blocking). Raises StoreError."""
    parts = [_of_one(settings, plan, missing, point) for point in points]
    names = plan.feature_set.feature_names
    columns = {name: np.concatenate([part.columns[name] for part in parts]) for name in names}
    nowhere = np.zeros(1, bool)
    masks = {
        name: np.concatenate([part.masks.get(name, nowhere) for part in parts])
        for name in names
        if any(name in part.masks for part in parts)
    }
    return Vectors(columns, masks)


def _of_one(settings: Settings, plan: Plan, missing: Missing | None, point: Point) -> Vectors:
    tenant, asset, t = point
    request = ScanRequest(
        tenant, (asset,), t, t, plan.series, plan.weather,
        max(plan.lookback, FILL_WINDOW), max(plan.weather_lookback, FILL_WINDOW),
    )  # fmt: skip
    (chunk,) = scan_chunks(settings, request)
    at = Points(np.zeros(1, np.int64), np.array([t], np.int64))
    return Vectors(*vectors(plan, at, chunk.history, missing))
