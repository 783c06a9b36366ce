"""The algebra of features: what each kind is, checked when built.

Every kind takes its `name` first. A kind says what a value means and nothing about how an engine
computes it. `missing` is the feature's own policy, None where the set's applies.
"""

from __future__ import annotations

import ast
import math
import re
import warnings
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal, cast, get_args
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from ai_hub.definitions.values import (
    DAY,
    DEFAULT_SERIES,
    HOUR,
    MAX_SERIES_LENGTH,
    Duration,
    check_id,
)
from ai_hub.errors import InvalidInput

Stat = Literal["mean", "std", "min", "max", "range", "sum", "count", "median"]
Closed = Literal["both", "right", "left", "none"]
Part = Literal[
    "hour_of_day",
    "day_of_week",
    "day_of_month",
    "month",
    "is_weekend",
    "is_business_hours",
]
WeatherColumn = Literal[
    "temperature", "humidity", "solar_irradiance", "wind_speed", "cloud_cover", "precipitation"
]
Missing = Literal["mean", "zero", "keep"] | float

STATS: tuple[Stat, ...] = get_args(Stat)
CLOSED: tuple[Closed, ...] = get_args(Closed)
PARTS: tuple[Part, ...] = get_args(Part)
WEATHER_COLUMNS: tuple[WeatherColumn, ...] = get_args(WeatherColumn)

_ONE_HOUR = Duration(HOUR)
_ONE_DAY = Duration(DAY)
_MAX_EXPRESSION = 400
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,62}")
# Columns that an export may add.
_TAKEN = re.compile(r"__missing$|^target_[0-9]")
_RESERVED = frozenset({"timestamp", "tenant_id", "asset_id", "value"})


def check_name(field: str, name: object) -> str:
    """`name` if it can name a feature or a set: an identifier of at most 63 characters."""
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        raise InvalidInput(
            field, name, "a name of letters, digits and _, at most 63, no digit first"
        )
    return name


def check_missing(policy: object, field: str = "missing") -> Missing:
    """A missing policy: `mean`, `zero`, `keep` or a finite number."""
    if isinstance(policy, str) and policy in ("mean", "zero", "keep"):
        return cast(Missing, policy)
    if isinstance(policy, int | float) and not isinstance(policy, bool):
        try:
            number = float(policy)
        except OverflowError:
            number = math.inf
        if math.isfinite(number):
            return number
    raise InvalidInput(field, policy, '"mean", "zero", "keep" or a finite number')


def read_missing(text: str, field: str = "missing") -> Missing:
    """A missing policy as a text says it: a word, or a number. Raises InvalidInput."""
    try:
        return check_missing(float(text), field)
    except ValueError:  # no number, or one that is refused (InvalidInput is a ValueError too)
        return check_missing(text, field)


def _finite(number: object, text: str) -> None:
    try:
        finite = isinstance(number, int | float) and math.isfinite(float(number))
    except OverflowError:
        finite = False
    if not finite:
        raise InvalidInput("expression", text, "numbers that a float can hold")


def _choice(field: str, value: object, known: tuple[str, ...]) -> None:
    if value not in known:
        raise InvalidInput(field, value, f"one of {', '.join(known)}")


def _common(feature: Feature) -> None:
    check_name("name", feature.name)
    if feature.name in _RESERVED or _TAKEN.search(feature.name):
        raise InvalidInput("name", feature.name, "a name that no column of an export has already")
    if feature.missing is not None:
        object.__setattr__(feature, "missing", check_missing(feature.missing))


def _width(feature: Feature, field: str, *, zero: bool = False) -> None:
    object.__setattr__(feature, field, Duration.of(getattr(feature, field), field, zero=zero))


@dataclass(frozen=True, slots=True)
class Calendar:
    """A pure function of t: `part` of its local time in `tz`."""

    name: str
    part: Part
    tz: str = "UTC"
    missing: Missing | None = None

    def __post_init__(self) -> None:
        _common(self)
        _choice("part", self.part, PARTS)
        try:
            ZoneInfo(self.tz)
        except (ZoneInfoNotFoundError, ValueError, OSError, TypeError):
            raise InvalidInput("tz", self.tz, "an IANA time zone such as Europe/Berlin") from None


