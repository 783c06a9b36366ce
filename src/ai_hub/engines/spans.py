"""What values a feature can have by construction: a range that holds them all needs no check."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import assert_never

from ai_hub.definitions.kinds import (
    Age,
    Attribute,
    Bucket,
    Calendar,
    Derived,
    Ewm,
    Feature,
    FromView,
    Lag,
    Latest,
    Rolling,
    Seasonal,
)
from ai_hub.definitions.valid_range import ValidRange, ValidValues
from ai_hub.definitions.vocabulary import WAVES, Part, Stat

_PARTS: Mapping[Part, tuple[int, int]] = {
    "hour_of_day": (0, 23),
    "day_of_week": (0, 6),
    "day_of_month": (1, 31),
    "month": (1, 12),
    "is_weekend": (0, 1),
    "is_business_hours": (0, 1),
    "minute_of_hour": (0, 59),
    "minute_of_day": (0, 1439),
    "quarter": (1, 4),
    "day_of_year": (1, 366),
    "week_of_year": (1, 53),
    "is_holiday": (0, 1),
    **dict.fromkeys(WAVES, (-1, 1)),
}
_ANY = (-math.inf, math.inf)


def can_leave(feature: Feature) -> bool:
    """Whether some value of a feature may be outside what is said to be valid."""
    low, high = _span(feature)
    match feature.valid:
        case None:
            return False
        case ValidRange():
            return low < feature.valid.low or high > feature.valid.high
        case ValidValues():
            if not isinstance(feature, Calendar) or feature.part in WAVES:
                return True
            return not set(range(int(low), int(high) + 1)) <= set(feature.valid.values)
        case _:
            assert_never(feature.valid)


def _span(feature: Feature) -> tuple[float, float]:
    match feature:
        case Calendar():
            return _PARTS[feature.part]
        case Rolling() | Bucket() | Seasonal():
            return _stat_span(feature.stat)
        case Age():
            return 0, feature.max_age.seconds
        case Lag() | Latest() | Ewm() | Attribute() | FromView() | Derived():
            return _ANY
        case _:
            assert_never(feature)


def _stat_span(stat: Stat) -> tuple[float, float]:
    match stat:
        case "std" | "range" | "count":
            return 0, math.inf
        case "coverage":
            return 0, 1
        case "mean" | "min" | "max" | "sum" | "median" | "quantile" | "first" | "last":
            return _ANY
        case "delta" | "increase" | "time_mean":
            return _ANY
        case _:
            assert_never(stat)
