"""Entities, instants, durations and the as-of rule.

Inside the package an instant is an `int`: microseconds since 1970-01-01T00:00Z. Callers pass aware
datetimes or ISO 8601 texts with an offset; these functions are the only way in.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Mapping, Sized
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from itertools import islice
from typing import Any, Literal, TypeAlias

from ai_hub.errors import InvalidInput

MICROSECOND = 1
SECOND = 1_000_000
MINUTE = 60 * SECOND
HOUR = 60 * MINUTE
DAY = 24 * HOUR

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
FIRST_INSTANT = (datetime.min.replace(tzinfo=UTC) - EPOCH) // _MICROSECOND
"""0001-01-01T00:00Z: no instant is earlier."""
LAST_INSTANT = (datetime.max.replace(tzinfo=UTC) - EPOCH) // _MICROSECOND
"""9999-12-31T23:59:59.999999Z: no instant is later."""
BUCKET_ORIGIN = 10_959 * DAY
"""2000-01-03T00:00Z, a Monday: buckets of an exact width count from here."""

MAX_ID_LENGTH = 256
MAX_SERIES_LENGTH = 64
MAX_BATCH = 1_000
"""Assets of one batch request."""
MAX_ASSETS = 10_000
"""Asset ids of any other list."""
MAX_BODY_ROWS = 10_000_000
"""Rows of a body, whatever they take."""
MAX_NAMES = 1_000
"""Feature names of a request."""
MAX_HORIZONS = 100
"""Targets of a training set."""
MAX_TEXT = 2_000
"""Characters of a description."""
DEFAULT_SERIES = "value"

_FORBIDDEN_CATEGORIES = frozenset({"Cc", "Cs", "Zl", "Zp"})
_KEY_CHARACTERS = frozenset(":*?[]\\%")
_NANOSECONDS = re.compile(r"(?<=[0-9]{2}[.,][0-9]{6})[0-9]+")
_OFFSET_BEFORE = re.compile(r"[+-]")
_DURATION = re.compile(r"([0-9]{1,12})(us|ms|s|m|h|d|w)")
_UNITS = {
    "us": MICROSECOND,
    "ms": 1_000,
    "s": SECOND,
    "m": MINUTE,
    "h": HOUR,
    "d": DAY,
    "w": 7 * DAY,
}
_MAX_DURATION = 36_600 * DAY
Time: TypeAlias = datetime | str
"""An aware datetime (pandas.Timestamp is one), or an ISO 8601 text with an offset."""
Rounding = Literal["down", "up"]
"""Which way an instant finer than a microsecond goes: data up, so that nothing is known early;
questions and ends down, so that nothing later is read; starts up."""
_TIME_EXPECTED = "a time with an offset, such as 2025-10-09T14:30:00Z"


def id_fault(value: object, limit: int = MAX_ID_LENGTH) -> str | None:
    """What is wrong with an id, or None: the one rule for tenants, assets, sources and series."""
    if not isinstance(value, str):
        return "a string"
    if not 1 <= len(value) <= limit:
        return f"a string of 1 to {limit} characters"
    if not value.isascii() or not value.isprintable():
        for character in value:
            if unicodedata.category(character) in _FORBIDDEN_CATEGORIES:
                return "a string without control characters, lone surrogates or line separators"
    return None


def check_id(field: str, value: object, limit: int = MAX_ID_LENGTH) -> str:
    """`value` if it is a legal id; otherwise InvalidInput naming `field`."""
    fault = id_fault(value, limit)
    if fault is not None:
        raise InvalidInput(field, value, fault)
    assert isinstance(value, str)
    return value


def check_text(field: str, value: object, most: int = MAX_TEXT) -> str:
    """`value` if it is a text that people read, of at most `most` characters."""
    if (
        not isinstance(value, str)
        or len(value) > most
        or (
            not value.isascii()
            and any(unicodedata.category(character) == "Cs" for character in value)
        )
        or "\0" in value
    ):
        raise InvalidInput(field, value, f"a text of at most {most:,} characters")
    return value


def check_count(field: str, value: object, most: int) -> int:
    """`value` if it is a whole number from 1 to `most`; otherwise InvalidInput naming `field`."""
    if type(value) is not int or not 1 <= value <= most:
        raise InvalidInput(field, value, f"a whole number from 1 to {most:,}")
    return value


def check_list(field: str, values: object, of_what: str, most: int) -> list[Any]:
    """`values` as a list, counted before any of them is looked at.

    Raises InvalidInput naming `field` for one text, a mapping, what else is no list, and for more
    than `most`.
    """
    if isinstance(values, str | bytes | Mapping) or not isinstance(values, Iterable):
        raise InvalidInput(field, values, f"a list of {of_what}")
    found = list(islice(values, most + 1))
    if len(found) > most:
        count = len(values) if isinstance(values, Sized) else len(found)
        raise InvalidInput(field, count, f"a list of at most {most:,} {of_what}")
    return found


@lru_cache(maxsize=65_536)
def key_part(value: str) -> str:
    """An id as it stands in a cache key: what has a meaning there becomes uppercase %XX (UTF-8)."""
    if not any(c in _KEY_CHARACTERS or c.isspace() for c in value):
        return value
    return "".join(
        "".join(f"%{byte:02X}" for byte in c.encode()) if c in _KEY_CHARACTERS or c.isspace() else c
        for c in value
    )


@dataclass(frozen=True, slots=True, order=True)
class Entity:
    """A tenant's asset: what features are about."""

    tenant_id: str
    asset_id: str

    def __post_init__(self) -> None:
        check_id("tenant_id", self.tenant_id)
        check_id("asset_id", self.asset_id)


