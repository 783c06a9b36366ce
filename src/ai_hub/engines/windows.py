"""Statistics of trailing windows: at a few points, or sliding over every row.

One definition, two ways to walk: what the windows hold decides which is cheaper.
"""

from __future__ import annotations

from ai_hub.definitions.kinds import Closed, Stat
from ai_hub.engines.arrays import Columns, Floats, Ints
from ai_hub.engines.ranges import range_stats, window_bounds
from ai_hub.engines.statistics import aggregates

# Up to here the bounds of every window are cheaper to have than to estimate.
_FEW_POINTS = 4096
# Sliding costs about the same for every row of the axis. Reading one window by itself costs as much
# as _PER_POINT rows, and as one more for so many values in it: few where a statistic needs the
# values themselves, many where a sum or an extreme is reduced in place.
_PER_POINT = 2
_DENSE = 8
_DENSE_REDUCED = 100


def window_stats(
    keys: Ints,
    values: Floats,
    at: Ints,
    span: int,
    width: int,
    closed: Closed,
    stats: tuple[Stat, ...],
    dense: bool | None = None,
) -> Columns:
    """Each statistic over the window of `width` that ends at each of `at` (sorted keys).

    `span` is the length of one entity's part of the axis. `dense` forces the way; by default the
    cheaper one is chosen by the work the windows hold.
    """
    if dense is None:
        dense = _is_dense(keys, at, width, closed, stats)
    if dense and len(keys):
        # Polars is worth its start-up only where there is much to slide over.
        from ai_hub.engines.sliding import sliding_stats

        return sliding_stats(keys, values, at, span, width, closed, stats)
    return range_stats(values, *window_bounds(keys, at, width, closed), stats)


def _is_dense(keys: Ints, at: Ints, width: int, closed: Closed, stats: tuple[Stat, ...]) -> bool:
    if len(at) <= _FEW_POINTS:
        return False
    sample = at[:: len(at) // 1024]
    low, high = window_bounds(keys, sample, width, closed)
    held = float((high - low).mean())
    gathered = any(part.gathers for part in aggregates(stats))
    return len(at) * (_PER_POINT + held / (_DENSE if gathered else _DENSE_REDUCED)) > (
        len(keys) + len(at)
    )
