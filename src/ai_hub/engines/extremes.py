"""The extremes of many overlapping ranges, by doubling: none is read value by value.

`levels[k][i]` is the extreme of the 2**k values from row i on. A range of any size is covered by
two of these that may overlap, which does not matter to a least or a greatest.
"""

from __future__ import annotations

import numpy as np

from ai_hub.engines.arrays import Floats, Ints


def extremes(function: np.ufunc, values: Floats, low: Ints, high: Ints) -> Floats:
    """`function` (np.minimum or np.maximum) of values[low:high]; NaN where that is empty."""
    sizes = high - low
    most = int(sizes.max(initial=0))
    if most < 1:
        return np.full(len(sizes), np.nan)
    levels = [values]
    while (width := 1 << len(levels)) <= most:
        shorter = levels[-1]
        levels.append(function(shorter[: -width // 2], shorter[width // 2 :]))
    # Nearly all ranges are of about one size: the longest level serves all, and then the few that
    # are too short for it are made anew.
    longest = len(levels) - 1
    found = _covered(function, levels[longest], low, high, 1 << longest)
    rest = np.flatnonzero(sizes < 1 << longest)
    for level in range(longest - 1, -1, -1):
        fits = sizes[rest] >= 1 << level
        now, rest = rest[fits], rest[~fits]
        found[now] = _covered(function, levels[level], low[now], high[now], 1 << level)
    found[rest] = np.nan
    return found


def _covered(function: np.ufunc, level: Floats, low: Ints, high: Ints, width: int) -> Floats:
    found: Floats = level.take(low, mode="clip")
    function(found, level.take(high - width, mode="clip"), out=found)
    return found
