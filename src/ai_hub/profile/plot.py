"""The columns of an export as a picture."""

from __future__ import annotations

import io
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ai_hub.importance.extra import from_extra
from ai_hub.importance.plot import check_plot_path

_COLOURS = {"target": "#b0682b", "label": "#b0682b"}
_OTHER = "#2b6cb0"
_MOST, _ACROSS = 60, 4


def draw(found: Mapping[str, Any], path: str | Path) -> None:
    """Draw the histograms of a profile, of the first 60 columns with numbers, to a PNG file; a file
    that is there is replaced. Raises InvalidInput for another suffix, and OSError."""
    place = check_plot_path(path)
    with from_extra():
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
    shown = [one for one in found["columns"] if one["histogram"] is not None][:_MOST]
    down = max(1, -(-len(shown) // _ACROSS))
    figure = Figure(figsize=(13, 0.8 + 2.3 * down), layout="constrained")
    FigureCanvasAgg(figure)
    figure.suptitle(
        f"{found['export']}: {found['rows']:,} rows", ha="left", x=0.01, fontsize="medium",
        parse_math=False,
    )  # fmt: skip
    for number, one in enumerate(shown):
        axes = figure.add_subplot(down, _ACROSS, number + 1)
        drawn = one["histogram"]
        counts = drawn["counts"]
        width = (drawn["high"] - drawn["low"]) / len(counts) or 1.0
        # One value alone stands in the middle.
        first = drawn["low"] - (0.5 if drawn["low"] == drawn["high"] else 0.0)
        left = [first + width * place for place in range(len(counts))]
        colour = _COLOURS.get(one["role"], _OTHER)
        axes.bar(left, counts, width=width, align="edge", color=colour)
        # A name is a name: no dollar in it begins a formula.
        axes.set_title(one["name"], loc="left", fontsize="small", parse_math=False)
        axes.set_xlabel(_note(one), fontsize="x-small", loc="left", parse_math=False)
        axes.spines[["top", "right"]].set_visible(False)
        axes.tick_params(labelsize="x-small")
        axes.set_yticks([])
    picture = io.BytesIO()
    figure.savefig(picture, format="png", dpi=120)
    place.write_bytes(picture.getvalue())


def _note(one: Mapping[str, Any]) -> str:
    """What a column lacks, and how it moves with the targets."""
    notes = [] if not one["missing"] else [f"{100 * one['missing']:.1f} % missing"]
    known = {name: value for name, value in one["correlation"].items() if value is not None}
    notes += [f"{name} {value:+.2f}" for name, value in known.items()]
    return ", ".join(notes[:3])
