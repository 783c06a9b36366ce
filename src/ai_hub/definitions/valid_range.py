"""Values that can be: a range of them, or a few; and the physical limits of weather."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

from ai_hub.definitions.values import MAX_NAMES, check_list
from ai_hub.definitions.vocabulary import WeatherColumn
from ai_hub.errors import InvalidInput

_RANGE = "MIN:MAX, such as 0:500 (either may be left out)"
_VALID = "limits such as [0, 500] or {low: 0}, the low one first, or {values: [1, 2]}"


@dataclass(frozen=True, slots=True)
class ValidRange:
    """The readings that can be, from `low` to `high`, both included."""

    low: float = -math.inf
    high: float = math.inf

    def __post_init__(self) -> None:
        if not (self.low <= self.high) or math.inf in (self.low, -self.high):
            raise InvalidInput("valid_range", f"{self.low}:{self.high}", _RANGE)

    @classmethod
    def of(cls, value: object, name: str = "valid_range") -> ValidRange:
        """A range from `MIN:MAX`, a pair of numbers (None: no limit), or a ValidRange."""
        if isinstance(value, ValidRange):
            return value
        ends: Sequence[object] = ()
        if isinstance(value, str):
            ends = [end.strip() or None for end in value.split(":")]
        elif isinstance(value, list | tuple):
            ends = value
        try:
            low, high = (None if end is None else _number(end) for end in ends)
            if low is None and high is None:
                raise ValueError
            return cls(-math.inf if low is None else low, math.inf if high is None else high)
        except (ValueError, InvalidInput):
            raise InvalidInput(name, value, _RANGE) from None

    def __str__(self) -> str:
        low, high = (f"{end:g}" if math.isfinite(end) else "" for end in (self.low, self.high))
        return f"{low}:{high}"


@dataclass(frozen=True, slots=True)
class ValidValues:
    """The few values that can be, ascending."""

    values: tuple[float, ...]

    def __post_init__(self) -> None:
        given = check_list("valid", self.values, "numbers", MAX_NAMES)
        try:
            values = sorted({_number(value) for value in given})
        except (TypeError, ValueError):
            raise InvalidInput("valid", self.values, "numbers") from None
        if not values:
            raise InvalidInput("valid", self.values, "at least one number")
        object.__setattr__(self, "values", tuple(values))

    def __str__(self) -> str:
        return "{" + ", ".join(f"{value:g}" for value in self.values) + "}"


Valid = ValidRange | ValidValues
"""What a feature's values may be."""


def valid_of(value: object) -> Valid:
    """What may be, from a pair (a range; None: no limit), a set of numbers, or a mapping.

    The mapping has `low`, `high` or both, or `values`. Raises InvalidInput naming `valid`.
    """
    if isinstance(value, ValidRange | ValidValues):
        return value
    if isinstance(value, set | frozenset):
        return ValidValues(tuple(value))
    if isinstance(value, Mapping):
        if set(value) == {"values"} and isinstance(value["values"], list | tuple):
            return ValidValues(tuple(value["values"]))
        if value and set(value) <= {"low", "high"}:
            return valid_of((value.get("low"), value.get("high")))
        raise InvalidInput("valid", dict(value), _VALID)
    try:
        return ValidRange.of(value, "valid")
    except InvalidInput:
        raise InvalidInput("valid", value, _VALID) from None


def valid_document(valid: Valid) -> dict[str, object]:
    """What may be as plain values: what `valid_of` reads."""
    if isinstance(valid, ValidValues):
        return {"values": list(valid.values)}
    ends = {"low": valid.low, "high": valid.high}
    return {name: end for name, end in ends.items() if math.isfinite(end)}


def _number(end: object) -> float:
    if isinstance(end, bool) or not isinstance(end, str | int | float):
        raise ValueError
    number = float(end)
    if not math.isfinite(number):
        raise ValueError
    return number


WEATHER_LIMITS: Mapping[WeatherColumn, ValidRange] = MappingProxyType(
    {
        "temperature": ValidRange(-90, 60),
        "humidity": ValidRange(0, 100),
        "solar_irradiance": ValidRange(-20, 1_600),
        "wind_speed": ValidRange(0, 120),
        "cloud_cover": ValidRange(0, 100),
        "precipitation": ValidRange(0, 500),
    }
)
"""In the units of the columns: °C, %, W/m², m/s, %, mm."""
