"""The server of one process: it listens, answers until a signal, and drains what is under way."""

from __future__ import annotations

import asyncio
import gc
import logging
import os
import signal
import socket
import sys
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from contextlib import asynccontextmanager, closing
from ipaddress import ip_address
from typing import Any

from ai_hub import __version__, tracing
from ai_hub.allocation import keep_little
from ai_hub.config import Settings
from ai_hub.definitions.values import Duration
from ai_hub.errors import ConfigError, StoreError
from ai_hub.feature_store import FeatureStore
from ai_hub.http.application import Application
from ai_hub.http.clients import Clients
from ai_hub.http.connection import Connection
from ai_hub.http.drifting import watched
from ai_hub.http.upkeep import maintained

_log = logging.getLogger(__name__)

_BACKLOG = 2048
_SWITCH_SECONDS = 0.0005
ENDING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT)
"""The signals that end a server, all of them alike."""
_PREPARE_SECONDS = 2.0
DRAIN_SECONDS = 10
"""How long requests under way may take when the server ends."""
CLOSING_SECONDS = 5
"""How long it may take after that to let go of database and cache."""


def serve_alone(
    settings: Settings, ready: Callable[[], None] | None, maintain: Duration | None
) -> None:
    """Serve from this process until a signal, which is a KeyboardInterrupt if it was SIGINT."""

    async def main() -> int:
        async with (
            opened(settings) as store,
            maintained(settings, maintain),
            watched(store, settings.drift_check),
        ):
            return await answer(Application(store), listener, ready)

    with closing(bound(settings)) as listener:
        if run(main()) == signal.SIGINT:
            raise KeyboardInterrupt


def run(main: Coroutine[Any, Any, int]) -> int:
    """Run a server to its end, which is a signal; its number."""
    import uvloop

    keep_little()
    # How long a thread that parses a body, or writes an export, keeps the event loop waiting.
    sys.setswitchinterval(_SWITCH_SECONDS)
    # Imports leave hardly any garbage: looking for it makes a start a sixth longer.
    gc.disable()
    try:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            return runner.run(main)
    finally:
        gc.enable()
        gc.unfreeze()


def bound(settings: Settings, shared: bool = False) -> socket.socket:
    """A socket that has the settings' address. `shared`: beside others of the same address.

    It does not listen: until the server can answer, clients are refused and may ask another.
    Raises ConfigError.
    """
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            settings.host, settings.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        listener = socket.socket(family, kind, protocol)
    except OSError as error:
        raise ConfigError(f"host: got {settings.host!r}, expected an address: {error}") from error
    fenced = settings.insecure or settings.auth != "none"
    if not (fenced or ip_address(str(address[0]).partition("%")[0]).is_loopback):
        listener.close()
        raise ConfigError(
            f"host: got {settings.host!r}, expected an address of this machine alone, such as "
            "127.0.0.1: whoever reaches the server may read and write all. AI_HUB_AUTH=keys asks "
            "everybody for an access key (ai-hub keys create), AI_HUB_AUTH=oidc for a token, and "
            "AI_HUB_INSECURE=1 listens there without, for a network where all may do all, or "
            "behind a proxy."
        )
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if shared:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        listener.bind(address)
    except OSError as error:
        listener.close()
        raise _taken(settings, error) from error
    listener.setblocking(False)
    return listener


def _taken(settings: Settings, error: OSError) -> ConfigError:
    return ConfigError(
        f"port: got {settings.port} on {settings.host}, expected one that is free "
        f"({error.strerror}). Choose another with --port or AI_HUB_PORT."
    )


async def answer(
    application: Application,
    listener: socket.socket,
    ready: Callable[[], None] | None,
    signals: Sequence[int] = ENDING,
    ended: Callable[[Callable[[], None]], None] = lambda stop: None,
) -> int:
    """Listen and answer requests until a signal, then those under way; the number of the signal.

    `ended` is given what stops the server as a signal does. Raises ConfigError where another
    server began to listen first.
    """
    came: list[int] = []
    stopping, at_once = asyncio.Event(), asyncio.Event()

    def stop(number: int = signal.SIGTERM) -> None:
        # A second signal does not wait for requests under way.
        if came:
            at_once.set()
        came.append(number)
        stopping.set()

    loop = asyncio.get_running_loop()
    for number in signals:
        # Under nohup the end of a terminal means nothing.
        if signal.getsignal(number) is not signal.SIG_IGN:
            loop.add_signal_handler(number, stop, number)
    ended(stop)
    # Without tracing the application is asked as ever: a hit pays nothing for it.
    begun = await asyncio.to_thread(tracing.begin)
    asked = tracing.traced(application, application.by_hand) if begun else application
    clients = Clients(asked, application.settings)
    preparing = await _prepared(application)
    try:
        listener.listen(_BACKLOG)
    except OSError as error:
        raise _taken(application.settings, error) from error
    server = await loop.create_server(lambda: Connection(clients), sock=listener, backlog=_BACKLOG)
    if ready is not None:
        ready()
    watching = asyncio.create_task(clients.watch())
    following = asyncio.create_task(application.follow())
    preparing = asyncio.create_task(_finish(application, preparing))
    await stopping.wait()
    server.close()
    await clients.leave(DRAIN_SECONDS, at_once)
    watching.cancel()
    following.cancel()
    await preparing
    _log.info("stopped", extra={"pid": os.getpid()})
    return came[0]


async def _prepared(application: Application) -> asyncio.Task[None]:
    """Have ready what the first request of any route needs.

    A database that is slow keeps nobody waiting for long: the task goes on.
    """
    await application.framework()
    preparing = asyncio.create_task(application.prepare())
    await asyncio.wait([preparing], timeout=_PREPARE_SECONDS)
    return preparing


async def _finish(application: Application, preparing: asyncio.Task[None]) -> None:
    """What may be done beside the first requests."""
    try:
        await preparing
    except* StoreError:
        # The first use does it then; requests tell that the database is away.
        pass
    told = {"version": __version__, "pid": os.getpid()}
    await asyncio.to_thread(_log.info, "serving", extra=told)
    # What start-up left behind lives as long as the server: looking at it again is waste.
    gc.freeze()
    gc.enable()


@asynccontextmanager
async def opened(settings: Settings) -> AsyncIterator[FeatureStore]:
    """A feature store that answers at once; at the end it has a bounded time to let go."""
    store = await FeatureStore.open(settings=settings).__aenter__()
    try:
        await _rehearse(store)
        await store.take_exports()
        yield store
    finally:
        try:
            async with asyncio.timeout(CLOSING_SECONDS):
                await store.close()
        except TimeoutError:
            _log.error("not closed in time", extra={"seconds": CLOSING_SECONDS})
        await asyncio.to_thread(tracing.end)


async def _rehearse(store: FeatureStore) -> None:
    """One answer of every set before the first request: imports, cursors and plans are ready."""
    for feature_set in store.registry.sets():
        spec = store.specs.of(feature_set.label)
        answers = (store.found(spec, "-", ["-"], 0, exact=True, served=False) for _ in range(4))
        await asyncio.gather(*answers)
    # Nobody asked for these answers: they do not count.
    store.metrics.computed = store.metrics.degraded = 0
    store.metrics.missing.clear()
