"""What the table of settings says of each."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, TypeVar

_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class Key:
    """How a setting is read, what it is for, and how its value is written."""

    parse: Callable[[object], object]
    help: str
    text: Callable[[Any], str] = str


def setting(
    default: _T, parse: Callable[[object], object], help: str, text: Callable[[Any], str] = str
) -> _T:
    """The field of a setting: the default is as `parse` gives it."""
    found: _T = field(default=default, metadata={"key": Key(parse, help, text)})
    return found
