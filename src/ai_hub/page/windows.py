"""The window of a feature, drawn: which part of the time before t it reads."""

from __future__ import annotations

import math
from dataclasses import dataclass

from ai_hub.definitions.kinds import Feature, FromView, Latest
from ai_hub.definitions.values import DAY, HOUR, MINUTE
from ai_hub.engines.extents import extent_of
from ai_hub.engines.traits import has_asset_zone

_T = 1_760_020_200_000_000
"""The time that drawings are of, 2025-10-09T14:30:00Z: a bucket has a part before it."""
_ROUND = 15 * MINUTE
_TICKS = (("1 h", HOUR), ("1 d", DAY), ("7 d", 7 * DAY), ("30 d", 30 * DAY), ("1 y", 365 * DAY))
_WIDTH, _RIGHT, _LEFT = 220.0, 208.0, 6.0
_LEAST = 3.0


@dataclass(frozen=True, slots=True)
class Drawing:
    """Rectangles (left edge, width) and ticks (place, text) on an axis that ends at t.

    The axis is logarithmic: a part of an hour and a season are seen on one.
    """

    said: str
    bars: tuple[tuple[float, float], ...]
    ticks: tuple[tuple[float, str], ...]
    width: float = _WIDTH
    right: float = _RIGHT


def drawing_of(feature: Feature, longest: int) -> Drawing | None:
    """The window of a feature on an axis of so many microseconds; None for what reads no rows."""
    zone = "UTC" if has_asset_zone(feature) else None
    extent = extent_of(feature, _T, zone)
    if extent is None:
        return None
    bars = []
    for first, last in extent.spans:
        right = _place(_T - last, longest)
        left = min(_place(_T - first, longest), right - _LEAST)
        bars.append((round(left, 1), round(right - left, 1)))
    ticks = [(round(_place(age, longest), 1), text) for text, age in _TICKS if age <= longest]
    parts = len(extent.spans)
    start, end = ago(_T - extent.first), ago(_T - extent.last)
    said = f"{parts} spans of time between {start} and {end}" if parts > 1 else f"{start} to {end}"
    if isinstance(feature, Latest | FromView):
        said = f"the newest row of {said}"
    return Drawing(said, tuple(bars), tuple(ticks))


def reach_of(features: list[Feature]) -> int:
    """How far back the windows of some features reach, for the axis that they share."""
    reach = DAY
    for feature in features:
        extent = extent_of(feature, _T, "UTC" if has_asset_zone(feature) else None)
        if extent is not None:
            reach = max(reach, _T - extent.first)
    return reach


def ago(micros: int) -> str:
    """How long before t something is, such as `t - 24 h`."""
    if micros < MINUTE:
        return "t"
    for size, unit in ((DAY, "d"), (HOUR, "h")):
        if micros >= size * (2 if unit == "d" else 1):
            return f"t − {round(micros / size, 1):g} {unit}"
    return f"t − {round(micros / MINUTE, 1):g} min"


def _place(age: int, longest: int) -> float:
    share = math.log1p(max(age, 0) / _ROUND) / math.log1p(longest / _ROUND)
    return _RIGHT - share * (_RIGHT - _LEFT)
