"""Every feature in plain Python: slow, obvious, and what the tests hold the other engines to.

Standard library only. Each definition is written as SEMANTICS states it, over all observations of
one asset, with no state between two answers. Instants are microseconds since the epoch.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple, assert_never

from ai_hub.definitions.expressions import expression_tree
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
from ai_hub.definitions.periods import ASSET_ZONE, Period, Width
from ai_hub.definitions.valid_range import ValidRange, ValidValues
from ai_hub.definitions.values import BUCKET_ORIGIN, FIRST_INSTANT, HOUR, SECOND
from ai_hub.definitions.vocabulary import Missing, Stat, WeatherColumn, check_missing
from ai_hub.engines.reference_clock import bucket_start, calendar_part, step_back
from ai_hub.engines.reference_expressions import evaluate
from ai_hub.engines.reference_statistics import Number, Observation, mean, statistic

FILL_WINDOW = 168 * HOUR
"""The width of the window whose mean stands in for a missing value, in microseconds."""


@dataclass(frozen=True, slots=True)
class WeatherRow:
    """Weather about `timestamp`, known from `issued_at` on; an absent column is null."""

    timestamp: int
    issued_at: int
    values: Mapping[str, float | None]


@dataclass(frozen=True, slots=True)
class History:
    """All that is known of one asset, in any order.

    A series has one observation per timestamp. `weather` is that of the asset's source while no
    mapping holds: one row per timestamp and issue. From the `valid_from` of each of `mappings` on,
    until the next, the weather is that mapping's. `attributes` hold from their `valid_from` on.
    `views` are the rows of views of one's own, as many as there are of a timestamp.
    """

    series: Mapping[str, Sequence[Observation]] = field(default_factory=dict)
    weather: Sequence[WeatherRow] = ()
    mappings: Sequence[Mapped] = ()
    attributes: Sequence[AttributeValue] = ()
    views: Sequence[ViewRow] = ()

    def weather_at(self, t: int) -> Sequence[WeatherRow]:
        """The rows of the source that holds at `t`: a vector reads one source throughout."""
        holding = [mapped for mapped in self.mappings if mapped.valid_from <= t]
        return max(holding, key=lambda m: m.valid_from).weather if holding else self.weather

    def attribute_at(self, key: str, t: int) -> float | str | None:
        """What an attribute is at `t`: the value with the latest `valid_from`."""
        holding = [a for a in self.attributes if a.key == key and a.valid_from <= t]
        return max(holding, key=lambda a: a.valid_from).value if holding else None


@dataclass(frozen=True, slots=True)
class Mapped:
    """The weather of an asset from an instant on."""

    valid_from: int
    weather: Sequence[WeatherRow]


@dataclass(frozen=True, slots=True)
class AttributeValue:
    """What an attribute of an asset is from an instant on: a number, a text, or null."""

    key: str
    value: float | str | None
    valid_from: int = FIRST_INSTANT


@dataclass(frozen=True, slots=True)
class ViewRow:
    """A row of a user's own view; an absent column is null."""

    view: str
    timestamp: int
    values: Mapping[str, float | None]


@dataclass(frozen=True, slots=True)
class Vector:
    """The features of a set at one instant, filled, and the names of those that were null.

    `violations` are those whose value was outside its range. Where the set rejects such a vector,
    it has nothing else.
    """

    features: dict[str, Number]
    missing: tuple[str, ...]
    violations: tuple[str, ...] = ()


def vector(
    feature_set: FeatureSet, t: int, history: History, missing: Missing | None = None
) -> Vector:
    """The set's features at `t`, filled by the policy: the request's, the feature's, the set's."""
    requested = None if missing is None else check_missing(missing)
    by_name = {f.name: f for f in feature_set.computed}
    nulls = feature_set.on_violation == "null"
    plain = {f.name: value(f, t, history, by_name, nulls) for f in feature_set.features}
    violations = tuple(f.name for f in feature_set.features if not is_valid(f, plain[f.name]))
    if violations and feature_set.on_violation == "reject":
        return Vector({}, (), violations)
    if nulls:
        plain |= dict.fromkeys(violations)
    filled = {
        f.name: _filled(f, t, history, feature_set.policy_of(f, requested))
        for f in feature_set.features
        if plain[f.name] is None
    }
    return Vector(plain | filled, tuple(filled), violations)


