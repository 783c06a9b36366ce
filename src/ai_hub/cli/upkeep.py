"""Commands that keep a database in shape: `maintain` and `status`."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ai_hub.cli.failure import Stop
from ai_hub.cli.finding import check_file, server_of
from ai_hub.cli.options import Json, Url
from ai_hub.cli.output import document, say, table, tell
from ai_hub.errors import StoreLocked

if TYPE_CHECKING:
    from ai_hub.cli.backend import Document
    from ai_hub.config import Settings

_STYLES = {"warn": "yellow", "notice": "yellow", "delete": "bold", "keep": "dim", "step": "dim"}
_UNITS = ("B", "kB", "MB", "GB", "TB")


def maintain(
    every: Annotated[
        str | None,
        typer.Option(
            "--every",
            metavar="WIDTH",
            help="Repeat, such as every 15m, until Ctrl-C.",
        ),
    ] = None,
    now: Annotated[
        bool,
        typer.Option(
            "--now", help="Delete what is older than its retention without a notice period."
        ),
    ] = False,
    rebuild: Annotated[
        tuple[str, str] | None,
        typer.Option(
            "--rebuild",
            metavar="FROM TO",
            help="Compute anew what follows from the rows of this time, such as aggregates.",
        ),
    ] = None,
    within: Annotated[
        str | None,
        typer.Option(
            "--within",
            metavar="WIDTH",
            help="Begin no step that would not end in this time, such as 15m: what is left is for "
            "the next run. With --every, its width.",
        ),
    ] = None,
    connections: Annotated[
        int,
        typer.Option(
            "--connections",
            metavar="N",
            min=1,
            max=16,
            help="How many connections work side by side.",
        ),
    ] = 2,
    as_json: Json = False,
) -> None:
    """Refresh aggregates, delete expired rows, compress.

    For a database on PostgreSQL. Old data is announced first, and deleted a notice period later.
    Nothing else deletes rows. Where there is much to do, it says which steps it is going to take
    and tells of each one. A run that is stopped goes on where it was when it is run again. Run it
    from a timer, with --every, or let the server do it: `ai-hub serve --maintain 15m`.

    Example: ai-hub maintain --every 15m
    """
    from ai_hub.config import Settings
    from ai_hub.definitions.values import Duration

    settings = Settings.load()
    span = None if rebuild is None else _span(*rebuild)
    pause = None if every is None else Duration.of(every, "--every")
    limit = None if within is None else Duration.of(within, "--within")
    if pause is not None and now:
        raise Stop("--now: expected without --every, which always waits for the notice period")
    if pause is not None and span is not None:
        raise Stop("--rebuild: expected without --every, which would compute the same each time")
    if pause is not None and limit is not None:
        raise Stop("--within: expected without --every, of which each run ends within its width")
    needs_server(settings, "it needs no maintenance and deletes nothing")

    async def work() -> None:
        from ai_hub.administration import maintain as once
        from ai_hub.administration import maintain_every

        told = None if as_json else _show
        if pause is None:
            _end(await once(settings, now, span, limit, connections, told), as_json)
        else:
            await maintain_every(
                settings, pause, lambda steps: _end(steps, as_json),
                lambda why: tell(why, "red"), connections, told,
            )  # fmt: skip

    asyncio.run(work())


def needs_server(settings: Settings, why: str) -> None:
    """Raise Stop where the database is a file, with the reason why that needs no such command;
    NoDatabase where it is not there."""
    check_file(settings)
    if not settings.on_server:
        raise Stop(
            f"{settings.database_name} is an embedded database: {why}. This is for a database on "
            "PostgreSQL (AI_HUB_DATABASE_URL).",
            0,
        )


def _show(step: dict[str, Any]) -> None:
    what = f"{step['action']} {step['relation']}".strip()
    say(f"{what}: {step['said']}", style=_STYLES.get(step["action"]))


def _end(steps: list[dict[str, Any]], as_json: bool) -> None:
    if as_json:
        document({"steps": steps})


def _span(first: str, end: str) -> tuple[int, int]:
    """The times of --rebuild, in microseconds."""
    from ai_hub.definitions.values import parse_time

    start, stop = parse_time(first, "--rebuild"), parse_time(end, "--rebuild")
    if start >= stop:
        raise Stop(f"--rebuild: got {first} {end}, expected a time and a later one")
    return start, stop


def status(
    exact: Annotated[
        bool,
        typer.Option(
            "--exact",
            help="Count the rows of each series and read its times, which may take minutes.",
        ),
    ] = False,
    url: Url = None,
    as_json: Json = False,
) -> None:
    """Show the state of the database.

    Its server, sizes, policies, data, and how up to date its aggregates are.

    Example: ai-hub status
    """
    from ai_hub.config import Settings

    found = asyncio.run(_status(Settings.load(), url, exact))
    if as_json:
        document(found)
        return
    for name in ("database", "mode", "postgresql", "timescaledb"):
        if found.get(name) is not None:
            say(f"{name}: {found[name]}")
    if found.get("bytes") is not None:
        say(f"size: {size(found['bytes'])}")
    for warning in found.get("warnings", ()):
        say(f"warning: {warning}", style="yellow")
    aggregates = found.get("aggregates")
    if aggregates is not None:
        say(
            f"hourly partials: up to {aggregates['refreshed_to'] or 'nothing yet'}; "
            f"{aggregates['late_series']:,} series have late rows since"
        )
        for relation, by in aggregates["refreshed_by"].items():
            say(f"{relation}: refreshed by {by['who']} ({by['why']})")
    for title in ("relations", "retention", "policies", "series", "index_use"):
        if rows := found.get(title):
            names = list(dict.fromkeys(name for row in rows for name in row))
            shown = [[_cell(name, row.get(name)) for name in names] for row in rows]
            table([name.replace("_", " ") for name in names], shown, title.replace("_", " "))


async def _status(settings: Settings, url: str | None, exact: bool) -> Document:
    """By a look at the database itself, or where that cannot be, by its server."""
    from ai_hub.administration import status as look

    in_memory = settings.database_path is None and not settings.on_server
    if url is None and not in_memory:
        try:
            return await look(settings, exact)
        except StoreLocked:
            pass
    async with server_of(settings, url, held=not in_memory) as server:
        return await server.status(exact)


def _cell(name: str, value: Any) -> Any:
    return size(value) if name == "bytes" and value is not None else value


def size(count: int) -> str:
    """Bytes as people read them, such as `1.2 GB` (10^9 bytes)."""
    number, unit = float(count), 0
    while number >= 1000 and unit < len(_UNITS) - 1:
        number, unit = number / 1000, unit + 1
    return f"{number:.0f} {_UNITS[unit]}" if unit == 0 else f"{number:.1f} {_UNITS[unit]}"
