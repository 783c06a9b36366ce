"""What settings about tokens of an issuer take; see config_values for what a parser is."""

from __future__ import annotations

import re
from contextlib import suppress
from ipaddress import ip_address
from urllib.parse import urlsplit

ALGORITHMS = (
    *("RS256", "RS384", "RS512", "PS256", "PS384", "PS512"),
    *("ES256", "ES384", "ES512", "Ed25519"),
)
"""Those with which only the issuer can sign: who verifies holds no secret."""
_WORD = re.compile(r"[!-~]{1,1024}")


def words(value: object) -> tuple[str, ...]:
    """Texts without blanks: one with commas between them, or a list."""
    named = value.split(",") if isinstance(value, str) else value
    if isinstance(named, list | tuple) and all(isinstance(one, str) for one in named):
        found = tuple(one.strip() for one in named if one.strip())
        if all(_WORD.fullmatch(one) for one in found):
            return found
    raise ValueError("texts without blanks, with commas between")


def algorithms(value: object) -> tuple[str, ...]:
    """Algorithms of signatures: a text with commas, or a list."""
    with suppress(ValueError):
        named = words(value)
        if set(named) <= set(ALGORITHMS):
            return named
    raise ValueError(f"some of {', '.join(ALGORITHMS)}, with which nobody but the issuer can sign")


def prefix(value: object) -> str:
    """A text without blanks; it may be empty."""
    if value == "" or (isinstance(value, str) and _WORD.fullmatch(value)):
        return str(value)
    raise ValueError("a text without blanks")


def claim(value: object) -> str:
    """The name of a claim."""
    if not isinstance(value, str) or not _WORD.fullmatch(value):
        raise ValueError("the name of a claim, such as sub")
    return value


def issuer(value: object) -> str:
    """The address of who issues tokens; empty for nobody."""
    if value == "" or (isinstance(value, str) and is_safe(value)):
        return str(value)
    raise ValueError("an https:// address without a user (http:// on this machine alone)")


def key_set(value: object) -> str:
    """Where public keys are: an address, the path of a file, or nothing."""
    if not isinstance(value, str) or "\0" in value:
        raise ValueError("an https:// address or the path of a file")
    return issuer(value) if "://" in value else value


def is_safe(url: str) -> bool:
    """Whether nobody on the way can answer in place of what is at an address."""
    try:
        parts = urlsplit(url)
        host, named = parts.hostname or "", parts.port != 0 and "@" not in parts.netloc
    except ValueError:
        return False
    local = host == "localhost"
    with suppress(ValueError):
        local = local or ip_address(host).is_loopback
    sent = parts.scheme == "https" or (parts.scheme == "http" and local)
    return bool(_WORD.fullmatch(url) and host and named and sent and not parts.fragment)