def is_valid(feature: Feature, found: Number) -> bool:
    """Whether a value is inside what is said of the feature; null always is."""
    valid = feature.valid
    if valid is None or found is None:
        return True
    match valid:
        case ValidRange():
            return valid.low <= found <= valid.high
        case ValidValues():
            return found in valid.values
        case _:
            assert_never(valid)


def value(
    feature: Feature,
    t: int,
    history: History,
    features: Mapping[str, Feature] | None = None,
    nulls: bool = False,
) -> Number:
    """One feature at `t`, before filling; `features` are those a derived feature may read.

    With `nulls` it reads null where one of them is outside its range.
    """
    match feature:
        case Calendar():
            tz = _zone(feature.tz, t, history)
            return None if tz is None else calendar_part(feature, t, tz)
        case Rolling() | Bucket() | Ewm():
            window = window_of(feature, t, history)
            if window is None:
                return None
            measure = feature.measure
            always = measure.stat in ("count", "coverage")
            if not always and len(window.readings) < feature.min_count:
                return None
            return statistic(measure, window.readings, t, window.length)
        case Lag():
            found = _before(feature, feature.by, t, history)
            return None if found is None else found.value
        case Seasonal():
            return _seasonal(feature, t, history)
        case Age():
            oldest = t - feature.max_age.micros
            seen = [o.timestamp for o in known(feature, t, history) if oldest < o.timestamp <= t]
            return (t - max(seen)) / SECOND if seen else None
        case Latest():
            return _latest(feature, t, history)
        case Attribute():
            held = history.attribute_at(feature.key, t)
            return None if isinstance(held, str) else held
        case FromView():
            return _from_view(feature, t, history)
        case Derived():
            tree = expression_tree(feature.expression)
            others = features or {}

            def read(name: str) -> Number:
                found = value(others[name], t, history, others, nulls)
                return None if nulls and not is_valid(others[name], found) else found

            return evaluate(tree, read)
        case _:
            assert_never(feature)


class Window(NamedTuple):
    """What a window holds, and how long it is up to t."""

    readings: list[Observation]
    length: int


def window_of(feature: Rolling | Bucket | Ewm, t: int, history: History) -> Window | None:
    """What the window of a feature holds at `t`; None where its zone is not known."""
    closed = feature.closed if isinstance(feature, Rolling) else "both"
    width = feature.every if isinstance(feature, Bucket) else feature.window
    if isinstance(width, Period):
        tz = _zone(feature.tz, t, history)
        if tz is None:
            return None
        bucket = isinstance(feature, Bucket)
        start = bucket_start(t, width, tz) if bucket else step_back(t, width, tz)
    elif isinstance(feature, Bucket):
        start = t - (t - BUCKET_ORIGIN) % width.micros
    else:
        start = t - width.micros
    # Instants are whole microseconds: an edge that is outside starts one later or ends one earlier.
    first = start if closed in ("both", "left") else start + 1
    last = t if closed in ("both", "right") else t - 1
    inside = [o for o in known(feature, t, history) if first <= o.timestamp <= last]
    return Window(inside, t - start)


def window_values(
    feature: Rolling | Bucket | Ewm | Seasonal, t: int, history: History
) -> list[float]:
    """The values that a feature's statistic is taken of at `t`."""
    if isinstance(feature, Seasonal):
        read = _lags(feature, t, history)
    else:
        window = window_of(feature, t, history)
        read = [] if window is None else window.readings
    return [o.value for o in read]


def known(feature: Reading, t: int, history: History) -> list[Observation]:
    """What a feature reads, as known at `t`: a series, or a column of the weather."""
    if feature.source == "observations":
        return list(history.series.get(feature.series, ()))
    assert feature.column is not None
    rows = _rows(feature.column, t, history)
    if feature.measured:
        rows = [row for row in rows if row.issued_at >= row.timestamp]
    return _newest_issues(feature.column, rows)


