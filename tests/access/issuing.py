"""An issuer of tokens for tests: its keys, and tokens right and wrong."""

from __future__ import annotations

import base64
import hmac
import json
import time
from functools import cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any

from joserfc import jwt
from joserfc.jwk import ECKey, OctKey, RSAKey

ISSUER, AUDIENCE = "https://issuer.example", "ai-hub"
Claims = dict[str, Any]


@cache
def rsa(name: str) -> RSAKey:
    """A key of some name, the same each time."""
    return RSAKey.generate_key(2048, {"kid": name, "use": "sig"})


@cache
def curve(name: str) -> ECKey:
    """Another kind of key."""
    return ECKey.generate_key("P-256", {"kid": name, "use": "sig"})


def key_set(*keys: RSAKey | ECKey) -> dict[str, Any]:
    """What an issuer publishes."""
    return {"keys": [key.as_dict(private=False) for key in keys]}


def claims(issuer: str = ISSUER, **more: Any) -> Claims:
    """Right claims, but for `more`; None leaves one out."""
    now = int(time.time())
    right = {
        "iss": issuer, "aud": AUDIENCE, "sub": "robot", "iat": now, "nbf": now, "exp": now + 300,
        "ai_hub_tenants": ["acme"], "scope": "read write",
    }  # fmt: skip
    return {name: value for name, value in (right | more).items() if value is not None}


def signed(of: Claims, key: RSAKey | ECKey, alg: str = "RS256", **head: Any) -> str:
    """A token of some claims; `head` is what its header has besides, None leaves one out."""
    header = {"alg": alg, "kid": key.kid, **head}
    header = {name: value for name, value in header.items() if value is not None}
    return jwt.encode(header, of, key, algorithms=[alg])


def unsigned(of: object, head: object, signature: bytes = b"x") -> str:
    """Any header and claims with any signature."""
    parts = [json.dumps(head).encode(), json.dumps(of).encode(), signature]
    return ".".join(base64.urlsafe_b64encode(one).rstrip(b"=").decode() for one in parts)


def by_public_key(of: Claims, key: RSAKey, alg: str = "HS256") -> str:
    """A token signed with the public key as if it was a shared secret (algorithm confusion)."""
    pem = key.as_pem(private=False)
    head = {"alg": alg, "kid": key.kid, "typ": "JWT"}
    unfinished = unsigned(of, head, b"").rstrip(".")
    digest = {"HS256": "sha256", "HS384": "sha384", "HS512": "sha512"}[alg]
    signature = hmac.digest(pem, unfinished.encode(), digest)
    return f"{unfinished}.{base64.urlsafe_b64encode(signature).rstrip(b'=').decode()}"


def shared_secret() -> dict[str, Any]:
    """A key that an issuer must never publish."""
    return dict(OctKey.import_key("x" * 32).as_dict(private=True, kid="shared"))


class Issuer:
    """A little issuer on this machine: what it publishes may be changed, and it may be away."""

    def __init__(self, *keys: RSAKey | ECKey) -> None:
        self.keys: list[RSAKey | ECKey] = [*keys]
        self.asked: list[str] = []
        self.answers: dict[str, bytes | int] = {}
        """What it answers on a path instead, or with which status."""
        self.start()

    def start(self, port: int = 0) -> None:
        """Answer, on the same port as before if one is given."""
        of = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                of.asked.append(self.path)
                instead = of.answers.get(self.path)
                if isinstance(instead, int):
                    self.send_response(instead)
                    self.send_header("location", "/keys")
                    self.end_headers()
                    return
                self.send_response(200)
                self.end_headers()
                self.wfile.write(of.document(self.path) if instead is None else instead)

            def log_message(self, format: str, *args: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", port), Handler)
        self.port = self._server.server_port
        self.url = f"http://127.0.0.1:{self.port}"
        Thread(target=self._server.serve_forever, daemon=True).start()

    def document(self, path: str) -> bytes:
        """What there is at a path."""
        if path == "/keys":
            return json.dumps(key_set(*self.keys)).encode()
        return json.dumps({"issuer": self.url, "jwks_uri": f"{self.url}/keys"}).encode()

    def stop(self) -> None:
        """Be away."""
        self._server.shutdown()
        self._server.server_close()

    def token(self, key: RSAKey | None = None, **more: Any) -> str:
        """A right token, but for `more` of its claims."""
        return signed(claims(self.url, **more), key or rsa("a"))

    @property
    def settings(self) -> dict[str, str]:
        """The settings of a server that goes by it."""
        return {
            "auth": "oidc", "oidc_issuer": self.url, "oidc_audience": AUDIENCE,
            "oidc_algorithms": "RS256",
        }  # fmt: skip