def to_micros(instant: object, field: str = "timestamp", rounding: Rounding = "down") -> int:
    """An aware datetime, or a text as `parse_time` takes it, as microseconds since the epoch;
    nanoseconds are rounded as said.

    Raises InvalidInput for anything else, a naive datetime above all.
    """
    if isinstance(instant, str):
        return parse_time(instant, field, rounding)
    if not isinstance(instant, datetime):
        # A date, and what numpy and pandas have besides, is of no zone.
        hint = "Say its time of the day and its zone." if isinstance(instant, date) else ""
        if type(instant).__name__ in ("datetime64", "Period"):
            hint = 'It has no zone: pandas.Timestamp(..., tz="UTC") says one.'
        raise InvalidInput(field, instant, f"an aware datetime, or {_TIME_EXPECTED}", hint)
    if type(instant).__name__ == "NaTType":
        raise InvalidInput(field, "NaT", "an aware datetime: this one is missing")
    if instant.tzinfo is None or instant.utcoffset() is None:
        raise InvalidInput(
            field,
            instant.isoformat(),
            "an aware datetime",
            "Say which zone it is in, e.g. datetime(..., tzinfo=timezone.utc), or of pandas "
            'tz_localize("Europe/Berlin").',
        )
    micros = (instant - EPOCH) // _MICROSECOND
    # pandas.Timestamp is a datetime that carries nanoseconds besides; its subtraction keeps them.
    if rounding == "up" and getattr(instant, "nanosecond", None):
        micros += 1
    return _bounded(micros, field, instant)


