"""Statistics over ranges of rows of one sorted axis, each range read by itself, in two passes.

All arrays live on one axis of int64 keys, sorted: an entity's times, then the next entity's, far
enough apart that no window reaches over. NaN stands for null in every result.
"""

from __future__ import annotations

from itertools import pairwise

import numpy as np

from ai_hub.definitions.kinds import Closed, Stat
from ai_hub.engines.arrays import Columns, Floats, Ints

# Gathered window values held at once; bounds the memory of the two-pass statistics.
_GATHER = 1 << 20


def window_bounds(keys: Ints, at: Ints, width: int, closed: Closed) -> tuple[Ints, Ints]:
    """The rows [low, high) of `keys` in the window of `width` that ends at each of `at`."""
    low = np.searchsorted(keys, at - width, "left" if closed in ("both", "left") else "right")
    high = np.searchsorted(keys, at, "right" if closed in ("both", "right") else "left")
    return low, np.maximum(low, high)


def range_stats(values: Floats, low: Ints, high: Ints, stats: tuple[Stat, ...]) -> Columns:
    """Each statistic over values[low:high], in two passes; empty ranges give NaN (count 0)."""
    count = high - low
    filled = count > 0
    everywhere = bool(filled.all())
    starts = low if everywhere else low[filled]
    ends = high if everywhere else high[filled]
    sizes = count if everywhere else count[filled]

    def spread(found: Floats) -> Floats:
        if everywhere:
            return found
        whole = np.full(len(low), np.nan)
        whole[filled] = found
        return whole

    columns: Columns = {}
    mean: Floats | None = None
    with np.errstate(over="ignore", invalid="ignore"):
        for stat in stats:
            if stat == "count":
                columns[stat] = count.astype(np.int64)
                continue
            found: Floats
            if not len(starts):
                found = np.empty(0)
            elif stat in ("mean", "sum", "std"):
                total = _reduce(np.add, values, starts, ends)
                mean = total / sizes if mean is None else mean
                found = total if stat == "sum" else mean
                if stat == "std":
                    found = _two_pass_std(values, starts, sizes, mean)
            elif stat == "min":
                found = _reduce(np.minimum, values, starts, ends)
            elif stat == "max":
                found = _reduce(np.maximum, values, starts, ends)
            elif stat == "range":
                found = _reduce(np.maximum, values, starts, ends) - _reduce(
                    np.minimum, values, starts, ends
                )
            else:
                found = _medians(values, starts, sizes)
            columns[stat] = finite(spread(found))
    return columns


def finite(values: Floats) -> Floats:
    """What overflowed has no value: a number that JSON and models cannot hold is null."""
    bad = np.isinf(values)
    return np.where(bad, np.nan, values) if bad.any() else values


def _reduce(function: np.ufunc, values: Floats, starts: Ints, ends: Ints) -> Floats:
    """function.reduce over values[start:end], none of them empty."""
    bounds = np.empty(2 * len(starts), np.int64)
    bounds[0::2] = starts
    bounds[1::2] = ends
    # reduceat wants every bound inside; the last value repeated is never part of a wanted range.
    if ends.max() == len(values):
        values = np.append(values, values[-1])
    reduced: Floats = function.reduceat(values, bounds)[::2]
    return reduced


def _slices(sizes: Ints) -> list[slice]:
    """Cuts of the windows so that each holds at most about _GATHER values."""
    ends = np.cumsum(sizes)
    if not len(ends) or ends[-1] <= _GATHER:
        return [slice(0, len(sizes))]
    cuts = np.searchsorted(ends, np.arange(_GATHER, ends[-1], _GATHER))
    edges = np.unique(np.concatenate(([0], cuts, [len(sizes)])))
    return [slice(int(a), int(b)) for a, b in pairwise(edges)]


def gathered_rows(starts: Ints, sizes: Ints) -> tuple[Ints, Ints]:
    """The rows of all windows one after the other, and where each window begins among them."""
    offsets = np.cumsum(sizes) - sizes
    return np.arange(int(sizes.sum())) + np.repeat(starts - offsets, sizes), offsets


def _gathered(values: Floats, starts: Ints, sizes: Ints) -> tuple[Floats, Ints]:
    """The values of all windows one after the other, and where each window begins."""
    rows, offsets = gathered_rows(starts, sizes)
    return values[rows], offsets


def _two_pass_std(values: Floats, starts: Ints, sizes: Ints, mean: Floats) -> Floats:
    """Sample standard deviation by deviations from the mean, corrected for the mean's rounding."""
    result = np.full(len(starts), np.nan)
    for part in _slices(sizes):
        size = sizes[part]
        members, offsets = _gathered(values, starts[part], size)
        deviation = members - np.repeat(mean[part], size)
        drift = np.add.reduceat(deviation, offsets)
        squares = np.add.reduceat(deviation * deviation, offsets) - drift * drift / size
        many = size > 1
        result[part] = np.where(
            many, np.sqrt(np.maximum(squares, 0) / np.where(many, size - 1, 1)), np.nan
        )
    return result


def _medians(values: Floats, starts: Ints, sizes: Ints) -> Floats:
    result = np.empty(len(starts))
    for part in _slices(sizes):
        size = sizes[part]
        members, offsets = _gathered(values, starts[part], size)
        ordered = members[np.lexsort((members, np.repeat(np.arange(len(size)), size)))]
        low, high = ordered[offsets + (size - 1) // 2], ordered[offsets + size // 2]
        result[part] = np.where(size % 2, low, (low + high) / 2)
    return result
