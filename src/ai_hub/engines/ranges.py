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
from ai_hub.engines.arrays import Floats, Ints, Mask

# Gathered window values held at once; bounds the memory of the two-pass statistics.
_GATHER = 1 << 20
# What values are multiplied by where a sum of them, or of their squares, is no float.
_SCALE = 2.0**-64
_SQUARE_SCALE = 2.0**-600


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


def run_starts(values: Floats) -> Ints:
    """For each value, where the run of equal values begins that it belongs to."""
    starts = np.arange(len(values))
    starts[1:][values[1:] == values[:-1]] = 0
    begins: Ints = np.maximum.accumulate(starts)
    return begins


def slices(sizes: Ints) -> Iterator[slice]:
    """Some ranges at a time, as many as hold about _GATHER values together."""
    ends = np.cumsum(sizes)
    edges = [0, len(ends)]
    if len(ends) and ends[-1] > _GATHER:
        cuts = np.searchsorted(ends, np.arange(_GATHER, ends[-1], _GATHER))
        edges = np.unique(np.concatenate((edges, cuts))).tolist()
    return (slice(a, b) for a, b in pairwise(edges))


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
        """The sum of the values; infinite where no float holds it."""
        total = self._added
        return total if self._huge is None else np.where(self._huge, self._scaled / _SCALE, total)

    @cached_property
    def mean(self) -> Floats:
        """The mean of the values; where they are all the same, that value to the bit."""
        mean = self._added / self.sizes
        if self._huge is not None:
            mean = np.where(self._huge, self._scaled / self.sizes / _SCALE, mean)
        return np.where(self._flat, self._values[self._starts], mean)

    @property
    def min(self) -> Floats:
        """The least of the values."""
        return self._reduced(np.minimum, self._values)

    @property
    def max(self) -> Floats:
        """The greatest of the values."""
        return self._reduced(np.maximum, self._values)

    @property
    def std(self) -> Floats:
        """Sample standard deviation, in two passes; of values that are all the same, 0."""
        result = np.empty(len(self.sizes))
        for part, members, offsets, size in self._gathered():
            centre = np.repeat(self.mean[part], size)
            spread = _root_of_squares(members - centre, offsets, size)
            if not np.isfinite(spread).all():
                small = members * _SQUARE_SCALE - centre * _SQUARE_SCALE
                scaled = _root_of_squares(small, offsets, size) / _SQUARE_SCALE
                spread = np.where(np.isfinite(spread), spread, scaled)
            result[part] = np.where(size > 1, spread, np.nan)
        return result

    @property
    def median(self) -> Floats:
        """The middle value, or the mean of the two in the middle."""
        result = np.empty(len(self.sizes))
        for part, members, offsets, size in self._gathered():
            ordered = members[np.lexsort((members, np.repeat(np.arange(len(size)), size)))]
            low, high = ordered[offsets + (size - 1) // 2], ordered[offsets + size // 2]
            middle = low + high
            halves = low / 2 + high / 2
            result[part] = np.where(
                size % 2, low, np.where(np.isfinite(middle), middle / 2, halves)
            )
        return result

    @cached_property
    def _flat(self) -> Mask:
        """Where all values are the same."""
        flat: Mask = run_starts(self._values)[self._ends - 1] <= self._starts
        return flat

    @cached_property
    def _added(self) -> Floats:
        return self._reduced(np.add, self._values)

    @cached_property
    def _huge(self) -> Mask | None:
        """Where adding the values up left the floats, if anywhere."""
        huge: Mask = ~np.isfinite(self._added)
        return huge if huge.any() else None

    @cached_property
    def _scaled(self) -> Floats:
        """The sum of the values times `_SCALE`: a power of two, which costs no digit."""
        return self._reduced(np.add, self._values * _SCALE)

    def _reduced(self, function: np.ufunc, values: Floats) -> Floats:
        bounds = np.empty(2 * len(self.sizes), np.int64)
        bounds[0::2] = self._starts
        bounds[1::2] = self._ends
        # reduceat wants every bound inside; the last value repeated is part of no wanted range.
        if self._ends.max() == len(values):
            values = np.append(values, values[-1])
        reduced: Floats = function.reduceat(values, bounds)[::2]
        return reduced

    def _gathered(self) -> Iterator[tuple[slice, Floats, Ints, Ints]]:
        """Some ranges at a time: which ones, their values one range after the other, where each
        range begins among these, and their sizes."""
        for part in slices(self.sizes):
            rows, offsets = gathered_rows(self._starts[part], self.sizes[part])
            yield part, self._values[rows], offsets, self.sizes[part]


def _root_of_squares(deviation: Floats, offsets: Ints, size: Ints) -> Floats:
    """sqrt(sum of squares / (n - 1)) of each range, corrected for the rounding of its mean."""
    drift = np.add.reduceat(deviation, offsets)
    squares = np.add.reduceat(deviation * deviation, offsets) - drift * drift / size
    root: Floats = np.sqrt(np.maximum(squares, 0) / np.maximum(size - 1, 1))
    return root
