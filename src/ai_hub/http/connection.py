"""One client's connection: requests in and answers out, in their order and within bounds.

Each request is parsed here and answered by the application in a task of its own, one at a time.
What is refused here never reaches the application: a head that is too large or too slow, bytes that
are no HTTP. A refusal is sent before the connection closes, and some of what the client is still
sending is read and dropped, so that it sees the refusal instead of a broken pipe.
"""

from __future__ import annotations

import asyncio
from collections import deque
from contextlib import AbstractContextManager
from typing import Any, cast

import httptools

from ai_hub.http.body import AUTHORIZATION, Reply, Scope
from ai_hub.http.clients import Clients
from ai_hub.http.exchange import Exchange, most_dropped, offers_websocket, rest, target_of
from ai_hub.http.refused import CONNECT, FRAMING, NO_HTTP, TOO_SLOW, WEBSOCKET, Refused
from ai_hub.http.stage import Stage

_PIECE = 4 * 1024
"""Bytes that are parsed at a time: few requests, however short they are."""
_MOST_UNREAD = 64 * 1024
"""Bytes of a body that wait for the application; more are left to the client."""
_MOST_HEADERS = 1_000
_MOST_PARTS = 4_096
"""Parts of a body that may be small; with more of them they have _LEAST_PART bytes on average."""
_LEAST_PART = 16
_TRAILER = 64
"""How many parts a trailer counts for."""
_MOST_FRAMING = 64 * 1024
"""Bytes that may carry a body besides its own and as many again: sizes of chunks and trailers."""


