"""A look at a Redis server, on a connection of its own; nothing is changed there."""

from __future__ import annotations

import re
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Any

from hiredis import ReplyError
from redis.exceptions import RedisError

from ai_hub.config import Settings
from ai_hub.errors import ConfigError
from ai_hub.process import Process, read_label
from ai_hub.serving.checkup import MOST_KEYS, MOST_SCANNED, CacheAway, CacheFacts, KeyFacts
from ai_hub.serving.redis.dial import Dial
from ai_hub.serving.redis.link import Link, Lost
from ai_hub.serving.redis.server import RedisServer, information
from ai_hub.serving.redis.words import pack

_PATIENCE = 2.0
"""Seconds that an answer may take: here nobody waits for a vector."""
_AT_A_TIME = 500
_CLIENT = re.compile(r"^id=(?P<id>\d+) addr=(?P<addr>\S+) .*?\bname=(?P<name>\S*) age=(?P<age>\d+)")


async def look(settings: Settings) -> CacheFacts | CacheAway:
    """How the server of the settings is."""
    try:
        async with _connected(settings) as link:
            return await _facts(link)
    except (ConfigError, Lost, OSError, RedisError, ReplyError, TimeoutError) as error:
        return CacheAway(str(error) or type(error).__name__)


@asynccontextmanager
async def _connected(settings: Settings) -> AsyncIterator[Link]:
    dial = Dial(settings.cache_url, _PATIENCE)
    try:
        writer = await dial.connect()
        link = Link(writer, _PATIENCE, pack(("PING",)), lambda _: None)
        try:
            yield link
        finally:
            await link.close()
    finally:
        await dial.close()


async def _facts(link: Link) -> CacheFacts:
    begin = time.perf_counter()
    info, clock = await _ask(link, ("INFO",), ("TIME",))
    seconds = time.perf_counter() - begin
    told = information(info)
    version = told.get("redis_version", "0")
    RedisServer(
        b"", version, told.get("cluster_enabled") == "1", told.get("role", "master") == "master"
    ).check()
    return CacheFacts(
        version,
        int(told.get("used_memory", 0)),
        int(told.get("maxmemory", 0)),
        told.get("maxmemory_policy", "noeviction"),
        int(told.get("keyspace_hits", 0)),
        int(told.get("keyspace_misses", 0)),
        int(clock[0]) * 1_000_000 + int(clock[1]),
        time.time_ns() // 1_000,
        seconds,
        await _keys(link),
        await _processes(link),
    )


async def _keys(link: Link) -> list[KeyFacts]:
    """Some keys of vectors: the first that a walk over some of all keys comes by."""
    names: dict[bytes, None] = {}
    cursor, walked = b"0", 0
    while True:
        words = ("SCAN", cursor, "MATCH", "features:*", "COUNT", _AT_A_TIME)
        ((cursor, some),) = await _ask(link, words)
        names |= dict.fromkeys(some)
        walked += _AT_A_TIME
        if cursor == b"0" or len(names) >= MOST_KEYS or walked >= MOST_SCANNED:
            break
    found: list[KeyFacts] = []
    chosen = [*names][:MOST_KEYS]
    for first in range(0, len(chosen), _AT_A_TIME):
        some = chosen[first : first + _AT_A_TIME]
        replies = await _ask(link, *[(word, one) for one in some for word in ("TYPE", "PTTL")])
        pairs = zip(replies[::2], replies[1::2], strict=True)
        # What has ended since has no kind.
        found += [
            KeyFacts(name.decode("utf-8", "replace"), kind.decode(), ends_in)
            for name, (kind, ends_in) in zip(some, pairs, strict=True)
            if kind != b"none"
        ]
    return found


async def _processes(link: Link) -> list[Process]:
    """Those of ours that are connected; none where this user may not see who is."""
    with suppress(ReplyError):
        (listed,) = await _ask(link, ("CLIENT", "LIST"))
        now, by_id = time.time_ns() // 1_000, dict[str, Process]()
        for line in listed.decode("utf-8", "replace").splitlines():
            client = _CLIENT.match(line)
            if client is not None:
                since = now - int(client["age"]) * 1_000_000
                one = read_label(client["name"], client["addr"].rpartition(":")[0], since)
                if one is not None and not one.is_mine:
                    by_id.setdefault(one.id, one)
        return [*by_id.values()]
    return []


async def _ask(link: Link, *commands: tuple[str | bytes | int, ...]) -> list[Any]:
    """The replies to some commands. Raises ReplyError for one that is an error."""
    replies: list[Any] = await link.ask(b"".join(map(pack, commands)), len(commands))
    for reply in replies:
        if isinstance(reply, ReplyError):
            raise reply
    return replies
