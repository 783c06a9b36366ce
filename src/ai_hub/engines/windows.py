"""Statistics of trailing windows: at a few points, or sliding over every row.

One definition, two ways to walk: what the windows hold decides which is cheaper.
"""

from __future__ import annotations

from ai_hub.definitions.kinds import Closed, Stat
from ai_hub.engines.ranges import Columns, Floats, Ints, range_stats, window_bounds

# Up to here the bounds of every window are cheaper to have than to estimate.
_FEW_POINTS = 4096
# Work per row at which sliding over every row beats reading each point's window by itself.
_DENSE = 8


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
        dense = _is_dense(keys, at, width, closed)
    if dense and len(keys):
        # Polars is worth its start-up only where there is much to slide over.
        from ai_hub.engines.sliding import sliding_stats

        return sliding_stats(keys, values, at, span, width, closed, stats)
    return range_stats(values, *window_bounds(keys, at, width, closed), stats)


def _is_dense(keys: Ints, at: Ints, width: int, closed: Closed) -> bool:
    if len(at) <= _FEW_POINTS:
        return False
    sample = at[:: len(at) // 1024]
    low, high = window_bounds(keys, sample, width, closed)
    work = float((high - low).mean()) * len(at)
    return work > _DENSE * (len(keys) + len(at))