def parse_time(text: object, field: str = "timestamp", rounding: Rounding = "down") -> int:
    """An ISO 8601 text with an offset as microseconds since the epoch.

    Digits beyond the microsecond are rounded as said. Raises InvalidInput for any other text.
    """
    if not isinstance(text, str):
        raise InvalidInput(field, text, _TIME_EXPECTED)
    up = 0
    plain = text.strip()
    # Only the first fraction is the time's; one behind it would be the offset's.
    match = _NANOSECONDS.search(plain)
    if match is not None and not _OFFSET_BEFORE.search(plain, 10, match.start()):
        up = int(rounding == "up" and bool(match.group().strip("0")))
        plain = plain[: match.start()] + plain[match.end() :]
    if len(plain) > 10 and plain[10] not in "Tt ":
        raise InvalidInput(field, text, _TIME_EXPECTED)
    try:
        instant = datetime.fromisoformat(plain)
    except ValueError:
        raise InvalidInput(field, text, _TIME_EXPECTED) from None
    if instant.tzinfo is None:
        raise InvalidInput(
            field, text, _TIME_EXPECTED, "It has no offset: add Z for UTC, or +02:00 and the like."
        )
    return _bounded((instant - EPOCH) // _MICROSECOND + up, field, text)


def _bounded(micros: int, field: str, value: datetime | str) -> int:
    """An instant that a UTC datetime can hold."""
    if not FIRST_INSTANT <= micros <= LAST_INSTANT:
        text = value if isinstance(value, str) else value.isoformat()
        raise InvalidInput(field, text, "a time between the years 1 and 9999")
    return micros


def to_datetime(micros: int) -> datetime:
    """Microseconds since the epoch as an aware UTC datetime."""
    return EPOCH + timedelta(microseconds=micros)


@lru_cache(maxsize=65_536)
def iso(micros: int) -> str:
    """Microseconds since the epoch as `2025-10-09T14:00:00Z`, with a fraction if there is one."""
    return to_datetime(micros).isoformat().replace("+00:00", "Z")


@dataclass(frozen=True, slots=True, order=True)
class Duration:
    """An exact width: `"24h"`, `"90m"`, `"7d"` (168 hours) or a timedelta, kept in microseconds.

    Few widths may be 0 (`"0"`): that of a tolerance, which then means exactly.
    """

    micros: int

    def __post_init__(self) -> None:
        if type(self.micros) is not int or not 0 <= self.micros <= _MAX_DURATION:
            raise InvalidInput("duration", self.micros, "a width of at most 100 years")

    @classmethod
    def of(cls, value: object, field: str = "duration", *, zero: bool = False) -> Duration:
        """A width from a text, a timedelta or a Duration, 0 only where `zero` allows it.

        Raises InvalidInput naming `field` for anything else.
        """
        micros = -1
        if isinstance(value, Duration):
            micros = value.micros
        elif isinstance(value, timedelta):
            micros = value // timedelta(microseconds=1)
        elif value == "0":
            micros = 0
        elif isinstance(value, str) and (match := _DURATION.fullmatch(value)):
            micros = int(match.group(1)) * _UNITS[match.group(2)]
        if not (0 if zero else 1) <= micros <= _MAX_DURATION:
            or_zero = ', or "0"' if zero else ""
            raise InvalidInput(field, value, f'a width such as "24h", "90m" or "7d"{or_zero}')
        return cls(micros)

    @property
    def seconds(self) -> float:
        """The width in seconds."""
        return self.micros / SECOND

    def __str__(self) -> str:
        if not self.micros:
            return "0"
        for unit, size in (("h", HOUR), ("m", MINUTE), ("s", SECOND), ("ms", 1_000)):
            if self.micros % size == 0:
                return f"{self.micros // size}{unit}"
        return f"{self.micros}us"


@dataclass(frozen=True, slots=True)
class Granularity:
    """The step to which the time of an online request is truncated (never rounded up)."""

    step: Duration

    def __post_init__(self) -> None:
        if self.step.micros % SECOND or DAY % self.step.micros:
            raise InvalidInput(
                "granularity", str(self.step), "whole seconds that divide a day, such as 1m or 1h"
            )

    @classmethod
    def of(cls, value: object) -> Granularity:
        """A granularity from a text such as `"1m"`, a timedelta or a Duration."""
        return cls(Duration.of(value, "granularity"))

    def truncate(self, micros: int) -> int:
        """The as-of time of a request for `micros`: the start of its step."""
        return micros - micros % self.step.micros


@dataclass(frozen=True, slots=True)
class TimeRange:
    """A closed range [start, end] in microseconds since the epoch: one instant if they are equal.

    Rounding moves a start up and an end down, at most a microsecond past each other: then the range
    is empty.
    """

    start: int
    end: int

    def __post_init__(self) -> None:
        if self.start > self.end + 1:
            raise InvalidInput(
                "start_time", iso(self.start), f"a time not after end_time ({iso(self.end)})"
            )

    @property
    def is_empty(self) -> bool:
        """Whether no instant lies in it."""
        return self.start > self.end
