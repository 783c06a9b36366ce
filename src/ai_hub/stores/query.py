"""What a query of a person gives: columns by name, and rows of plain values."""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any

from ai_hub.definitions.values import iso, to_micros
from ai_hub.errors import InvalidInput


@dataclass(frozen=True, slots=True)
class Found:
    """The rows of a query; a view that was made or dropped has none, and no columns."""

    columns: tuple[str, ...]
    rows: tuple[tuple[object, ...], ...]


def plain(value: Any) -> object:
    """A value as JSON and CSV have it: a time by its text, a number that is none by its name."""
    match value:
        case None | bool() | int() | str():
            return value
        case float():
            return value if math.isfinite(value) else str(value)
        case Decimal():
            return float(value) if value.as_tuple().exponent else int(value)
        case datetime() if value.tzinfo is not None:
            return iso(to_micros(value))
        case list() | tuple():
            return [plain(one) for one in value]
        case dict():
            return {str(key): plain(one) for key, one in value.items()}
        case _:
            return str(value)


def refused(query: str, expected: str, hint: str = "") -> InvalidInput:
    """Why a query is not run."""
    return InvalidInput("query", query, expected, hint)
