"""The words that definitions are written in: names, stats, parts, columns, policies."""

from __future__ import annotations

import math
import re
from typing import Literal, cast, get_args

from ai_hub.errors import InvalidInput, did_you_mean

Stat = Literal[
    "mean",
    "std",
    "min",
    "max",
    "range",
    "sum",
    "count",
    "median",
    "quantile",
    "first",
    "last",
    "delta",
    "increase",
    "time_mean",
    "coverage",
]
SeasonalStat = Literal["mean", "std", "min", "max", "range", "sum", "count", "median", "quantile"]
Closed = Literal["both", "right", "left", "none"]
Part = Literal[
    "hour_of_day",
    "day_of_week",
    "day_of_month",
    "month",
    "is_weekend",
    "is_business_hours",
    "minute_of_hour",
    "minute_of_day",
    "quarter",
    "day_of_year",
    "week_of_year",
    "is_holiday",
    "day_sin",
    "day_cos",
    "week_sin",
    "week_cos",
    "year_sin",
    "year_cos",
]
WeatherColumn = Literal[
    "temperature", "humidity", "solar_irradiance", "wind_speed", "cloud_cover", "precipitation"
]
SourceKind = Literal["observations", "weather"]
Missing = Literal["mean", "zero", "keep"] | float
OnViolation = Literal["report", "null", "reject"]

STATS: tuple[Stat, ...] = get_args(Stat)
SEASONAL_STATS: tuple[SeasonalStat, ...] = get_args(SeasonalStat)
CLOSED: tuple[Closed, ...] = get_args(Closed)
PARTS: tuple[Part, ...] = get_args(Part)
WAVES: tuple[Part, ...] = (
    *("day_sin", "day_cos"),
    *("week_sin", "week_cos"),
    *("year_sin", "year_cos"),
)
"""The parts that are floats: sine and cosine of a share of a turn."""
WEATHER_COLUMNS: tuple[WeatherColumn, ...] = get_args(WeatherColumn)
SOURCE_KINDS: tuple[SourceKind, ...] = get_args(SourceKind)
ON_VIOLATION: tuple[OnViolation, ...] = get_args(OnViolation)
"""What becomes of a value outside its range: it is named; it is missing; nothing is answered."""

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,62}")
_COLUMN = re.compile(r"[^\W\d][\w$]*")
_DIGEST = re.compile(r"[0-9a-f]{16}")
_IDENTIFIER = "a name of letters, digits, _ and $, at most 63 bytes, no digit first"


def check_name(field: str, name: object) -> str:
    """`name` if it can name a feature or a set: an identifier of at most 63 characters."""
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        raise InvalidInput(
            field, name, "a name of letters, digits and _, at most 63, no digit first"
        )
    return name


def check_identifier(field: str, name: object) -> str:
    """`name` if a database may have a column of that name. It is quoted wherever it is said."""
    if not isinstance(name, str) or not _is_identifier(name):
        raise InvalidInput(field, name, _IDENTIFIER)
    return name


def check_view(field: str, name: object) -> str:
    """The name of a view or table, or its schema, a dot and its name."""
    if isinstance(name, str):
        parts = name.split(".")
        if len(parts) <= 2 and all(map(_is_identifier, parts)):
            return name
    raise InvalidInput(field, name, f"view or schema.view, each {_IDENTIFIER}")


def _is_identifier(name: str) -> bool:
    # PostgreSQL cuts off what is longer, and would mean another view.
    return bool(_COLUMN.fullmatch(name)) and len(name.encode()) <= 63


def check_digest(field: str, digest: object) -> str:
    """The first 16 hex digits of a hash."""
    if not isinstance(digest, str) or not _DIGEST.fullmatch(digest):
        raise InvalidInput(field, digest, "16 hex digits, as the registry writes them")
    return digest


def check_choice(field: str, value: object, known: tuple[str, ...]) -> None:
    """Raises InvalidInput for what is none of a few words."""
    if value not in known:
        raise InvalidInput(field, value, f"one of {', '.join(known)}", did_you_mean(value, known))


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
