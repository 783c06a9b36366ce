"""Assets: those of a tenant, page by page, and how their data is."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from ai_hub.definitions.values import SECOND, iso
from ai_hub.doctor.data import LATE_AT_LEAST, LATE_CADENCES
from ai_hub.page.asked import Asked

_PAGE = 50


async def view(asked: Asked, tenant: str | None) -> dict[str, Any]:
    """A page of the assets whose id has the text that is searched for."""
    search, after = asked.word("search"), asked.word("after")
    page: dict[str, Any] = {"assets": [], "next": None}
    if tenant is not None:
        page = await asked.store.assets(tenant, after=after, limit=_PAGE, search=search)
    now = asked.store.now()
    assets = [
        {**one, "series": [series_shown(series, now) for series in one["series"]]}
        for one in page["assets"]
    ]
    return {"assets": assets, "next": page["next"], "search": search, "after": after}


def series_shown(series: dict[str, Any], now: int) -> dict[str, Any]:
    """A series of an asset, with how late it is by its own cadence (None: it is not)."""
    age = now / SECOND - datetime.fromisoformat(series["last"]).timestamp()
    cadence = series["cadence_seconds"]
    allowed = max(LATE_AT_LEAST / SECOND, LATE_CADENCES * (cadence or 0))
    late = age if age > allowed else None
    return {**series, "late": late, "now": iso(now)}
