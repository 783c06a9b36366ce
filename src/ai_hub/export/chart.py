"""The history of one asset as a chart shows it: readings, gaps, and a feature as rows have it."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np

from ai_hub.definitions.kinds import Latest
from ai_hub.definitions.values import SECOND, Granularity, TimeRange, iso
from ai_hub.engines.arrays import Floats, Ints, Mask, Points, axis_of
from ai_hub.engines.as_known import KnownRows, known_rows
from ai_hub.engines.thinning import cadence_of, gaps, longest_step, parts_of, thinned
from ai_hub.export.rows import Rows
from ai_hub.serving.spec import Spec
from ai_hub.stores.base import Chunk, ScanRequest, Store

MOST_POINTS = 2_000
"""Parts of the time that readings are thinned to, at most."""
_FEATURE_POINTS = 400
_PARTS = 24
_MOST_GAPS = 200
_DIGITS = 6


def charted(
    store: Store,
    spec: Spec,
    tenant_id: str,
    asset_id: str,
    times: TimeRange,
    feature: str | None,
    weather: Latest | None,
    points: int,
    granularity: Granularity,
) -> dict[str, Any]:
    """The members of a chart that are read, all in one scan (blocking). Raises StoreError."""
    own = spec.feature_set.series
    rows = Rows(tenant_id, spec.plan, spec.missing)
    drawn_at = feature is not None or weather is not None
    wanted = _grid(times, granularity) if drawn_at else np.empty(0, np.int64)
    read: list[tuple[Ints, Floats]] = []
    values: list[tuple[Ints, Floats, Mask]] = []
    known: list[tuple[Ints, KnownRows]] = []
    request = rows.scan_request(times.start, times.end, (asset_id,))
    for chunk in store.scan(request if weather is None else _beside(request, weather)):
        series = chunk.history.series[own]
        inside = (series.time >= chunk.start) & (series.time <= chunk.end)
        read.append((series.time[inside], series.value[inside]))
        some = wanted[(wanted >= chunk.start) & (wanted <= chunk.end)]
        if not (len(some) and chunk.asset_ids):
            continue
        at = Points(np.zeros(len(some), np.int64), some)
        if weather is not None:
            known.append((some, _known(weather, chunk, at)))
        if feature is not None:
            found = rows.columns(chunk, at)
            column = np.asarray(found.columns[feature], np.float64)
            values.append((some, column, found.missing.get(feature, np.zeros(len(some), bool))))
    time = np.concatenate([np.empty(0, np.int64), *(one for one, _ in read)])
    value = np.concatenate([np.empty(0), *(one for _, one in read)])
    cadence = cadence_of(time)
    apart = gaps(time, longest_step(cadence))
    longest = sorted(apart, key=lambda gap: gap[0] - gap[1])[:_MOST_GAPS]
    kept, drawn = thinned(time, value, times.start, times.end, points)
    parts = parts_of(time, value, times.start, times.end, _PARTS)
    return {
        "count": len(time),
        "cadence_seconds": None if cadence is None else cadence / SECOND,
        "readings": {"time": _seconds(kept), "value": _numbers(drawn)},
        "gap_count": len(apart),
        "gaps": [[start / SECOND, end / SECOND] for start, end in sorted(longest)],
        "parts": [
            part._asdict() | {"start": iso(part.start), "end": iso(part.end)} for part in parts
        ],
        "feature": None if feature is None else _feature(feature, values),
        "weather": None if weather is None else _weather(weather, known),
    }


def _feature(name: str, values: list[tuple[Ints, Floats, Mask]]) -> dict[str, Any]:
    return {
        "name": name,
        "time": [one for some, _, _ in values for one in _seconds(some)],
        "value": [one for _, some, _ in values for one in _numbers(some)],
        "missing": [int(one) for _, _, some in values for one in some],
    }


def _beside(request: ScanRequest, weather: Latest) -> ScanRequest:
    """A scan of a column of weather too."""
    columns = tuple(dict.fromkeys((*request.weather, weather.column)))
    back = max(request.weather_lookback, weather.max_age.micros)
    return replace(request, weather=columns, weather_lookback=back)


def _known(weather: Latest, chunk: Chunk, points: Points) -> KnownRows:
    axis = axis_of(points, chunk.history, weather.max_age.micros)
    # One asset over a few years fits on an axis.
    assert axis is not None
    return known_rows(weather, chunk.history.weather, axis, points)


def _weather(weather: Latest, known: list[tuple[Ints, KnownRows]]) -> dict[str, Any]:
    """What was known of the weather, and since when it was."""
    return {
        "column": weather.column,
        "time": [one for some, _ in known for one in _seconds(some)],
        "value": [one for _, rows in known for one in _numbers(rows.value)],
        "about": [one for _, rows in known for one in _instants(rows.about)],
        "issued": [one for _, rows in known for one in _instants(rows.issued)],
    }


def _grid(times: TimeRange, granularity: Granularity) -> Ints:
    """The times of a range at which a feature is computed, of those that answers are for."""
    evenly = np.linspace(times.start, times.end, _FEATURE_POINTS).astype(np.int64)
    found = np.unique([granularity.truncate(one) for one in evenly.tolist()])
    return found[found >= times.start]


def _seconds(times: Ints) -> list[float]:
    return [_second(one) for one in times.tolist()]


def _second(time: int) -> float:
    # Whole seconds as such: a digit and a point less of each of some thousand.
    return time // SECOND if time % SECOND == 0 else time / SECOND


def _instants(times: Floats) -> list[float | None]:
    return [None if math.isnan(one) else _second(int(one)) for one in times.tolist()]


def _numbers(values: Floats) -> list[float | None]:
    """Numbers in as many digits as a chart can show; None for none."""
    return [float(f"{one:.{_DIGITS}g}") if math.isfinite(one) else None for one in values.tolist()]
