"""Access keys: how one is made and read, and the grants of those that are known."""

from __future__ import annotations

import hmac
import re
import secrets
import string
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from hashlib import sha256

from ai_hub.access.grant import Grant
from ai_hub.errors import Unauthorized

_MARK = "aih"
_ID_LETTERS = string.ascii_lowercase + string.digits
_ID_LENGTH = 12
_SECRET_BYTES = 32
_KEY = re.compile(rb"(?i:bearer)[ \t]+aih_([A-Za-z0-9]{1,32})_([A-Za-z0-9_-]{43})[ \t]*")
"""The header of a request that has one: 43 letters of base64url are 256 bits."""
_MOST_KNOWN, _LONGEST_KNOWN = 20_000, 128
_NO_KEY = "no access key"
_WRONG = "a key that is not known, was revoked, or is past its time"


@dataclass(frozen=True, slots=True)
class KnownKey:
    """A key as it is known: the SHA-256 of the whole of it, in hexadecimal, and what it grants."""

    sha256: str
    grant: Grant


def minted() -> tuple[str, str]:
    """A new key: its id, and the whole of it, of which only the digest may be kept."""
    id = "".join(secrets.choice(_ID_LETTERS) for _ in range(_ID_LENGTH))
    return id, f"{_MARK}_{id}_{secrets.token_urlsafe(_SECRET_BYTES)}"


def digest_of(key: str | bytes) -> str:
    """What is kept of a key. A secret of 256 bits needs no slow digest: nobody can guess it."""
    return sha256(key.encode() if isinstance(key, str) else key).hexdigest()


class Keys:
    """The keys that are known as of one revision of the registry, by id."""

    def __init__(self, known: Iterable[KnownKey] = ()) -> None:
        self._known: Mapping[str, KnownKey] = {one.grant.id: one for one in known}
        self._seen: dict[bytes, Grant] = {}

    def grant(self, authorization: bytes | None, now: int) -> Grant:
        """What the header of a request grants at a time (in microseconds). Raises Unauthorized."""
        grant = self._seen.get(authorization) if authorization is not None else None
        if grant is None:
            grant = self._checked(authorization)
        if grant.until is not None and now >= grant.until:
            raise Unauthorized(_WRONG)
        return grant

    def _checked(self, authorization: bytes | None) -> Grant:
        if authorization is None:
            raise Unauthorized(_NO_KEY)
        match = _KEY.fullmatch(authorization)
        if match is None:
            raise Unauthorized(_NO_KEY)
        known = self._known.get(match[1].decode("ascii"))
        digest = digest_of(b"%b_%b_%b" % (_MARK.encode(), match[1], match[2]))
        # An id that nobody has takes as long as one whose secret is another.
        if not hmac.compare_digest(digest, known.sha256 if known else "") or known is None:
            raise Unauthorized(_WRONG)
        # Blanks may differ, so of one key there may be many headers, and long ones.
        if len(authorization) <= _LONGEST_KNOWN:
            if len(self._seen) >= _MOST_KNOWN:
                self._seen.clear()
            self._seen[authorization] = known.grant
        return known.grant
