"""The command that looks everything over: `doctor`."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Annotated

import typer

from ai_hub.cli.failure import FAILED
from ai_hub.cli.options import Json, Url
from ai_hub.cli.output import counted, document, say, tell

if TYPE_CHECKING:
    from ai_hub.cli.backend import Document
    from ai_hub.config import Settings

_STYLES = {"ok": "green", "warning": "yellow", "fault": "bold red"}


def doctor(
    tenant: Annotated[
        str | None,
        typer.Option("--tenant", metavar="ID", help="Look at the data of this tenant alone."),
    ] = None,
    url: Url = None,
    as_json: Json = False,
) -> None:
    """Say what is wrong, and which command mends it.

    Database, data, cache, exports, clocks and settings; each line is ok, a warning or a fault.
    Nothing is changed. The exit code is 1 where there is a fault.

    Example: ai-hub doctor --tenant acme
    """
    from ai_hub.config import Settings

    lines = asyncio.run(_looked(Settings.load(), tenant, url))
    count = {state: sum(one["state"] == state for one in lines) for state in _STYLES}
    if as_json:
        document({"lines": lines, **{f"{state}s": count[state] for state in ("warning", "fault")}})
    else:
        for one in lines:
            say(f"{one['state']:<7}  {one['line']}: {one['said']}", style=_STYLES[one["state"]])
            if one["command"] is not None:
                say(f"         $ {one['command']}")
        tell(f"{counted(count['fault'], 'fault')}, {counted(count['warning'], 'warning')}.")
    if count["fault"]:
        raise typer.Exit(FAILED)


async def _looked(settings: Settings, tenant: str | None, url: str | None) -> list[Document]:
    """The lines, of the database itself or of the server that has it."""
    from ai_hub.administration import doctor as look
    from ai_hub.cli.finding import server_of
    from ai_hub.doctor.processes import judge
    from ai_hub.errors import StoreLocked
    from ai_hub.process import Process, read_label

    in_memory = settings.database_path is None and not settings.on_server
    held = False
    if url is None and not in_memory:
        try:
            return [line.document for line in await look(settings, tenant)]
        except StoreLocked:
            held = True
    async with server_of(settings, url, held) as server:
        found = await server.doctor(tenant)
    # The server says what it runs with, which may not be what this command does.
    theirs = read_label(found["process"])
    lines: list[Document] = found["lines"]
    if theirs is None or url is not None:
        return lines
    ours = judge(Process.of(settings), [theirs], None)
    return [one for one in lines if one["line"] != "processes"] + [one.document for one in ours]
