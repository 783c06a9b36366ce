"""What every feature has, and how its fields become values of their types."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from ai_hub.definitions.periods import width_of
from ai_hub.definitions.valid_range import Valid, valid_of
from ai_hub.definitions.values import Duration, check_text
from ai_hub.definitions.vocabulary import Missing, check_missing, check_name
from ai_hub.errors import InvalidInput

# Columns that an export may add.
_TAKEN = re.compile(r"__missing$|^target_[0-9]")
_RESERVED = frozenset({"timestamp", "tenant_id", "asset_id", "value"})


@dataclass(frozen=True, slots=True)
class Described:
    """What every feature has."""

    name: str
    missing: Missing | None = field(default=None, kw_only=True)
    unit: str = field(default="", kw_only=True)
    description: str = field(default="", kw_only=True)
    valid: Valid | None = field(default=None, kw_only=True)


def check_described(feature: Described) -> None:
    """Raise InvalidInput for what no feature may be."""
    name = check_name("name", feature.name)
    if name in _RESERVED or _TAKEN.search(name):
        raise InvalidInput("name", name, "a name that no column of an export has already")
    if feature.missing is not None:
        object.__setattr__(feature, "missing", check_missing(feature.missing))
    if feature.valid is not None:
        object.__setattr__(feature, "valid", valid_of(feature.valid))
    for text in ("unit", "description"):
        check_text(text, getattr(feature, text))


def set_width(feature: Described, name: str, *, zero: bool = False) -> None:
    """A field that is an exact width. Raises InvalidInput."""
    width = Duration.of(getattr(feature, name), name, zero=zero)
    object.__setattr__(feature, name, width)


def set_period(feature: Described, name: str) -> None:
    """A field that is a width, exact or of the calendar. Raises InvalidInput."""
    object.__setattr__(feature, name, width_of(getattr(feature, name), name))


def set_numbers(feature: Described, *names: str) -> None:
    """What is a number is a float: 1 and 1.0 are one definition."""
    for name in names:
        if getattr(feature, name) is not None:
            object.__setattr__(feature, name, float(getattr(feature, name)))