def fill_values(feature: Feature, t: int, history: History) -> list[float]:
    """The values whose mean replaces a feature missing at `t`; none where none does.

    A feature that does not see t itself is not filled from it either.
    """
    match feature:
        case Latest():
            read = _newest_issues(feature.column, _rows(feature.column, t, history))
        case Lag() | Rolling() | Bucket() | Seasonal() | Ewm():
            stat = "mean" if isinstance(feature, Lag | Ewm) else feature.stat
            if not _mean_fills(stat):
                return []
            if feature.source == "weather":
                assert feature.column is not None
                read = _newest_issues(feature.column, _rows(feature.column, t, history))
            else:
                read = list(history.series.get(feature.series, ()))
            if isinstance(feature, Lag | Seasonal) or (
                isinstance(feature, Rolling) and feature.closed in ("left", "none")
            ):
                read = [o for o in read if o.timestamp < t]
        case Calendar() | Age() | Attribute() | FromView() | Derived():
            return []
        case _:
            assert_never(feature)
    return [o.value for o in read if t - FILL_WINDOW <= o.timestamp <= t]


def _mean_fills(stat: Stat) -> bool:
    match stat:
        case "mean" | "min" | "max" | "sum" | "median":
            return True
        case "quantile" | "first" | "last" | "time_mean":
            return True
        case "std" | "range" | "count" | "delta" | "increase" | "coverage":
            return False
        case _:
            assert_never(stat)


def _filled(feature: Feature, t: int, history: History, policy: Missing) -> float | None:
    match policy:
        case "keep":
            return None
        case "zero":
            return 0.0
        case "mean":
            if isinstance(feature, Age):
                return feature.max_age.seconds
            found = mean(fill_values(feature, t, history))
            return 0.0 if found is None else found
        case float():
            return policy
        case _:
            assert_never(policy)


def _zone(tz: str, t: int, history: History) -> str | None:
    """The zone that a feature means: one by name, or that of the asset at `t`."""
    if tz != ASSET_ZONE:
        return tz
    named = history.attribute_at("timezone", t)
    return named if isinstance(named, str) else None


def _before(feature: Lag | Seasonal, by: Width, t: int, history: History) -> Observation | None:
    """The latest of what a feature reads in (t-by-tolerance, t-by]."""
    if isinstance(by, Period):
        tz = _zone(feature.tz, t, history)
        if tz is None:
            return None
        wanted = step_back(t, by, tz)
    else:
        wanted = t - by.micros
    oldest = wanted - feature.tolerance.micros
    near = [o for o in known(feature, t, history) if oldest < o.timestamp <= wanted]
    return max(near, key=lambda o: o.timestamp, default=None)


def _seasonal(feature: Seasonal, t: int, history: History) -> Number:
    if isinstance(feature.every, Period) and _zone(feature.tz, t, history) is None:
        return None
    found = _lags(feature, t, history)
    if feature.stat != "count" and len(found) < feature.min_count:
        return None
    return statistic(feature.measure, found, t, 0)


def _lags(feature: Seasonal, t: int, history: History) -> list[Observation]:
    lags = [_before(feature, feature.by(k + 1), t, history) for k in range(feature.count)]
    return [lag for lag in lags if lag is not None]


def _latest(feature: Latest, t: int, history: History) -> float | None:
    oldest = t - feature.max_age.micros
    fresh = [row for row in _rows(feature.column, t, history) if oldest < row.timestamp]
    recent = t - feature.measured_within.micros
    measured = [r for r in fresh if r.issued_at >= r.timestamp and r.timestamp > recent]
    chosen = measured or fresh
    if not chosen:
        return None
    return max(chosen, key=lambda row: (row.timestamp, row.issued_at)).values[feature.column]


def _from_view(feature: FromView, t: int, history: History) -> float | None:
    oldest = t - feature.max_age.micros
    held = [
        (row.timestamp, row.values[feature.column])
        for row in history.views
        if row.view == feature.view
        and oldest < row.timestamp <= t
        and row.values.get(feature.column) is not None
    ]
    last = max((at for at, _ in held), default=t)
    newest = [value for at, value in held if at == last]
    return newest[0] if len(newest) == 1 else None


def _rows(column: WeatherColumn, t: int, history: History) -> list[WeatherRow]:
    """The rows about `t` or before it that were known at `t` and have the column."""
    return [
        row
        for row in history.weather_at(t)
        if row.timestamp <= t and row.issued_at <= t and row.values.get(column) is not None
    ]


def _newest_issues(column: WeatherColumn, rows: Iterable[WeatherRow]) -> list[Observation]:
    """A column of some rows: of each timestamp the latest issue."""
    latest = {row.timestamp: row for row in sorted(rows, key=lambda row: row.issued_at)}
    values = ((at, row.values[column]) for at, row in latest.items())
    return [Observation(at, v) for at, v in values if v is not None]
