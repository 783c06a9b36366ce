"""The ranking as a picture."""

from __future__ import annotations

import io
from pathlib import Path

from ai_hub.errors import InvalidInput
from ai_hub.importance.extra import from_extra
from ai_hub.importance.values import Importance

_STAYS, _GOES = "#2b6cb0", "#c7cdd4"
_MOST_BARS = 60


def check_plot_path(path: str | Path) -> Path:
    """A path for a plot. Raises InvalidInput for one that is not of a PNG file."""
    found = Path(path)
    if found.suffix.lower() != ".png":
        raise InvalidInput("output", str(path), "a path that ends in .png")
    return found


def draw(found: Importance, path: str | Path) -> None:
    """Draw the share of each feature, the first 60, to a PNG file; a file that is there is
    replaced.

    Features that could go are grey. Raises InvalidInput for another suffix, and OSError.
    """
    place = check_plot_path(path)
    with from_extra():
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
    shown = found.features[:_MOST_BARS][::-1]
    figure = Figure(figsize=(9, 1.6 + 0.3 * len(shown)), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    bars = axes.barh(
        range(len(shown)),
        [100 * one.share for one in shown],
        color=[_GOES if one.could_go else _STAYS for one in shown],
    )
    # A name is a name: no dollar in it begins a formula.
    axes.set_yticks(range(len(shown)), [one.name for one in shown], parse_math=False)
    notes = [
        f"{100 * one.share:.1f} %" + ("" if one.microseconds is None else
        f", {one.microseconds:,.0f} µs") + (", could go" if one.could_go else "")
        for one in shown
    ]  # fmt: skip
    axes.bar_label(bars, notes, padding=4, fontsize="small")
    axes.margins(x=0.25, y=0.02)
    axes.spines[["top", "right"]].set_visible(False)
    axes.set_xlabel(f"share of {in_words(found)}, per cent")
    axes.set_title(f"{found.model} on {found.feature_set}", loc="left", parse_math=False)
    picture = io.BytesIO()
    figure.savefig(picture, format="png", dpi=120)
    place.write_bytes(picture.getvalue())


def in_words(found: Importance) -> str:
    """What the importance is: the mean |SHAP|, or what shuffling does to the error."""
    if found.why is None:
        return "the mean |SHAP|"
    return f"the rise of the {found.error_name} when shuffled"
