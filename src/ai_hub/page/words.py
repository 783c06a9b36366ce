"""Values as people read them."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlencode

_UNITS = ((86_400, "d"), (3_600, "h"), (60, "min"), (1, "s"))
_MOST_DIGITS = 6


def number(value: object) -> str:
    """A number in as many digits as say something; a dash for none."""
    if value is None:
        return "–"
    if isinstance(value, bool) or not isinstance(value, int | float):
        return str(value)
    if isinstance(value, int) or (value.is_integer() and abs(value) < 1e15):
        return f"{int(value):,}"
    is_usual = 1e6 <= abs(value) < 1e15
    return f"{value:,.0f}" if is_usual else f"{value:,.{_MOST_DIGITS}g}"


def plural(count: int, one: str) -> str:
    """How many there are of what is named, such as `2 exports`."""
    return f"{count:,} {one}{'' if count == 1 else 's'}"


def rounded(value: float) -> str:
    """A number in four digits: of what is drawn beside it, more cannot be seen."""
    return number(float(f"{value:.4g}"))


def width(seconds: float | None) -> str:
    """A width of time, such as `3.2 h`; a dash for none."""
    if seconds is None:
        return "–"
    for size, unit in _UNITS:
        if abs(seconds) >= size:
            return f"{seconds / size:.3g} {unit}"
    return f"{seconds * 1000:.3g} ms" if seconds else "0 s"


def instant(text: str | None) -> str:
    """An instant as answers write it, to the second and without what is the same everywhere; a
    dash for none."""
    return "–" if text is None else text.partition(".")[0].removesuffix("Z").replace("T", " ")


def share(value: float | None) -> str:
    """A share in percent; a dash for none."""
    return "–" if value is None else f"{value:.1%}".replace("%", " %")


def size(count: float) -> str:
    """Bytes, such as `3.2 MB`."""
    for unit in ("B", "kB", "MB", "GB"):
        if count < 1_000:
            return f"{count:.3g} {unit}"
        count /= 1_000
    return f"{count:,.3g} TB"


def query(names: dict[str, Any]) -> str:
    """A query of the names that are something."""
    return urlencode({name: value for name, value in names.items() if value not in (None, "")})


FILTERS = {
    "number": number,
    "rounded": rounded,
    "plural": plural,
    "width": width,
    "instant": instant,
    "share": share,
    "size": size,
    "query": query,
}
"""The filters of templates, by name."""
