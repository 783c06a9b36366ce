"""A feature set as the reads it needs: one pass per shared window, the history to fetch.

The plan is what engines compile: the columnar kernel walks it, a store turns it into the range of
rows to read.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property, lru_cache
from graphlib import TopologicalSorter
from typing import NamedTuple, assert_never

from ai_hub.definitions.feature_set import FeatureSet
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
from ai_hub.definitions.measures import COUNT, Measure
from ai_hub.definitions.periods import Period, Width
from ai_hub.definitions.vocabulary import Closed, Missing
from ai_hub.engines.spans import can_leave
from ai_hub.engines.traits import (
    ZONE_KEY,
    Input,
    Source,
    can_be_missing,
    fill_source,
    has_asset_zone,
    is_integer,
    reach_of,
)


class Output(NamedTuple):
    """A feature that a pass gives, what it takes of the window, and of how many values at least."""

    name: str
    measure: Measure
    min_count: int = 1


@dataclass(frozen=True)
class WindowPass:
    """One trailing window over one input and everything that is taken of it."""

    input: Input
    width: Width
    tz: str
    closed: Closed
    outputs: tuple[Output, ...]

    @cached_property
    def measures(self) -> tuple[Measure, ...]:
        """What is taken of the window, each once."""
        return _measures(self.outputs)


@dataclass(frozen=True)
class BucketPass:
    """One bucket width over one input and everything that is taken of it."""

    input: Input
    width: Width
    tz: str
    outputs: tuple[Output, ...]

    @property
    def closed(self) -> Closed:
        """A bucket holds its start and t."""
        return "both"

    @cached_property
    def measures(self) -> tuple[Measure, ...]:
        """What is taken of the bucket, each once."""
        return _measures(self.outputs)


RangePass = WindowPass | BucketPass


def _measures(outputs: tuple[Output, ...]) -> tuple[Measure, ...]:
    wanted = [output.measure for output in outputs]
    if any(output.min_count > 1 for output in outputs):
        wanted.append(COUNT)
    return tuple(dict.fromkeys(wanted))


@dataclass(frozen=True, slots=True)
class InputReads:
    """One input, and everything that is read of it."""

    input: Input
    ranges: tuple[RangePass, ...]
    lags: tuple[Lag, ...]
    seasonals: tuple[Seasonal, ...]
    ages: tuple[Age, ...]


@dataclass(frozen=True, slots=True)
class ViewReads:
    """A user's own view or table, and everything that is read of it.

    `definition` is the hash of what it says, None where that is not known.
    """

    view: str
    definition: str | None
    features: tuple[FromView, ...]

    @property
    def columns(self) -> tuple[str, ...]:
        """Its columns, each once."""
        return tuple(dict.fromkeys(feature.column for feature in self.features))

    @property
    def lookback(self) -> int:
        """How far before t it is read."""
        return max(feature.max_age.micros for feature in self.features)


@dataclass(frozen=True)
class Plan:
    """What has to be read and computed for a feature set; look-backs in microseconds.

    `checked` are the features whose values may be outside what is valid; those named in `nulled`
    are null there.
    """

    feature_set: FeatureSet
    calendars: tuple[Calendar, ...]
    windows: tuple[WindowPass, ...]
    buckets: tuple[BucketPass, ...]
    lags: tuple[Lag, ...]
    latest: tuple[Latest, ...]
    seasonals: tuple[Seasonal, ...]
    ages: tuple[Age, ...]
    held: tuple[Attribute, ...]
    derived: tuple[Derived, ...]
    inputs: tuple[Input, ...]
    series: tuple[str, ...]
    weather: tuple[str, ...]
    lookback: int
    weather_lookback: int
    attributes: tuple[str, ...] = ()
    checked: tuple[Feature, ...] = ()
    nulled: frozenset[str] = frozenset()
    views: tuple[ViewReads, ...] = ()

    @classmethod
    def of(cls, feature_set: FeatureSet) -> Plan:
        """The plan of a feature set; equal sets share one."""
        return _plan(feature_set)

    @property
    def probes(self) -> tuple[Lag | Latest | Age | Attribute, ...]:
        """The features that are one stored value: lags, weather, ages, attributes."""
        return (*self.lags, *self.latest, *self.ages, *self.held)

    @property
    def ranges(self) -> tuple[RangePass, ...]:
        """The passes over a range of times: windows, then buckets."""
        return (*self.windows, *self.buckets)

    @cached_property
    def by_input(self) -> tuple[InputReads, ...]:
        """The features on observations and on columns of the weather, by what they read."""
        return tuple(
            InputReads(
                read,
                tuple(one for one in self.ranges if one.input == read),
                tuple(f for f in self.lags if Input.of(f) == read),
                tuple(f for f in self.seasonals if Input.of(f) == read),
                tuple(f for f in self.ages if Input.of(f) == read),
            )
            for read in self.inputs
        )

    @cached_property
    def unsure(self) -> frozenset[str]:
        """The features that can be missing: by themselves, or as what is outside its range is."""
        return self.nulled.union(f.name for f in self.feature_set.features if can_be_missing(f))

    @cached_property
    def filled_from(self) -> dict[str, Source]:
        """Whose mean fills each feature under the policy `mean`, where one does."""
        found = {f.name: fill_source(f) for f in self.feature_set.features}
        return {name: source for name, source in found.items() if source is not None}

    @cached_property
    def reads(self) -> bool:
        """Whether anything of ours has to be read at all."""
        return bool(self.series or self.weather or self.attributes)

    @cached_property
    def viewed(self) -> tuple[FromView, ...]:
        """The features that are read of views, in the order of these."""
        return tuple(feature for reads in self.views for feature in reads.features)

    @cached_property
    def view_lookback(self) -> int:
        """How far before t views are read."""
        return max((reads.lookback for reads in self.views), default=0)

    @cached_property
    def has_asset_zone(self) -> bool:
        """Whether anything is of the zone that the asset's attribute names."""
        return ZONE_KEY in self.attributes

    def is_integer(self, feature: Feature) -> bool:
        """Whether a feature's column is int64, which has no null, rather than float64."""
        return feature.name not in self.nulled and is_integer(feature)

    def reach(self, source: Source) -> int:
        """How far before t the plan reads a source."""
        return self.weather_lookback if source.kind == "weather" else self.lookback


