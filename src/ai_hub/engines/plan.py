"""A feature set as the reads it needs: one pass per shared window, the history to fetch.

The plan is what engines compile: the columnar kernel walks it, a store turns it into the range of
rows to read.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from functools import lru_cache
from graphlib import TopologicalSorter
from typing import Literal, NamedTuple, assert_never

from ai_hub.definitions.feature_set import FeatureSet
from ai_hub.definitions.kinds import (
    Bucket,
    Calendar,
    Closed,
    Derived,
    Feature,
    Lag,
    Latest,
    Missing,
    Rolling,
    Stat,
)
from ai_hub.definitions.values import HOUR
from ai_hub.engines.statistics import STATISTICS

FILL_WINDOW = 168 * HOUR
"""The width of the window whose mean stands in for a missing value, in microseconds."""


class Source(NamedTuple):
    """What a mean is taken of: a series of the asset, or a column of its weather.

    `closed` is that of the window [t-168h, t]: what does not see t is not filled from it ("left").
    """

    kind: Literal["series", "weather"]
    name: str
    closed: Closed = "both"


@dataclass(frozen=True, slots=True)
class WindowPass:
    """One trailing window over one series and every statistic asked of it."""

    series: str
    width: int
    closed: Closed
    outputs: tuple[tuple[str, Stat], ...]

    @property
    def stats(self) -> tuple[Stat, ...]:
        """The statistics asked for, each once."""
        return tuple(dict.fromkeys(stat for _, stat in self.outputs))


@dataclass(frozen=True, slots=True)
class BucketPass:
    """One bucket width over one series and every statistic asked of it."""

    series: str
    every: int
    outputs: tuple[tuple[str, Stat], ...]

    @property
    def stats(self) -> tuple[Stat, ...]:
        """The statistics asked for, each once."""
        return tuple(dict.fromkeys(stat for _, stat in self.outputs))


RangePass = WindowPass | BucketPass


@dataclass(frozen=True)
class Plan:
    """What has to be read and computed for a feature set; widths in microseconds."""

    feature_set: FeatureSet
    calendars: tuple[Calendar, ...]
    windows: tuple[WindowPass, ...]
    buckets: tuple[BucketPass, ...]
    lags: tuple[Lag, ...]
    latest: tuple[Latest, ...]
    derived: tuple[Derived, ...]
    series: tuple[str, ...]
    weather: tuple[str, ...]
    lookback: int
    weather_lookback: int
    attributes: tuple[str, ...] = ()

    @classmethod
    def of(cls, feature_set: FeatureSet) -> Plan:
        """The plan of a feature set; equal sets share one."""
        return _plan(feature_set)

    @property
    def probes(self) -> tuple[Lag | Latest, ...]:
        """The features that are one stored value: lags, then weather."""
        return (*self.lags, *self.latest)

    @property
    def ranges(self) -> tuple[RangePass, ...]:
        """The passes over a range of times: windows, then buckets."""
        return (*self.windows, *self.buckets)

    @property
    def needs_data(self) -> tuple[str, ...]:
        """The features that cannot be computed from the time alone, in the set's order."""
        return tuple(f.name for f in self.feature_set.features if not isinstance(f, Calendar))

    def reach(self, source: Source) -> int:
        """How far before t the plan reads a source."""
        return self.weather_lookback if source.kind == "weather" else self.lookback


@lru_cache(maxsize=512)
def _plan(feature_set: FeatureSet) -> Plan:
    features = feature_set.features
    windows: dict[tuple[str, int, Closed], list[tuple[str, Stat]]] = defaultdict(list)
    buckets: dict[tuple[str, int], list[tuple[str, Stat]]] = defaultdict(list)
    lookback = weather_lookback = 0
    series: dict[str, None] = {}
    weather: dict[str, None] = {}
    for feature in features:
        match feature:
            case Rolling():
                key = (feature.series, feature.window.micros, feature.closed)
                windows[key].append((feature.name, feature.stat))
                lookback = max(lookback, feature.window.micros)
            case Bucket():
                buckets[feature.series, feature.every.micros].append((feature.name, feature.stat))
                lookback = max(lookback, feature.every.micros)
            case Lag():
                lookback = max(lookback, feature.by.micros + feature.tolerance.micros)
            case Latest():
                weather[feature.column] = None
                weather_lookback = max(weather_lookback, feature.max_age.micros)
            case Calendar() | Derived():
                pass
            case _:
                assert_never(feature)
        if isinstance(feature, Rolling | Bucket | Lag):
            series[feature.series] = None
    return Plan(
        feature_set,
        tuple(f for f in features if isinstance(f, Calendar)),
        tuple(WindowPass(*key, tuple(outputs)) for key, outputs in windows.items()),
        tuple(BucketPass(*key, tuple(outputs)) for key, outputs in buckets.items()),
        tuple(f for f in features if isinstance(f, Lag)),
        tuple(f for f in features if isinstance(f, Latest)),
        _in_order(features),
        tuple(series),
        tuple(weather),
        lookback,
        weather_lookback,
    )


def _in_order(features: tuple[Feature, ...]) -> tuple[Derived, ...]:
    """The derived features, each after those it reads."""
    derived = {f.name: f for f in features if isinstance(f, Derived)}
    order = TopologicalSorter({name: feature.inputs for name, feature in derived.items()})
    return tuple(derived[name] for name in order.static_order() if name in derived)


def can_be_missing(feature: Feature) -> bool:
    """Whether a feature can be null: not a calendar part, not a count."""
    match feature:
        case Rolling() | Bucket():
            return STATISTICS[feature.stat].empty is None
        case Lag() | Latest() | Derived():
            return True
        case Calendar():
            return False
        case _:
            assert_never(feature)


def is_integer(feature: Feature) -> bool:
    """Whether a feature's values are int64 (calendar parts and counts) rather than float64."""
    return not can_be_missing(feature)


def fill_source(feature: Feature) -> Source | None:
    """Whose mean fills a feature under the policy `mean`; None where 0 does."""
    match feature:
        case Lag():
            return Source("series", feature.series, "left")
        case Rolling() | Bucket():
            if not STATISTICS[feature.stat].mean_fills:
                return None
            sees_t = isinstance(feature, Bucket) or feature.closed in ("both", "right")
            return Source("series", feature.series, "both" if sees_t else "left")
        case Latest():
            return Source("weather", feature.column)
        case Calendar() | Derived():
            return None
        case _:
            assert_never(feature)


def sources_for(plan: Plan, missing: Missing | None) -> frozenset[Source]:
    """Every mean that filling may ask for under a request's policy."""
    chosen = plan.feature_set
    return frozenset(
        source
        for feature in chosen.features
        if chosen.policy_of(feature, missing) == "mean"
        and (source := fill_source(feature)) is not None
    )
