"""Who issues tokens: its public keys, read from its address or from a file beside the requests."""

from __future__ import annotations

import asyncio
import json
import time
from http.client import HTTPException
from pathlib import Path
from typing import IO, Any
from urllib.error import HTTPError, URLError
from urllib.request import HTTPRedirectHandler, ProxyHandler, Request, build_opener

from ai_hub.config import Settings
from ai_hub.config_tokens import is_safe
from ai_hub.errors import IssuerUnreachable

_DISCOVERY = "/.well-known/openid-configuration"
_MOST_BYTES = 512 * 1024
_PIECE = 64 * 1024
TIMEOUT_SECONDS = 5.0
"""How long an issuer may take for each of its documents."""
PAUSE_SECONDS = 10.0
"""How long after one look at an issuer a key that is not known makes for another."""


class Issuer:
    """The public keys of who issues tokens. One look at a time, in a thread of its own."""

    def __init__(self, settings: Settings) -> None:
        self._issuer, self._keys = settings.oidc_issuer, settings.oidc_keys
        self._looked_at = float("-inf")
        self._looking: asyncio.Task[object] | None = None

    @property
    def was_asked(self) -> bool:
        """Whether it was looked at so lately that it is too early to do so again."""
        under_way = self._looking is not None and not self._looking.done()
        return not under_way and time.monotonic() < self._looked_at + PAUSE_SECONDS

    async def key_set(self) -> object:
        """Its JWK Set as it is now; who asks while another does gets the same. Raises
        IssuerUnreachable."""
        if self._looking is None or self._looking.done():
            self._looking = asyncio.create_task(asyncio.to_thread(self._read))
        try:
            # One that is slow in many small steps keeps its thread, and nobody who asks.
            waiting = asyncio.shield(self._looking)
            return await asyncio.wait_for(waiting, 3 * TIMEOUT_SECONDS)
        except TimeoutError:
            raise IssuerUnreachable(self._issuer, "it takes too long") from None
        finally:
            self._looked_at = time.monotonic()

    def _read(self) -> object:
        if self._keys and "://" not in self._keys:
            try:
                with Path(self._keys).open("rb") as file:
                    return _document(self._keys, file)
            except OSError as error:
                raise IssuerUnreachable(self._keys, error.strerror or str(error)) from None
        return _fetched(self._keys or self._said())

    def _said(self) -> str:
        """Where the keys are, as its discovery document says (OpenID Connect Discovery 1.0, 4)."""
        url = self._issuer.rstrip("/") + _DISCOVERY
        found = _fetched(url)
        said = found if isinstance(found, dict) else {}
        if said.get("issuer") != self._issuer:
            raise IssuerUnreachable(url, "its issuer is not that of AI_HUB_OIDC_ISSUER")
        keys = said.get("jwks_uri")
        if not isinstance(keys, str) or not is_safe(keys):
            raise IssuerUnreachable(url, "its jwks_uri is no https:// address")
        return keys


class _Here(HTTPRedirectHandler):
    """Keys are where they are said to be, and nowhere else."""

    def redirect_request(self, *_: Any) -> None:
        """No request to another place."""
        return None


def _fetched(url: str) -> object:
    """The JSON document at an address. Raises IssuerUnreachable."""
    # A proxy of the environment knows nothing of this machine's own ports.
    direct = [ProxyHandler({})] if url.startswith("http://") else []
    request = Request(url, headers={"accept": "application/json", "user-agent": "ai-hub"})
    try:
        with build_opener(_Here, *direct).open(request, timeout=TIMEOUT_SECONDS) as response:
            return _document(url, response)
    except HTTPError as error:
        error.close()
        raise IssuerUnreachable(url, f"it answers with {error.code}") from None
    except URLError as error:
        raise IssuerUnreachable(url, str(error.reason)) from None
    except (OSError, HTTPException, ValueError) as error:
        raise IssuerUnreachable(url, str(error) or type(error).__name__) from None


def _document(place: str, file: IO[bytes]) -> object:
    """What a file of bounded size holds, as JSON. Raises IssuerUnreachable."""
    until = time.monotonic() + TIMEOUT_SECONDS
    read = bytearray()
    while piece := file.read1(_PIECE) if hasattr(file, "read1") else file.read(_PIECE):
        read += piece
        if len(read) > _MOST_BYTES:
            raise IssuerUnreachable(place, f"it has more than {_MOST_BYTES:,} bytes")
        if time.monotonic() > until:
            raise IssuerUnreachable(place, "it takes too long")
    try:
        return json.loads(read)
    except (ValueError, RecursionError):
        raise IssuerUnreachable(place, "it is no JSON") from None