@lru_cache(maxsize=512)
def _plan(feature_set: FeatureSet) -> Plan:
    features = feature_set.computed
    windows: dict[tuple[Input, Width, str, Closed], list[Output]] = defaultdict(list)
    buckets: dict[tuple[Input, Width, str], list[Output]] = defaultdict(list)
    reach = {"series": 0, "weather": 0}
    for feature in features:
        match feature:
            case Rolling() | Ewm():
                closed = feature.closed if isinstance(feature, Rolling) else "both"
                key = (Input.of(feature), feature.window, _zone_of(feature.window, feature.tz))
                windows[*key, closed].append(_output(feature))
            case Bucket():
                key = (Input.of(feature), feature.every, _zone_of(feature.every, feature.tz))
                buckets[key].append(_output(feature))
            case Lag() | Seasonal() | Age() | Latest() | Attribute() | FromView():
                pass
            case Calendar() | Derived():
                pass
            case _:
                assert_never(feature)
        if isinstance(feature, Reading):
            kind = Input.of(feature).kind
            reach[kind] = max(reach[kind], reach_of(feature))
        elif isinstance(feature, Latest):
            reach["weather"] = max(reach["weather"], feature.max_age.micros)
    latest = tuple(f for f in features if isinstance(f, Latest))
    inputs = tuple(dict.fromkeys(Input.of(f) for f in features if isinstance(f, Reading)))
    checked = tuple(f for f in feature_set.features if can_leave(f))
    nulls = feature_set.on_violation == "null"
    columns = [f.column for f in latest] + [i.name for i in inputs if i.kind == "weather"]
    return Plan(
        feature_set,
        tuple(f for f in features if isinstance(f, Calendar)),
        tuple(WindowPass(*key, tuple(outputs)) for key, outputs in windows.items()),
        tuple(BucketPass(*key, tuple(outputs)) for key, outputs in buckets.items()),
        tuple(f for f in features if isinstance(f, Lag)),
        latest,
        tuple(f for f in features if isinstance(f, Seasonal)),
        tuple(f for f in features if isinstance(f, Age)),
        tuple(f for f in features if isinstance(f, Attribute)),
        _in_order(features),
        inputs,
        tuple(i.name for i in inputs if i.kind == "series"),
        tuple(dict.fromkeys(columns)),
        reach["series"],
        reach["weather"],
        _attributes(features),
        checked,
        frozenset(f.name for f in checked if nulls),
        _views(features),
    )


def _zone_of(width: Width, tz: str) -> str:
    """The zone that a width is stepped in; exact ones need none, and share their passes."""
    return tz if isinstance(width, Period) else ""


def _output(feature: Rolling | Ewm | Bucket) -> Output:
    return Output(feature.name, feature.measure, feature.min_count)


def _views(features: Iterable[Feature]) -> tuple[ViewReads, ...]:
    found: dict[tuple[str, str | None], list[FromView]] = defaultdict(list)
    for feature in features:
        if isinstance(feature, FromView):
            found[feature.view, feature.definition].append(feature)
    return tuple(ViewReads(*which, tuple(mine)) for which, mine in found.items())


def _attributes(features: Iterable[Feature]) -> tuple[str, ...]:
    keys = [f.key for f in features if isinstance(f, Attribute)]
    if any(has_asset_zone(f) for f in features):
        keys.append(ZONE_KEY)
    return tuple(dict.fromkeys(keys))


def _in_order(features: tuple[Feature, ...]) -> tuple[Derived, ...]:
    """The derived features, each after those it reads."""
    derived = {f.name: f for f in features if isinstance(f, Derived)}
    order = TopologicalSorter({name: feature.inputs for name, feature in derived.items()})
    return tuple(derived[name] for name in order.static_order() if name in derived)


def sources_for(plan: Plan, missing: Missing | None) -> frozenset[Source]:
    """Every mean that filling may ask for under a request's policy."""
    policy, filled = plan.feature_set.policy_of, plan.filled_from
    fillable = (f for f in plan.feature_set.features if f.name in filled)
    return frozenset(filled[f.name] for f in fillable if policy(f, missing) == "mean")
