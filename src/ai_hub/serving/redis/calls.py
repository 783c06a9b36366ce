"""Asking Redis for one thing, and telling an error of one key from a server that is lost."""

from __future__ import annotations

from collections import Counter
from types import UnionType
from typing import TypeVar

from hiredis import ReplyError

from ai_hub.serving.redis import words
from ai_hub.serving.redis.link import Link, Lost

T = TypeVar("T")


class Refused(Exception):
    """Redis did not do one thing, and answers on."""


class Calls:
    """Runs scripts, checks replies, and counts `errors` by their kind."""

    def __init__(self) -> None:
        self.errors: Counter[str] = Counter()

    async def run(
        self,
        expected: type[T],
        link: Link,
        script: words.Script,
        keys: list[str],
        *arguments: str | bytes | int,
    ) -> T:
        """What a script gives. Raises Refused or Lost."""
        (reply,) = await link.ask(script.call(keys, *arguments), 1)
        if isinstance(reply, ReplyError) and words.code_of(reply) == "NOSCRIPT":
            (reply,) = await link.ask(script.send(keys, *arguments), 1)
        self.check(link, reply, expected)
        checked: T = reply
        return checked

    def check(self, link: Link, reply: object, expected: type | UnionType) -> None:
        """Raise for another reply: Refused for an error of one key, else the server is lost."""
        if isinstance(reply, expected):
            return
        reason = "it answers something else"
        if isinstance(reply, ReplyError):
            reason, code = str(reply), words.code_of(reply)
            self.errors[code] += 1
            if code in words.ERRORS_OF_A_KEY:
                raise Refused(reason)
        link.lose(reason)
        raise Lost(reason)
