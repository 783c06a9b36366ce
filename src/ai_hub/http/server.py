"""The server of one process: the hot routes are answered before the framework sees a request."""

from __future__ import annotations

import asyncio
import gc
import logging
import os
import signal
import socket
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from time import perf_counter
from typing import Any

import msgspec

from ai_hub import __version__, logs
from ai_hub.config import Settings
from ai_hub.definitions.values import Duration
from ai_hub.errors import AiHubError, ConfigError, StoreError
from ai_hub.feature_store import FeatureStore
from ai_hub.http.body import (
    BODY,
    JSON,
    ClientLeft,
    Message,
    Receive,
    Scope,
    Send,
    read_body,
    refusal,
    respond,
)
from ai_hub.http.hot import HotRoutes
from ai_hub.http.messages import Problem
from ai_hub.http.upkeep import maintained
from ai_hub.http.watch import Watch
from ai_hub.metrics import Metrics, exposition

_log = logging.getLogger(__name__)

_BACKLOG = 2048
DRAIN_SECONDS = 10
"""How long requests under way may take when the server ends."""
CLOSING_SECONDS = 5
"""How long it may take after that to let go of database and cache."""
_MANY_FORMATS = ("/ai/features/ingest", "/ai/features/ingest/weather")
_OTHER = "other"
FAULT = msgspec.json.encode(Problem("the server failed to answer; its log says why"))


