"""Trailing windows that slide over every row, in Polars.

What overflows is left to the caller to silence.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cached_property
from typing import TypedDict, TypeVar

import numpy as np
import polars as pl
from numpy.typing import NDArray

from ai_hub.definitions.vocabulary import Closed
from ai_hub.engines.arrays import Floats, Ints, Mask
from ai_hub.engines.extremes import extremes
from ai_hub.engines.ranges import (
    Bounds,
    Instants,
    Ranges,
    finite,
    gathered_rows,
    run_starts,
    window_bounds,
)

# A block is this many windows long, anchored on one of its own values.
_BLOCK_WINDOWS = 8
# Below this share of its block's spread a sliding std may have lost digits: it is recomputed.
_TRUSTED_SHARE = 1e-2
# A sliding sum keeps at most this share of the greatest sum of magnitudes it has seen as rounding
# (measured: a tenth of it). Where that exceeds half the tolerance, the window is read by itself.
_SUM_ROUNDING = 2.0**-47
_HALF_TOLERANCE = 5e-10

_Number = TypeVar("_Number", np.int64, np.float64, np.bool_)


class Window(TypedDict):
    """A trailing window as Polars' rolling functions take it."""

    by: pl.Expr
    window_size: str
    closed: Closed


Roll = Callable[[pl.Expr, Window], pl.Expr]
"""A column of values to its aggregate over a window that ends at each row."""


def _merged(keys: Ints, at: Ints) -> Ints:
    """Two sorted arrays as one, each value once."""
    # Two runs, which a stable sort only merges.
    both = np.sort(np.concatenate((keys, at)), kind="stable")
    merged: Ints = both[np.append(True, both[1:] != both[:-1])]
    return merged


