"""The server: one worker that dispatches the hot routes before the framework."""

from __future__ import annotations

import asyncio
import gc
import socket
from collections.abc import Callable
from typing import Any

from ai_hub.config import Settings
from ai_hub.errors import AiHubError, ConfigError
from ai_hub.feature_store import FeatureStore
from ai_hub.http.body import (
    BODY,
    ClientLeft,
    Message,
    Receive,
    Scope,
    Send,
    problem,
    read_body,
    respond,
    status_of,
)
from ai_hub.http.hot import HotRoutes

_BACKLOG = 2048
_DRAIN_SECONDS = 10
_MANY_FORMATS = ("/ai/features/ingest", "/ai/features/ingest/weather")


class Application:
    """The ASGI application on an open feature store.

    The framework takes longer to import than all else together: it is built in a thread while the
    hot routes answer already, and a request for one of its routes waits for it.
    """

    def __init__(self, store: FeatureStore) -> None:
        self._store = store
        self._hot = HotRoutes(store)
        self._limit = store.settings.max_body
        self._framework: asyncio.Task[Any] | None = None

    async def framework(self) -> Any:
        """The framework's application, built on the first call."""
        if self._framework is None:
            self._framework = asyncio.create_task(asyncio.to_thread(self._build))
        return await asyncio.shield(self._framework)

    def _build(self) -> Any:
        from ai_hub.http.routes import build

        return build(self._store, self._hot)

    async def prepare(self) -> None:
        """Import what the first ingest and the first export would."""
        await self._store.prepare()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request; a hot route never enters the framework."""
        if scope["type"] != "http":
            return
        try:
            handler = self._hot.handlers.get((scope["method"], scope["path"]))
            if handler is not None:
                await handler(scope, receive, send)
            else:
                await self._through_framework(scope, receive, send)
        except ClientLeft:
            return

    async def _through_framework(self, scope: Scope, receive: Receive, send: Send) -> None:
        framework = await self.framework()
        if scope["method"] in ("GET", "HEAD", "OPTIONS"):
            await framework(scope, receive, send)
            return
        try:
            body = await read_body(scope, receive, self._limit)
        except AiHubError as error:
            await respond(send, problem(error), status_of(error))
            return
        scope[BODY] = body
        if scope["path"].rstrip("/") not in _MANY_FORMATS:
            # JSON whatever it is called, as on the hot routes: curl says it sends a form.
            others = [one for one in scope["headers"] if one[0] != b"content-type"]
            scope["headers"] = [*others, (b"content-type", b"application/json")]
        pending: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]

        async def replay() -> Message:
            return pending.pop() if pending else await receive()

        await framework(scope, replay, send)


def serve(settings: Settings, ready: Callable[[], None] | None = None) -> None:
    """Open the store and serve until SIGINT or SIGTERM; `ready` is called once it listens.

    Raises ConfigError when the address cannot be listened on, StoreError when the database cannot
    be opened.
    """
    import uvloop

    listener = _listen(settings)
    try:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(_serve(settings, listener, ready))
    finally:
        listener.close()
        gc.unfreeze()


def _listen(settings: Settings) -> socket.socket:
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            settings.host, settings.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        listener = socket.socket(family, kind, protocol)
    except OSError as error:
        raise ConfigError(f"host: got {settings.host!r}, expected an address: {error}") from error
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
        listener.listen(_BACKLOG)
    except OSError as error:
        listener.close()
        raise ConfigError(
            f"port: got {settings.port} on {settings.host}, expected one that is free "
            f"({error.strerror}). Choose another with --port or AI_HUB_PORT."
        ) from error
    listener.setblocking(False)
    return listener


async def _serve(
    settings: Settings, listener: socket.socket, ready: Callable[[], None] | None
) -> None:
    import uvicorn

    async with FeatureStore.open(settings=settings) as store:
        await _rehearse(store)
        application = Application(store)
        server = uvicorn.Server(
            uvicorn.Config(
                application,
                http="httptools",
                ws="none",
                lifespan="off",
                log_level="warning",
                access_log=False,
                timeout_graceful_shutdown=_DRAIN_SECONDS,
                server_header=False,
            )
        )
        starting = asyncio.create_task(_when_listening(server, application, ready))
        await server.serve(sockets=[listener])
        await starting


async def _when_listening(
    server: Any, application: Application, ready: Callable[[], None] | None
) -> None:
    """Once uvicorn accepts connections: say so, then have ready what no hot route needs."""
    while not server.started:
        if server.should_exit:
            return
        await asyncio.sleep(0.002)
    if ready is not None:
        ready()
    await application.framework()
    await application.prepare()
    # What start-up left behind lives as long as the server: collecting it again is waste.
    gc.collect()
    gc.freeze()


async def _rehearse(store: FeatureStore) -> None:
    """One answer of every set before the first request: imports, cursors and plans are ready."""
    for feature_set in store.registry.sets():
        spec = store.specs.of(feature_set.label)
        await asyncio.gather(*(store.found(spec, "-", ["-"], 0, exact=True) for _ in range(4)))
