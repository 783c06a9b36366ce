"""The command that shows what a server does, as it does it: `top`."""

from __future__ import annotations

import asyncio
import json
import sys
import time
from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import TYPE_CHECKING, Annotated

import typer

from ai_hub.cli.failure import BAD_INPUT, Stop
from ai_hub.cli.finding import server_of
from ai_hub.cli.following import under_way
from ai_hub.cli.options import Json, ServerUrl
from ai_hub.cli.output import cell, console, counted, document, say, tell
from ai_hub.errors import ServerFailed, ServerUnreachable

if TYPE_CHECKING:
    from rich.console import RenderableType

    from ai_hub.cli.backend import Document
    from ai_hub.cli.rates import Counted
    from ai_hub.cli.remote import RemoteBackend

_SECONDS = 1.0
_MOST_ROUTES, _MOST_TENANTS = 12, 10


def top(
    once: Annotated[
        bool, typer.Option("--once", help="Look for one second, print that, and end.")
    ] = False,
    tenant: Annotated[
        str | None, typer.Option("--tenant", metavar="ID", help="Only this tenant's lag, exports.")
    ] = None,
    url: ServerUrl = None,
    as_json: Json = False,
) -> None:
    """Show what a server does, second by second.

    Requests, hits and misses of the cache, how old each tenant's newest reading is, and exports
    under way, until Ctrl-C. In a pipe a line a second; with --json a document in each line.

    Example: ai-hub top --once
    """
    if tenant is not None:
        from ai_hub.definitions.values import check_id

        check_id("--tenant", tenant)
    if once:
        found = asyncio.run(_first(url, tenant))
        document(found) if as_json else console().print(_drawn(found), soft_wrap=False)
    else:
        asyncio.run(_follow(url, tenant, as_json))


async def _first(url: str | None, tenant: str | None) -> Document:
    async with aclosing(_seen(url, tenant, patient=False)) as seen:
        async for found in seen:
            if not isinstance(found, ServerUnreachable):
                return found
    raise AssertionError("it looks until it has something")


async def _follow(url: str | None, tenant: str | None, as_json: bool) -> None:
    out = console()
    async with aclosing(_seen(url, tenant, patient=True)) as seen:
        if as_json or not out.is_terminal:
            async for found in seen:
                if isinstance(found, ServerUnreachable):
                    tell(str(found), "red")
                elif as_json:
                    sys.stdout.write(json.dumps(found) + "\n")
                    sys.stdout.flush()
                else:
                    say(_line(found))
                    sys.stdout.flush()
            return
        from rich.live import Live
        from rich.text import Text

        with Live(console=console(), auto_refresh=False) as live:
            async for found in seen:
                if isinstance(found, ServerUnreachable):
                    live.update(Text(str(found), "red"), refresh=True)
                else:
                    live.update(_drawn(found), refresh=True)


async def _seen(
    url: str | None, tenant: str | None, patient: bool
) -> AsyncGenerator[Document | ServerUnreachable, None]:
    """What a server does in each second; or, if `patient`, that it does not answer now."""
    from ai_hub.cli.rates import rates
    from ai_hub.config import Settings

    async with server_of(Settings.load(), url) as server:
        before: Counted | None = await _counted(server)
        while True:
            await asyncio.sleep(_SECONDS)
            try:
                exports = await _exports(server, tenant)
                now = await _counted(server)
            except (ServerUnreachable, ServerFailed, Stop) as error:
                if not patient or (isinstance(error, Stop) and error.code == BAD_INPUT):
                    raise
                before = None
                yield ServerUnreachable(str(error))
                continue
            if before is not None:
                found = rates(before, now)
                if tenant is not None:
                    found["lag"] = [one for one in found["lag"] if one["tenant_id"] == tenant]
                yield {"at": _now(), "server": server.url, **found, "exports": exports}
            before = now


async def _counted(server: RemoteBackend) -> Counted:
    from ai_hub.cli.rates import Counted
    from ai_hub.metrics import samples_of

    text = await server.metrics()
    try:
        return Counted.of(time.monotonic(), samples_of(text))
    except ValueError:
        raise ServerFailed(
            f"What {server.url}/metrics answers is not of an AI Hub server."
        ) from None


async def _exports(server: RemoteBackend, tenant: str | None) -> list[Document] | None:
    """The exports under way; None for a key that may not see exports."""
    try:
        found = await server.exports(tenant, 100)
    except Stop as refused:
        if refused.code != BAD_INPUT:
            raise
        return None
    return [one for one in found["exports"] if under_way(one)]


