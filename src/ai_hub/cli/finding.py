"""Finding where a command does its work: the database, the server that holds it, or one by URL."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Literal, assert_never

from ai_hub.cli.output import tell
from ai_hub.errors import NoDatabase, ServerUnreachable, StoreLocked

if TYPE_CHECKING:
    from ai_hub.cli.backend import Backend, Document, RegistryBackend
    from ai_hub.cli.remote import RemoteBackend
    from ai_hub.config import Settings

WithoutOne = Literal["stop", "make", "built-in"]
"""What a command does where there is no database file: it ends, it makes one, or it goes by the
built-in feature sets. The last two say so."""


def asked(
    url: str | None,
    ask: Callable[[RegistryBackend], Awaitable[Document]],
    without: WithoutOne = "stop",
) -> Document:
    """What a registry answers."""
    from ai_hub.config import Settings

    async def work() -> Document:
        async with opened(Settings.load(), url, without) as backend:
            return await ask(backend.registry)

    return asyncio.run(work())


@asynccontextmanager
async def opened(
    settings: Settings, url: str | None, without: WithoutOne = "stop"
) -> AsyncIterator[Backend]:
    """The server at `url`; without one the database file, or its server if it is held.

    Raises NoDatabase, unless `without` a file there is something else to do.
    """
    async with AsyncExitStack() as stack:
        if url is not None or (settings.database_path is None and not settings.on_server):
            yield await stack.enter_async_context(server_of(settings, url))
            return
        from ai_hub.cli.local import LocalBackend
        from ai_hub.feature_store import FeatureStore

        backend: Backend
        is_new = lacks_file(settings)
        if is_new:
            match without:
                case "stop":
                    raise NoDatabase.at(settings.database_name)
                case "built-in":
                    name = settings.database_name
                    told = "only the built-in feature sets are known."
                    tell(f"There is no database at {name}: {told}", style="yellow")
                    settings, is_new = replace(settings, database_url="duckdb:///:memory:"), False
                case "make":
                    pass
                case unknown:
                    assert_never(unknown)
        try:
            backend = LocalBackend(await stack.enter_async_context(FeatureStore(settings)))
        except StoreLocked:
            backend = await stack.enter_async_context(server_of(settings, None, held=True))
        else:
            if is_new:
                tell_created(settings)
        yield backend


def lacks_file(settings: Settings) -> bool:
    """Whether the database is a file, and is not there."""
    return settings.database_path is not None and not settings.database_path.exists()


def tell_created(settings: Settings) -> None:
    """Say that there was no database file, and now there is one."""
    tell(f"Created {settings.database_path}, an empty database.", style="dim")


def check_file(settings: Settings) -> None:
    """Raise NoDatabase where the database is a file, and is not there."""
    if lacks_file(settings):
        raise NoDatabase.at(settings.database_name)


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
        check_file(settings)
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
