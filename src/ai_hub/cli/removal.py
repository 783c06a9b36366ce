"""The command that removes data: `delete`."""

from __future__ import annotations

import asyncio
import sys
from typing import TYPE_CHECKING, Annotated

import typer

from ai_hub.cli.failure import Stop
from ai_hub.cli.finding import opened
from ai_hub.cli.options import Json, SomeAssets, Tenant, Url, instant
from ai_hub.cli.output import counted, document, nothing, say, table, tell

if TYPE_CHECKING:
    from ai_hub.cli.backend import Document

_SHOWN = 50


def delete(
    tenant: Tenant,
    asset: SomeAssets = None,
    series: Annotated[
        str | None,
        typer.Option("--series", metavar="NAME", help="Only this series; by default all."),
    ] = None,
    start: Annotated[
        str | None,
        typer.Option("--from", metavar="TIME", help="Only since then: 2025-10-09T00:00:00Z."),
    ] = None,
    end: Annotated[
        str | None, typer.Option("--to", metavar="TIME", help="Only before that time.")
    ] = None,
    weather: Annotated[
        bool, typer.Option("--weather", help="With --from or --to: weather of that time too.")
    ] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Count what would go, and remove nothing.")
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    url: Url = None,
    as_json: Json = False,
) -> None:
    """Remove data of a tenant, for good.

    Without --series, --from and --to its assets go as a whole, with weather, stations and
    attributes. Cached vectors are dropped; files of exports stay. It goes step by step: one that
    was stopped is run again.

    Example: ai-hub delete --tenant acme --asset meter-001 --dry-run
    """
    from ai_hub.config import Settings

    request: Document = {
        "tenant_id": tenant, "asset_ids": asset or None, "series": series, "weather": weather,
        "start_time": None if start is None else instant(start, "--from", "up"),
        "end_time": None if end is None else instant(end, "--to", "up"),
    }  # fmt: skip

    async def work() -> Document:
        async with opened(Settings.load(), url) as backend:
            if dry_run or not yes:
                found = await backend.delete({**request, "dry_run": True})
                if dry_run or not _anything(found):
                    return found
                _ask(found, as_json)
            return await backend.delete(request)

    found = asyncio.run(work())
    if as_json:
        document(found)
    if not _anything(found):
        nothing("There is nothing to remove.")
    if as_json:
        return
    if dry_run:
        _show(found)
    say(f"{'Would remove' if dry_run else 'Removed'} {_rows(found)}.")
    if found["exports"]:
        files = counted(found["exports"], "export")
        tell(f"The files of {files} may have such rows, and stay: see `ai-hub exports`.", "yellow")


def _ask(found: Document, as_json: bool) -> None:
    """Ask whether to go on. Raises Stop where nobody can answer, and where they say no."""
    if as_json or not sys.stdin.isatty():
        raise Stop(
            f"This would remove {_rows(found)}. --yes: expected, where nobody is asked; --dry-run "
            "only counts."
        )
    _show(found, stderr=True)
    if not typer.confirm(f"Remove {_rows(found)} for good?", err=True):
        raise Stop("Nothing was removed.", 1)


def _show(found: Document, stderr: bool = False) -> None:
    rows = [
        (one["asset_id"], one["series"] or "(weather)", one["rows"], one["first"], one["last"])
        for one in found["series"][:_SHOWN]
    ]
    table(("asset", "series", "rows", "first", "last"), rows, stderr=stderr)
    if found["series_count"] > _SHOWN:
        tell(f"... and {counted(found['series_count'] - _SHOWN, 'other')}.")


def _anything(found: Document) -> bool:
    return any(found["removed"].values())


def _rows(found: Document) -> str:
    """How many rows of which relations."""
    parts = [f"{counted(n, 'row')} of {name}" for name, n in found["removed"].items() if n]
    return ", ".join(parts)
