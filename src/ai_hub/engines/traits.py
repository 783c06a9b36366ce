"""What follows from a feature by itself: what it reads, how far back, and what fills it."""

from __future__ import annotations

from typing import Literal, NamedTuple, assert_never

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
    Reading,
    Rolling,
    Seasonal,
)
from ai_hub.definitions.periods import ASSET_ZONE, Period, longest
from ai_hub.definitions.values import HOUR
from ai_hub.definitions.vocabulary import WAVES, Closed
from ai_hub.engines.statistics import statistic_of

FILL_WINDOW = 168 * HOUR
"""The width of the window whose mean stands in for a missing value, in microseconds."""
ZONE_KEY = "timezone"
"""The attribute that names an asset's zone."""

SourceKind = Literal["series", "weather"]


class Source(NamedTuple):
    """What a mean is taken of: a series of the asset, or a column of its weather.

    `closed` is that of the window [t-168h, t]: what does not see t is not filled from it ("left").
    """

    kind: SourceKind
    name: str
    closed: Closed = "both"


class Input(NamedTuple):
    """What a feature reads: a series of the asset, or a column of its weather as known at t.

    Of weather, `measured` rows alone are those that were issued at their time or later.
    """

    kind: SourceKind
    name: str
    measured: bool = False

    @classmethod
    def of(cls, feature: Reading) -> Input:
        """What a feature reads."""
        if feature.source == "observations":
            return cls("series", feature.series)
        assert feature.column is not None
        return cls("weather", feature.column, feature.measured)


def reach_of(feature: Reading) -> int:
    """How far before t a feature reads, in microseconds at most."""
    match feature:
        case Rolling() | Ewm():
            return longest(feature.window)
        case Bucket():
            return longest(feature.every)
        case Lag():
            return longest(feature.by) + feature.tolerance.micros
        case Seasonal():
            return longest(feature.by(feature.count)) + feature.tolerance.micros
        case Age():
            return feature.max_age.micros
        case _:
            assert_never(feature)


def has_asset_zone(feature: Feature) -> bool:
    """Whether a feature is of the zone that the asset's attribute names."""
    match feature:
        case Calendar():
            return feature.tz == ASSET_ZONE
        case Rolling() | Ewm():
            return isinstance(feature.window, Period) and feature.tz == ASSET_ZONE
        case Bucket() | Seasonal():
            return isinstance(feature.every, Period) and feature.tz == ASSET_ZONE
        case Lag():
            return isinstance(feature.by, Period) and feature.tz == ASSET_ZONE
        case Latest() | Age() | Attribute() | FromView() | Derived():
            return False
        case _:
            assert_never(feature)


def can_be_missing(feature: Feature) -> bool:
    """Whether a feature can be null: not a count, and few parts of a calendar."""
    match feature:
        case Rolling() | Bucket() | Seasonal() | Ewm():
            return statistic_of(feature.measure).empty is None or has_asset_zone(feature)
        case Lag() | Latest() | Age() | Attribute() | FromView() | Derived():
            return True
        case Calendar():
            unsure = feature.part == "is_holiday" or bool(feature.offset)
            return unsure or has_asset_zone(feature)
        case _:
            assert_never(feature)


def is_integer(feature: Feature) -> bool:
    """Whether values are int64 (counts, calendar parts) rather than float64, which has a null."""
    match feature:
        case Calendar():
            return feature.part not in WAVES and not can_be_missing(feature)
        case Rolling() | Bucket() | Seasonal():
            return feature.stat == "count" and not can_be_missing(feature)
        case Ewm() | Lag() | Latest() | Age() | Attribute() | FromView() | Derived():
            return False
        case _:
            assert_never(feature)


def fill_source(feature: Feature) -> Source | None:
    """Whose mean fills a feature under the policy `mean`; None where `fill_number` does."""
    match feature:
        case Lag() | Rolling() | Bucket() | Seasonal() | Ewm():
            if not isinstance(feature, Lag) and not statistic_of(feature.measure).mean_fills:
                return None
            blind = isinstance(feature, Lag | Seasonal) or (
                isinstance(feature, Rolling) and feature.closed in ("left", "none")
            )
            read = Input.of(feature)
            return Source(read.kind, read.name, "left" if blind else "both")
        case Latest():
            return Source("weather", feature.column)
        case Age() | Attribute() | FromView() | Calendar() | Derived():
            return None
        case _:
            assert_never(feature)


def fill_number(feature: Feature) -> float:
    """What fills a feature under the policy `mean` where no mean does."""
    return feature.max_age.seconds if isinstance(feature, Age) else 0.0
