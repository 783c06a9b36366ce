"""Freshness: whose data is late, and what came in over the last day."""

from __future__ import annotations

from typing import Any

from ai_hub.arrivals import Arrivals
from ai_hub.definitions.values import DAY, HOUR, iso
from ai_hub.page.asked import Asked
from ai_hub.page.assets import series_shown

_STALEST = 25
_TARGETS = ("observations", "weather", "attributes")
_HOURS = 24


async def view(asked: Asked, tenant: str | None) -> dict[str, Any]:
    """How new the data of a tenant is, its latest assets, and the rows of the last day."""
    now = asked.store.now()
    counted = (await asked.counted()).arrivals
    shown: dict[str, Any] = {"found": None, "late": [], "on_time": 0}
    if tenant is not None:
        found = await asked.store.freshness(tenant, _STALEST)
        assets = [
            {**one, "series": [series_shown(series, now) for series in one["series"]]}
            for one in found["stalest"]
        ]
        late = [one for one in assets if any(series["late"] for series in one["series"])]
        shown = {"found": found, "late": late, "on_time": len(assets) - len(late)}
    return shown | _came(counted, tenant or "", now)


def _came(counted: Arrivals, tenant: str, now: int) -> dict[str, Any]:
    """Rows by hour and by target, and the batches that had some rejected."""
    first = now - now % HOUR - (_HOURS - 1) * HOUR
    hours = [[0, 0] for _ in range(_HOURS)]
    totals = {target: [0, 0] for target in _TARGETS}
    for (whose, target, hour), rows in counted.rows.items():
        if whose == tenant and first <= hour <= now:
            for which in (0, 1):
                hours[(hour - first) // HOUR][which] += rows[which]
                totals[target][which] += rows[which]
    most = max((taken + refused for taken, refused in hours), default=0)
    return {
        "totals": totals,
        "accepted": sum(taken for taken, _ in hours),
        "rejected": sum(refused for _, refused in hours),
        "hours": [
            {
                "at": iso(first + place * HOUR),
                "accepted": taken,
                "rejected": refused,
                "high": _height(taken, most),
                "refused_high": _height(refused, most),
            }
            for place, (taken, refused) in enumerate(hours)
        ],
        "rejects": [
            {"at": iso(at), "target": target, "rows": rows, "why": why}
            for at, whose, target, rows, why in reversed(counted.rejects)
            if whose == tenant and at > now - DAY
        ],
    }


def _height(rows: int, most: int) -> float:
    """Of a bar, in hundredths; what is there is seen."""
    return max(2.0, round(100 * rows / most, 1)) if rows else 0.0
