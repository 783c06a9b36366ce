"""Request bodies, bounded, and plain responses, in ASGI's words."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Mapping, MutableMapping
from typing import Any, TypeVar

import msgspec

from ai_hub.errors import (
    AiHubError,
    Busy,
    Forbidden,
    InvalidInput,
    IssuerUnreachable,
    NotFound,
    OutOfRange,
    RegistryConflict,
    StoreReadOnly,
    StoreUnavailable,
    TooLarge,
    TooMany,
    Unauthorized,
)
from ai_hub.http.messages import Malformed, Problem
from ai_hub.http.room import LITTLE, Rooms, Share, TooSlow

_T = TypeVar("_T")
Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Reply = tuple[int, bytes, bytes]
"""Status, content type and body of an answer."""
JSON = b"application/json"


def reply_of(status: int, problem: Problem) -> Reply:
    """A refusal in the form that every one has."""
    return status, JSON, msgspec.json.encode(problem)


AGAIN = 503
"""The status of what may be asked again in a while."""
RETRY_AFTER = (b"retry-after", b"%d" % Busy.retry_after)
"""The header that says in how long."""
SAID_WITH = {
    AGAIN: [RETRY_AFTER],
    429: [(b"retry-after", b"%d" % TooMany.retry_after)],
    401: [(b"www-authenticate", b"Bearer")],
}
"""The headers that go with a status."""

FAULT = reply_of(500, Problem("the server failed to answer; its log says why"))
"""The answer when a fault of ours leaves no other."""

_LONG = 4 * 1024 * 1024
"""Bytes of a body whose parts take a while to be put together."""

BODY = "ai_hub.body"
"""The key of a request's scope that holds its whole body, for messages that quote it."""
AUTHORIZATION = "ai_hub.authorization"
"""The key of a request's scope that holds its header of that name, if it has one."""
GRANT = "ai_hub.grant"
"""The key of a request's scope that holds what it may do."""
_SHARE = "ai_hub.share"


class UnknownEncoding(InvalidInput):
    """A compressed body."""


class ClientLeft(Exception):
    """The client closed the connection before it had its answer."""


async def read_body(scope: Scope, receive: Receive, limit: int, rooms: Rooms) -> bytes:
    """The whole body; a large one is read once there is room, which `leave_room` gives back.

    Raises TooLarge beyond `limit` bytes, UnknownEncoding for a compressed one, Busy where there is
    no room in time, TooSlow where others wait for its room, ClientLeft if it never arrived in full.
    """
    said = 0
    for name, value in scope["headers"]:
        if name == b"content-encoding" and value.lower() not in (b"", b"identity"):
            raise UnknownEncoding(
                "content-encoding",
                value.decode("latin-1"),
                "a body that is not compressed",
            )
        if name == b"content-length":
            said = int(value)
            if said > limit:
                raise TooLarge(limit)
    if said > LITTLE:
        await share_of(scope, rooms).take(said)
    message = await receive()
    if message["type"] != "http.request":
        raise ClientLeft
    body: bytes = message.get("body", b"")
    if len(body) > limit:
        raise TooLarge(limit)
    if not message.get("more_body", False):
        return body
    share = share_of(scope, rooms)
    async with rooms.arriving(share):
        parts = await _rest(body, receive, limit, share)
    # Of large ones the interpreter is let go of meanwhile.
    size = sum(map(len, parts))
    return await asyncio.to_thread(b"".join, parts) if size > _LONG else b"".join(parts)


async def _rest(first: bytes, receive: Receive, limit: int, share: Share) -> list[bytes]:
    """The parts of a body of which the first came; see `read_body`."""
    parts, size = [first], len(first)
    while True:
        # Where its size was not said.
        await share.grow(size, limit)
        message = await receive()
        if message["type"] != "http.request":
            raise ClientLeft
        part = message.get("body", b"")
        size += len(part)
        if size > limit:
            raise TooLarge(limit)
        parts.append(part)
        if not message.get("more_body", False):
            share.fit(size)
            return parts


def share_of(scope: Scope, rooms: Rooms) -> Share:
    """What a request has of the room for bodies."""
    found: Share | None = scope.get(_SHARE)
    if found is None:
        found = scope[_SHARE] = Share(rooms)
    return found


def of_a_spine(scope: Scope, rooms: Rooms) -> None:
    """The body of a request is a spine: a large one is not read before it nearly is its turn."""
    scope[_SHARE] = Share(rooms, spine=True)


def has_room(scope: Scope) -> bool:
    """Whether a request has room of a large body, for its answer as well."""
    share: Share | None = scope.get(_SHARE)
    return share is not None and share.large


def leave_room(scope: Scope) -> None:
    """A request was answered: there is room again for the body of another."""
    share: Share | None = scope.get(_SHARE)
    if share is not None:
        share.end()


async def while_connected(
    receive: Callable[[], Awaitable[Any]], work: Coroutine[Any, Any, _T]
) -> _T:
    """The result of long work for a request whose body was read; it ends if the client leaves.

    Raises ClientLeft then, once the work has ended.
    """
    working = asyncio.create_task(work)
    listening = asyncio.create_task(_until_left(receive))
    try:
        await asyncio.wait([working, listening], return_when=asyncio.FIRST_COMPLETED)
        if working.done():
            return working.result()
        raise ClientLeft
    finally:
        # Also where this one is cancelled, as it is when a server ends.
        for task in (working, listening):
            task.cancel()
        await asyncio.gather(working, listening, return_exceptions=True)
        # An error has this frame in it, and a task its error: in a ring they would keep the body.
        del task, working, listening


async def _until_left(receive: Callable[[], Awaitable[Any]]) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


async def respond(
    send: Send, reply: Reply, request: bytes, more: Mapping[str, str] | None = None
) -> None:
    """Send one response, with the id of its request and more headers."""
    status, content_type, body = reply
    headers = [
        (b"content-type", content_type),
        (b"content-length", b"%d" % len(body)),
        (b"x-request-id", request),
    ]
    headers += SAID_WITH.get(status, ())
    if more:
        headers += [(name.encode(), value.encode()) for name, value in more.items()]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


def refusal(error: AiHubError) -> Reply:
    """The answer that an error of ours means."""
    return status_of(error), JSON, problem(error)


def status_of(error: AiHubError) -> int:
    """The HTTP status that an error of ours means."""
    match error:
        case Malformed():
            return 400
        case UnknownEncoding():
            return 415
        case RegistryConflict():
            return 409
        case InvalidInput() | OutOfRange():
            return 422
        case NotFound():
            return 404
        case TooLarge():
            return 413
        case TooSlow():
            return 408
        case Unauthorized():
            return 401
        case Forbidden():
            return 403
        case TooMany():
            return 429
        case StoreUnavailable() | StoreReadOnly() | Busy() | IssuerUnreachable():
            return AGAIN
        case _:
            return 500


def problem(error: AiHubError) -> bytes:
    """An error as the body of its response."""
    return msgspec.json.encode(Problem(str(error), getattr(error, "field", None)))
