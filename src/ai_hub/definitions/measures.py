"""A stat together with what it takes, such as the `q` of a quantile."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Literal

from ai_hub.definitions.values import Duration
from ai_hub.definitions.vocabulary import STATS, Stat, check_choice
from ai_hub.errors import InvalidInput

MOST_MIN_COUNT = 10_000_000


@dataclass(frozen=True, slots=True)
class Measure:
    """What is taken of the values of a window: a stat, or a mean weighted by age (`ewm`).

    `q` is the share of a quantile; `step` the distance of readings, in microseconds, that a
    coverage of 1 has; `tolerance` how far back a counter may run without having been reset;
    `halflife` the age, in microseconds, at which a value weighs half.
    """

    stat: Stat | Literal["ewm"]
    q: float = 0.5
    step: int = 0
    tolerance: float = 0.0
    halflife: int = 0
    _hash: int = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        key = (self.stat, self.q, self.step, self.tolerance, self.halflife)
        object.__setattr__(self, "_hash", hash(key))

    def __hash__(self) -> int:
        # What is computed is looked up by its measure, many times for every vector.
        return self._hash


COUNT = Measure("count")


def measure_of(
    stat: Stat, q: float | None, step: Duration | None, tolerance: float | None
) -> Measure:
    """The measure that a feature's fields say, which `check_measure` has checked."""
    return Measure(
        stat,
        0.5 if q is None else q,
        0 if step is None else step.micros,
        0.0 if tolerance is None else tolerance,
    )


def check_measure(
    stat: object, q: object, step: object, tolerance: object, known: tuple[Stat, ...] = STATS
) -> None:
    """Raises InvalidInput for a stat that is not known, or whose own fields are not as it needs."""
    check_choice("stat", stat, known)
    if stat == "quantile":
        if not _number(q) or not 0 <= q <= 1:  # type: ignore[operator]
            raise InvalidInput("q", q, "a share from 0 to 1, such as 0.9, for a quantile")
    elif q is not None:
        raise InvalidInput("q", q, "nothing, since only a quantile has one")
    if stat == "coverage":
        if not isinstance(step, Duration):
            raise InvalidInput("step", step, 'a distance of readings such as "15m" for coverage')
    elif step is not None:
        raise InvalidInput("step", str(step), "nothing, since only coverage has one")
    if tolerance is None:
        return
    if stat != "increase":
        raise InvalidInput("tolerance", tolerance, "nothing, since of stats only increase has one")
    if not _number(tolerance) or tolerance < 0:  # type: ignore[operator]
        raise InvalidInput("tolerance", tolerance, "a finite number from 0")


def check_min_count(stat: object, min_count: object) -> None:
    """Raises InvalidInput for what is no number of values, or not to be had of a stat."""
    if type(min_count) is not int or not 1 <= min_count <= MOST_MIN_COUNT:
        raise InvalidInput("min_count", min_count, f"a whole number from 1 to {MOST_MIN_COUNT:,}")
    if min_count > 1 and stat in ("count", "coverage"):
        raise InvalidInput("min_count", min_count, f"1, since a {stat} is there for any number")


def _number(value: object) -> bool:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    try:
        return math.isfinite(float(value))
    except OverflowError:
        return False
