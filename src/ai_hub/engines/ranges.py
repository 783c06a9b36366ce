"""Ranges of rows of one sorted axis, each read by itself, in two passes.

All arrays live on one axis of int64 keys, sorted: an entity's times, then the next entity's, far
enough apart that no window reaches over. NaN stands for null in every result.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import cached_property
from itertools import pairwise
from typing import NamedTuple

import numpy as np

from ai_hub.definitions.vocabulary import Closed
from ai_hub.engines.arrays import Floats, Ints, Mask, anywhere, everywhere

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


Bounds = Callable[[int, Closed], tuple[Ints, Ints]]
"""The same for some keys and instants, by width and closed ends."""


def finite(values: Floats) -> Floats:
    """What overflowed has no value: a number that JSON and models cannot hold is null."""
    bad = np.isinf(values)
    return np.where(bad, np.nan, values) if anywhere(bad) else values


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


class Instants(NamedTuple):
    """When values are (`keys`), and each range's t (`at`) and how long it is up to t (`lengths`).

    All are microseconds, keys and t on one axis.
    """

    keys: Ints
    at: Ints
    lengths: Ints | int


class Ranges:
    """Aggregates of the ranges [low, high) of an array that are not empty.

    `each` gives one for all ranges. What overflows is left to the caller to silence. `instants` are
    needed by what depends on when values are, or how long a range is.
    """

    def __init__(
        self, values: Floats, low: Ints, high: Ints, instants: Instants | None = None
    ) -> None:
        sizes = high - low
        filled = sizes > 0
        all_filled = len(sizes) > 0 and everywhere(filled)
        self._filled = None if all_filled else filled
        self._values = values
        self._instants = instants
        self._starts = low if all_filled else low[filled]
        self._ends = high if all_filled else high[filled]
        self.sizes: Ints = sizes if all_filled else sizes[filled]

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
            if not everywhere(np.isfinite(spread)):
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

    def quantile(self, q: float) -> Floats:
        """Linear between order statistics, at (n-1) q."""
        result = np.empty(len(self.sizes))
        for part, members, offsets, size in self._gathered():
            ordered = members[np.lexsort((members, np.repeat(np.arange(len(size)), size)))]
            place = (size - 1) * q
            row = np.floor(place).astype(np.int64)
            share = place - row
            low = ordered[offsets + row]
            high = ordered[offsets + np.minimum(row + 1, size - 1)]
            # Equal neighbours are their value to the bit.
            between = low * (1 - share) + high * share
            result[part] = np.where(low == high, low, between)
        return result

    @property
    def first(self) -> Floats:
        """The earliest value."""
        return self._values[self._starts]

    @property
    def last(self) -> Floats:
        """The latest value."""
        return self._values[self._ends - 1]

    def increase(self, tolerance: float) -> Floats:
        """What a counter counted from the first value to the last; NaN for one alone."""
        before, after = self._values[:-1], self._values[1:]
        down = np.where(before - after <= tolerance, 0.0, after)
        steps = np.append(0.0, np.where(after >= before, after - before, down))
        counted = Ranges(steps, self._starts + 1, self._ends)
        return np.asarray(counted.each(lambda ranges: ranges.sum), np.float64)

    @property
    def lengths(self) -> Ints:
        """How long each range is up to t."""
        lengths = self._when.lengths
        if isinstance(lengths, int):
            return np.full(len(self.sizes), lengths)
        return self._some(lengths)

    @property
    def time_mean(self) -> Floats:
        """The mean over time of the step function that holds each value until the next, up to t."""
        keys, at = self._when.keys, self._some(self._when.at)
        first, last = keys[self._starts], keys[self._ends - 1]
        held = np.append(np.diff(keys), 0)
        total = at - first
        long = np.maximum(total, 1)

        def weighted(scale: float) -> Floats:
            values = self._values * scale
            inner = Ranges(values * held, self._starts, self._ends - 1)
            # Of one value alone nothing is inside.
            sums = np.where(self.sizes > 1, inner.each(lambda ranges: ranges._added), 0.0)
            mean: Floats = (sums + self.last * scale * (at - last)) / long / scale
            return mean

        mean = weighted(1.0)
        if not everywhere(np.isfinite(mean)):
            mean = np.where(np.isfinite(mean), mean, weighted(_SCALE))
        return np.where(self._flat, self.first, mean)

    def ewm(self, halflife: int) -> Floats:
        """The mean, where each value weighs half as much as one a halflife later."""
        keys = self._when.keys
        result = np.empty(len(self.sizes))
        for part, rows, offsets, size in self._gathered_rows():
            age = np.repeat(keys[self._ends[part] - 1], size) - keys[rows]
            weights = np.exp2(-age / halflife)
            members = self._values[rows]
            total = np.add.reduceat(weights, offsets)
            mean = np.add.reduceat(members * weights, offsets) / total
            if not everywhere(np.isfinite(mean)):
                small = np.add.reduceat(members * _SCALE * weights, offsets) / total / _SCALE
                mean = np.where(np.isfinite(mean), mean, small)
            result[part] = mean
        return np.where(self._flat, self.first, result)

    @property
    def _when(self) -> Instants:
        assert self._instants is not None, "this aggregate depends on when values are"
        return self._instants

    def _some(self, each: Ints) -> Ints:
        """Of a number for every range those of the ranges that are not empty."""
        return each if self._filled is None else each[self._filled]

    @cached_property
    def _flat(self) -> Mask:
        """Where all values are the same."""
        values, starts, last = self._values, self._starts, self._ends - 1
        # Nearly all ranges begin with two different values.
        flat: Mask = values[starts] == values[np.minimum(starts + 1, last)]
        some = np.flatnonzero(flat & (last > starts))
        if len(some):
            flat[some] = run_starts(values)[last[some]] <= starts[some]
        return flat

    @cached_property
    def _added(self) -> Floats:
        return self._reduced(np.add, self._values)

    @cached_property
    def _huge(self) -> Mask | None:
        """Where adding the values up left the floats, if anywhere."""
        huge: Mask = ~np.isfinite(self._added)
        return huge if anywhere(huge) else None

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
        for part, rows, offsets, sizes in self._gathered_rows():
            yield part, self._values[rows], offsets, sizes

    def _gathered_rows(self) -> Iterator[tuple[slice, Ints, Ints, Ints]]:
        """The same with the rows of the values."""
        for part in slices(self.sizes):
            rows, offsets = gathered_rows(self._starts[part], self.sizes[part])
            yield part, rows, offsets, self.sizes[part]


def _root_of_squares(deviation: Floats, offsets: Ints, size: Ints) -> Floats:
    """sqrt(sum of squares / (n - 1)) of each range, corrected for the rounding of its mean."""
    drift = np.add.reduceat(deviation, offsets)
    squares = np.add.reduceat(deviation * deviation, offsets) - drift * drift / size
    root: Floats = np.sqrt(np.maximum(squares, 0) / np.maximum(size - 1, 1))
    return root
