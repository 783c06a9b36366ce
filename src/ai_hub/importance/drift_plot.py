"""Features before and now as a picture: the distributions that drift was seen in."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ai_hub.importance.extra import from_extra
from ai_hub.importance.plot import check_plot_path

_BEFORE, _NOW, _ALARM = "#8a939c", "#2b6cb0", "#b02b2b"
_MOST = 24
_ACROSS = 3


def draw(found: Mapping[str, Any], path: str | Path) -> None:
    """Draw the features of an answer about drift, those with an alarm, or all where none has one,
    the first 24: quantiles before and now side by side. A file that is there is replaced.

    Raises InvalidInput for another suffix than .png, and OSError.
    """
    place = check_plot_path(path)
    with from_extra():
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
    drawn = [one for one in found["features"] if any(one["quantiles"].values())]
    shown = [one for one in drawn if one["alarm"] or not found["alarm"]][:_MOST]
    down = max(1, -(-len(shown) // _ACROSS))
    figure = Figure(figsize=(12, 0.8 + 2.6 * down), layout="constrained")
    FigureCanvasAgg(figure)
    figure.suptitle(
        f"{found['feature_set']}@{found['version']} of {found['tenant_id']}, "
        f"{found['start_time']} to {found['end_time']}",
        ha="left", x=0.01, fontsize="medium", parse_math=False,
    )  # fmt: skip
    for number, one in enumerate(shown):
        axes = figure.add_subplot(down, _ACROSS, number + 1)
        for name, colour in (("baseline", _BEFORE), ("now", _NOW)):
            values = one["quantiles"][name]
            axes.plot(values, _percents(values), color=colour, label=name, linewidth=1.5)
        colour = _ALARM if one["alarm"] else "black"
        axes.set_title(one["name"], loc="left", color=colour, fontsize="small", parse_math=False)
        axes.spines[["top", "right"]].set_visible(False)
        axes.tick_params(labelsize="x-small")
        axes.set_ylim(0, 100)
        if not number:
            axes.set_ylabel("per cent of values below", fontsize="x-small")
            axes.legend(fontsize="x-small", frameon=False)
    picture = io.BytesIO()
    figure.savefig(picture, format="png", dpi=120)
    place.write_bytes(picture.getvalue())


def _percents(values: Sequence[float]) -> list[float]:
    """Which quantiles they are: in even steps from the 1st to the 99th percentile."""
    steps = max(1, len(values) - 1)
    return [1 + 98 * place / steps for place in range(len(values))]
