"""Every statistic in one table: what it is, and how each engine computes it.

A statistic is combined from aggregates: `range` from two, each of the others from one. An aggregate
is computed in three ways: over windows that are read one by one (`ranges`), sliding over a whole
history (`sliding`), and by PostgreSQL (`sql`). Engines read the table, so that a statistic is a row
of it. The reference does not: it is what the rows are tested against.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Literal, assert_never

from ai_hub.definitions.kinds import STATS, Stat

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


@dataclass(frozen=True, slots=True, eq=False)
class Aggregate:
    """A number that each engine can compute from the values of a window.

    - `at_points`: over windows that are read one by one, none of them empty.
    - `sliding`: over the window that ends at each row of a history, and which of them are doubtful.
      Those are read one by one after all.
    - `sql`: over the column `value`.
    - `gathers`: whether `at_points` copies the values of every window, which takes longer than
      reducing them where they are.
    - `flat`: what it is over values that are all the same: "value" is theirs, "zero" that they have
      no spread (of two or more). Sums of equal numbers end in other digits for every engine, so
      no engine adds them up. None where each way gives it anyway.
    """

    at_points: Callable[[Ranges], Floats | Ints]
    sliding: Rolled | Callable[[Slide], tuple[Floats, Mask]]
    sql: str
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
    Rolled(lambda value, window: value.rolling_min_by(**window)),
    "min(value)",
)
MAX = Aggregate(
    lambda ranges: ranges.max,
    Rolled(lambda value, window: value.rolling_max_by(**window)),
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


@dataclass(frozen=True, slots=True)
class Statistic:
    """What a statistic is made of, and what is true of its values.

    - `parts`: the aggregates that `combine` takes.
    - `empty`: its value for an empty window, None for null. A statistic that has one is an int64
      and never missing.
    - `mean_fills`: whether the policy `mean` replaces it by the mean of the series where it is
      missing; if not, by 0.
    - `exact`: whether engines agree on it to the bit; if not, to a tolerance.
    """

    parts: tuple[Aggregate, ...]
    empty: int | None
    mean_fills: bool
    exact: bool
    combine: Callable[..., Any] = lambda part: part


def _statistic(stat: Stat) -> Statistic:
    match stat:
        case "mean":
            return Statistic((MEAN,), empty=None, mean_fills=True, exact=False)
        case "std":
            return Statistic((STD,), empty=None, mean_fills=False, exact=False)
        case "min":
            return Statistic((MIN,), empty=None, mean_fills=True, exact=True)
        case "max":
            return Statistic((MAX,), empty=None, mean_fills=True, exact=True)
        case "range":
            return Statistic(
                (MIN, MAX), None, mean_fills=False, exact=True, combine=lambda low, high: high - low
            )
        case "sum":
            return Statistic((SUM,), empty=None, mean_fills=True, exact=False)
        case "count":
            return Statistic((COUNT,), empty=0, mean_fills=False, exact=True)
        case "median":
            return Statistic((MEDIAN,), empty=None, mean_fills=True, exact=False)
        case _:
            assert_never(stat)


STATISTICS: Mapping[Stat, Statistic] = {stat: _statistic(stat) for stat in STATS}


@lru_cache(maxsize=512)
def aggregates(stats: tuple[Stat, ...]) -> tuple[Aggregate, ...]:
    """What some statistics are made of, each once."""
    return tuple(dict.fromkeys(part for stat in stats for part in STATISTICS[stat].parts))
