"""The command about who changed what: `audit`."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Annotated

import typer

from ai_hub.cli.finding import opened
from ai_hub.cli.options import Json, Url, instant
from ai_hub.cli.output import cell, document, nothing, table, tell

if TYPE_CHECKING:
    from ai_hub.cli.backend import Document


def audit(
    tenant: Annotated[
        str | None, typer.Option("--tenant", metavar="ID", help="Only what is of this tenant.")
    ] = None,
    what: Annotated[
        str | None,
        typer.Option("--what", metavar="KIND", help="Only this, such as ingest, delete or apply."),
    ] = None,
    who: Annotated[
        str | None,
        typer.Option("--who", metavar="NAME", help="Only by this user or key, by name or id."),
    ] = None,
    start: Annotated[
        str | None,
        typer.Option("--from", metavar="TIME", help="Only since then: 2025-10-09T00:00:00Z."),
    ] = None,
    end: Annotated[
        str | None, typer.Option("--to", metavar="TIME", help="Only before that time.")
    ] = None,
    before: Annotated[
        int | None, typer.Option("--before", metavar="ID", help="Only records before this one.")
    ] = None,
    limit: Annotated[
        int, typer.Option("--limit", min=1, max=10_000, help="How many at most.")
    ] = 100,
    url: Url = None,
    as_json: Json = False,
) -> None:
    """Show who changed what, when, and how many.

    The newest first. Every change leaves a record in the transaction that makes it: what came in
    and was removed, definitions, models, rollouts, keys, retention, maintenance.

    Example: ai-hub audit --tenant acme --what delete
    """
    from ai_hub.config import Settings

    said = {
        "tenant_id": tenant, "what": what, "who": who, "before": before, "limit": limit,
        "start_time": None if start is None else instant(start, "--from", "up"),
        "end_time": None if end is None else instant(end, "--to", "up"),
    }  # fmt: skip
    request = {name: value for name, value in said.items() if value is not None}

    async def work() -> Document:
        async with opened(Settings.load(), url) as backend:
            return await backend.audit(request)

    found = asyncio.run(work())
    if as_json:
        document(found)
    if not found["records"]:
        nothing("There are no such records.")
    if as_json:
        return
    rows = [
        (
            str(one["id"]), one["done_at"], _name(one), one["what"], one["tenant_id"], one["count"],
            ", ".join(f"{name}={cell(value)}" for name, value in one["details"].items()),
        )
        for one in found["records"]
    ]  # fmt: skip
    table(("id", "done at", "who", "what", "tenant", "count", "details"), rows)
    if found["next"] is not None:
        tell(f"There are more: --before {found['next']}")


def _name(one: Document) -> str:
    return f"{one['who']} ({one['who_id']})" if one["who_id"] else str(one["who"])
