"""A long history made short enough to look at: the extremes of each part of the time, and gaps."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from ai_hub.definitions.values import DAY, HOUR
from ai_hub.engines.arrays import Floats, Ints

GAP_CADENCES, GAP_AT_LEAST = 3, HOUR // 2
"""A step between two readings that is longer than both is a gap."""
FLAT, FLAT_ZERO, FLAT_READINGS = DAY, 3 * DAY, 12
"""For how long a value that stays the same may, zero for longer; and of at least so many."""


class Part(NamedTuple):
    """A part of the time, [start, end) in microseconds: how many readings, and their values."""

    start: int
    end: int
    readings: int
    low: float | None
    mean: float | None
    high: float | None


def thinned(time: Ints, value: Floats, start: int, end: int, parts: int) -> tuple[Ints, Floats]:
    """Readings sorted by time: of each of so many equal parts of [start, end] the lowest and the
    highest, at their times; all of them where these would not be fewer.

    What is drawn of them in as many columns of pixels is what would be drawn of all.
    """
    if len(time) <= 2 * parts:
        return time, value
    edges = _edges(start, end, parts)
    bounds = np.searchsorted(time, edges)
    kept: list[int] = []
    for first, last in zip(bounds[:-1].tolist(), bounds[1:].tolist(), strict=True):
        if first < last:
            low, high = first + value[first:last].argmin(), first + value[first:last].argmax()
            kept += sorted({int(low), int(high)})
    return time[kept], value[kept]


def parts_of(time: Ints, value: Floats, start: int, end: int, parts: int) -> list[Part]:
    """What there is in each of so many equal parts of [start, end], the end inside the last."""
    edges = _edges(start, end, parts)
    bounds = np.searchsorted(time, edges)
    found = []
    for place in range(parts):
        some = value[bounds[place] : bounds[place + 1]]
        ends = int(edges[place]), int(edges[place + 1])
        if len(some):
            low, high = float(some.min()), float(some.max())
            found.append(Part(*ends, len(some), low, _mean(some), high))
        else:
            found.append(Part(*ends, 0, None, None, None))
    return found


def _mean(values: Floats) -> float:
    with np.errstate(over="ignore", invalid="ignore"):
        mean = float(values.mean())
    # Of huge ones the sum may be too large for a number, and their mean is not.
    return mean if np.isfinite(mean) else float((values / len(values)).sum())


def cadence_of(time: Ints) -> int | None:
    """The (lower) median step between readings; None for fewer than two."""
    steps = np.sort(np.diff(time))
    return int(steps[(len(steps) - 1) // 2]) if len(steps) else None


def longest_step(cadence: int | None) -> int:
    """The longest step between readings that is no gap."""
    return max(GAP_AT_LEAST, GAP_CADENCES * (cadence or 0))


def gaps(time: Ints, longer: int) -> list[tuple[int, int]]:
    """The steps between readings that are longer than that: the readings before and after."""
    after = np.flatnonzero(np.diff(time) > longer) + 1
    return [(int(time[place - 1]), int(time[place])) for place in after.tolist()]


def flat_since(time: Sequence[int] | Ints, value: Sequence[float] | Floats) -> int | None:
    """Since when the newest value stays the same for longer than it may, if it did not before."""
    values = np.asarray(value, np.float64)
    changes = np.flatnonzero(values[1:] != values[:-1]) + 1
    if not len(changes):
        return None
    begin = int(changes[-1])
    allowed = FLAT if value[-1] else FLAT_ZERO
    is_flat = len(time) - begin >= FLAT_READINGS and time[-1] - time[begin] >= allowed
    return int(time[begin]) if is_flat else None


def _edges(start: int, end: int, parts: int) -> Ints:
    # The end itself is inside.
    edges = start + np.arange(parts + 1, dtype=np.int64) * ((end - start) // parts)
    edges[-1] = end + 1
    return edges
