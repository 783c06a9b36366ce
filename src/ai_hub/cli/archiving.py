"""The commands of sealed history: `archive`, `archives` and `unarchive`."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

import typer

from ai_hub.cli.finding import opened
from ai_hub.cli.options import Json, Url, instant
from ai_hub.cli.output import counted, document, nothing, say, table

if TYPE_CHECKING:
    from ai_hub.cli.backend import Document


def archive(
    before: Annotated[
        str,
        typer.Option(
            "--before",
            metavar="TIME",
            help="Days (UTC) that end at or before this time: 2025-10-01T00:00:00Z.",
        ),
    ],
    to: Annotated[
        str,
        typer.Option("--to", metavar="URL", help="A folder, or s3://bucket/prefix (gs://, az://)."),
    ],
    tenant: Annotated[
        str | None, typer.Option("--tenant", metavar="ID", help="Only this one; by default all.")
    ] = None,
    drop: Annotated[
        bool,
        typer.Option("--drop", help="Take what is sealed out of the database, then."),
    ] = False,
    url: Url = None,
    as_json: Json = False,
) -> None:
    """Seal old days of history as Parquet files.

    Exports read them with live rows as one history. What is sealed is compared with the database,
    row by row. It goes step by step: one that was stopped is run again, and seals what came in
    late too.

    Example: ai-hub archive --before 2024-01-01T00:00:00Z --to s3://history/features --drop
    """
    from ai_hub.config import Settings

    request: Document = {
        "before": instant(before, "--before"), "to": to, "tenant_id": tenant, "drop": drop
    }  # fmt: skip

    async def work() -> Document:
        async with opened(Settings.load(), url) as backend:
            return await backend.archive(request)

    found = asyncio.run(work())
    if as_json:
        document(found)
    if not found["steps"]:
        nothing(f"Nothing before {found['before']} is to be done.")
    if not as_json:
        _say(found["steps"])


def unarchive(
    lost: Annotated[
        str | None,
        typer.Option(
            "--lost",
            metavar="REASON",
            help="Give up what is in the archive alone; why its files cannot be read.",
        ),
    ] = None,
    url: Url = None,
    as_json: Json = False,
) -> None:
    """Bring archived rows back, and end the archive.

    Its files are removed then. Retention holds again for what came back. It goes step by step: one
    that was stopped is run again.

    Example: ai-hub unarchive
    """
    from ai_hub.config import Settings

    async def work() -> Document:
        async with opened(Settings.load(), url) as backend:
            return await backend.unarchive({"lost": lost})

    found = asyncio.run(work())
    if as_json:
        document(found)
    if not found["steps"]:
        nothing("Nothing is archived.")
    if not as_json:
        _say(found["steps"])


def _say(steps: Sequence[Document]) -> None:
    for step in steps:
        whose = "all tenants" if step["tenant_id"] is None else step["tenant_id"]
        size = f" ({step['bytes']:,} bytes)" if step["bytes"] else ""
        say(
            f"{step['action']} {counted(step['rows'], 'row')} of {step['kind']} of {whose}, "
            f"{step['start_time']} to {step['end_time']}{size}."
        )


def archives(
    tenant: Annotated[
        str | None, typer.Option("--tenant", metavar="ID", help="Only this one; by default all.")
    ] = None,
    url: Url = None,
    as_json: Json = False,
) -> None:
    """Show which days of history are sealed.

    And before when rows are in the archive alone.

    Example: ai-hub archives --tenant acme
    """
    from ai_hub.config import Settings

    async def work() -> Document:
        async with opened(Settings.load(), url) as backend:
            return await backend.archives(tenant)

    found = asyncio.run(work())
    if as_json:
        document(found)
    if not found["layers"]:
        nothing("Nothing is archived.")
    if as_json:
        return
    names = ("kind", "tenant_id", "start_time", "end_time", "state", "rows", "bytes", "url")
    rows = [[layer[name] for name in names] for layer in found["layers"]]
    table([name.replace("_", " ") for name in names], rows)
    for kind, at in found["dropped_before"].items():
        say(f"{kind} before {at} are in the archive alone.")
