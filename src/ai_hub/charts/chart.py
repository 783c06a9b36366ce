"""What a chart of several features says, in sentences, and the lines that it has."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Mapping, Sequence
from typing import Any

from ai_hub.page.words import instant, number, plural, width


def chart_of(charts: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """One chart of those of the same readings with a feature each: `features` in a list."""
    shared = {name: value for name, value in charts[0].items() if name != "feature"}
    features = [one["feature"] for one in charts if one["feature"] is not None]
    return {**shared, "features": features}


def line(
    drawn: Mapping[str, Any], gaps: Sequence[Sequence[float]] = ()
) -> list[tuple[float, float | None]]:
    """Times and values, with a point without a value in each gap, where the line is broken."""
    starts = sorted(start for start, _ in gaps)
    found: list[tuple[float, float | None]] = []
    for time, value in zip(drawn["time"], drawn["value"], strict=True):
        # Of a thinned line the reading before a gap may have been left out.
        if found and bisect_left(starts, found[-1][0]) < bisect_left(starts, time):
            found.append((found[-1][0], None))
        found.append((time, value))
    return found


def said(chart: Mapping[str, Any]) -> list[str]:
    """What the chart shows, in sentences: one of the readings, one for each feature."""
    over = f"from {instant(chart['start_time'])} to {instant(chart['end_time'])}"
    if not chart["count"]:
        told = [f"There are no readings of {chart['series']} {over}."]
    else:
        step = chart["cadence_seconds"]
        every = "" if step is None else f", mostly every {width(step)}"
        apart = (
            f"with {plural(chart['gap_count'], 'gap')}" if chart["gap_count"] else "without a gap"
        )
        readings = plural(chart["count"], "reading")
        told = [f"{readings} of {chart['series']} {over}{every}, {apart}."]
    return told + [_said_of(one) for one in chart["features"]]


def _said_of(feature: Mapping[str, Any]) -> str:
    times, lost = len(feature["time"]), sum(feature["missing"])
    if not lost:
        return f"{feature['name']} is missing at none of {number(times)} times."
    pairs = zip(feature["value"], feature["missing"], strict=True)
    blank = any(missing and value is None for value, missing in pairs)
    what = "without a value there" if blank else "filled there"
    return f"{feature['name']} is missing at {number(lost)} of {number(times)} times, and {what}."
