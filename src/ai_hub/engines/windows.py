"""Statistics of windows: read one by one, or sliding over every row.

The table of statistics says what is computed either way; what the windows hold decides which way
is cheaper.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import TYPE_CHECKING, assert_never

import numpy as np

from ai_hub.definitions.measures import COUNT, Measure
from ai_hub.definitions.vocabulary import Closed
from ai_hub.engines.arrays import Floats, Ints, Mask
from ai_hub.engines.ranges import Bounds, Instants, Ranges, finite, window_bounds
from ai_hub.engines.statistics import Aggregate, Rolled, Whole, aggregates, statistic_of

if TYPE_CHECKING:
    from ai_hub.engines.sliding import Newest, Slide

Taken = dict[Measure, Floats | Ints]
"""What was taken of windows, an element for each of them."""

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
    measures: tuple[Measure, ...],
    dense: bool | None = None,
    bounds: Bounds | None = None,
) -> Taken:
    """Each measure over the window of `width` that ends at each of `at`.

    `span` is the length of one entity's part of the axis. `dense` forces the way; by default the
    cheaper one is chosen by the work the windows hold. `bounds` finds the rows of the windows for
    who has something better than a search.
    """
    bounds = partial(window_bounds, keys, at) if bounds is None else bounds
    if dense is None:
        dense = _is_dense(keys, at, width, closed, measures)
    if dense and len(keys):
        # Polars is worth its start-up only where there is much to slide over.
        from ai_hub.engines.sliding import Slide

        slide = Slide.of(keys, values, at, span, width, closed, bounds)
        return _sliding_stats(slide, measures)
    low, high = bounds(width, closed)
    return range_stats(values, low, high, measures, Instants(keys, at, width))


@np.errstate(over="ignore", invalid="ignore")
def range_stats(
    values: Floats,
    low: Ints,
    high: Ints,
    measures: tuple[Measure, ...],
    instants: Instants | None = None,
) -> Taken:
    """Each measure over values[low:high]; some need the instants of the values."""
    ranges = Ranges(values, low, high, instants)
    return combined(measures, {part: ranges.each(part.at_points) for part in aggregates(measures)})


@np.errstate(over="ignore", invalid="ignore")
def _sliding_stats(slide: Slide, measures: tuple[Measure, ...]) -> Taken:
    parts = aggregates(measures)
    rolled = iter(slide.rolled(p.sliding.roll for p in parts if isinstance(p.sliding, Rolled)))
    found: dict[Aggregate, Floats | Ints] = {}
    for part in parts:
        if part.sliding is None:
            found[part] = slide.ranges.each(part.at_points)
        elif isinstance(part.sliding, Whole):
            found[part] = part.sliding.at_points(slide)
        elif not isinstance(part.sliding, Rolled):
            found[part] = slide.read_anew(part.at_points, *part.sliding(slide))
        else:
            slid, doubtful = next(rolled), part.sliding.doubtful
            if doubtful is None:
                found[part] = slide.at_points(slid)
            else:
                found[part] = slide.read_anew(part.at_points, slid, doubtful(slide, slid))
    newest = slide.newest()
    return combined(measures, {part: _settled(part, found[part], newest) for part in parts})


def _settled(part: Aggregate, slid: Floats | Ints, newest: Newest) -> Floats | Ints:
    """An aggregate as it slid, but for windows whose bounds say all there is to say."""
    match part.flat:
        case "value":
            slid = newest.put(slid, newest.flat, newest.value)
        case "zero":
            slid = newest.put(slid, newest.flat & newest.several, 0.0)
        case None:
            pass
        case _:
            assert_never(part.flat)
    return newest.put(slid, newest.empty, np.nan)


def combined(measures: tuple[Measure, ...], found: Mapping[Aggregate, Floats | Ints]) -> Taken:
    """Each measure from its aggregates, which are NaN where a window is empty."""
    taken: Taken = {}
    for measure in measures:
        row = statistic_of(measure)
        value: Floats = row.combine(*(found[part] for part in row.parts))
        if row.empty is not None:
            value = np.where(np.isnan(value), row.empty, value)
        taken[measure] = value.astype(np.int64) if row.integer else finite(value)
    return taken


def column_of(
    taken: Taken, measure: Measure, min_count: int, unknown: Mask | None
) -> Floats | Ints:
    """A feature's column: null where fewer values are there, and where its zone is not known.

    With a `min_count` beyond 1, COUNT has been taken too.
    """
    column = taken[measure]
    if min_count > 1:
        column = np.where(taken[COUNT] < min_count, np.nan, column)
    return column if unknown is None else np.where(unknown, np.nan, column)


def _is_dense(
    keys: Ints, at: Ints, width: int, closed: Closed, measures: tuple[Measure, ...]
) -> bool:
    if len(at) <= _FEW_POINTS:
        return False
    slidable = [part for part in aggregates(measures) if part.sliding is not None]
    if not slidable:
        return False
    sample = at[:: len(at) // 1024]
    low, high = window_bounds(keys, sample, width, closed)
    size = float((high - low).mean())
    gathered = any(part.gathers for part in slidable)
    return len(at) * (_PER_POINT + size / (_DENSE if gathered else _DENSE_REDUCED)) > (
        len(keys) + len(at)
    )
