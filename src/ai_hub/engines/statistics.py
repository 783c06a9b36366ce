"""Every statistic in one table: what it is, and how each engine computes it.

A statistic is combined from aggregates: `range` from two, most others from one. An aggregate is
computed in three ways: over windows that are read one by one (`ranges`), sliding over a whole
history (`sliding`), and by PostgreSQL (`sql`). Engines read the table, so that a statistic is a row
of it. The reference does not: it is what the rows are tested against.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Literal, assert_never

from ai_hub.definitions.measures import Measure

if TYPE_CHECKING:
    from ai_hub.engines.arrays import Floats, Ints, Mask
    from ai_hub.engines.ranges import Ranges
    from ai_hub.engines.sliding import Roll, Slide


@dataclass(frozen=True, slots=True)
class Rolled:
    """How Polars rolls an aggregate over a column of values.

    `doubtful` says which of the results must not be relied on; None where all are right.
    """

    roll: Roll
    doubtful: Callable[[Slide, Floats], Mask] | None = None


@dataclass(frozen=True, slots=True)
class Whole:
    """How an aggregate is found for the windows of all points at once, none of them in doubt."""

    at_points: Callable[[Slide], Floats]


@dataclass(frozen=True, slots=True, eq=False)
class Aggregate:
    """A number that each engine can compute from the values of a window.

    - `at_points`: over windows that are read one by one, none of them empty.
    - `sliding`: over the window that ends at each row of a history, and which of them are doubtful.
      Those are read one by one after all; None where every window is.
    - `sql`: over the columns `value` and `timestamp`. None where PostgreSQL gives the values in
      their order instead, for `at_points`.
    - `gathers`: whether `at_points` copies the values of every window, which takes longer than
      reducing them where they are.
    - `flat`: what it is over values that are all the same: "value" is theirs, "zero" that they have
      no spread (of two or more). Sums of equal numbers end in other digits for every engine, so
      no engine adds them up. None where each way gives it anyway.
    """

    at_points: Callable[[Ranges], Floats | Ints]
    sliding: Rolled | Whole | Callable[[Slide], tuple[Floats, Mask]] | None
    sql: str | None
    gathers: bool = False
    flat: Literal["value", "zero"] | None = None


COUNT = Aggregate(
    lambda ranges: ranges.sizes,
    Rolled(lambda value, window: value.is_not_null().cast(int).rolling_sum_by(**window)),
    "count(value)::float8",
)
SUM = Aggregate(
    lambda ranges: ranges.sum,
    Rolled(
        lambda value, window: value.rolling_sum_by(**window),
        lambda slide, slid: slide.doubtful_sums(slid),
    ),
    "sum(value)",
)
MEAN = Aggregate(
    lambda ranges: ranges.mean,
    Rolled(
        lambda value, window: value.rolling_mean_by(**window),
        lambda slide, slid: slide.doubtful_means(slid),
    ),
    "avg(value)",
    flat="value",
)
STD = Aggregate(
    lambda ranges: ranges.std,
    lambda slide: slide.std(),
    "stddev_samp(value)",
    gathers=True,
    flat="zero",
)
MIN = Aggregate(
    lambda ranges: ranges.min,
    Whole(lambda slide: slide.min),
    "min(value)",
)
MAX = Aggregate(
    lambda ranges: ranges.max,
    Whole(lambda slide: slide.max),
    "max(value)",
)
MEDIAN = Aggregate(
    lambda ranges: ranges.median,
    Rolled(
        lambda value, window: value.rolling_median_by(**window),
        lambda slide, slid: slide.missing(slid),
    ),
    "percentile_cont(0.5) WITHIN GROUP (ORDER BY value)",
    gathers=True,
    flat="value",
)
FIRST = Aggregate(lambda ranges: ranges.first, None, "(array_agg(value ORDER BY timestamp))[1]")
LAST = Aggregate(lambda ranges: ranges.last, None, "(array_agg(value ORDER BY timestamp DESC))[1]")
LENGTH = Aggregate(lambda ranges: ranges.lengths, None, None)
"""How long a window is up to t, in microseconds: of a window that holds a value."""
TIME_MEAN = Aggregate(lambda ranges: ranges.time_mean, None, None, flat="value")


@lru_cache(maxsize=256)
def _quantile(q: float) -> Aggregate:
    return Aggregate(
        lambda ranges: ranges.quantile(q),
        Rolled(
            lambda value, window: value.rolling_quantile_by(
                quantile=q, interpolation="linear", **window
            ),
            lambda slide, slid: slide.missing(slid),
        ),
        f"percentile_cont({q!r}) WITHIN GROUP (ORDER BY value)",
        gathers=True,
        flat="value",
    )


@lru_cache(maxsize=256)
def _increase(tolerance: float) -> Aggregate:
    return Aggregate(lambda ranges: ranges.increase(tolerance), None, None)


@lru_cache(maxsize=256)
def _ewm(halflife: int) -> Aggregate:
    return Aggregate(lambda ranges: ranges.ewm(halflife), None, None, gathers=True, flat="value")


@dataclass(frozen=True, slots=True)
class Statistic:
    """What a statistic is made of, and what is true of its values.

    - `parts`: the aggregates that `combine` takes.
    - `empty`: its value for an empty window, None for null. A statistic that has one is never
      missing, wherever the window is known.
    - `mean_fills`: whether the policy `mean` replaces it by the mean of the series where it is
      missing; if not, by 0.
    - `exact`: whether engines agree on it to the bit; if not, to a tolerance.
    - `integer`: whether it is an int64.
    """

    parts: tuple[Aggregate, ...]
    empty: float | None
    mean_fills: bool
    exact: bool
    combine: Callable[..., Any] = lambda part: part
    integer: bool = False


def _filled_by_mean(part: Aggregate, *, exact: bool = False) -> Statistic:
    return Statistic((part,), empty=None, mean_fills=True, exact=exact)


@lru_cache(maxsize=1024)
def statistic_of(measure: Measure) -> Statistic:
    """The row of the table that a measure names."""
    match measure.stat:
        case "mean":
            return _filled_by_mean(MEAN)
        case "std":
            return Statistic((STD,), empty=None, mean_fills=False, exact=False)
        case "min":
            return _filled_by_mean(MIN, exact=True)
        case "max":
            return _filled_by_mean(MAX, exact=True)
        case "range":
            return Statistic(
                (MIN, MAX), None, mean_fills=False, exact=True, combine=lambda low, high: high - low
            )
        case "sum":
            return _filled_by_mean(SUM)
        case "count":
            return Statistic((COUNT,), empty=0, mean_fills=False, exact=True, integer=True)
        case "median":
            return _filled_by_mean(MEDIAN)
        case "quantile":
            return _filled_by_mean(_quantile(measure.q))
        case "first":
            return _filled_by_mean(FIRST, exact=True)
        case "last":
            return _filled_by_mean(LAST, exact=True)
        case "delta":
            return Statistic(
                (FIRST, LAST), None, mean_fills=False, exact=False, combine=lambda a, b: b - a
            )
        case "increase":
            part = _increase(measure.tolerance)
            return Statistic((part,), empty=None, mean_fills=False, exact=False)
        case "time_mean":
            return _filled_by_mean(TIME_MEAN)
        case "coverage":
            return Statistic(
                (COUNT, LENGTH), 0, mean_fills=False, exact=True, combine=_coverage(measure.step)
            )
        case "ewm":
            return _filled_by_mean(_ewm(measure.halflife))
        case _:
            assert_never(measure.stat)


def _coverage(step: int) -> Callable[[Any, Any], Any]:
    def share(count: Any, length: Any) -> Any:
        # A window without a length holds what is there.
        return (count * step / (length + (length == 0) * step)).clip(max=1)

    return share


@lru_cache(maxsize=512)
def aggregates(measures: tuple[Measure, ...]) -> tuple[Aggregate, ...]:
    """What some measures are made of, each once."""
    return tuple(dict.fromkeys(part for one in measures for part in statistic_of(one).parts))
