"""The step between the readings of a file: an exact width, or a period of the wall clock."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import timedelta

import numpy as np
from numpy.typing import NDArray

from ai_hub.definitions.values import DAY, HOUR, MINUTE, SECOND, Duration
from ai_hub.errors import InvalidInput

Ints = NDArray[np.int64]

EXPECTED = 'a width such as "15m" or "PT1H", or a period such as "P1D" or "P1M"'

_PERIOD = re.compile(r"P([0-9]{1,4})([DWMY])")
_WIDTH = re.compile(r"PT(?=[0-9])(?:([0-9]{1,4})H)?(?:([0-9]{1,6})M)?(?:([0-9]{1,8})S)?")
_MOST_DAYS = 3_660
_MOST_MONTHS = 120


@dataclass(frozen=True, slots=True)
class Step:
    """`micros` of elapsed time, or `days` and `months` on the wall clock of a zone (never both)."""

    micros: int = 0
    days: int = 0
    months: int = 0

    def __post_init__(self) -> None:
        given = (self.micros, self.days, self.months)
        most = (_MOST_DAYS * DAY, _MOST_DAYS, _MOST_MONTHS)
        if any(type(part) is not int for part in given) or sum(part != 0 for part in given) != 1:
            raise InvalidInput("step", self, EXPECTED)
        if not all(0 <= part <= limit for part, limit in zip(given, most, strict=True)):
            raise InvalidInput("step", str(self), "a step of at most ten years")

    @classmethod
    def of(cls, value: object, field: str = "step") -> Step:
        """A step from a text such as `15m`, `PT15M`, `P1D` or `P1M`, a timedelta, or a Step."""
        if isinstance(value, Step):
            return value
        try:
            if isinstance(value, str) and (match := _PERIOD.fullmatch(value)):
                count = int(match.group(1))
                if match.group(2) in "DW":
                    return cls(days=count * (7 if match.group(2) == "W" else 1))
                return cls(months=count * (12 if match.group(2) == "Y" else 1))
            if isinstance(value, str) and (match := _WIDTH.fullmatch(value)):
                hours, minutes, seconds = (int(part or 0) for part in match.groups())
                return cls(micros=hours * HOUR + minutes * MINUTE + seconds * SECOND)
            if isinstance(value, str | timedelta):
                return cls(micros=Duration.of(value, field).micros)
        except InvalidInput:
            pass
        raise InvalidInput(field, value, EXPECTED)

    @property
    def is_period(self) -> bool:
        """Whether the step is one of the wall clock, which needs a zone."""
        return self.micros == 0

    def on_the_wall(self, local: Ints) -> Ints:
        """Local times a period later; a day that the month does not have is its last day."""
        days = local // DAY + self.days
        if self.months:
            dates = days.astype("datetime64[D]")
            months = dates.astype("datetime64[M]")
            into = dates - months.astype("datetime64[D]")
            firsts = (months + self.months).astype("datetime64[D]")
            lasts = (months + self.months + 1).astype("datetime64[D]") - 1
            days = np.minimum(firsts + into, lasts).astype(np.int64)
        later: Ints = days * DAY + local % DAY
        return later

    def __str__(self) -> str:
        if self.months:
            return f"P{self.months}M"
        return f"P{self.days}D" if self.days else str(Duration(self.micros))
