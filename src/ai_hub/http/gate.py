"""Who may ask: by which name of the server, from which page, and with what kind of body.

A browser lets any page of the web send requests to a server on this machine or in this network.
What gives these away is what the browser says by itself: `Host` has the name that led here, also
one that an attacker's DNS pointed here; `Origin` has the page that asks.
"""

from __future__ import annotations

from collections.abc import Iterable

from ai_hub.errors import shown
from ai_hub.http.body import Reply, reply_of
from ai_hub.http.messages import Problem

LOOPBACK = ("127.0.0.1", "::1")
"""Addresses that no name stands for: whoever says them is on this machine."""
ANY = "*"
_FORMS = (b"application/x-www-form-urlencoded", b"multipart/form-data", b"text/plain")
"""What a form of a web page sends, without a question to the server first."""
FORMS = "/page/"
"""Where a form may be sent to."""
_LOOKED_AT = frozenset(
    (
        b"host",
        b"authorization",
        b"expect",
        b"transfer-encoding",
        b"origin",
        b"sec-fetch-site",
        b"sec-fetch-mode",
        b"sec-fetch-dest",
    )
)

Headers = Iterable[tuple[bytes, bytes]]

NO_HOST = reply_of(400, Problem("host: it is missing or there twice, expected one", "host"))
"""The refusal of a request with no `Host`, or with two."""
_FORM = reply_of(
    415,
    Problem(
        "content-type: got a form of a web page, expected application/json or a table",
        "content-type",
    ),
)

_CODED = reply_of(
    400,
    Problem("transfer-encoding: got another one, expected chunked alone", "transfer-encoding"),
)
_ELSEWHERE = reply_of(
    403, Problem("origin: got a page of another site, expected a page of this server", "origin")
)


def name_of(host: bytes) -> str:
    """The name or address in a `Host`, without its port, in lower case."""
    text = host.decode("latin-1").strip().lower()
    if text.startswith("["):
        address, _, rest = text[1:].partition("]")
        return address if not rest or (rest[0] == ":" and rest[1:].isdecimal()) else text
    name, colon, port = text.rpartition(":")
    bare = name if colon and port.isdecimal() else text
    return bare.removesuffix(".")


class Gate:
    """The names by which the server may be asked, and what a page may do."""

    def __init__(self, allowed: Iterable[str], bound: str) -> None:
        names = {name.lower().removesuffix(".") for name in allowed}
        self._any = ANY in names
        self._names = names | {bound.lower()} | {*LOOPBACK}

    def look(
        self, headers: Headers, version: str, known: bytes | None, address: object, path: str
    ) -> tuple[bytes | None, bool, bytes | None, Reply | None]:
        """The host of a request, whether its client waits to send a body, what it says of who
        asks, and why it is refused.

        `known` is the host of the last request on the connection, which was not refused: mostly it
        is the same, and bytes are compared alone.
        """
        host: bytes | None = None
        authorization: bytes | None = None
        expects = browser = False
        refused: Reply | None = None
        for name, value in headers:
            if name not in _LOOKED_AT:
                continue
            if name == b"host":
                if host is not None:
                    return None, False, None, NO_HOST
                host = value
            elif name == b"authorization":
                # Of two nobody knows which one counts: then it is neither.
                authorization = value if authorization is None else b""
            elif name == b"expect":
                expects = value.lower() == b"100-continue"
            elif name == b"transfer-encoding":
                if value.strip().lower() != b"chunked":
                    refused = _CODED
            elif value != b"application/json":
                # Which is no form, and by far the most frequent of what is left.
                browser = True
        if host is None:
            # Only before HTTP/1.1 a client may say nothing, and no browser is that old.
            refused = NO_HOST if version == "1.1" else refused
        elif host != known:
            refused = self.refused_host(host, address) or refused
        if browser and refused is None:
            refused = self.refused_page(headers, host, path)
        return host, expects, authorization, refused

    def refused_host(self, host: bytes, address: object) -> Reply | None:
        """Why a `Host` is refused on a connection to a local `address`; None if it is not."""
        name = name_of(host)
        # The address that was connected to leads here whatever anybody's DNS says.
        if self._any or name in self._names or name == address:
            return None
        return reply_of(
            421,
            Problem(
                f"host: got {shown(name)}, expected one of {', '.join(sorted(self._names))} "
                "(AI_HUB_ALLOWED_HOSTS)",
                "host",
            ),
        )

    def refused_target(self, target: bytes, address: object) -> Reply | None:
        """Why a target that is no path is refused: its own host counts as `Host` does."""
        _, absolute, rest = target.partition(b"://")
        return self.refused_host(rest.partition(b"/")[0], address) if absolute else None

    def refused_page(self, headers: Headers, host: bytes | None, path: str) -> Reply | None:
        """Why a request of a browser is refused; None if it is not.

        Only the pages of this server have forms, and look closer at who sends one.
        """
        origin: bytes | None = None
        kind = site = mode = b""
        for name, value in headers:
            if name == b"origin":
                # Of two nobody knows which one counts.
                origin = value if origin is None else b""
            elif name == b"content-type":
                kind = value.partition(b";")[0].strip().lower()
            elif name == b"sec-fetch-site":
                site = value.lower()
            elif name == b"sec-fetch-mode":
                mode = value.lower()
        if origin is None and site == b"cross-site" and mode != b"navigate":
            # Who follows a link from elsewhere sees a page of this server; all else is that page's.
            return _ELSEWHERE
        if origin is not None:
            page = name_of(origin.partition(b"://")[2])
            if not page or host is None or page != name_of(host):
                got = shown(origin.decode("latin-1"))
                return reply_of(
                    403,
                    Problem(f"origin: got {got}, expected a page of this server", "origin"),
                )
        return _FORM if kind in _FORMS and not path.startswith(FORMS) else None
