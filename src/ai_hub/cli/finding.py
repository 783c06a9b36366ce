"""Where a command does its work: on the database file itself, or through the server that holds it.

A target takes requests and gives answers as the HTTP routes word them, so that a command says and
prints the same either way.
"""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Protocol

from ai_hub.cli.output import Progress, tell
from ai_hub.errors import ServerUnreachable, StoreLocked

if TYPE_CHECKING:
    from ai_hub.cli.remote import Server
    from ai_hub.config import Settings
    from ai_hub.intake.batch import Batch

Document = dict[str, Any]
Kind = Literal["observations", "weather"]


@dataclass(frozen=True, slots=True)
class Fate:
    """What became of accepted rows: replaced another value, were there already, are old."""

    replaced: int = 0
    unchanged: int = 0
    aged: int = 0

    def __add__(self, other: Fate) -> Fate:
        return Fate(
            self.replaced + other.replaced,
            self.unchanged + other.unchanged,
            self.aged + other.aged,
        )


class Target(Protocol):
    """What commands ask for."""

    async def get(self, request: Document) -> Document:
        """The answer for one asset."""

    async def batch(self, request: Document) -> Document:
        """The answers for several assets."""

    async def land(self, batch: Batch, kind: Kind) -> Fate:
        """Land the rows of a checked batch; what became of them."""

    async def assign_weather_source(self, request: Document) -> Document:
        """Let assets take their weather from a station."""

    async def export(self, request: Document, output: Path | None, show: Progress) -> Document:
        """Write a training set; its record, where `storage_path` says where the file is."""

    async def exports(self, tenant_id: str | None, limit: int) -> Document:
        """Recorded exports."""


@asynccontextmanager
async def opened(settings: Settings, url: str | None) -> AsyncIterator[Target]:
    """The server at `url`; without one the database file, or its server if it is held."""
    async with AsyncExitStack() as stack:
        if url is not None or (settings.database_path is None and not settings.on_server):
            yield await stack.enter_async_context(server_of(settings, url))
            return
        from ai_hub.cli.local import Local
        from ai_hub.feature_store import FeatureStore

        target: Target
        is_new = settings.database_path is not None and not settings.database_path.exists()
        try:
            target = Local(await stack.enter_async_context(FeatureStore(settings)))
        except StoreLocked:
            target = await stack.enter_async_context(server_of(settings, None, held=True))
        else:
            if is_new:
                tell(f"Created {settings.database_path}, an empty database.", style="dim")
        yield target


@asynccontextmanager
async def server_of(
    settings: Settings, url: str | None, held: bool = False
) -> AsyncIterator[Server]:
    """The server at `url`; without one that of our database, on the port of the settings.

    `held`: another process has the file open, which is why the server is asked.
    """
    from ai_hub.cli.remote import Server

    if url is not None:
        async with Server(url) as server:
            yield server
        return
    async with Server(_local_url(settings), local=True, max_body=settings.max_body) as server:
        await _check_ours(server, settings, held)
        yield server


def _local_url(settings: Settings) -> str:
    # A server that listens on every address is reached on the local one.
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(settings.host, settings.host)
    return f"http://[{host}]:{settings.port}" if ":" in host else f"http://{host}:{settings.port}"


async def _check_ours(server: Server, settings: Settings, held: bool) -> None:
    path = settings.database_path
    ours = _real(settings.database_name)
    try:
        theirs = _real(await server.database())
    except ServerUnreachable:
        if held:
            raise ServerUnreachable(
                f"{path} is held by another process, and no server answers at {server.url}. "
                "Stop that process, or say where its server is with --url."
            ) from None
        raise ServerUnreachable(
            f"No server answers at {server.url}. "
            "Start one with `ai-hub serve`, or say where it is with --url."
        ) from None
    if theirs != ours:
        held_too = f"{path} is held by another process, and the" if held else "The"
        raise ServerUnreachable(
            f"{held_too} server at {server.url} serves {theirs}, not {ours}. "
            "Say which server with --url, or which database with AI_HUB_DATABASE_URL."
        )


def _real(database: str) -> str:
    return os.path.realpath(database) if os.path.isabs(database) else database
