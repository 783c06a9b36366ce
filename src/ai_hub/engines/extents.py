"""Where a feature reads at t: its window as instants, one at a time and for people to look at."""

from __future__ import annotations

from typing import NamedTuple, assert_never

import numpy as np

from ai_hub.definitions.kinds import (
    Age,
    Attribute,
    Bucket,
    Calendar,
    Derived,
    Ewm,
    Feature,
    FromView,
    Lag,
    Latest,
    Rolling,
    Seasonal,
)
from ai_hub.definitions.periods import ASSET_ZONE, Period, Width
from ai_hub.definitions.values import BUCKET_ORIGIN, FIRST_INSTANT, LAST_INSTANT
from ai_hub.definitions.vocabulary import Closed
from ai_hub.engines.clocks import bucket_starts, step_back
from ai_hub.engines.traits import FILL_WINDOW, Source, has_asset_zone

Span = tuple[int, int]
"""The first and the last microsecond of a part of time, both inside."""


class Extent(NamedTuple):
    """A window from `start` to `end`; `closed` says which of both belong to it.

    `spans` are the parts of it that are read, and with `each` only the latest row of each of them.
    """

    start: int
    end: int
    closed: Closed
    spans: tuple[Span, ...]
    each: bool = False

    @property
    def first(self) -> int:
        """The first microsecond that is read."""
        return min(first for first, _ in self.spans)

    @property
    def last(self) -> int:
        """The last microsecond that is read."""
        return max(last for _, last in self.spans)


def extent_of(feature: Feature, t: int, zone: str | None) -> Extent | None:
    """Where a feature reads at `t`, in an asset whose zone is `zone`.

    None for what reads no rows of some time, and for what is of the asset's zone, if it has none.
    """
    if zone is None and has_asset_zone(feature):
        return None
    match feature:
        case Rolling():
            return _window(_back(feature.window, feature.tz, t, zone), t, feature.closed)
        case Ewm():
            return _window(_back(feature.window, feature.tz, t, zone), t, "both")
        case Bucket():
            every = feature.every
            if isinstance(every, Period):
                tz = _named(feature.tz, zone)
                start = int(bucket_starts(tz, np.array([t]), every)[0])
            else:
                start = t - (t - BUCKET_ORIGIN) % every.micros
            return _window(start, t, "both")
        case Lag():
            return _lags([_back(feature.by, feature.tz, t, zone)], feature.tolerance.micros)
        case Seasonal():
            steps = range(1, feature.count + 1)
            ends = [_back(feature.by(k), feature.tz, t, zone) for k in steps]
            return _lags(ends, feature.tolerance.micros)
        case Age() | Latest() | FromView():
            return _lags([t], feature.max_age.micros)
        case Calendar() | Attribute() | Derived():
            return None
        case _:
            assert_never(feature)


def fill_extent(source: Source, t: int) -> Extent:
    """Where the mean is taken that stands in for a missing value."""
    return _window(t - FILL_WINDOW, t, source.closed)


def _window(start: int, end: int, closed: Closed) -> Extent:
    start, end = _inside(start), _inside(end)
    # Instants are whole microseconds: an edge that is outside starts one later or ends one earlier.
    first = start if closed in ("both", "left") else start + 1
    last = end if closed in ("both", "right") else end - 1
    return Extent(start, end, closed, ((first, last),))


def _lags(ends: list[int], tolerance: int) -> Extent:
    """What looks for the latest row in (end - tolerance, end], for each of some ends."""
    spans = [(_inside(end - tolerance + 1), _inside(end)) for end in ends]
    start = _inside(min(ends) - tolerance)
    return Extent(start, _inside(max(ends)), "right", tuple(spans), each=True)


def _back(width: Width, tz: str, t: int, zone: str | None) -> int:
    if isinstance(width, Period):
        return int(step_back(_named(tz, zone), np.array([t]), width)[0])
    return t - width.micros


def _named(tz: str, zone: str | None) -> str:
    if tz != ASSET_ZONE:
        return tz
    assert zone is not None
    return zone


def _inside(instant: int) -> int:
    """An instant that has a text."""
    return min(max(instant, FIRST_INSTANT), LAST_INSTANT)
