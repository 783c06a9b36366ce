"""Finding where a command does its work: the database, the server that holds it, or one by URL."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace
from typing import TYPE_CHECKING

from ai_hub.cli.output import tell
from ai_hub.errors import ServerUnreachable, StoreLocked

if TYPE_CHECKING:
    from ai_hub.cli.backend import Backend, Document, RegistryBackend
    from ai_hub.cli.remote import RemoteBackend
    from ai_hub.config import Settings


def asked(
    url: str | None,
    ask: Callable[[RegistryBackend], Awaitable[Document]],
    make: bool = True,
) -> Document:
    """What a registry answers; `make`: in a new database file, where there is none."""
    from ai_hub.config import Settings

    async def work() -> Document:
        async with opened(Settings.load(), url, make) as backend:
            return await ask(backend.registry)

    return asyncio.run(work())


@asynccontextmanager
async def opened(settings: Settings, url: str | None, make: bool = True) -> AsyncIterator[Backend]:
    """The server at `url`; without one the database file, or its server if it is held.

    Where there is no file, one is made, or with `make=False` an empty database in memory serves.
    """
    async with AsyncExitStack() as stack:
        if url is not None or (settings.database_path is None and not settings.on_server):
            yield await stack.enter_async_context(server_of(settings, url))
            return
        from ai_hub.cli.local import LocalBackend
        from ai_hub.feature_store import FeatureStore

        backend: Backend
        is_new = settings.database_path is not None and not settings.database_path.exists()
        if is_new and not make:
            settings, is_new = replace(settings, database_url="duckdb:///:memory:"), False
        try:
            backend = LocalBackend(await stack.enter_async_context(FeatureStore(settings)))
        except StoreLocked:
            backend = await stack.enter_async_context(server_of(settings, None, held=True))
        else:
            if is_new:
                tell(f"Created {settings.database_path}, an empty database.", style="dim")
        yield backend


@asynccontextmanager
async def server_of(
    settings: Settings, url: str | None, held: bool = False
) -> AsyncIterator[RemoteBackend]:
    """The server at `url`; without one that of our database, on the port of the settings.

    `held`: another process has the file open, which is why the server is asked.
    """
    from ai_hub.cli.remote import RemoteBackend

    if url is not None:
        server = RemoteBackend(url, settings.api_key)
    else:
        url_of_ours, key = _local_url(settings), settings.api_key
        server = RemoteBackend(url_of_ours, key, local=True, max_body=settings.max_body)
    async with server:
        if url is None:
            await _check_ours(server, settings, held)
        yield server


def _local_url(settings: Settings) -> str:
    # A server that listens on every address is reached on the local one.
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(settings.host, settings.host)
    return f"http://[{host}]:{settings.port}" if ":" in host else f"http://{host}:{settings.port}"


async def _check_ours(server: RemoteBackend, settings: Settings, held: bool) -> None:
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
