"""Ranges of rows of one sorted axis, each read by itself, in two passes.

All arrays live on one axis of int64 keys, sorted: an entity's times, then the next entity's, far
enough apart that no window reaches over. NaN stands for null in every result.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import cached_property
from itertools import pairwise

import numpy as np

from ai_hub.definitions.kinds import Closed
from ai_hub.engines.arrays import Floats, Ints

# Gathered window values held at once; bounds the memory of the two-pass statistics.
_GATHER = 1 << 20


def window_bounds(keys: Ints, at: Ints, width: int, closed: Closed) -> tuple[Ints, Ints]:
    """The rows [low, high) of `keys` in the window of `width` that ends at each of `at`."""
    low = np.searchsorted(keys, at - width, "left" if closed in ("both", "left") else "right")
    high = np.searchsorted(keys, at, "right" if closed in ("both", "right") else "left")
    return low, np.maximum(low, high)


def finite(values: Floats) -> Floats:
    """What overflowed has no value: a number that JSON and models cannot hold is null."""
    bad = np.isinf(values)
    return np.where(bad, np.nan, values) if bad.any() else values


def gathered_rows(starts: Ints, sizes: Ints) -> tuple[Ints, Ints]:
    """The rows of all ranges one after the other, and where each range begins among them."""
    offsets = np.cumsum(sizes) - sizes
    return np.arange(int(sizes.sum())) + np.repeat(starts - offsets, sizes), offsets


class Ranges:
    """Aggregates of the ranges [low, high) of an array that are not empty.

    `each` gives one for all ranges. What overflows is left to the caller to silence.
    """

    def __init__(self, values: Floats, low: Ints, high: Ints) -> None:
        sizes = high - low
        filled = sizes > 0
        everywhere = len(sizes) > 0 and bool(filled.all())
        self._filled = None if everywhere else filled
        self._values = values
        self._starts = low if everywhere else low[filled]
        self._ends = high if everywhere else high[filled]
        self.sizes: Ints = sizes if everywhere else sizes[filled]

    def each(self, aggregate: Callable[[Ranges], Floats | Ints]) -> Floats | Ints:
        """An aggregate of every range; NaN where a range is empty."""
        if self._filled is None:
            return aggregate(self)
        whole = np.full(len(self._filled), np.nan)
        if len(self.sizes):
            whole[self._filled] = aggregate(self)
        return whole

    @cached_property
    def sum(self) -> Floats:
        """The sum of the values."""
        return self._reduced(np.add)

    @property
    def mean(self) -> Floats:
        """The mean of the values."""
        return self.sum / self.sizes

    @property
    def min(self) -> Floats:
        """The least of the values."""
        return self._reduced(np.minimum)

    @property
    def max(self) -> Floats:
        """The greatest of the values."""
        return self._reduced(np.maximum)

    @property
    def std(self) -> Floats:
        """Sample standard deviation by deviations from the mean, corrected for its rounding."""
        result, mean = np.full(len(self.sizes), np.nan), self.mean
        for part, members, offsets, size in self._gathered():
            deviation = members - np.repeat(mean[part], size)
            drift = np.add.reduceat(deviation, offsets)
            squares = np.add.reduceat(deviation * deviation, offsets) - drift * drift / size
            many = size > 1
            result[part] = np.where(
                many, np.sqrt(np.maximum(squares, 0) / np.where(many, size - 1, 1)), np.nan
            )
        return result

    @property
    def median(self) -> Floats:
        """The middle value, or the mean of the two in the middle."""
        result = np.empty(len(self.sizes))
        for part, members, offsets, size in self._gathered():
            ordered = members[np.lexsort((members, np.repeat(np.arange(len(size)), size)))]
            low, high = ordered[offsets + (size - 1) // 2], ordered[offsets + size // 2]
            result[part] = np.where(size % 2, low, (low + high) / 2)
        return result

    def _reduced(self, function: np.ufunc) -> Floats:
        values, bounds = self._values, np.empty(2 * len(self.sizes), np.int64)
        bounds[0::2] = self._starts
        bounds[1::2] = self._ends
        # reduceat wants every bound inside; the last value repeated is part of no wanted range.
        if self._ends.max() == len(values):
            values = np.append(values, values[-1])
        reduced: Floats = function.reduceat(values, bounds)[::2]
        return reduced

    def _gathered(self) -> Iterator[tuple[slice, Floats, Ints, Ints]]:
        """Some ranges at a time, as many as hold about _GATHER values: which ones, their values one
        range after the other, where each range begins among these, and their sizes."""
        ends = np.cumsum(self.sizes)
        edges = [0, len(ends)]
        if ends[-1] > _GATHER:
            cuts = np.searchsorted(ends, np.arange(_GATHER, ends[-1], _GATHER))
            edges = np.unique(np.concatenate((edges, cuts))).tolist()
        for a, b in pairwise(edges):
            part = slice(a, b)
            rows, offsets = gathered_rows(self._starts[part], self.sizes[part])
            yield part, self._values[rows], offsets, self.sizes[part]
