"""Spans of time in which something is not as it should be."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

Span = tuple[float, float]
"""From one time to another, in seconds since the epoch."""


def stretches(feature: Mapping[str, Any]) -> list[Span]:
    """Where a feature is missing: from the first such time to the next at which it is there."""
    found: list[Span] = []
    begun: float | None = None
    for time, missing in zip(feature["time"], feature["missing"], strict=True):
        if missing and begun is None:
            begun = time
        elif not missing and begun is not None:
            found.append((begun, time))
            begun = None
    if begun is not None:
        found.append((begun, feature["time"][-1]))
    return found