def _now() -> str:
    from ai_hub.definitions.values import SECOND, iso

    return iso(time.time_ns() // 1_000 // SECOND * SECOND)


def _line(found: Document) -> str:
    """A second in a line."""
    requests, cache = found["requests"], found["cache"]
    parts = [
        found["at"],
        f"{_rate(requests['per_second'])} requests/s",
        f"{_rate(requests['failed_per_second'])} failed/s",
        f"{_rate(cache['hits_per_second'])} hits/s",
        f"{_rate(cache['misses_per_second'])} misses/s",
        f"{_rate(found['rows']['accepted_per_second'])} rows/s in",
    ]
    if found["lag"]:
        oldest = found["lag"][0]
        parts.append(f"lag {_width(oldest['seconds'])} ({cell(oldest['tenant_id'])})")
    if found["exports"]:
        first = found["exports"][0]
        parts.append(f"{counted(len(found['exports']), 'export')} ({_far(first)})")
    return "  ".join(parts)


def _drawn(found: Document) -> RenderableType:
    """A second as tables."""
    from rich.console import Group
    from rich.text import Text

    cache, vectors, rows = found["cache"], found["vectors"], found["rows"]
    hit_rate = "" if cache["hit_rate"] is None else f" ({100 * cache['hit_rate']:.1f} % hits)"
    workers = counted(found["workers"], "process", "processes")
    open_ = "" if cache["state"] == "closed" else f", the cache is not asked ({cache['state']})"
    parts: list[RenderableType] = [
        Text(f"{found['server']}  {found['version']}, {workers}  {found['at']}", "bold"),
        Text(
            f"Vectors: {_rate(cache['hits_per_second'])} hits/s, "
            f"{_rate(cache['misses_per_second'])} misses/s{hit_rate}, "
            f"{_rate(vectors['computed_per_second'])} computed/s, "
            f"{_rate(vectors['degraded_per_second'])} degraded/s{open_}"
        ),
        Text(
            f"Rows in: {_rate(rows['accepted_per_second'])}/s, "
            f"{_rate(rows['rejected_per_second'])} rejected/s"
        ),
        _requests(found["requests"]),
    ]
    lag = found["lag"]
    if lag:
        rest = f" and {len(lag) - _MOST_TENANTS:,} more" if len(lag) > _MOST_TENANTS else ""
        ages = [f"{cell(one['tenant_id'])} {_width(one['seconds'])}" for one in lag[:_MOST_TENANTS]]
        parts.append(Text(f"Newest reading: {', '.join(ages)} ago{rest}"))
    else:
        parts.append(Text("Newest reading: none since the server started"))
    parts.append(_exported(found["exports"]))
    return Group(*parts)


def _requests(requests: Document) -> RenderableType:
    from rich.table import Table

    drawn = Table(header_style="bold")
    for name in ("requests", "/s", "failed/s", "p50", "p99"):
        drawn.add_column(name, justify="left" if name == "requests" else "right", overflow="fold")
    routes = requests["routes"]
    for one in ({"route": "all", **requests}, *routes[:_MOST_ROUTES]):
        drawn.add_row(
            one["route"],
            _rate(one["per_second"]),
            _rate(one["failed_per_second"]),
            _width(one["p50_seconds"]),
            _width(one["p99_seconds"]),
        )
    return drawn


def _exported(exports: list[Document] | None) -> RenderableType:
    from rich.table import Table
    from rich.text import Text

    if exports is None:
        return Text("Exports: the key or token may not see them")
    if not exports:
        return Text("Exports: none under way")
    drawn = Table(header_style="bold")
    for name in ("exports under way", "tenant", "feature set", "status", "progress", "left"):
        drawn.add_column(name, overflow="fold")
    for one in exports:
        drawn.add_row(
            one["export_id"], cell(one["tenant_id"]), cell(one["feature_set"]), one["status"],
            _far(one), _width(one["progress"].get("seconds_left")),
        )  # fmt: skip
    return drawn


def _far(export: Document) -> str:
    far = export["progress"]
    share = "" if far["share"] is None else f"{100 * far['share']:.0f} %, "
    return f"{share}{counted(far['rows'], 'row')}"


def _rate(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.1f}"


def _width(seconds: float | None) -> str:
    from ai_hub.page.words import width

    return "-" if seconds is None else width(seconds)
