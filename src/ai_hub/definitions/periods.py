"""Calendar periods such as P1D and P1M: steps of the local wall clock, and the zone they are in."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError, available_timezones

from ai_hub.definitions.values import DAY, Duration
from ai_hub.errors import InvalidInput, did_you_mean

UTC = "UTC"
ASSET_ZONE = "@asset"
"""The zone that an asset's attribute `timezone` names."""

_PERIOD = re.compile(r"(-?)P([0-9]{1,6})([DWMY])")
_MOST_DAYS = 36_600
_MOST_MONTHS = 1_200
_PERIOD_EXPECTED = 'a period such as "P1D", "P2W", "P1M" or "P1Y", at most 100 years'
_OF_MACHINES = {"localtime", "posixrules"}
"""Files beside the zones, which are another zone on another machine."""
_EXACT_HINT = 'A width in hours or minutes is exact: "1h", "90m".'
# A zone may move its clock by a day, and by an hour or two besides.
_SHIFT = 2 * DAY


def _read(text: str) -> tuple[int, int] | None:
    """The months and days that an ISO 8601 text of one part says, with its sign."""
    match = _PERIOD.fullmatch(text)
    if match is None:
        return None
    number = int(match.group(2)) * (-1 if match.group(1) else 1)
    months, days = {"D": (0, 1), "W": (0, 7), "M": (1, 0), "Y": (12, 0)}[match.group(3)]
    months, days = months * number, days * number
    return None if abs(months) > _MOST_MONTHS or abs(days) > _MOST_DAYS else (months, days)


def _text(months: int, days: int) -> str:
    sign = "-" if months < 0 or days < 0 else ""
    if not months:
        return f"{sign}P{abs(days)}D"
    if months % 12:
        return f"{sign}P{abs(months)}M"
    return f"{sign}P{abs(months) // 12}Y"


@dataclass(frozen=True, slots=True)
class Period:
    """A calendar width: some months (clipped to the last day of one), or some days.

    `P1W` is `P7D`, and `P12M` is `P1Y`. How long it is depends on where it is stepped.
    """

    months: int
    days: int

    def __post_init__(self) -> None:
        months, days = self.months, self.days
        one = (0 < months <= _MOST_MONTHS and not days) or (0 < days <= _MOST_DAYS and not months)
        if not one:
            raise InvalidInput("period", str(self), _PERIOD_EXPECTED)

    @property
    def longest(self) -> int:
        """No step of the period is longer, in microseconds, in whatever zone."""
        return self.days * DAY + self.months * 31 * DAY + _SHIFT

    def times(self, count: int) -> Period:
        """So many periods as one step."""
        return Period(self.months * count, self.days * count)

    def __str__(self) -> str:
        return _text(self.months, self.days)


@dataclass(frozen=True, slots=True)
class Offset:
    """How far a wall clock is moved: some months or days, forwards or backwards, or not at all."""

    months: int = 0
    days: int = 0

    @classmethod
    def of(cls, value: object, field: str = "offset") -> Offset:
        """An offset from a text such as `"P1D"`, `"-P1M"` or `"P0D"`. Raises InvalidInput."""
        if isinstance(value, Offset):
            return value
        found = _read(value) if isinstance(value, str) else None
        if found is None:
            raise InvalidInput(
                field, value, 'a period with or without "-", such as "P1D" or "-P1M"'
            )
        return cls(*found) if any(found) else NO_OFFSET

    def __bool__(self) -> bool:
        return bool(self.months or self.days)

    def __str__(self) -> str:
        return _text(self.months, self.days)


NO_OFFSET = Offset()

Width = Duration | Period
"""How far back something reaches: exactly, or by the calendar."""


def width_of(value: object, field: str) -> Width:
    """An exact width (`"24h"`), or a calendar period (`"P1D"`). Raises InvalidInput."""
    if isinstance(value, Period):
        return value
    if isinstance(value, str) and value.startswith("P"):
        found = _read(value)
        if found is None or found == (0, 0):
            raise InvalidInput(field, value, _PERIOD_EXPECTED, _EXACT_HINT if "T" in value else "")
        return Period(*found)
    try:
        return Duration.of(value, field)
    except InvalidInput:
        raise InvalidInput(
            field, value, 'a width such as "24h", "90m" or "7d", or a period such as "P1D"'
        ) from None


def longest(width: Width) -> int:
    """No width is longer than this, in microseconds, wherever it is stepped."""
    return width.micros if isinstance(width, Duration) else width.longest


@lru_cache(maxsize=1024)
def is_zone(name: str) -> bool:
    """Whether a name is that of an IANA time zone."""
    if name in _OF_MACHINES or name.startswith(("posix/", "right/")):
        return False
    try:
        ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return False
    return True


def check_zone(tz: object, field: str = "tz") -> str:
    """`tz` if it is a zone, or stands for the asset's. Raises InvalidInput."""
    if not isinstance(tz, str) or not (tz == ASSET_ZONE or is_zone(tz)):
        expected = f'an IANA time zone such as Europe/Berlin, or "{ASSET_ZONE}"'
        known = [ASSET_ZONE, *sorted(available_timezones() - _OF_MACHINES)]
        raise InvalidInput(field, tz, expected, did_you_mean(tz, known))
    return tz
