"""Public holidays of a country, frozen: the dates a feature was applied with."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date

from ai_hub.definitions.values import check_list
from ai_hub.errors import InvalidInput

MAX_DAYS = 50_000
"""Days that may be holidays: each one of 136 years."""
FIRST_YEAR = 1970
"""Holidays are known from the beginning of this year on."""
_EPOCH = date(1970, 1, 1)


@dataclass(frozen=True, slots=True, eq=False)
class HolidayDates:
    """The dates (days since 1970-01-01, ascending) of 1970 to `last_year`.

    Two are equal if they say the same of every date. `digest` stands for them where a definition
    is written down.
    """

    days: tuple[int, ...]
    last_year: int
    digest: str = field(init=False)

    def __post_init__(self) -> None:
        days = check_list("holidays", self.days, "days", MAX_DAYS)
        object.__setattr__(self, "days", tuple(sorted(set(days))))
        if not FIRST_YEAR <= self.last_year <= 9999:
            raise InvalidInput("holidays", self.last_year, f"a last year from {FIRST_YEAR} to 9999")
        if self.days and not (self.first_day <= self.days[0] and self.days[-1] <= self.last_day):
            raise InvalidInput("holidays", len(self.days), "dates of 1970 to the last year")
        text = f"{self.last_year}:" + ",".join(map(str, self.days))
        object.__setattr__(self, "digest", hashlib.sha256(text.encode()).hexdigest()[:16])

    @classmethod
    def of(cls, dates: Iterable[date], last_year: int) -> HolidayDates:
        """Those of some calendar dates, without such as lie outside the years."""
        inside = (d for d in dates if FIRST_YEAR <= d.year <= last_year)
        return cls(tuple((d - _EPOCH).days for d in inside), last_year)

    @classmethod
    def read(cls, plain: object) -> HolidayDates:
        """Those that a document has: a mapping with `days` and `last_year`. Raises InvalidInput."""
        if isinstance(plain, HolidayDates):
            return plain
        if isinstance(plain, Mapping) and set(plain) == {"days", "last_year"}:
            days, last_year = plain["days"], plain["last_year"]
            if (
                isinstance(days, list | tuple)
                and all(type(day) is int for day in days)
                and type(last_year) is int
            ):
                return cls(tuple(days), last_year)
        raise InvalidInput("holidays", plain, "days since 1970-01-01 and the last_year of them")

    def document(self) -> dict[str, object]:
        """The same as plain values: what `read` takes."""
        return {"days": list(self.days), "last_year": self.last_year}

    @property
    def first_day(self) -> int:
        """The first day that it says something of."""
        return (date(FIRST_YEAR, 1, 1) - _EPOCH).days

    @property
    def last_day(self) -> int:
        """The last day that it says something of."""
        return (date(self.last_year, 12, 31) - _EPOCH).days

    def __eq__(self, other: object) -> bool:
        return isinstance(other, HolidayDates) and self.digest == other.digest

    def __hash__(self) -> int:
        return hash(self.digest)
