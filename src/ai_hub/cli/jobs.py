"""Commands about exports as jobs: `exports watch`, `exports cancel` and `exports resume`."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ai_hub.cli.finding import opened
from ai_hub.cli.following import begun, check_ended, ended, under_way
from ai_hub.cli.options import Json, Url
from ai_hub.cli.output import counted, document, nothing, progress, say, tell

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    from ai_hub.cli.backend import Document, JobsBackend

_NO_ROWS = "There are no rows like that, so no file was written."
Id = Annotated[str, typer.Argument(metavar="ID", help="The id of an export; see `ai-hub exports`.")]


def watch(id: Id, url: Url = None, as_json: Json = False) -> None:
    """Show how far an export is, until it has ended.

    One that waits goes on when a server of its database has a turn free: that is said, and waited
    for.

    Ends with 0 if it completed, 3 if there were no rows, and 1 if it failed or was cancelled.

    Example: ai-hub exports watch 550e8400-e29b-41d4-a716-446655440000
    """
    with progress(f"Export {id}", quiet=as_json) as show:

        async def work(jobs: JobsBackend) -> Document:
            found = await jobs.record(id)
            if under_way(found):
                jobs.check_had(found)
            found = await begun(jobs, found)
            if found["status"] == "pending":
                tell(
                    f"{id} waits for a server of its database (`ai-hub serve`) with a turn free; "
                    f"`ai-hub exports resume {id}` goes on with it now."
                )
            return await ended(jobs, found, show)

        record = _with_jobs(url, work)
    report(record, as_json)


def cancel(id: Id, url: Url = None, as_json: Json = False) -> None:
    """End an export that is under way, in whatever process.

    One that has ended stays as it is.

    Example: ai-hub exports cancel 550e8400-e29b-41d4-a716-446655440000
    """
    record = _with_jobs(url, lambda jobs: jobs.cancel(id))
    if as_json:
        document(record)
    elif under_way(record):
        say(f"{id}: {record['status']}, and being cancelled.")
    else:
        say(f"{id}: {record['status']}.")


def resume(id: Id, url: Url = None, as_json: Json = False) -> None:
    """Go on with an export that waits for a process, failed or was cancelled.

    One in parts goes on after its last finished part. Without a server it is made here, to its end;
    a server goes on with it by itself.

    Example: ai-hub exports resume 550e8400-e29b-41d4-a716-446655440000
    """
    with progress(f"Export {id}", quiet=as_json) as show:

        async def work(jobs: JobsBackend) -> Document:
            found = await jobs.resume(id)
            return await ended(jobs, found, show) if jobs.here else found

        record = _with_jobs(url, work)
    if under_way(record):
        told(record, as_json)
    else:
        report(record, as_json)


def told(record: Document, as_json: bool) -> None:
    """Print a job that goes on elsewhere: its id, for whoever looks at it later."""
    if as_json:
        document(record)
    else:
        say(record["export_id"])


def report(record: Document, as_json: bool, where: str | None = None) -> None:
    """Print how a job ended; `where` its file is, as people write it."""
    if as_json:
        document(record)
    check_ended(record)
    if record["status"] == "no_data":
        nothing(_NO_ROWS)
    if not as_json:
        rows = counted(record["row_count"], "row")
        say(f"{where or record['storage_path']}: {rows}, {record['file_size_mb']:,.2f} MB", "green")


def _with_jobs(
    url: str | None, work: Callable[[JobsBackend], Coroutine[Any, Any, Document]]
) -> Document:
    from ai_hub.config import Settings

    async def ask() -> Document:
        async with opened(Settings.load(), url) as backend:
            return await work(backend.jobs)

    return asyncio.run(ask())
