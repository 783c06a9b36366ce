"""Everybody who is connected: their requests in tasks, their clock, and the end."""

from __future__ import annotations

import asyncio
import logging
import math
from collections.abc import Awaitable, Callable
from email.utils import formatdate
from typing import NamedTuple, Protocol

from ai_hub.config import Settings
from ai_hub.http.answers import MOST_ON_DISK, Answers
from ai_hub.http.body import Receive, Reply, Scope, Send, reply_of, respond
from ai_hub.http.exchange import Exchange
from ai_hub.http.gate import Gate
from ai_hub.http.messages import Problem

_log = logging.getLogger(__name__)

_MOST_SECONDS = 1.0
_TICKS = 5
"""The shortest patience has so many ticks at least, if the longest tick does not give it more."""
_DRAINING_SECONDS = 3.0
"""How long a body may be silent while the server ends."""
_LEAVING_SECONDS = 1.0
"""How long what was cancelled may take to notice."""

_Application = Callable[[Scope, Receive, Send], Awaitable[None]]


class Patience(NamedTuple):
    """How many ticks a client may take for its head, be silent in a body, and be idle."""

    head: int
    silence: int
    idle: int


class Client(Protocol):
    """One of those who are connected."""

    def tick(self) -> None:
        """Some time passed: end what takes too long."""

    def drain(self) -> None:
        """The server ends: nothing new is answered."""

    def abort(self) -> None:
        """Leave at once."""


class Clients:
    """The connections of a server, in the order in which they came.

    One clock looks at all of them: a timer for each request would cost more than many an answer.
    """

    def __init__(self, application: _Application, settings: Settings) -> None:
        self._application = application
        seconds = (
            settings.head_timeout.seconds,
            settings.body_timeout.seconds,
            settings.keep_alive.seconds,
        )
        self._tick = min(_MOST_SECONDS, min(seconds) / _TICKS)
        self.patience = Patience(*(math.ceil(one / self._tick) for one in seconds))
        self.most_head = settings.max_head
        self.most_body = settings.max_body
        self.too_large: Reply = reply_of(
            431,
            Problem(
                f"request: its target and headers are over the limit of {settings.max_head} bytes "
                "(AI_HUB_MAX_HEAD), or more than 1,000"
            ),
        )
        self.gate = Gate(settings.allowed_hosts, settings.host)
        self.answers = Answers()
        self.files = Answers(MOST_ON_DISK)
        self.draining = False
        self.date = _date()
        self._connections: dict[Client, None] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._changed = asyncio.Event()

    def add(self, client: Client) -> None:
        """A client came."""
        self._connections[client] = None

    def discard(self, client: Client) -> None:
        """A client left."""
        self._connections.pop(client, None)
        self._changed.set()

    def answer(self, exchange: Exchange, client: Client) -> None:
        """Let the application answer a request."""
        task = asyncio.create_task(self._answer(exchange, client))
        self._tasks.add(task)
        task.add_done_callback(self._done)

    def _done(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if self.draining:
            self._changed.set()

    async def _answer(self, exchange: Exchange, client: Client) -> None:
        try:
            if exchange.scope["type"] == "http":
                await self._application(exchange.scope, exchange.receive, exchange.send)
            else:
                # Refused before the application could see it.
                await respond(exchange.send, exchange.scope["reply"], b"-")
        except Exception:  # noqa: BLE001  # Whatever it is, one connection ends and no other.
            path = exchange.scope.get("path")
            _log.exception("answer broken off", extra={"path": path})
        finally:
            # A client that got a part of an answer must not take it for the whole.
            if not (exchange.complete or exchange.gone):
                client.abort()

    async def watch(self) -> None:
        """Look at the clock until cancelled."""
        while True:
            await asyncio.sleep(self._tick)
            self.date = _date()
            for client in list(self._connections):
                client.tick()

    async def leave(self, seconds: float, at_once: asyncio.Event) -> None:
        """Answer what is under way, for some seconds or until `at_once`, then let go of all."""
        self.draining = True
        silence = math.ceil(_DRAINING_SECONDS / self._tick)
        self.patience = self.patience._replace(silence=min(silence, self.patience.silence))
        for client in list(self._connections):
            client.drain()
        hurry = asyncio.create_task(at_once.wait())
        loop = asyncio.get_running_loop()
        until = loop.time() + seconds
        while (self._connections or self._tasks) and not at_once.is_set():
            left = until - loop.time()
            if left <= 0:
                break
            self._changed.clear()
            change = asyncio.create_task(self._changed.wait())
            await asyncio.wait((change, hurry), timeout=left, return_when=asyncio.FIRST_COMPLETED)
            change.cancel()
        hurry.cancel()
        if self._tasks:
            _log.warning("requests cancelled", extra={"requests": len(self._tasks)})
        for task in self._tasks:
            task.cancel()
        for client in list(self._connections):
            client.abort()
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=_LEAVING_SECONDS)


def _date() -> bytes:
    """The line of an answer's head that says the time."""
    return f"date: {formatdate(usegmt=True)}\r\n".encode()
