"""Statistics of trailing windows by sliding over every row, in Polars."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeVar

import numpy as np
import polars as pl
from numpy.typing import NDArray

from ai_hub.definitions.kinds import Closed, Stat
from ai_hub.engines.arrays import Columns, Floats, Ints
from ai_hub.engines.ranges import finite, gathered_rows, range_stats, window_bounds

# A block is this many windows long, anchored on one of its own values.
_BLOCK_WINDOWS = 8
# Below this share of its block's spread a sliding std may have lost digits: it is recomputed.
_TRUSTED_SHARE = 1e-2
# A sliding sum keeps at most this share of the greatest sum of magnitudes it has seen as rounding
# (measured: a tenth of it). Where that exceeds half the tolerance, the window is read by itself.
_SUM_ROUNDING = 2.0**-47
_HALF_TOLERANCE = 5e-10

_Number = TypeVar("_Number", np.int64, np.float64, np.bool_)


@dataclass(frozen=True, slots=True)
class _Slide:
    """Observations (`keys`, `values`) and the axis to slide over, which holds every point too.

    Rows of the axis that are points alone have no value (NaN, if `gaps`). `rows` says where the
    points are on it; None where they are all of it.
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

    @classmethod
    def of(
        cls, keys: Ints, values: Floats, at: Ints, span: int, width: int, closed: Closed
    ) -> _Slide:
        if len(at) == len(keys) and np.array_equal(at, keys):
            return cls(keys, values, keys, values, False, None, span, width, closed)
        rows = np.searchsorted(keys, at)
        known = rows < len(keys)
        known[known] = keys[rows[known]] == at[known]
        if known.all():
            return cls(keys, values, keys, values, False, rows, span, width, closed)
        axis = np.union1d(keys, at)
        axis_values = np.full(len(axis), np.nan)
        axis_values[np.searchsorted(axis, keys)] = values
        rows = np.searchsorted(axis, at)
        return cls(keys, values, axis, axis_values, True, rows, span, width, closed)

    def frame(self, keys: Ints, values: Floats) -> pl.DataFrame:
        """Sorted keys and their values for Polars, nulls where there is none."""
        frame = pl.DataFrame({"key": keys, "value": values}).with_columns(
            pl.col("key").set_sorted()
        )
        return frame.with_columns(pl.col("value").fill_nan(None)) if self.gaps else frame

    def at_points(self, column: NDArray[_Number]) -> NDArray[_Number]:
        """A column over the axis, at the points."""
        return column if self.rows is None else column[self.rows]

    def read_anew(self, stat: Stat, slid: Floats, doubtful: NDArray[np.bool_]) -> Floats:
        """What slid, at the points, with the doubtful windows read by themselves instead."""
        if not doubtful.any():
            return slid
        low, high = window_bounds(
            self.keys, self.at_points(self.axis)[doubtful], self.width, self.closed
        )
        read = slid.copy()
        read[doubtful] = range_stats(self.values, low, high, (stat,))[stat]
        return read


def sliding_stats(
    keys: Ints,
    values: Floats,
    at: Ints,
    span: int,
    width: int,
    closed: Closed,
    stats: tuple[Stat, ...],
) -> Columns:
    """Each statistic over the window of `width` that ends at each of `at` (sorted keys)."""
    slide = _Slide.of(keys, values, at, span, width, closed)
    size = f"{width}i"
    value = pl.col("value")
    wanted = set(stats)
    if "range" in wanted:
        wanted |= {"min", "max"}
    ways = {
        "mean": value.rolling_mean_by,
        "sum": value.rolling_sum_by,
        "min": value.rolling_min_by,
        "max": value.rolling_max_by,
        "median": value.rolling_median_by,
        "count": value.is_not_null().cast(pl.Int64).rolling_sum_by,
    }
    found = slide.frame(slide.axis, slide.axis_values).select(
        ways[stat]("key", size, closed=closed).alias(stat) for stat in ways if stat in wanted
    )
    columns: Columns = {}
    for stat in stats:
        if stat == "std":
            columns[stat] = _sliding_std(slide)
        elif stat == "range":
            with np.errstate(over="ignore"):
                spread = found["max"].to_numpy() - found["min"].to_numpy()
            columns[stat] = finite(slide.at_points(spread))
        elif stat == "count":
            columns[stat] = slide.at_points(found[stat].fill_null(0).to_numpy())
        elif stat in ("mean", "sum"):
            columns[stat] = _mended(stat, found[stat].to_numpy(), slide)
        elif stat == "median":
            # Polars goes from one middle value to the other by their difference, which overflows.
            slid = slide.at_points(found[stat].to_numpy())
            columns[stat] = slide.read_anew(stat, slid, ~np.isfinite(slid))
        else:
            columns[stat] = finite(slide.at_points(found[stat].to_numpy()))
    return columns


