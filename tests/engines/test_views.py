"""Features of views in the kernel: what the reference says, for several assets side by side."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from ai_hub.definitions.feature_set import FeatureSet
from ai_hub.definitions.kinds import Derived, FromView
from ai_hub.definitions.values import DAY, HOUR, MINUTE, Duration, parse_time
from ai_hub.engines.arrays import HistoryArrays, Points
from ai_hub.engines.plan import Plan
from ai_hub.engines.vectors import vectors
from ai_hub.engines.views import several, view_series
from ai_hub.testing import History, ViewRow, vector

T = parse_time("2025-10-09T14:30:00Z")
WIDTHS = [Duration.of(width) for width in ("1h", "24h", "1us")]
CHOSEN = FeatureSet(
    "own",
    1,
    (
        *(FromView(f"x{i}", "v", "x", width) for i, width in enumerate(WIDTHS)),
        FromView("y", "v", "y", WIDTHS[1]),
        Derived("sum", "x0 + y"),
    ),
    missing="keep",
)
# Far ones make an axis for each entity.
times = st.sampled_from(
    [T, T - 1, T + 1, T - HOUR, T - HOUR + 1, T - DAY, T - DAY + 1, T - 5 * MINUTE, T - 10**18]
)
numbers = st.none() | st.sampled_from((0.0, -1.5, 2.25))
rows = st.lists(st.tuples(st.integers(0, 2), times, numbers, numbers), max_size=15)


@given(rows, st.lists(st.tuples(st.integers(0, 2), times), min_size=1, max_size=8, unique=True))
def test_they_are_the_reference(
    rows: list[tuple[int, int, float | None, float | None]], asked: list[tuple[int, int]]
) -> None:
    plan = Plan.of(CHOSEN)
    views = {}
    for place, column in enumerate(("x", "y")):
        held = [(code, at, xy[place]) for code, at, *xy in rows if xy[place] is not None]
        code, time = (np.array([row[i] for row in held], np.int64) for i in (0, 1))
        views["v", column] = view_series(code, time, np.array([row[2] for row in held], float))
    code, time = np.array(sorted(asked), np.int64).T.copy()
    points = Points(code, time)
    history = HistoryArrays({}, views=views)
    columns, masks, _ = vectors(plan, points, history, None)
    faults = several(plan, points, history)
    for place, (asset, t) in enumerate(sorted(asked)):
        mine = [ViewRow("v", at, {"x": x, "y": y}) for code, at, x, y in rows if code == asset]
        expected = vector(CHOSEN, t, History(views=mine))
        found = {name: column[place].item() for name, column in columns.items()}
        assert {n: None if v != v else v for n, v in found.items()} == expected.features
        assert {name for name, mask in masks.items() if mask[place]} == set(expected.missing)
        for feature in plan.viewed:
            # It is null with a row in its window: then there are several of the newest time.
            inside = [
                row.timestamp
                for row in mine
                if t - feature.max_age.micros < row.timestamp <= t
                and row.values[feature.column] is not None
            ]
            tied = bool(inside) and inside.count(max(inside)) > 1
            mask = faults.get((feature.name, "several"))
            assert tied == (mask is not None and bool(mask[place]))
