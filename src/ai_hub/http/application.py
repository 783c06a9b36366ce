"""The ASGI application: the hot routes are answered before the framework sees a request."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from importlib import import_module
from time import perf_counter
from typing import Any

from ai_hub import logs
from ai_hub.access.actor import act_as
from ai_hub.errors import AiHubError
from ai_hub.feature_store import FeatureStore
from ai_hub.http.access import access_of, actor_of, refused
from ai_hub.http.body import (
    BODY,
    FAULT,
    SAID_WITH,
    ClientLeft,
    Message,
    Receive,
    Reply,
    Scope,
    Send,
    has_room,
    leave_room,
    of_a_spine,
    read_body,
    refusal,
    respond,
)
from ai_hub.http.hot import HotRoutes
from ai_hub.http.room import Rooms
from ai_hub.http.session import HEADERS, is_page, refusal_page, wants_html
from ai_hub.http.watch import Watch
from ai_hub.metrics import Metrics, exposition

_log = logging.getLogger(__name__)

_TRAINING_SET = "/ai/features/training-set"
_MANY_FORMATS = (
    "/ai/features/ingest",
    "/ai/features/ingest/weather",
    "/ai/features/ingest/attributes",
    _TRAINING_SET,
)
_OTHER = "other"
Handler = Callable[[Scope, Receive], Awaitable[Reply]]
"""What answers a hot route."""


class Application:
    """The ASGI application on an open feature store.

    The framework takes longer to import than all else together, so it is built when it is asked
    for: a server does that before it listens.
    """

    def __init__(self, store: FeatureStore, watch: Watch | None = None) -> None:
        self._store = store
        self.settings = own = store.settings
        self._rooms = Rooms(own.max_body, own.body_timeout.seconds, own.export_queue)
        self._hot = HotRoutes(store, self._rooms)
        self._watch = watch or Watch(store)
        self._access = access_of(store)
        self._handlers = self._hot.handlers | {
            ("GET", "/metrics"): self._watch.metrics,
            ("GET", "/health/ready"): self._watch.ready,
        }
        self.by_hand = frozenset(path for _, path in self._handlers)
        """The paths that the framework does not see."""
        self._limit = min(store.settings.max_request, store.settings.max_body)
        self._most = store.settings.max_body
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

        return build(self._store, self._hot, self._rooms, self._watch, self._access)

    async def prepare(self) -> None:
        """Import and connect what the first request of any kind would, and the log."""
        await asyncio.to_thread(import_module, "structlog")
        await asyncio.to_thread(exposition, Metrics(), 0)
        await self._store.prepare()

    async def follow(self) -> None:
        """Keep up with who may ask, until cancelled."""
        await self._access.follow()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request; a hot route never enters the framework."""
        if scope["type"] != "http":
            return
        begin = perf_counter()
        if scope["method"] == "HEAD":
            # The connection leaves the body of its answer out.
            scope["method"] = "GET"
        route = scope["path"]
        request = logs.request_id_of(scope["headers"])
        logs.request_id.set(request)
        handler = self._handlers.get((scope["method"], route))
        try:
            why = await refused(self._access, scope)
            if why is not None:
                status = await self._refuse(why, scope, send, request)
                route = route if handler is not None else _OTHER
            elif handler is not None:
                status = await self._by_hand(handler, scope, receive, send, request)
            else:
                status = await self._through_framework(scope, receive, send, request)
                route = scope.get("path_template") or _OTHER
        except ClientLeft:
            return
        finally:
            leave_room(scope)
        seconds = perf_counter() - begin
        self._answered(route, status, seconds)
        if self._tell:
            told = {"method": scope["method"], "route": route, "status": status}
            _log.debug("request", extra={**told, "seconds": round(seconds, 6)})

    async def _refuse(self, why: AiHubError, scope: Scope, send: Send, request: bytes) -> int:
        reply, headers = refusal(why), None
        if is_page(scope["path"]) and wants_html(scope["headers"]):
            # A template is read the first time.
            reply = await asyncio.to_thread(refusal_page, scope, why, self.settings.auth)
            headers = HEADERS
        await respond(send, reply, request, headers)
        return reply[0]

    async def _by_hand(
        self, handler: Handler, scope: Scope, receive: Receive, send: Send, request: bytes
    ) -> int:
        try:
            reply = await handler(scope, receive)
        except ClientLeft:
            raise
        except Exception as error:  # noqa: BLE001  # Whatever it is, the client gets an answer.
            reply = _fault(scope, error)
        # Who does not read the answer keeps no room from others.
        leave_room(scope)
        await respond(send, reply, request)
        return reply[0]

    async def _through_framework(
        self, scope: Scope, receive: Receive, send: Send, request: bytes
    ) -> int:
        framework = await self.framework()
        # All routes that change anything are the framework's.
        act_as(actor_of(scope))
        status = 0

        async def named(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                if not has_room(scope):
                    leave_room(scope)
                more = SAID_WITH.get(status, ())
                message["headers"] = [*message["headers"], (b"x-request-id", request), *more]
            await send(message)

        if scope["method"] not in ("GET", "OPTIONS"):
            try:
                receive = await self._whole(scope, receive)
            except AiHubError as error:
                reply = refusal(error)
                await respond(send, reply, request)
                return reply[0]
        try:
            await framework(scope, receive, named)
        except Exception as error:
            # What began is not begun again: then the connection ends.
            if status:
                raise
            await respond(send, _fault(scope, error), request)
        return status or FAULT[0]

    async def _whole(self, scope: Scope, receive: Receive) -> Receive:
        """What gives the framework the body, which is read here. Raises AiHubError, ClientLeft."""
        path = scope["path"].rstrip("/")
        table = path in _MANY_FORMATS
        if path == _TRAINING_SET:
            of_a_spine(scope, self._rooms)
        body = await read_body(scope, receive, self._most if table else self._limit, self._rooms)
        scope[BODY] = body
        if not table:
            # JSON whatever it is called, as on the hot routes: curl says it sends a form.
            others = [one for one in scope["headers"] if one[0] != b"content-type"]
            scope["headers"] = [*others, (b"content-type", b"application/json")]
        pending: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]

        async def replay() -> Message:
            return pending.pop() if pending else await receive()

        return replay


def _fault(scope: Scope, error: Exception) -> Reply:
    told = {"method": scope["method"], "path": scope["path"]}
    _log.error("request failed", exc_info=error, extra=told)
    return FAULT
