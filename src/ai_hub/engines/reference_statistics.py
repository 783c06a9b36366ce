"""Every stat in plain Python, over the readings of a window.

Beside `reference.py`, and in the same way: slow, obvious, standard library only.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import pairwise
from typing import assert_never

from ai_hub.definitions.measures import Measure

Number = float | int | None
"""A feature's value: int for calendar parts and counts, float otherwise, None for null."""


@dataclass(frozen=True, slots=True)
class Observation:
    """One value of one series at one instant."""

    timestamp: int
    value: float


def statistic(measure: Measure, readings: Sequence[Observation], t: int, length: int) -> Number:
    """A stat over the readings of a window of some `length` that ends at `t`, in any order.

    None where it has no value, or one that no float64 holds.
    """
    if measure.stat == "count":
        return len(readings)
    if measure.stat == "coverage":
        return _coverage(len(readings), measure.step, length)
    if not readings or (measure.stat in ("std", "increase") and len(readings) < 2):
        return None
    ordered = sorted(readings, key=lambda o: o.timestamp)
    return finite(lambda: _statistic(measure, ordered, t))


def mean(values: Sequence[float]) -> float | None:
    """The mean of some values; None where there are none."""
    return finite(lambda: _mean(values)) if values else None


def finite(number: Callable[[], float]) -> float | None:
    """A number, or None where no float64 holds it."""
    try:
        found = number()
    except OverflowError:
        return None
    return float(found) if math.isfinite(found) else None


def _coverage(count: int, step: int, length: int) -> float:
    if not count:
        return 0.0
    return min(1.0, count * step / length) if length else 1.0


def _statistic(measure: Measure, ordered: Sequence[Observation], t: int) -> float:
    values = [o.value for o in ordered]
    low, high = min(values), max(values)
    match measure.stat:
        case "mean":
            return low if low == high else _mean(values)
        case "std":
            return 0.0 if low == high else _std(values)
        case "median":
            return low if low == high else _median(values)
        case "quantile":
            return low if low == high else _quantile(values, measure.q)
        case "sum":
            return _sum(values)
        case "min":
            return low
        case "max":
            return high
        case "range":
            return high - low
        case "first":
            return values[0]
        case "last":
            return values[-1]
        case "delta":
            return values[-1] - values[0]
        case "increase":
            return _sum([_step_up(a, b, measure.tolerance) for a, b in pairwise(values)])
        case "time_mean":
            return low if low == high else _time_mean(ordered, t)
        case "ewm":
            return low if low == high else _ewm(ordered, measure.halflife)
        case "count" | "coverage":
            raise AssertionError(f"{measure.stat} has a value for any window")
        case _:
            assert_never(measure.stat)


def _sum(values: Sequence[float]) -> float:
    try:
        return math.fsum(values)
    except OverflowError:  # on the way: the sum itself may be a float
        return float(sum(map(Fraction, values)))


def _mean(values: Sequence[float]) -> float:
    try:
        return math.fsum(values) / len(values)
    except OverflowError:
        return float(sum(map(Fraction, values)) / len(values))


def _median(values: Sequence[float]) -> float:
    ordered = sorted(values)
    low, high = ordered[(len(ordered) - 1) // 2], ordered[len(ordered) // 2]
    return low / 2 + high / 2 if math.isinf(low + high) else (low + high) / 2


def _quantile(values: Sequence[float], q: float) -> float:
    """Linear between order statistics, at (n-1) q."""
    ordered = sorted(values)
    place = (len(ordered) - 1) * q
    row = min(math.floor(place), len(ordered) - 2)
    share = place - row
    return ordered[row] * (1 - share) + ordered[row + 1] * share


def _std(values: Sequence[float]) -> float:
    """The sample standard deviation, sqrt(sum (v - mean)^2 / (n - 1)), in two passes."""
    centre = _mean(values)
    # Halved, a deviation of two floats is a float; a power of two costs no digit.
    halves = [v / 2 - centre / 2 for v in values]
    largest = max(map(abs, halves))
    if largest == 0:
        return 0.0
    squares = math.fsum((half / largest) ** 2 for half in halves)
    return math.sqrt(squares / (len(values) - 1)) * largest * 2


def _step_up(before: float, after: float, tolerance: float) -> float:
    """What a counter counted between two readings; one that fell was reset."""
    if after >= before:
        return after - before
    return 0.0 if before - after <= tolerance else after


def _time_mean(ordered: Sequence[Observation], t: int) -> float:
    """The mean over time of the step function that holds each value until the next."""
    ends = [*(o.timestamp for o in ordered[1:]), t]
    lengths = [end - o.timestamp for o, end in zip(ordered, ends, strict=True)]
    total = sum(lengths)
    weighted = sum(Fraction(o.value) * n for o, n in zip(ordered, lengths, strict=True))
    return float(weighted / total)


def _ewm(ordered: Sequence[Observation], halflife: int) -> float:
    """The mean, where each value weighs half as much as one a halflife later."""
    latest = ordered[-1].timestamp
    weights = [Fraction(2.0 ** ((o.timestamp - latest) / halflife)) for o in ordered]
    weighted = sum(w * Fraction(o.value) for w, o in zip(weights, ordered, strict=True))
    return float(weighted / sum(weights))