def _mended(stat: Stat, slid: Floats, slide: _Slide) -> Floats:
    """A sliding mean or sum, read anew where a value long gone may have left its rounding behind.

    Polars begins again where windows do not overlap, so each entity has rounding of its own.
    """
    keys, values, axis, width = slide.keys, slide.values, slide.axis, slide.width
    slid = finite(slid)
    tolerated = _HALF_TOLERANCE * np.fmax(np.abs(slid), 1)
    # Over an empty window Polars' sum is 0.
    doubtful = slid == 0 if stat == "sum" else np.isnan(slid)
    most = min(len(keys), width // int(np.diff(keys).min(initial=width)) + 1)
    with np.errstate(over="ignore", invalid="ignore"):
        if _SUM_ROUNDING * most * np.abs(values).max() > tolerated.min():
            owner = axis // slide.span
            firsts = np.flatnonzero(np.diff(owner, prepend=owner[0] - 1))
            sizes = np.diff(firsts, append=len(axis))
            low, high = window_bounds(keys, axis, width, "both")
            held = high - low
            rounding = _SUM_ROUNDING * np.fmax.reduceat(np.abs(slide.axis_values), firsts)
            rounding *= np.maximum.reduceat(held, firsts)
            shares = np.maximum(held, 1) if stat == "mean" else 1
            doubtful |= ~(np.repeat(rounding, sizes) / shares <= tolerated)
    return slide.read_anew(stat, slide.at_points(slid), slide.at_points(doubtful))


def _sliding_std(slide: _Slide) -> Floats:
    """Sliding sample std in blocks of a few windows, each on its own anchor.

    A sliding variance keeps the rounding of the largest value it has seen. Blocks end that memory
    and a share of the block's spread bounds it; what is below the share is computed in two passes.
    """
    axis, width = slide.axis, slide.width
    length = _BLOCK_WINDOWS * width
    owner, offset = np.divmod(axis, slide.span)
    block = owner * (slide.span // length + 1) + offset // length
    firsts = np.flatnonzero(np.diff(block, prepend=block[0] - 1))
    ends = np.append(firsts[1:], len(axis))
    leads = np.searchsorted(axis, axis[firsts] - width)
    sizes = ends - leads
    positions, offsets = gathered_rows(leads, sizes)
    members = slide.axis_values[positions]
    smallest = np.fmin.reduceat(members, offsets)
    with np.errstate(over="ignore", invalid="ignore"):
        spread = np.fmax.reduceat(members, offsets) - smallest
        members -= np.repeat(np.nan_to_num(smallest), sizes)
    # Two windows and more between blocks: no window reaches into the block before.
    apart = axis[positions] + np.repeat(np.arange(len(firsts)) * (2 * width + 2), sizes)
    slid = (
        slide.frame(apart, members)
        .select(
            pl.col("value").rolling_std_by(
                "key", window_size=f"{width}i", closed=slide.closed, min_samples=2
            )
        )["value"]
        .to_numpy()
    )
    own = positions >= np.repeat(firsts, sizes)
    std = slide.at_points(slid[own])
    floor = slide.at_points(np.repeat(_TRUSTED_SHARE * spread, ends - firsts))
    return slide.read_anew("std", std, ~((std >= floor) & np.isfinite(std)))
