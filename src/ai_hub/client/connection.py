"""Requests to a server, and answers: how long they may take, and which are sent once more.

A request is sent again where that cannot do twice what was asked once: it never arrived, it was
refused before it was begun, or it may be done any number of times.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from ai_hub import __version__
from ai_hub.client.failures import failure
from ai_hub.errors import AiHubError, Busy, InvalidInput, ServerFailed, ServerUnreachable, TooMany

if TYPE_CHECKING:
    import httpx

URL = "http://127.0.0.1:8003"
HEALTH = "/health"
MAX_BODY = 64 * 1024**2
"""The largest body that a server takes by default."""
_LOCAL_HOSTS = ("127.0.0.1", "localhost", "::1")
_CONNECT = 5.0
"""Connecting is quick or it fails."""
_BASE, _LONGEST = 0.1, 5.0
"""Seconds: about how long it waits at first, and at most, unless the server says longer."""
_AGAIN = frozenset({408, 429, 502, 503, 504})
_EXPORT = "/ai/features/export"


class Broke(ServerUnreachable):
    """The connection ended before there was an answer."""


class TimedOut(ServerUnreachable):
    """There was no answer in time."""


class Stranger(ServerFailed):
    """What answers there is no server of ours."""

    def __init__(self, url: str) -> None:
        super().__init__(f"What answers at {url} is not an AI Hub server.")


class Connection:
    """A server at a URL, asked with a key.

    `timeout` bounds an answer, `work_timeout` one of those that take long (both in seconds), and
    `patience` for how long a request that failed is sent again; 0: never.
    """

    def __init__(
        self,
        url: str | None = None,
        key: str | None = None,
        *,
        timeout: float = 10.0,
        work_timeout: float | None = 600.0,
        patience: float = 30.0,
        direct: bool = False,
    ) -> None:
        import httpx

        self.url = (url or URL).rstrip("/")
        host = _host_of(self.url)
        key = os.environ.get("AI_HUB_API_KEY", "") if key is None else key
        self._key = {"authorization": f"Bearer {key}"} if key else {}
        self._timeout = timeout
        self._work_timeout = work_timeout
        self._patience = patience
        # A proxy of the environment knows nothing of this machine's own ports.
        self._http = httpx.AsyncClient(
            base_url=self.url,
            headers={"user-agent": f"ai-hub/{__version__}"},
            timeout=httpx.Timeout(None, connect=_CONNECT),
            trust_env=not direct and host not in _LOCAL_HOSTS,
        )
        self._closed = False

    async def close(self) -> None:
        """Let go of its connections."""
        self._closed = True
        await self._http.aclose()

    async def ask(
        self, method: str, path: str, body: Mapping[str, Any] | None = None, **how: Any
    ) -> dict[str, Any]:
        """The document that a server answers. Raises AiHubError; see `send`."""
        if body is not None:
            # In ASCII: an id that UTF-8 cannot say is for the server to refuse.
            how |= {"content": json.dumps(body).encode(), "content_type": "application/json"}
        return self.document(await self.send(method, path, **how))

    async def send(
        self,
        method: str,
        path: str,
        *,
        safe: bool = False,
        work: bool = False,
        params: Mapping[str, Any] | None = None,
        content: bytes | None = None,
        content_type: str | None = None,
        accept: str | None = None,
        answers: frozenset[int] = frozenset(),
    ) -> httpx.Response:
        """A server's answer, which succeeds, or has a status of `answers`.

        `safe`: it may be sent again whatever became of it; `work`: it takes long. Raises the error
        that the answer says, ServerUnreachable where there was none.
        """
        import asyncio
        import random

        headers = {"content-type": content_type} if content_type else {}
        headers |= {"accept": accept} if accept else {}
        if path != HEALTH:  # who answers is looked at without it
            headers |= self._key
        limit = self._work_timeout if work else self._timeout
        until: float | None = None
        for attempt in range(1_000_000):
            wait = 0.0
            if self._closed:
                raise ServerUnreachable("the client is closed")
            try:
                response = await self._once(
                    limit, method, path, params=params, content=content, headers=headers
                )
            except ServerUnreachable as error:
                failed: AiHubError = error
                again = safe or not isinstance(error, Broke | TimedOut)
            else:
                if response.is_success or response.status_code in answers:
                    return response
                failed = self.refused(response)
                again = response.status_code in _AGAIN and (
                    safe or isinstance(failed, TooMany | Busy)
                )
                wait = _seconds(response.headers.get("retry-after"))
            now = time.monotonic()
            until = now + self._patience if until is None else until
            # Those who failed together do not come again together.
            wait += random.uniform(0, min(_LONGEST, _BASE * 2 ** min(attempt, 16)))
            if not again or now + wait >= until:
                raise failed
            await asyncio.sleep(wait)
        raise AssertionError("patience ends before this")

    def document(self, response: httpx.Response) -> dict[str, Any]:
        """An answer as a JSON object. Raises ServerFailed where it is none."""
        try:
            found = response.json()
        except ValueError:
            raise self.stranger() from None
        if not isinstance(found, dict):
            raise self.stranger()
        return found

    def stranger(self) -> Stranger:
        """That something else answers there."""
        return Stranger(self.url)

    async def _once(
        self, limit: float | None, method: str, path: str, **content: Any
    ) -> httpx.Response:
        import asyncio

        import httpx

        try:
            async with asyncio.timeout(limit):
                return await self._http.request(method, path, **content)
        except (httpx.ConnectError, httpx.ConnectTimeout):
            raise ServerUnreachable(
                f"No server answers at {self.url}. Start one with `ai-hub serve`."
            ) from None
        except (TimeoutError, httpx.TimeoutException):
            raise TimedOut(f"The server at {self.url} did not answer in time.") from None
        except httpx.TransportError as error:
            why = str(error) or type(error).__name__
            raise Broke(f"The connection to {self.url} broke: {why}") from None

    def refused(self, response: httpx.Response) -> AiHubError:
        """The error that an answer says."""
        try:
            found = response.json()
        except ValueError:
            found = None
        if not isinstance(found, dict) or "detail" not in found:
            if response.status_code in _AGAIN:
                # Of a proxy before it, which has no server to ask.
                why = f"it answered {response.status_code}"
                return ServerUnreachable(f"The server at {self.url} cannot be reached: {why}.")
            return self.stranger()
        exporting = response.request.url.path == _EXPORT
        return failure(response.status_code, str(found["detail"]), found.get("field"), exporting)


def _host_of(url: str) -> str:
    import httpx

    try:
        parsed = httpx.URL(url)
    except httpx.InvalidURL:
        parsed = httpx.URL("")
    if parsed.scheme not in ("http", "https") or not parsed.host:
        raise InvalidInput("url", url, f"the address of a server, such as {URL}")
    return parsed.host


def _seconds(text: str | None) -> float:
    """What `Retry-After` says; it may also be a date, which nobody of ours sends."""
    return float(text) if text is not None and text.isdecimal() else 0.0