class Connection(asyncio.Protocol):
    """The protocol of one connection, and what the parser calls."""

    def __init__(self, clients: Clients) -> None:
        self._clients = clients
        self._parser: Any = httptools.HttpRequestParser(self)
        self._transport: asyncio.Transport
        self._unsent = 0
        self._addresses: tuple[Any, Any] = (None, None)
        self._host: bytes | None = None
        self._stage = Stage.IDLE
        self._ticks = 0
        # Bytes that arrived since the head or the body under way began, and how many of these may
        # be of requests before it, which came in the same piece.
        self._arrived = self._before = 0
        self._piece = 0
        self._first = True
        self._body = self._parts = 0
        self._url = b""
        self._headers: list[tuple[bytes, bytes]] = []
        self._incoming: Exchange | None = None
        self._current: Exchange | None = None
        self._queue: deque[Exchange] = deque()
        # What arrived and is not parsed yet, as requests wait for their turn.
        self._later = bytearray()
        self._paused = False
        self.date = b""
        self.writable: asyncio.Future[None] | None = None

    # What the event loop calls.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """A client connected."""
        self._transport = cast(asyncio.Transport, transport)
        name = transport.get_extra_info
        self._addresses = (name("sockname"), name("peername"))
        self._clients.add(self)

    def connection_lost(self, error: Exception | None) -> None:
        """The client left, or was left."""
        self._clients.discard(self)
        self._stage = Stage.REFUSED
        self._queue.clear()
        self._later.clear()
        for exchange in (self._current, self._incoming):
            if exchange is not None:
                exchange.gone = True
                exchange.wake()
        self._current = self._incoming = None
        # The parser refers to this too: what both hold is let go of now, not at some collection.
        self._parser, self._headers, self._url = None, [], b""
        self.resume_writing()

    def pause_writing(self) -> None:
        """The client does not read its answer."""
        self._ticks = 0
        self.writable = asyncio.get_running_loop().create_future()

    def resume_writing(self) -> None:
        """It reads again."""
        if self.writable is not None:
            self._ticks = 0
            self.writable.set_result(None)
            self.writable = None

    def data_received(self, data: bytes) -> None:
        """Bytes of requests, in whatever pieces."""
        if self._later or len(data) > _PIECE:
            self._later += data
            self._go_on()
        else:
            self._parse(data)

    def _go_on(self) -> None:
        """Parse what arrived, as far as no request waits for its turn."""
        while self._later and not self._queue:
            piece = bytes(self._later[:_PIECE])
            del self._later[:_PIECE]
            self._parse(piece)

    def _parse(self, data: bytes) -> None:
        while True:
            stage = self._stage
            if stage is Stage.REFUSED:
                self._drop(len(data))
                return
            if stage is not Stage.HEAD:
                self._ticks = 0
            self._piece = len(data)
            self._first = stage is Stage.IDLE
            self._arrived += len(data)
            try:
                self._parser.feed_data(data)
            except httptools.HttpParserUpgrade as upgrade:
                data = self._without_offer() + data[upgrade.args[0] :]
                continue
            except httptools.HttpParserCallbackError as error:
                why = error.__context__
                self._refuse(why.reply if isinstance(why, Refused) else NO_HTTP)
            except httptools.HttpParserError:
                self._refuse(NO_HTTP)
            else:
                if self._stage is not Stage.IDLE:
                    self._check_size()
            return

    # What the parser calls.

    def on_message_begin(self) -> None:
        """The first byte of a request."""
        self._stage = Stage.HEAD
        self._ticks = self._body = self._parts = 0
        self._arrived = self._piece
        self._before = 0 if self._first else self._piece
        self._first = False
        self._url = b""
        self._headers = []

    def on_url(self, url: bytes) -> None:
        """A part of its target."""
        self._url += url

    def on_header(self, name: bytes, value: bytes) -> None:
        """A header; or a trailer, which nobody asked for."""
        headers = self._headers
        if self._stage is Stage.HEAD:
            headers.append((name.lower(), value))
            if len(headers) > _MOST_HEADERS:
                raise Refused(self._clients.too_large)
        else:
            self._parts += _TRAILER
            self._check_parts()

    def on_headers_complete(self) -> None:
        """The head is there: the request can be answered."""
        clients, parser, headers = self._clients, self._parser, self._headers
        if self._arrived > clients.most_head:
            size = len(self._url) + sum(len(name) + len(value) + 4 for name, value in headers)
            if size > clients.most_head:
                raise Refused(clients.too_large)
        if parser.should_upgrade():
            if parser.get_method() == b"CONNECT":
                raise Refused(CONNECT)
            if offers_websocket(headers):
                raise Refused(WEBSOCKET)
            return
        version = parser.get_http_version()
        try:
            path, raw_path, query = target_of(self._url)
        except (httptools.HttpParserError, UnicodeDecodeError):
            raise Refused(NO_HTTP) from None
        self._host, expects, authorization, refused = clients.gate.look(
            headers, version, self._host, self._addresses[0][0], path
        )
        if refused is None and self._url[:1] != b"/":
            refused = clients.gate.refused_target(self._url, self._addresses[0][0])
        if refused is not None:
            raise Refused(refused)
        scope: Scope = {
            "type": "http",
            "asgi": {"version": "3.0", "spec_version": "2.3"},
            "http_version": version,
            "server": self._addresses[0],
            "client": self._addresses[1],
            "scheme": "http",
            "root_path": "",
            "method": parser.get_method().decode("ascii"),
            "path": path,
            "raw_path": raw_path,
            "query_string": query,
            "headers": headers,
            "state": {},
            AUTHORIZATION: authorization,
        }
        closes = version != "1.1" or not parser.should_keep_alive()
        self._stage = Stage.BODY
        self._ticks = self._arrived = 0
        self._incoming = exchange = Exchange(self, scope, closes, expects)
        self._take(exchange)

    def on_body(self, body: bytes) -> None:
        """A part of a body."""
        self._body += len(body)
        self._parts += 1
        if self._parts > _MOST_PARTS:
            self._check_parts()
        exchange = self._incoming
        if exchange is not None and not exchange.complete:
            exchange.feed(body)
            if exchange.unread > _MOST_UNREAD:
                self._pause()

    def on_message_complete(self) -> None:
        """The last byte of a request."""
        exchange, self._incoming = self._incoming, None
        if exchange is not None and self._stage is Stage.BODY:
            self._stage = Stage.IDLE
            self._ticks = 0
            exchange.more = False
            exchange.wake()

    # What an exchange calls.

    def write(self, data: bytes | memoryview) -> None:
        """Send bytes to the client."""
        self._transport.write(data)

    def holding(self, size: int) -> AbstractContextManager[None]:
        """Count an answer of so many bytes until the client took it."""
        return self._clients.answers.held(self, size)

    def holding_file(self, size: int) -> AbstractContextManager[None]:
        """The same of an answer that is a file."""
        return self._clients.files.held(self, size)

    def read_on(self) -> None:
        """Read from the client again, if nothing else forbids it."""
        waits = self._incoming is not None and self._incoming.unread > _MOST_UNREAD
        if self._paused and not self._queue and not waits:
            self._paused = False
            self._transport.resume_reading()

    def answered(self, exchange: Exchange) -> None:
        """The whole answer was written: the next request, or the end."""
        self._current = None
        self._ticks = 0
        if exchange.closes:
            self._end(whole=not exchange.more)
        elif self._queue:
            self._start(self._queue.popleft())
        self._go_on()
        self.read_on()

    # What the clients' clock and the server's end call.

    @property
    def stalled(self) -> int:
        """How many ticks ago the client last read of an answer that waits for it."""
        return self._ticks if self.writable is not None else 0

    def tick(self) -> None:
        """Some time passed: end what takes too long."""
        self._ticks += 1
        patience = self._clients.patience
        if self._transport.is_closing() or self.writable is not None:
            unsent = self._transport.get_write_buffer_size()
            if unsent != self._unsent:
                self._unsent, self._ticks = unsent, 0
            elif self._ticks > patience.silence:
                # It does not read what was written.
                self._transport.abort()
            return
        if self._paused:
            # It is we who do not read.
            self._ticks = 0
            return
        match self._stage:
            case Stage.IDLE:
                if self._current is not None:
                    self._ticks = 0
                elif self._ticks > patience.idle:
                    self._transport.close()
            case Stage.HEAD:
                if self._ticks > patience.head:
                    self._refuse(TOO_SLOW)
            case Stage.BODY:
                if self._ticks > patience.silence:
                    self._refuse(TOO_SLOW)
            case Stage.REFUSED:
                if self._ticks > patience.head and self._current is None:
                    self._transport.abort()

    def drain(self) -> None:
        """The server ends: nothing new is answered."""
        if self._current is None:
            self._transport.close()
        else:
            self._current.closes = True

    def abort(self) -> None:
        """Leave the client at once."""
        self._transport.abort()

    # The rest.

    def _take(self, exchange: Exchange) -> None:
        if self._current is None:
            self._start(exchange)
        else:
            self._queue.append(exchange)
            self._pause()

    def _start(self, exchange: Exchange) -> None:
        self._current = exchange
        self.date = self._clients.date
        self._clients.answer(exchange, self)

    def _without_offer(self) -> bytes:
        """The head under way without its offer to go on in another protocol, for a new parser.

        The old one takes what follows for that protocol, also a body.
        """
        parser = self._parser
        first = (parser.get_method(), self._url, f"HTTP/{parser.get_http_version()}".encode())
        lines = [name + b": " + value for name, value in self._headers if name != b"upgrade"]
        self._parser = httptools.HttpRequestParser(self)
        return b"\r\n".join([b" ".join(first), *lines, b"", b""])

    def _pause(self) -> None:
        if not self._paused and not self._transport.is_closing():
            self._paused = True
            self._transport.pause_reading()

    def _check_size(self) -> None:
        """Of what has not arrived in full yet."""
        if self._stage is Stage.HEAD and self._arrived - self._before > self._clients.most_head:
            self._refuse(self._clients.too_large)
        elif self._stage is Stage.BODY and self._arrived > 2 * self._body + _MOST_FRAMING:
            self._refuse(FRAMING)

    def _check_parts(self) -> None:
        """Of a body that comes in very many. Raises Refused."""
        if self._parts > _MOST_PARTS and self._body < _LEAST_PART * self._parts:
            raise Refused(FRAMING)

    def _refuse(self, reply: Reply) -> None:
        """Refuse the request under way, after the answers to those before it."""
        self._stage = Stage.REFUSED
        self._ticks = 0
        self._arrived = 0
        broken, self._incoming = self._incoming, None
        if broken is not None:
            if broken.started:
                return
            # The application learns that the rest of the body never comes.
            broken.gone = True
            broken.wake()
            if broken is self._current:
                self._current = None
            elif broken in self._queue:
                self._queue.remove(broken)
        scope: Scope = {"type": "refused", "method": "", "reply": reply}
        self._take(Exchange(self, scope, closes=True, expects=False))

    def _end(self, whole: bool) -> None:
        """Close, now or when the client has stopped sending."""
        self._queue.clear()
        self._later.clear()
        if whole or self._clients.draining or not self._transport.can_write_eof():
            self._transport.close()
            return
        self._stage = Stage.REFUSED
        self._ticks = self._arrived = 0
        # Nobody takes the rest of its body: what arrived of it keeps nothing from being dropped.
        self._incoming = None
        self._transport.write_eof()

    def _drop(self, size: int) -> None:
        self._arrived += size
        if self._arrived > most_dropped(self._headers, self._clients.most_body):
            self._transport.close()
        elif not self._transport.is_closing():
            rest(self._transport, size)