class Application:
    """The ASGI application on an open feature store.

    The framework takes longer to import than all else together: it is built in a thread while the
    hot routes answer already, and a request for one of its routes waits for it.
    """

    def __init__(self, store: FeatureStore, watch: Watch | None = None) -> None:
        self._store = store
        self._hot = HotRoutes(store)
        self._watch = watch or Watch(store)
        self._handlers = self._hot.handlers | {
            ("GET", "/metrics"): self._watch.metrics,
            ("GET", "/health/ready"): self._watch.ready,
        }
        self._limit = store.settings.max_body
        self._answered = store.metrics.answered
        self._tell = _log.isEnabledFor(logging.DEBUG)
        self._framework: asyncio.Task[Any] | None = None

    async def framework(self) -> Any:
        """The framework's application, built on the first call."""
        if self._framework is None:
            self._framework = asyncio.create_task(asyncio.to_thread(self._build))
        return await asyncio.shield(self._framework)

    def _build(self) -> Any:
        from ai_hub.http.routes import build

        return build(self._store, self._hot, self._watch)

    async def prepare(self) -> None:
        """Import what the first ingest, export and look at the metrics would."""
        await self._store.prepare()
        await asyncio.to_thread(exposition, Metrics(), 0)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request; a hot route never enters the framework."""
        if scope["type"] != "http":
            return
        begin = perf_counter()
        route = scope["path"]
        request = logs.request_id_of(scope["headers"])
        logs.request_id.set(request)
        try:
            handler = self._handlers.get((scope["method"], route))
            if handler is not None:
                reply = await handler(scope, receive)
                status = reply[0]
                await respond(send, reply, request)
            else:
                status = await self._through_framework(scope, receive, send, request)
                route = scope.get("path_template") or _OTHER
        except ClientLeft:
            return
        except Exception:  # noqa: BLE001  # Whatever it is, the client gets an answer.
            _log.exception("request failed", extra={"method": scope["method"], "path": route})
            status = 500
            await respond(send, (status, JSON, FAULT), request)
        seconds = perf_counter() - begin
        self._answered(route, status, seconds)
        if self._tell:
            told = {"method": scope["method"], "route": route, "status": status}
            _log.debug("request", extra={**told, "seconds": round(seconds, 6)})

    async def _through_framework(
        self, scope: Scope, receive: Receive, send: Send, request: bytes
    ) -> int:
        framework = await self.framework()
        status = 500

        async def named(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                message["headers"] = [*message["headers"], (b"x-request-id", request)]
            await send(message)

        if scope["method"] in ("GET", "HEAD", "OPTIONS"):
            await framework(scope, receive, named)
            return status
        try:
            body = await read_body(scope, receive, self._limit)
        except AiHubError as error:
            reply = refusal(error)
            await respond(send, reply, request)
            return reply[0]
        scope[BODY] = body
        if scope["path"].rstrip("/") not in _MANY_FORMATS:
            # JSON whatever it is called, as on the hot routes: curl says it sends a form.
            others = [one for one in scope["headers"] if one[0] != b"content-type"]
            scope["headers"] = [*others, (b"content-type", b"application/json")]
        pending: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]

        async def replay() -> Message:
            return pending.pop() if pending else await receive()

        await framework(scope, replay, named)
        return status


def serve(
    settings: Settings,
    ready: Callable[[], None] | None = None,
    log_to_stderr: bool = False,
    maintain: Duration | None = None,
) -> None:
    """Open the store and serve until SIGINT or SIGTERM; `ready` is called once it listens.

    The log goes to standard output. `maintain`: also keep the database in shape, every so often.
    Raises ConfigError when the address cannot be listened on or
    the settings allow no several workers, StoreError when the database cannot be opened,
    KeyboardInterrupt after SIGINT.
    """
    logs.configure(settings.log_level, sys.stderr if log_to_stderr else sys.stdout)
    if settings.workers > 1:
        from ai_hub.http.workers import supervise

        supervise(settings, ready, log_to_stderr, maintain)
        return
    listener = listen(settings)
    try:
        if run(_one(settings, listener, ready, maintain)) == signal.SIGINT:
            raise KeyboardInterrupt
    finally:
        listener.close()


async def _one(
    settings: Settings,
    listener: socket.socket,
    ready: Callable[[], None] | None,
    maintain: Duration | None,
) -> int:
    async with opened(settings) as store, maintained(settings, maintain):
        return await answer(Application(store), listener, ready)


def run(main: Any) -> int:
    """Run a server to its end, which is a signal; its number."""
    import uvloop

    try:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            number: int = runner.run(main)
            return number
    finally:
        gc.unfreeze()


def listen(settings: Settings, shared: bool = False) -> socket.socket:
    """A socket that listens where the settings say. `shared`: beside others of the same address.

    Raises ConfigError.
    """
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            settings.host, settings.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        listener = socket.socket(family, kind, protocol)
    except OSError as error:
        raise ConfigError(f"host: got {settings.host!r}, expected an address: {error}") from error
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if shared:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
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


async def answer(
    application: Application,
    listener: socket.socket,
    ready: Callable[[], None] | None,
    ended: Callable[[Callable[[], None]], None] = lambda stop: None,
) -> int:
    """Answer requests until a signal, then those under way; the number of the signal.

    `ended` is given what stops the server as a signal does.
    """
    import uvicorn

    class Server(uvicorn.Server):
        @contextmanager
        def capture_signals(self) -> Iterator[None]:
            # uvicorn would raise the signal again, before the store is closed.
            yield

    server = Server(
        uvicorn.Config(
            application,
            http="httptools",
            ws="none",
            lifespan="off",
            log_config=None,
            access_log=False,
            timeout_graceful_shutdown=DRAIN_SECONDS,
            server_header=False,
        )
    )
    came: list[int] = []

    def stop(number: int = signal.SIGTERM) -> None:
        # Who asks a second time does not wait for requests under way.
        server.force_exit = bool(came)
        server.should_exit = True
        came.append(number)

    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop, number)
    ended(stop)
    starting = asyncio.create_task(_when_listening(server, application, ready))
    await server.serve(sockets=[listener])
    await starting
    _log.info("stopped", extra={"pid": os.getpid()})
    return came[0] if came else signal.SIGTERM


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
    # The first line imports what writes lines.
    told = {"version": __version__, "pid": os.getpid()}
    await asyncio.to_thread(_log.info, "serving", extra=told)
    try:
        await application.prepare()
    except* StoreError:
        # Then the first use does it; that a database is away is told where requests are answered.
        pass
    # What start-up left behind lives as long as the server: collecting it again is waste.
    gc.collect()
    gc.freeze()


@asynccontextmanager
async def opened(settings: Settings) -> AsyncIterator[FeatureStore]:
    """A feature store that answers at once; at the end it has a bounded time to let go."""
    store = await FeatureStore.open(settings=settings).__aenter__()
    try:
        await _rehearse(store)
        yield store
    finally:
        try:
            async with asyncio.timeout(CLOSING_SECONDS):
                await store.close()
        except TimeoutError:
            _log.error("not closed in time", extra={"seconds": CLOSING_SECONDS})


async def _rehearse(store: FeatureStore) -> None:
    """One answer of every set before the first request: imports, cursors and plans are ready."""
    for feature_set in store.registry.sets():
        spec = store.specs.of(feature_set.label)
        await asyncio.gather(*(store.found(spec, "-", ["-"], 0, exact=True) for _ in range(4)))
    # These were answers to nobody.
    store.metrics.computed = store.metrics.degraded = 0
    store.metrics.missing.clear()