@dataclass(frozen=True)
class Slide:
    """Observations (`keys`, `values`) and the axis to slide over, which holds every point too.

    Rows of the axis that are points alone have no value (NaN, if `gaps`). `rows` says where the
    points are on it; None where they are all of it. `bounds` finds the rows of their windows.
    """

    keys: Ints
    values: Floats
    axis: Ints
    axis_values: Floats
    gaps: bool
    rows: Ints | None
    span: int
    width: int
    closed: Closed
    bounds: Bounds

    @classmethod
    def of(
        cls,
        keys: Ints,
        values: Floats,
        at: Ints,
        span: int,
        width: int,
        closed: Closed,
        bounds: Bounds,
    ) -> Slide:
        """The slide over some observations for some points."""
        if at is keys or (len(at) == len(keys) and np.array_equal(at, keys)):
            return cls(keys, values, keys, values, False, None, span, width, closed, bounds)
        rows = np.searchsorted(keys, at)
        known = rows < len(keys)
        known[known] = keys[rows[known]] == at[known]
        if known.all():
            return cls(keys, values, keys, values, False, rows, span, width, closed, bounds)
        axis = _merged(keys, at)
        axis_values = np.full(len(axis), np.nan)
        axis_values[np.searchsorted(axis, keys)] = values
        rows = np.searchsorted(axis, at)
        return cls(keys, values, axis, axis_values, True, rows, span, width, closed, bounds)

    def at_points(self, column: NDArray[_Number]) -> NDArray[_Number]:
        """A column over the axis, at the points."""
        return column if self.rows is None else column[self.rows]

    @cached_property
    def windows(self) -> tuple[Ints, Ints]:
        """The rows [low, high) of the observations in the window at each point."""
        return self.bounds(self.width, self.closed)

    @property
    def ranges(self) -> Ranges:
        """The windows at the points, to be read one by one."""
        instants = Instants(self.keys, self.at_points(self.axis), self.width)
        return Ranges(self.values, *self.windows, instants)

    @property
    def min(self) -> Floats:
        """The least value of the window at each point."""
        return extremes(np.minimum, self.values, *self.windows)

    @property
    def max(self) -> Floats:
        """The greatest."""
        return extremes(np.maximum, self.values, *self.windows)

    def read_anew(
        self, aggregate: Callable[[Ranges], Floats | Ints], slid: Floats, doubtful: Mask
    ) -> Floats:
        """What slid, at the points, with the doubtful windows read by themselves instead."""
        slid, doubtful = self.at_points(slid), self.at_points(doubtful)
        if not doubtful.any():
            return slid
        low, high = window_bounds(
            self.keys, self.at_points(self.axis)[doubtful], self.width, self.closed
        )
        read = slid.copy()
        read[doubtful] = Ranges(self.values, low, high).each(aggregate)
        return read

    def rolled(self, rolls: Iterable[Roll]) -> list[Floats]:
        """What Polars rolls over the axis, side by side."""
        columns = [
            roll(pl.col("value"), self._window).alias(str(i)) for i, roll in enumerate(rolls)
        ]
        found = self._frame(self.axis, self.axis_values).select(columns)
        return [column.to_numpy() for column in found.get_columns()]

    def std(self) -> tuple[Floats, Mask]:
        """Sliding sample std in blocks of a few windows, each on its own anchor; where in doubt.

        A sliding variance keeps the rounding of the largest value it has seen. Blocks end that
        memory and a share of the block's spread bounds it; below the share it is in doubt.
        """
        axis, width = self.axis, self.width
        length = _BLOCK_WINDOWS * width
        owner = axis // self.span
        # Not by `divmod`, which takes far longer.
        offset = axis - owner * self.span
        block = owner * (self.span // length + 1) + offset // length
        firsts = np.flatnonzero(np.diff(block, prepend=block[0] - 1))
        ends = np.append(firsts[1:], len(axis))
        leads = np.searchsorted(axis, axis[firsts] - width)
        sizes = ends - leads
        positions, offsets = gathered_rows(leads, sizes)
        members = self.axis_values[positions]
        smallest = np.fmin.reduceat(members, offsets)
        spread = np.fmax.reduceat(members, offsets) - smallest
        members -= np.repeat(np.nan_to_num(smallest), sizes)
        # Two windows and more between blocks: no window reaches into the block before.
        apart = axis[positions] + np.repeat(np.arange(len(firsts)) * (2 * width + 2), sizes)
        rolled = pl.col("value").rolling_std_by(min_samples=2, **self._window)
        slid = self._frame(apart, members).select(rolled)["value"].to_numpy()
        std = slid[positions >= np.repeat(firsts, sizes)]
        floor = np.repeat(_TRUSTED_SHARE * spread, ends - firsts)
        return std, ~((std >= floor) & np.isfinite(std))

    def doubtful_means(self, slid: Floats) -> Mask:
        """Where a sliding mean is missing, or may be off."""
        return ~np.isfinite(slid) | self._may_be_off(finite(slid), shared=True)

    def doubtful_sums(self, slid: Floats) -> Mask:
        """Where a sliding sum may be off."""
        return self._may_be_off(finite(slid), shared=False)

    def missing(self, slid: Floats) -> Mask:
        """Where nothing came of it: the window may be empty, or a step overflowed on the way.

        Polars goes from one middle value to the other by their difference.
        """
        missing: Mask = ~np.isfinite(slid)
        return missing

    def _may_be_off(self, slid: Floats, shared: bool) -> Mask:
        """Where a value long gone may have left too much rounding behind in a sum.

        `shared`: the sums are divided by the number of values. Polars begins again where windows
        do not overlap, so each entity has rounding of its own.
        """
        keys, axis, width = self.keys, self.axis, self.width
        most = min(len(keys), width // int(np.diff(keys).min(initial=width)) + 1)
        greatest = max(float(self.values.max()), -float(self.values.min()))
        if _SUM_ROUNDING * most * greatest <= _HALF_TOLERANCE:
            return np.zeros(len(slid), bool)
        tolerated = _HALF_TOLERANCE * np.fmax(np.abs(slid), 1)
        if _SUM_ROUNDING * most * greatest <= tolerated.min():
            return np.zeros(len(slid), bool)
        owner = axis // self.span
        firsts = np.flatnonzero(np.diff(owner, prepend=owner[0] - 1))
        sizes = np.diff(firsts, append=len(axis))
        low, high = window_bounds(keys, axis, width, "both")
        counts = high - low
        rounding = _SUM_ROUNDING * np.fmax.reduceat(np.abs(self.axis_values), firsts)
        rounding *= np.maximum.reduceat(counts, firsts)
        shares = np.maximum(counts, 1) if shared else 1
        off: Mask = ~(np.repeat(rounding, sizes) / shares <= tolerated)
        return off

    def newest(self) -> Newest:
        """What the bounds of the windows at the points say of them."""
        return Newest.of(self)

    def inside(self, keys: Ints, at: Ints) -> Mask:
        """Whether observations that are early enough for a window are also late enough."""
        first = at - self.width
        return keys >= first if self.closed in ("both", "left") else keys > first

    @property
    def _window(self) -> Window:
        by = pl.col("key").set_sorted()
        return {"by": by, "window_size": f"{self.width}i", "closed": self.closed}

    def _frame(self, keys: Ints, values: Floats) -> pl.DataFrame:
        """Sorted keys and their values for Polars, nulls where there is none."""
        frame = pl.DataFrame({"key": keys, "value": values})
        return frame.with_columns(pl.col("value").fill_nan(None)) if self.gaps else frame


@dataclass(frozen=True, slots=True)
class Newest:
    """What the bounds of a window say of it, whatever slid: whether it is empty, holds several
    values, and whether these are all the same as the newest of them.

    The values of a window are the same if the run of equal values that the newest belongs to begins
    before the window does. `rows` are the points of which anything may be said; None: all of them.
    """

    value: Floats
    empty: Mask
    flat: Mask
    several: Mask
    rows: Ints | None = None

    @classmethod
    def of(cls, slide: Slide) -> Newest:
        """Of the windows at every point of a slide."""
        if slide.rows is None and not slide.gaps and slide.closed in ("both", "right"):
            return cls._of_observations(slide)
        keys, at = slide.keys, slide.at_points(slide.axis)
        row, own = np.arange(len(slide.axis)), np.ones(len(slide.axis), np.int64)
        if slide.gaps:
            own = (~np.isnan(slide.axis_values)).astype(np.int64)
            row = np.cumsum(own) - 1
        if slide.closed in ("left", "none"):
            row = row - own
        row = slide.at_points(row)
        held = (row >= 0) & slide.inside(keys[row], at)
        begins = run_starts(slide.values)[row]
        flat = held & ((begins == 0) | ~slide.inside(keys[begins - 1], at))
        several = held & (row > 0) & slide.inside(keys[np.maximum(row - 1, 0)], at)
        return cls(slide.values[row], ~held, flat, several)

    @classmethod
    def _of_observations(cls, slide: Slide) -> Newest:
        """Of windows that end with an observation of their own: where that differs from another in
        the window, as it nearly always does, nothing is to be said."""
        keys, values = slide.keys, slide.values
        again = np.append(False, values[1:] == values[:-1])
        alone = np.append(True, ~slide.inside(keys[:-1], keys[1:]))
        rows = np.flatnonzero(again | alone)
        again, alone = again[rows], alone[rows]
        # A run begins with what differs from the value before it: that may be no row of these.
        begins = np.where(again, rows - 1, rows)
        begins[1:][again[1:] & (np.diff(rows) == 1)] = 0
        begins = np.maximum.accumulate(begins)
        flat = (begins == 0) | ~slide.inside(keys[begins - 1], keys[rows])
        return cls(values[rows], np.zeros(len(rows), bool), flat, ~alone, rows)

    def put(self, column: Floats | Ints, where: Mask, value: Floats | float) -> Floats | Ints:
        """A column of all points with other values where a mask of these holds."""
        if self.rows is None:
            return np.where(where, value, column) if where.any() else column
        if not where.any():
            return column
        column = column.astype(np.float64)
        column[self.rows[where]] = value if isinstance(value, float) else value[where]
        return column
