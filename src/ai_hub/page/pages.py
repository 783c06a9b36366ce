"""The pages that there are: where each is, what it needs, and what makes it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from ai_hub.access.grant import Scope
from ai_hub.errors import InvalidInput
from ai_hub.page import asset, assets, catalog, doctor, drift, exports, freshness
from ai_hub.page.asked import Asked, View
from ai_hub.page.render import render


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
    parts: frozenset[str] = frozenset()
    """What of it is asked for alone, each a template of its own."""


PAGES = (
    Page("catalog", "Catalog", "/", catalog.view),
    Page("assets", "Assets", "/page/assets", assets.view),
    Page(
        "asset", "Asset", "/page/asset", asset.view,
        is_listed=False, is_long=True, parts=frozenset(("chart", "vector")),
    ),
    Page("freshness", "Freshness", "/page/freshness", freshness.view),
    Page("drift", "Drift", "/page/drift", drift.view, is_long=True),
    Page("exports", "Exports", "/page/exports", exports.view, "export"),
    Page("doctor", "Doctor", "/page/doctor", doctor.view, whose="everybody", is_long=True),
)  # fmt: skip


async def page(one: Page, asked: Asked) -> bytes:
    """A page as HTML, or a part of it. Raises AiHubError."""
    tenants = await asked.tenants()
    tenant = asked.tenant(tenants)
    part = asked.word("part")
    if part is not None and part not in one.parts:
        expected = ", ".join(sorted(one.parts)) or "none of this page"
        raise InvalidInput("part", part, expected)
    shown = await one.view(asked, tenant)
    if part is not None:
        return render(f"{one.name}-{part}", **shown)
    return render(one.name, **frame(one.title, asked, tenant, tenants), **shown)


def frame(
    title: str, asked: Asked, tenant: str | None = None, tenants: list[str] | None = None
) -> dict[str, Any]:
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
        "tenants": tenants or [],
        "signed_in": asked.store.settings.auth != "none" and bool(grant.scopes),
        "who": grant.who,
    }
