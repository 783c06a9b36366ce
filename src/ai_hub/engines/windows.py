"""Statistics of windows: read one by one, or sliding over every row.

The table of statistics says what is computed either way; what the windows hold decides which way
is cheaper.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, assert_never

import numpy as np

from ai_hub.definitions.kinds import Closed, Stat
from ai_hub.engines.arrays import Columns, Floats, Ints
from ai_hub.engines.ranges import Ranges, finite, window_bounds
from ai_hub.engines.statistics import STATISTICS, Aggregate, Rolled, aggregates

if TYPE_CHECKING:
    from ai_hub.engines.sliding import Newest, Slide

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
        from ai_hub.engines.sliding import Slide

        return _sliding_stats(Slide.of(keys, values, at, span, width, closed), stats)
    return range_stats(values, *window_bounds(keys, at, width, closed), stats)


@np.errstate(over="ignore", invalid="ignore")
def range_stats(values: Floats, low: Ints, high: Ints, stats: tuple[Stat, ...]) -> Columns:
    """Each statistic over values[low:high]."""
    ranges = Ranges(values, low, high)
    return combined(stats, {part: ranges.each(part.at_points) for part in aggregates(stats)})


@np.errstate(over="ignore", invalid="ignore")
def _sliding_stats(slide: Slide, stats: tuple[Stat, ...]) -> Columns:
    parts = aggregates(stats)
    rolled = iter(slide.rolled(p.sliding.roll for p in parts if isinstance(p.sliding, Rolled)))
    found: dict[Aggregate, Floats | Ints] = {}
    for part in parts:
        if not isinstance(part.sliding, Rolled):
            found[part] = slide.read_anew(part.at_points, *part.sliding(slide))
            continue
        slid, doubtful = next(rolled), part.sliding.doubtful
        if doubtful is None:
            found[part] = slide.at_points(slid)
        else:
            found[part] = slide.read_anew(part.at_points, slid, doubtful(slide, slid))
    newest = slide.newest()
    return combined(stats, {part: _settled(part, found[part], newest) for part in parts})


def _settled(part: Aggregate, slid: Floats | Ints, newest: Newest) -> Floats | Ints:
    """An aggregate as it slid, but for windows whose bounds say all there is to say."""
    match part.flat:
        case "value":
            slid = np.where(newest.flat, newest.value, slid)
        case "zero":
            slid = np.where(newest.flat & newest.several, 0.0, slid)
        case None:
            pass
        case _:
            assert_never(part.flat)
    return np.where(newest.empty, np.nan, slid) if newest.empty.any() else slid


def combined(stats: tuple[Stat, ...], found: Mapping[Aggregate, Floats | Ints]) -> Columns:
    """Each statistic from its aggregates, which are NaN where a window is empty."""
    columns: Columns = {}
    for stat in stats:
        row = STATISTICS[stat]
        value: Floats = row.combine(*(found[part] for part in row.parts))
        if row.empty is None:
            columns[stat] = finite(value)
        else:
            columns[stat] = np.where(np.isnan(value), row.empty, value).astype(np.int64)
    return columns


def _is_dense(keys: Ints, at: Ints, width: int, closed: Closed, stats: tuple[Stat, ...]) -> bool:
    if len(at) <= _FEW_POINTS:
        return False
    sample = at[:: len(at) // 1024]
    low, high = window_bounds(keys, sample, width, closed)
    size = float((high - low).mean())
    gathered = any(part.gathers for part in aggregates(stats))
    return len(at) * (_PER_POINT + size / (_DENSE if gathered else _DENSE_REDUCED)) > (
        len(keys) + len(at)
    )
