"""Every feature in plain Python: slow, obvious, and what the tests hold the other engines to.

Standard library only. Each definition is written as SEMANTICS states it, over all observations of
one asset, with no state between two answers. Instants are microseconds since the epoch.
"""

from __future__ import annotations

import ast
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from fractions import Fraction
from typing import assert_never
from zoneinfo import ZoneInfo

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
    Operator,
    Part,
    Rolling,
    Sign,
    Stat,
    check_missing,
    expression_tree,
)
from ai_hub.definitions.values import BUCKET_ORIGIN, HOUR, to_datetime

FILL_WINDOW = 168 * HOUR
"""The width of the window whose mean stands in for a missing value, in microseconds."""

Number = float | int | None
"""A feature's value: int for calendar parts and counts, float otherwise, None for null."""


@dataclass(frozen=True, slots=True)
class Observation:
    """One value of one series at one instant."""

    timestamp: int
    value: float


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
    until the next, the weather is that mapping's.
    """

    series: Mapping[str, Sequence[Observation]] = field(default_factory=dict)
    weather: Sequence[WeatherRow] = ()
    mappings: Sequence[Mapped] = ()

    def weather_at(self, t: int) -> Sequence[WeatherRow]:
        """The rows of the source that holds at `t`: a vector reads one source throughout."""
        holding = [mapped for mapped in self.mappings if mapped.valid_from <= t]
        return max(holding, key=lambda m: m.valid_from).weather if holding else self.weather


@dataclass(frozen=True, slots=True)
class Mapped:
    """The weather of an asset from an instant on."""

    valid_from: int
    weather: Sequence[WeatherRow]


@dataclass(frozen=True, slots=True)
class Vector:
    """The features of a set at one instant, filled, and the names of those that were null."""

    features: dict[str, Number]
    missing: tuple[str, ...]


def vector(
    feature_set: FeatureSet, t: int, history: History, missing: Missing | None = None
) -> Vector:
    """The set's features at `t`, filled by the policy: the request's, the feature's, the set's."""
    requested = None if missing is None else check_missing(missing)
    by_name = {f.name: f for f in feature_set.features}
    plain = {f.name: value(f, t, history, by_name) for f in feature_set.features}
    filled = {
        f.name: _filled(f, t, history, feature_set.policy_of(f, requested))
        for f in feature_set.features
        if plain[f.name] is None
    }
    return Vector(plain | filled, tuple(filled))


def value(
    feature: Feature, t: int, history: History, features: Mapping[str, Feature] | None = None
) -> Number:
    """One feature at `t`, before filling; `features` are those a derived feature may read."""
    match feature:
        case Calendar():
            return _calendar(feature.part, _local(t, feature.tz))
        case Rolling() | Bucket():
            return statistic(feature.stat, window_values(feature, t, history))
        case Lag():
            return _lag(feature, t, history)
        case Latest():
            return _latest(feature, t, history)
        case Derived():
            tree = expression_tree(feature.expression)
            known = features or {}
            return evaluate(tree, lambda name: value(known[name], t, history, known))
        case _:
            assert_never(feature)


def window_values(feature: Rolling | Bucket, t: int, history: History) -> list[float]:
    """The values that a window or a bucket holds at `t`."""
    if isinstance(feature, Bucket):
        start = t - (t - BUCKET_ORIGIN) % feature.every.micros
        return _between(history, feature.series, start, t, "both")
    return _between(history, feature.series, t - feature.window.micros, t, feature.closed)


def fill_values(feature: Feature, t: int, history: History) -> list[float]:
    """The values whose mean replaces a feature missing at `t`; none where 0 does.

    A feature that does not see t itself is not filled from it either.
    """
    match feature:
        case Latest():
            return _weather_values(feature, t, history)
        case Lag():
            return _between(history, feature.series, t - FILL_WINDOW, t, "left")
        case Rolling() | Bucket():
            if not _mean_fills(feature.stat):
                return []
            sees_t = isinstance(feature, Bucket) or feature.closed in ("both", "right")
            closed: Closed = "both" if sees_t else "left"
            return _between(history, feature.series, t - FILL_WINDOW, t, closed)
        case Calendar() | Derived():
            return []
        case _:
            assert_never(feature)


def _mean_fills(stat: Stat) -> bool:
    match stat:
        case "mean" | "min" | "max" | "sum" | "median":
            return True
        case "std" | "range" | "count":
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
            mean = statistic("mean", fill_values(feature, t, history))
            return 0.0 if mean is None else mean
        case float():
            return policy
        case _:
            assert_never(policy)


# After 400 years the Gregorian calendar repeats itself, weekdays included.
_CYCLE = timedelta(days=146_097)


def _local(t: int, tz: str) -> datetime:
    """The wall clock at `t`; beyond the years 1 to 9999 that of a year that is like it."""
    utc = to_datetime(t)
    if tz == "UTC":
        return utc
    zone = ZoneInfo(tz)
    inside = min(max(utc, _INSIDE[0]), _INSIDE[1])
    offset = inside.astimezone(zone).utcoffset() or timedelta()
    wall = utc.replace(tzinfo=None)
    if inside != utc:
        wall += _CYCLE if utc < inside else -_CYCLE
    return wall + offset


_INSIDE = (
    datetime.min.replace(tzinfo=UTC) + timedelta(days=2),
    datetime.max.replace(tzinfo=UTC) - timedelta(days=2),
)


def _calendar(part: Part, local: datetime) -> int:
    weekend = local.weekday() >= 5
    match part:
        case "hour_of_day":
            return local.hour
        case "day_of_week":
            return local.weekday()
        case "day_of_month":
            return local.day
        case "month":
            return local.month
        case "is_weekend":
            return int(weekend)
        case "is_business_hours":
            return int(not weekend and 9 <= local.hour < 17)
        case _:
            assert_never(part)


def _between(history: History, series: str, start: int, end: int, closed: Closed) -> list[float]:
    """The values of a series from `start` to `end`, each edge inside or not as `closed` says."""
    # Instants are whole microseconds: an edge that is outside starts one later or ends one earlier.
    first = start if closed in ("both", "left") else start + 1
    last = end if closed in ("both", "right") else end - 1
    return [o.value for o in history.series.get(series, ()) if first <= o.timestamp <= last]


def statistic(stat: Stat, values: Sequence[float]) -> Number:
    """`stat` over `values`: None where it has no value, or one that no float64 holds."""
    if stat == "count":
        return len(values)
    if not values or (stat == "std" and len(values) < 2):
        return None
    try:
        return _finite(_float_statistic(stat, values))
    except OverflowError:
        return None


def _float_statistic(stat: Stat, values: Sequence[float]) -> float:
    low, high = min(values), max(values)
    match stat:
        case "mean":
            return low if low == high else _mean(values)
        case "std":
            return 0.0 if low == high else _std(values)
        case "median":
            return low if low == high else _median(values)
        case "sum":
            return _sum(values)
        case "min":
            return low
        case "max":
            return high
        case "range":
            return high - low
        case "count":
            return len(values)
        case _:
            assert_never(stat)


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


def _std(values: Sequence[float]) -> float:
    """The sample standard deviation, sqrt(sum (v - mean)^2 / (n - 1)), in two passes."""
    mean = _mean(values)
    # Halved, a deviation of two floats is a float; a power of two costs no digit.
    halves = [v / 2 - mean / 2 for v in values]
    largest = max(map(abs, halves))
    if largest == 0:
        return 0.0
    squares = math.fsum((half / largest) ** 2 for half in halves)
    return math.sqrt(squares / (len(values) - 1)) * largest * 2


def _finite(number: float) -> float | None:
    return float(number) if math.isfinite(number) else None


def _lag(feature: Lag, t: int, history: History) -> float | None:
    wanted = t - feature.by.micros
    near = [
        o
        for o in history.series.get(feature.series, ())
        if wanted - feature.tolerance.micros < o.timestamp <= wanted
    ]
    return max(near, key=lambda o: o.timestamp).value if near else None


def _latest(feature: Latest, t: int, history: History) -> float | None:
    oldest = t - feature.max_age.micros
    known = [row for row in _known(feature.column, t, history) if oldest < row.timestamp]
    recent = t - feature.measured_within.micros
    measured = [r for r in known if r.issued_at >= r.timestamp and r.timestamp > recent]
    chosen = measured or known
    if not chosen:
        return None
    return max(chosen, key=lambda row: (row.timestamp, row.issued_at)).values[feature.column]


def _known(column: str, t: int, history: History) -> list[WeatherRow]:
    """The rows about `t` or before it that were known at `t` and have the column."""
    return [
        row
        for row in history.weather_at(t)
        if row.timestamp <= t and row.issued_at <= t and row.values.get(column) is not None
    ]


def _weather_values(feature: Latest, t: int, history: History) -> list[float]:
    """The column over [t-168h, t] as known at `t`: of each timestamp the latest issue."""
    known = _known(feature.column, t, history)
    by_issue = sorted(known, key=lambda row: row.issued_at)
    latest = {row.timestamp: row.values[feature.column] for row in by_issue}
    return [v for at, v in latest.items() if at >= t - FILL_WINDOW and v is not None]


def evaluate(node: ast.expr, read: Callable[[str], Number]) -> float | None:
    """The value of an expression: null as soon as any part of it is null or not finite.

    `read` gives the value of a feature, before filling.
    """
    match node:
        case ast.Name(id=name):
            found = read(name)
            return None if found is None else float(found)
        case ast.Constant(value=int() | float() as number):
            return _constant(number)
        case ast.UnaryOp(op=op, operand=operand) if isinstance(op, Sign):
            inner = evaluate(operand, read)
            return None if inner is None else _signed(op, inner)
        case ast.BinOp(left=left, op=op, right=right) if isinstance(op, Operator):
            a, b = evaluate(left, read), evaluate(right, read)
            return None if a is None or b is None else _apply(op, a, b)
    raise AssertionError(f"expression_tree refuses {type(node).__name__}")


def _constant(number: int | float) -> float | None:
    try:
        return _finite(float(number))
    except OverflowError:
        return None


def _signed(sign: Sign, a: float) -> float:
    match sign:
        case ast.UAdd():
            return a
        case ast.USub():
            return -a
        case _:
            assert_never(sign)


def _apply(op: Operator, a: float, b: float) -> float | None:
    match op:
        case ast.Add():
            return _finite(a + b)
        case ast.Sub():
            return _finite(a - b)
        case ast.Mult():
            return _finite(a * b)
        case ast.Div():
            return None if b == 0 else _finite(a / b)
        case _:
            assert_never(op)
