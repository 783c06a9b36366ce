"""Drift: the features of a set by alarm, their baseline and their values now side by side."""

from __future__ import annotations

from typing import Any, NamedTuple

from ai_hub.errors import InvalidInput, NotFound
from ai_hub.page.asked import Asked

_SOURCES = ("served", "history")
_WIDTH, _EDGE = 260.0, 6.0


class Spread(NamedTuple):
    """Where values are, from few to few: their 1st, 25th, 50th, 75th and 99th percentile."""

    low: float
    quarter: float
    median: float
    three_quarters: float
    high: float


async def view(asked: Asked, tenant: str | None) -> dict[str, Any]:
    """The comparison of what was served, or of history where that is asked for."""
    names = sorted({one.name for one in asked.store.registry.sets() if one.name})
    usual = "forecast_basic" if "forecast_basic" in names else names[0]
    chosen, source = asked.word("set") or usual, asked.word("source") or "served"
    shown = {"sets": names, "chosen": chosen, "source": source, "sources": _SOURCES}
    if tenant is None:
        return shown | {"found": None, "problem": None, "features": []}
    try:
        found = await asked.store.drift(tenant, chosen, source=source)
    except (NotFound, InvalidInput) as error:
        # Nothing to compare, or nothing to compare with: its sentence says what to do.
        return shown | {"found": None, "problem": str(error), "features": []}
    return shown | {
        "found": found,
        "problem": None,
        "features": [*map(_feature, found["features"])],
    }


def _feature(one: dict[str, Any]) -> dict[str, Any]:
    before, now = (_spread(one["quantiles"][which]) for which in ("baseline", "now"))
    return {**one, "before": before, "now": now, "drawn": _drawn(before, now)}


def _spread(quantiles: list[float]) -> Spread | None:
    """Of quantiles in even steps from the 1st to the 99th percentile."""
    if not quantiles:
        return None
    last = len(quantiles) - 1
    low, quarter, median, three, high = (
        quantiles[round(share * last)] for share in (0, 0.245, 0.5, 0.755, 1)
    )
    return Spread(low, quarter, median, three, high)


def _drawn(before: Spread | None, now: Spread | None) -> list[dict[str, Any]]:
    """Both on one axis: a line from low to high, a box of the middle half, a tick at the median."""
    ends = [*(before or ()), *(now or ())]
    if not ends:
        return []
    low: float = min(ends)
    width: float = max(ends) - low or 1.0

    def place(value: float) -> float:
        return round(_EDGE + (value - low) / width * (_WIDTH - 2 * _EDGE), 1)

    return [
        {"name": name, "y": y, **{part: place(value) for part, value in one._asdict().items()}}
        for name, y, one in (("baseline", 10, before), ("now", 28, now))
        if one is not None
    ]