@dataclass(frozen=True, slots=True)
class Rolling:
    """`stat` over {v : τ in the window of width `window` that ends at t}.

    `closed`: both = [t-w, t], right = (t-w, t], left = [t-w, t), none = (t-w, t).
    """

    name: str
    stat: Stat
    window: Duration
    closed: Closed = "both"
    series: str = DEFAULT_SERIES
    missing: Missing | None = None

    def __post_init__(self) -> None:
        _common(self)
        _choice("stat", self.stat, STATS)
        _choice("closed", self.closed, CLOSED)
        _width(self, "window")
        check_id("series", self.series, MAX_SERIES_LENGTH)


@dataclass(frozen=True, slots=True)
class Lag:
    """The value of the latest τ with t-by-tolerance < τ <= t-by."""

    name: str
    by: Duration
    tolerance: Duration = _ONE_HOUR
    series: str = DEFAULT_SERIES
    missing: Missing | None = None

    def __post_init__(self) -> None:
        _common(self)
        _width(self, "by")
        _width(self, "tolerance")
        check_id("series", self.series, MAX_SERIES_LENGTH)


@dataclass(frozen=True, slots=True)
class Bucket:
    """`stat` over {v : start of the bucket containing t <= τ <= t}: as far as it is known at t.

    Buckets count from 2000-01-03T00:00Z, a Monday.
    """

    name: str
    stat: Stat
    every: Duration
    series: str = DEFAULT_SERIES
    missing: Missing | None = None

    def __post_init__(self) -> None:
        _common(self)
        _choice("stat", self.stat, STATS)
        _width(self, "every")
        check_id("series", self.series, MAX_SERIES_LENGTH)


@dataclass(frozen=True, slots=True)
class Latest:
    """The newest known value of a weather column.

    Among the source's rows with t-max_age < τ <= t, issued_at <= t and the column not null: a
    measurement (issued_at >= τ) with τ > t-measured_within if there is one, else any row; of those
    the value of the latest τ, and of that the latest issue. `measured_within="0"` prefers nothing.
    """

    name: str
    column: WeatherColumn
    max_age: Duration = _ONE_DAY
    measured_within: Duration = _ONE_HOUR
    missing: Missing | None = None

    def __post_init__(self) -> None:
        _common(self)
        _choice("column", self.column, WEATHER_COLUMNS)
        _width(self, "max_age")
        _width(self, "measured_within", zero=True)


@dataclass(frozen=True, slots=True)
class Derived:
    """Arithmetic (+ - * / and parentheses) over other features of the same vector.

    It reads them as they are before filling: null in, null out. A division by zero is null.
    """

    name: str
    expression: str
    missing: Missing | None = None

    def __post_init__(self) -> None:
        _common(self)
        if not isinstance(self.expression, str):
            raise InvalidInput("expression", self.expression, "arithmetic over feature names")
        expression_tree(self.expression)

    @property
    def inputs(self) -> tuple[str, ...]:
        """The features it reads, in order of first use."""
        nodes = ast.walk(expression_tree(self.expression))
        names = [node for node in nodes if isinstance(node, ast.Name)]
        names.sort(key=lambda node: (node.lineno, node.col_offset))
        return tuple(dict.fromkeys(node.id for node in names))


Feature = Calendar | Rolling | Lag | Bucket | Latest | Derived
Operator = ast.Add | ast.Sub | ast.Mult | ast.Div
"""What may stand between two parts of an expression."""
Sign = ast.UAdd | ast.USub
"""What may stand before a part of an expression."""


@lru_cache(maxsize=1024)
def expression_tree(text: str) -> ast.expr:
    """The parsed body of a Derived expression: names, numbers, + - * / and unary signs only."""
    expected = (
        "arithmetic (+ - * / and parentheses) over feature names, "
        f"at most {_MAX_EXPRESSION} characters"
    )
    if len(text) > _MAX_EXPRESSION:
        raise InvalidInput("expression", text, expected)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", SyntaxWarning)
            body = ast.parse(text.strip(), mode="eval").body
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        raise InvalidInput("expression", text, expected) from None
    for node in ast.walk(body):
        legal = isinstance(
            node, ast.BinOp | ast.UnaryOp | ast.Name | ast.Load | Operator | Sign
        ) or (isinstance(node, ast.Constant) and type(node.value) in (int, float))
        if not legal:
            raise InvalidInput("expression", text, expected)
        if isinstance(node, ast.Constant):
            _finite(node.value, text)
    if not any(isinstance(node, ast.Name) for node in ast.walk(body)):
        raise InvalidInput("expression", text, "arithmetic over at least one feature name")
    return body
