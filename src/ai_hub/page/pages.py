"""The pages that there are: where each is, what it needs, and what makes it."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Any, Literal

from ai_hub.access.grant import Scope
from ai_hub.definitions.values import iso
from ai_hub.errors import InvalidInput, StoreUnavailable
from ai_hub.page import asset, assets, catalog, doctor, drift, exports, freshness
from ai_hub.page.asked import Asked, View
from ai_hub.page.render import render

PATIENCE = 10.0
"""Seconds in which a database says which tenants there are; else it is away."""


@dataclass(frozen=True, slots=True)
class Page:
    """A page: its name is that of its file and its template.

    `scope` and `whose` are what the routes of the same need.
    """

    name: str
    title: str
    path: str
    view: View
    scope: Scope = "read"
    whose: Literal["some", "everybody"] = "some"
    is_listed: bool = True
    is_long: bool = False
    """Whether it reads much: few of such are made at a time."""
    is_always_there: bool = False
    """Whether it has something to show while the database is away."""
    parts: frozenset[str] = frozenset()
    """What of it is asked for alone, each a template of its own."""


PAGES = (
    Page("catalog", "Catalog", "/", catalog.view, is_always_there=True),
    Page("assets", "Assets", "/page/assets", assets.view),
    Page(
        "asset", "Asset", "/page/asset", asset.view,
        is_listed=False, is_long=True, parts=frozenset(("chart", "vector")),
    ),
    Page("freshness", "Freshness", "/page/freshness", freshness.view),
    Page("drift", "Drift", "/page/drift", drift.view, is_long=True),
    Page("exports", "Exports", "/page/exports", exports.view, "export"),
    Page(
        "doctor", "Doctor", "/page/doctor", doctor.view,
        whose="everybody", is_long=True, is_always_there=True,
    ),
)  # fmt: skip


async def page(one: Page, asked: Asked) -> bytes:
    """A page as HTML, or a part of it. Raises AiHubError."""
    away = None
    try:
        tenants = await _tenants(asked)
    except StoreUnavailable as error:
        if not one.is_always_there:
            raise
        tenants, away = [], {"said": str(error), "at": iso(asked.store.now())}
    tenant = asked.tenant(tenants)
    part = asked.word("part")
    if part is not None and part not in one.parts:
        expected = ", ".join(sorted(one.parts)) or "none of this page"
        raise InvalidInput("part", part, expected)
    shown = await one.view(asked, tenant)
    if part is not None:
        return render(f"{one.name}-{part}", **shown)
    return render(one.name, **_frame(one.title, asked, tenant, tenants), away=away, **shown)


async def _tenants(asked: Asked) -> list[str]:
    """The tenants to choose from. Raises StoreUnavailable, without the patience that a request of
    a program has."""
    try:
        async with asyncio.timeout(PATIENCE):
            return await asked.tenants()
    except TimeoutError:
        name = asked.store.settings.database_name
        raise StoreUnavailable(f"{name} did not answer in {PATIENCE:g} s.") from None


def _frame(title: str, asked: Asked, tenant: str | None, tenants: list[str]) -> dict[str, Any]:
    """What is around every page: its title, where else one may go, and who asks."""
    grant = asked.grant
    allowed = [
        one
        for one in PAGES
        if one.is_listed
        and one.scope in grant.scopes
        and (one.whose == "some" or grant.tenants is None)
    ]
    return {
        "title": title,
        "pages": allowed,
        "tenant": tenant,
        "tenants": tenants,
        "signed_in": asked.store.settings.auth != "none" and bool(grant.scopes),
        "who": grant.who,
    }
