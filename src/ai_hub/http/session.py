"""The pages of a browser: who asks them by a cookie, and what they are answered with.

The cookie has the key (or token) itself, so each request is checked as every other one: whoever
revokes the key ends the session with it, in every process, and nothing is kept of it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from ai_hub.errors import AiHubError, Forbidden
from ai_hub.http.body import AGAIN, AUTHORIZATION, Reply, Scope, status_of
from ai_hub.page.static import PREFIX

COOKIE = "ai_hub_session"
SECONDS = 12 * 3_600
"""For how long a browser keeps the cookie."""
MOST_BYTES = 4_000
"""Of a key or a token: a browser drops a cookie that is longer."""
SIGN_IN, SIGN_OUT = "/page/sign-in", "/page/sign-out"
HTML = b"text/html; charset=utf-8"
HEADERS = {
    "content-security-policy": "default-src 'none'; script-src 'self'; style-src 'self'; "
    "img-src 'self'; connect-src 'self'; form-action 'self'; base-uri 'none'; "
    "frame-ancestors 'none'",
    "x-content-type-options": "nosniff",
    "referrer-policy": "same-origin",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "cache-control": "no-store",
}
"""What a browser may load for a page: from this server alone, and nothing that stands in it."""
_KEY = re.compile(rb"[A-Za-z0-9._-]+")


def is_page(path: str) -> bool:
    """Whether a path is of a page, where the cookie counts; on all other routes it does not."""
    return path in ("/", "/docs") or path.startswith(("/page/", "/docs/"))


def is_open(path: str) -> bool:
    """Whether a page shows nothing that is anybody's."""
    return path in (SIGN_IN, SIGN_OUT) or path.startswith(PREFIX)


def authorization_of(scope: Scope) -> bytes | None:
    """What the request of a page says of who asks: in its header, or in its cookie."""
    header: bytes | None = scope.get(AUTHORIZATION)
    if header is not None:
        return header
    wanted = COOKIE.encode() + b"="
    for name, value in scope["headers"]:
        if name == b"cookie":
            for part in value.split(b";"):
                if part.strip().startswith(wanted):
                    return bearer(part.strip()[len(wanted) :])
    return None


def bearer(key: bytes) -> bytes | None:
    """A key as the header of a request has it; None for what can be none."""
    return b"Bearer " + key if len(key) <= MOST_BYTES and _KEY.fullmatch(key) else None


def wants_html(headers: Iterable[tuple[bytes, bytes]]) -> bool:
    """Whether a person waits for an answer."""
    return any(name == b"accept" and b"text/html" in value for name, value in headers)


def refusal_page(scope: Scope, error: AiHubError, auth: str) -> Reply:
    """A refusal for people: where a key is missing, the form that takes one."""
    # Templates, and what reads them, are for people: no program waits for their import.
    from ai_hub.page.refused import problem_page, sign_in_page

    status = status_of(error)
    query = scope["query_string"].decode("latin-1")
    then = scope["path"] + (f"?{query}" if query else "")
    if status == 401:
        said = str(error) if authorization_of(scope) is not None else None
        return status, HTML, sign_in_page(then, said, auth)
    again = then if status == AGAIN and scope["method"] == "GET" else None
    return status, HTML, problem_page(str(error), isinstance(error, Forbidden), again)


def cookie(key: str, is_secure: bool) -> str:
    """The header that gives a browser its cookie; of an empty key, that takes it away."""
    age = SECONDS if key else 0
    secure = "; Secure" if is_secure else ""
    return f"{COOKIE}={key}; Path=/; Max-Age={age}; HttpOnly; SameSite=Strict{secure}"


def landing(then: str) -> str:
    """Where somebody goes who signed in: to a page of this server, and nowhere else."""
    path = then.partition("?")[0]
    plain = then.isascii() and then.isprintable() and "\\" not in then
    return then if plain and is_page(path) and not is_open(path) else "/"
