"""Features on one input, at every point: windows, buckets, lags, seasons and ages."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import numpy as np

from ai_hub.definitions.kinds import Lag, Seasonal
from ai_hub.definitions.measures import COUNT, Measure
from ai_hub.definitions.periods import Period, Width
from ai_hub.definitions.values import BUCKET_ORIGIN, SECOND
from ai_hub.definitions.vocabulary import Closed
from ai_hub.engines.arrays import Columns, Floats, Ints, Mask
from ai_hub.engines.clocks import bucket_starts, step_back
from ai_hub.engines.plan import BucketPass, InputReads, RangePass, WindowPass
from ai_hub.engines.ranges import Instants
from ai_hub.engines.tracks import Track
from ai_hub.engines.traits import has_asset_zone
from ai_hub.engines.windows import Taken, column_of, range_stats, window_stats
from ai_hub.engines.zones import Zones


def readings(
    reads: InputReads, track: Track, zones: Zones, span: int, dense: bool | None
) -> Columns:
    """Every feature on one input, before filling: float64 (NaN = null) or int64.

    `span` is the length of one entity's part of the axis.
    """
    columns: Columns = {}
    for one in reads.ranges:
        columns |= _range(one, track, zones, span, dense)
    lags = _Lags(track, zones)
    for lag in reads.lags:
        columns[lag.name] = lags.of(lag, lag.by) if reads.seasonals else lags.look(lag, lag.by)
    for seasonal in reads.seasonals:
        columns[seasonal.name] = _seasonal(seasonal, lags)
    for age in reads.ages:
        values, keys = track.latest(track.at.copy(), age.max_age.micros)
        columns[age.name] = np.where(np.isnan(values), np.nan, (track.at - keys) / SECOND)
    return columns


def window_of(
    track: Track,
    span: int,
    width: int,
    closed: Closed,
    measures: tuple[Measure, ...],
    dense: bool | None = None,
) -> Taken:
    """Each measure over the window of an exact width that ends at each point."""
    if track.issues is None:
        return window_stats(
            track.keys, track.values, track.at, span, width, closed, measures, dense, track.bounds
        )
    return _taken(track, np.full(len(track.at), width), closed, measures)


def _range(one: RangePass, track: Track, zones: Zones, span: int, dense: bool | None) -> Columns:
    unknown: Mask | None = None
    if isinstance(one, WindowPass) and not isinstance(one.width, Period):
        taken = window_of(track, span, one.width.micros, one.closed, one.measures, dense)
    else:
        lengths, unknown = _lengths(one, track.now, zones)
        taken = _taken(track, lengths, one.closed, one.measures)
    return {o.name: column_of(taken, o.measure, o.min_count, unknown) for o in one.outputs}


def _lengths(one: RangePass, time: Ints, zones: Zones) -> tuple[Ints, Mask | None]:
    """How long each window is up to t, and where its zone is not known, if anywhere."""
    if isinstance(one.width, Period):
        step = bucket_starts if isinstance(one, BucketPass) else step_back
        return zones.each(one.tz, partial(_length, step, one.width))
    return (time - BUCKET_ORIGIN) % one.width.micros, None


def _length(step: Callable[[str, Ints, Period], Ints], width: Period, tz: str, time: Ints) -> Ints:
    return time - step(tz, time, width)


def _taken(track: Track, lengths: Ints, closed: Closed, measures: tuple[Measure, ...]) -> Taken:
    """Each measure over windows of any lengths, read one by one."""
    # Keys are whole microseconds: an edge that is outside starts one later or ends one earlier.
    first = track.at - lengths + (closed not in ("both", "left"))
    last = track.at - (closed not in ("both", "right"))
    parts = [
        range_stats(
            rows.values,
            rows.low,
            rows.high,
            measures,
            Instants(rows.keys, track.at[part], lengths[part]),
        )
        for part, rows in track.windows(first, last)
    ]
    if len(parts) == 1:
        return parts[0]
    return {measure: np.concatenate([part[measure] for part in parts]) for measure in measures}


class _Lags:
    """The lags of one track, each looked up once: several seasons may share them."""

    def __init__(self, track: Track, zones: Zones) -> None:
        self._track = track
        self.zones = zones
        self._found: dict[tuple[Width, str, int], Floats] = {}

    def of(self, feature: Lag | Seasonal, by: Width) -> Floats:
        """The value some width back, NaN for none."""
        tz = feature.tz if isinstance(by, Period) else ""
        key = (by, tz, feature.tolerance.micros)
        if key not in self._found:
            self._found[key] = self.look(feature, by)
        return self._found[key]

    def look(self, feature: Lag | Seasonal, by: Width) -> Floats:
        """The same, for what nothing else shares."""
        track, tolerance = self._track, feature.tolerance.micros
        if not isinstance(by, Period):
            return track.back(by.micros, tolerance)
        back, unknown = self.zones.each(feature.tz, partial(_length, step_back, by))
        values, _ = track.latest(track.at - back, tolerance)
        return values if unknown is None else np.where(unknown, np.nan, values)


def _seasonal(feature: Seasonal, lags: _Lags) -> Floats | Ints:
    each = np.stack([lags.of(feature, feature.by(k)) for k in range(1, feature.count + 1)], axis=1)
    held = ~np.isnan(each)
    ends = np.cumsum(held.sum(axis=1))
    starts = np.concatenate((np.zeros(1, np.int64), ends[:-1]))
    taken = range_stats(each[held], starts, ends, (feature.measure, COUNT))
    unknown = lags.zones.unknown if has_asset_zone(feature) else None
    return column_of(taken, feature.measure, feature.min_count, unknown)
