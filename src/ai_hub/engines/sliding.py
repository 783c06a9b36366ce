"""Statistics of trailing windows by sliding over every row, in Polars."""

from __future__ import annotations

from typing import TypeVar

import numpy as np
import polars as pl
from numpy.typing import NDArray

from ai_hub.definitions.kinds import Closed, Stat
from ai_hub.engines.ranges import (
    Columns,
    Floats,
    Ints,
    finite,
    gathered,
    range_stats,
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
    grid, grid_values, rows = _grid(keys, values, at)
    frame = pl.DataFrame({"key": grid, "value": grid_values}).with_columns(
        pl.col("key").set_sorted(), pl.col("value").fill_nan(None)
    )
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
    found = frame.select(
        ways[stat]("key", size, closed=closed).alias(stat) for stat in ways if stat in wanted
    )
    columns: Columns = {}
    for stat in stats:
        if stat == "std":
            columns[stat] = _sliding_std(keys, values, grid, grid_values, rows, span, width, closed)
        elif stat == "range":
            with np.errstate(over="ignore"):
                spread = found["max"].to_numpy() - found["min"].to_numpy()
            columns[stat] = finite(_taken(spread, rows))
        elif stat == "count":
            columns[stat] = _taken(found[stat].fill_null(0).to_numpy(), rows)
        elif stat in ("mean", "sum"):
            slid = found[stat].to_numpy()
            columns[stat] = _mended(
                stat, slid, keys, values, grid, grid_values, rows, span, width, closed
            )
        elif stat == "median":
            # Polars goes from one middle value to the other by their difference, which overflows.
            slid = _taken(found[stat].to_numpy(), rows)
            far = ~np.isfinite(slid)
            columns[stat] = _anew(stat, slid, far, keys, values, grid, rows, width, closed)
        else:
            columns[stat] = finite(_taken(found[stat].to_numpy(), rows))
    return columns


def _taken(column: NDArray[_Number], rows: Ints | None) -> NDArray[_Number]:
    return column if rows is None else column[rows]


def _grid(keys: Ints, values: Floats, at: Ints) -> tuple[Ints, Floats, Ints | None]:
    """The axis to slide over, holding every row of `at`; rows of `at` alone have no value (NaN).

    The third array says where on it the points are; None where they are all of it.
    """
    if len(at) == len(keys) and np.array_equal(at, keys):
        return keys, values, None
    rows = np.searchsorted(keys, at)
    known = rows < len(keys)
    known[known] = keys[rows[known]] == at[known]
    if known.all():
        return keys, values, rows
    grid = np.union1d(keys, at)
    grid_values = np.full(len(grid), np.nan)
    grid_values[np.searchsorted(grid, keys)] = values
    return grid, grid_values, np.searchsorted(grid, at)


def _mended(
    stat: Stat,
    slid: Floats,
    keys: Ints,
    values: Floats,
    grid: Ints,
    grid_values: Floats,
    rows: Ints | None,
    span: int,
    width: int,
    closed: Closed,
) -> Floats:
    """A sliding mean or sum, read anew where a value long gone may have left its rounding behind.

    Polars begins again where windows do not overlap, so each entity has rounding of its own.
    """
    slid = finite(slid)
    tolerated = _HALF_TOLERANCE * np.fmax(np.abs(slid), 1)
    # Over an empty window Polars' sum is 0.
    doubtful = slid == 0 if stat == "sum" else np.isnan(slid)
    most = min(len(keys), width // int(np.diff(keys).min(initial=width)) + 1)
    with np.errstate(over="ignore", invalid="ignore"):
        if _SUM_ROUNDING * most * np.abs(values).max() > tolerated.min():
            owner = grid // span
            firsts = np.flatnonzero(np.diff(owner, prepend=owner[0] - 1))
            sizes = np.diff(firsts, append=len(grid))
            low, high = window_bounds(keys, grid, width, "both")
            held = high - low
            rounding = _SUM_ROUNDING * np.fmax.reduceat(np.abs(grid_values), firsts)
            rounding *= np.maximum.reduceat(held, firsts)
            shares = np.maximum(held, 1) if stat == "mean" else 1
            doubtful |= ~(np.repeat(rounding, sizes) / shares <= tolerated)
    return _anew(
        stat, _taken(slid, rows), _taken(doubtful, rows), keys, values, grid, rows, width, closed
    )


def _anew(
    stat: Stat,
    slid: Floats,
    doubtful: NDArray[np.bool_],
    keys: Ints,
    values: Floats,
    grid: Ints,
    rows: Ints | None,
    width: int,
    closed: Closed,
) -> Floats:
    """What slid, with the doubtful windows read by themselves instead."""
    if not doubtful.any():
        return slid
    low, high = window_bounds(keys, _taken(grid, rows)[doubtful], width, closed)
    read = slid.copy()
    read[doubtful] = range_stats(values, low, high, (stat,))[stat]
    return read


def _sliding_std(
    keys: Ints,
    values: Floats,
    grid: Ints,
    grid_values: Floats,
    rows: Ints | None,
    span: int,
    width: int,
    closed: Closed,
) -> Floats:
    """Sliding sample std in blocks of a few windows, each on its own anchor.

    A sliding variance keeps the rounding of the largest value it has seen. Blocks end that memory
    and a share of the block's spread bounds it; what is below the share is computed in two passes.
    """
    owner, offset = np.divmod(grid, span)
    block = owner * (span // (_BLOCK_WINDOWS * width) + 1) + offset // (_BLOCK_WINDOWS * width)
    firsts = np.flatnonzero(np.diff(block, prepend=block[0] - 1))
    ends = np.append(firsts[1:], len(grid))
    leads = np.searchsorted(grid, grid[firsts] - width)
    sizes = ends - leads
    members, offsets = gathered(grid_values, leads, sizes)
    smallest = np.fmin.reduceat(members, offsets)
    largest = np.fmax.reduceat(members, offsets)
    with np.errstate(over="ignore", invalid="ignore"):
        spread = largest - smallest
        centred = members - np.repeat(np.nan_to_num(smallest), sizes)
    positions = np.arange(len(members)) + np.repeat(leads - offsets, sizes)
    # Two windows and more between blocks: no window reaches into the block before.
    apart = grid[positions] + np.repeat(np.arange(len(firsts)) * (2 * width + 2), sizes)
    frame = pl.DataFrame({"key": apart, "value": centred}).with_columns(
        pl.col("key").set_sorted(), pl.col("value").fill_nan(None)
    )
    slid = frame.select(
        pl.col("value").rolling_std_by("key", window_size=f"{width}i", closed=closed, min_samples=2)
    )["value"].to_numpy()
    own = positions >= np.repeat(firsts, sizes)
    std = slid[own]
    floor = np.repeat(_TRUSTED_SHARE * spread, ends - firsts)
    std, floor = _taken(std, rows), _taken(floor, rows)
    doubtful = ~((std >= floor) & np.isfinite(std))
    return _anew("std", std, doubtful, keys, values, grid, rows, width, closed)
