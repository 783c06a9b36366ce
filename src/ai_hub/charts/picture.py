"""A history as a picture in a file."""

from __future__ import annotations

import io
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from ai_hub.charts.chart import line
from ai_hub.definitions.values import SECOND, parse_time
from ai_hub.importance.extra import from_extra
from ai_hub.importance.plot import check_plot_path
from ai_hub.page.spans import stretches

_READINGS, _FEATURE, _GAP, _FILLED = "#2b6cb0", "#6b46a1", "#c7cdd4", "#e8b07a"


def draw(chart: Mapping[str, Any], path: str | Path) -> None:
    """Draw readings and features below each other over one axis of time (UTC) to a PNG file, gaps
    and what was missing shaded; a file that is there is replaced. Raises InvalidInput for another
    suffix, and OSError."""
    place = check_plot_path(path)
    with from_extra():
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
    features = chart["features"]
    panels = 1 + len(features)
    figure = Figure(figsize=(12, 1.2 + 2.2 * panels), layout="constrained")
    FigureCanvasAgg(figure)
    every = figure.subplots(panels, 1, sharex=True, squeeze=False)[:, 0]
    _line(every[0], line(chart["readings"], chart["gaps"]), _READINGS, chart["series"])
    for start, end in chart["gaps"]:
        every[0].axvspan(_utc(start), _utc(end), color=_GAP, alpha=0.5, linewidth=0)
    for axes, one in zip(every[1:], features, strict=True):
        _line(axes, line(one), _FEATURE, one["name"])
        for start, end in stretches(one):
            axes.axvspan(_utc(start), _utc(end), color=_FILLED, alpha=0.5, linewidth=0)
    ends = (parse_time(chart[name]) / SECOND for name in ("start_time", "end_time"))
    every[-1].set_xlim(*map(_utc, ends))
    every[-1].set_xlabel("UTC; grey: gap, orange: missing", fontsize="x-small")
    picture = io.BytesIO()
    figure.savefig(picture, format="png", dpi=120)
    place.write_bytes(picture.getvalue())


def _line(axes: Any, points: list[tuple[float, float | None]], colour: str, name: str) -> None:
    time = [_utc(at) for at, _ in points]
    numbers = [float("nan") if value is None else value for _, value in points]
    marker = "." if len(numbers) < 100 else ""
    axes.plot(time, numbers, color=colour, linewidth=1, marker=marker, markersize=3)
    # A name is a name: no dollar in it begins a formula.
    axes.set_title(name, loc="left", fontsize="small", parse_math=False)
    axes.spines[["top", "right"]].set_visible(False)
    axes.tick_params(labelsize="x-small")


def _utc(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)
