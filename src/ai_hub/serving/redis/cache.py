"""The cache on Redis, shared by processes: coherent while Redis answers, and no hindrance else.

`words.py` says what is kept and when it counts. This file says what happens without Redis:

- Every answer comes from the store; the breaker finds Redis again in the background.
- What could not be dropped is owed. A process drops what it owes before it uses Redis again.
- Reading waits for the breaker to close, a while after the process found Redis again. By then
  others who lost it have found it too, and have dropped what they owe.
- The first drop that fails waits a moment before it gives up: by then others have seen the loss.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from itertools import islice
from types import UnionType
from typing import TypeVar

from hiredis import ReplyError

from ai_hub.definitions.values import Entity, key_part
from ai_hub.errors import ConfigError
from ai_hub.serving.breaker import Breaker, BreakerState
from ai_hub.serving.cache import Begin, CacheStats, Token
from ai_hub.serving.redis import words
from ai_hub.serving.redis.dial import Dial
from ai_hub.serving.redis.leases import LEASE_SECONDS, Claimed, Leases
from ai_hub.serving.redis.link import Link, Lost
from ai_hub.serving.redis.server import RedisServer, information

_log = logging.getLogger(__name__)

T = TypeVar("T")
Read = tuple[bytes | None, Token | None]

_MOST_KEYS = 200
"""Entities of one script: about a millisecond of Redis's time."""
_MOST_LOOKED_AT = 2_000
"""Leases of one look: less than a millisecond of Redis's time."""
_MOST_OWED = 10_000
"""As many are dropped in well under a second; to owe more is to owe everything."""


class _Refused(Exception):
    """Redis did not do one thing, and answers on."""


class RedisCache:
    """The contract on a Redis server. `timeout` is how many seconds an answer may take."""

    name = "Redis"
    shared = True

    def __init__(self, url: str, ttl_seconds: int = 300, timeout: float = 0.1) -> None:
        self._ttl = ttl_seconds
        self._timeout = timeout
        self._dial = Dial(url, connecting := 5 * timeout)
        pause = 2.5 * timeout
        # Long enough for everybody's next probe, and for a drop that is under way.
        settle = pause + connecting + 2.5 * timeout
        self._breaker = Breaker(f"Redis at {self._dial.place}", self._connect, pause, settle)
        # A loss is noticed within twice the timeout: see Link.
        self._grace = 3 * timeout
        self._link: Link | None = None
        self._run = b""
        self._owner = words.unique()
        self._leases = Leases(self._claimed, self._held)
        self._life = words.life(ttl_seconds)
        self._owed: set[Entity] = set()
        self._owes_all = False
        self._hits = self._misses = 0
        self.errors: Counter[str] = Counter()

    @classmethod
    async def open(
        cls,
        url: str,
        ttl_seconds: int = 300,
        timeout: float = 0.1,  # noqa: ASYNC109  # of every answer, not of opening
    ) -> RedisCache:
        """A cache in use, or one that waits for Redis to come.

        Raises ConfigError for a URL that is not understood and a server that will not do.
        """
        cache = cls(url, ttl_seconds, timeout)
        try:
            await cache._connect()
        except ConfigError:
            await cache.close()
            raise
        except Exception as error:  # noqa: BLE001  # Whatever it is, the store answers.
            cache._breaker.trip(_reason(error))
        return cache

    @property
    def state(self) -> BreakerState:
        """The breaker's: only while it is closed is the cache read."""
        return self._breaker.state

    async def read(
        self, tenant_id: str, asset_ids: Sequence[str], timestamp: str, field: str
    ) -> list[Read]:
        """The value (None: a miss) and the token (None: it has none) of each asset, in order."""
        if not asset_ids:
            return []
        commands = words.reading(tenant_id, asset_ids, timestamp, field)
        link, run = self._link, self._run
        if link is None or self._breaker.state != "closed":
            return self._away(asset_ids)
        try:
            tokens, *values = await link.ask(commands, 1 + len(asset_ids))
            self._check(link, tokens, list)
            found = words.found(values, tokens, run)
            lacking = found.count(None)
            self._hits += len(found) - lacking
            if not lacking:
                return list(zip(found, tokens, strict=True))
            self._misses += lacking
            for value in values:
                if not words.is_foreign(value):
                    self._check(link, value, bytes | None)
        except (Lost, _Refused):
            return self._away(asset_ids)
        return [
            (value, token if token is not None and token.startswith(run) else None)
            for value, token in zip(found, tokens, strict=True)
        ]

    async def claim(
        self,
        tenant_id: str,
        asset_ids: Sequence[str],
        timestamp: str,
        field: str,
        begin: Begin,
        patience: float,
    ) -> dict[str, bytes]:
        """Values that other processes compute, waited for a lease's time at most."""
        if self._link is None or self._breaker.state != "closed":
            begin([(asset_id, None) for asset_id in asset_ids])
            return {}
        tenant = key_part(tenant_id)
        keys = [words.Key(tenant, words.asset_part(one), timestamp, field) for one in asset_ids]
        found = await self._leases.claim(
            dict(zip(keys, asset_ids, strict=True)), begin, min(patience, LEASE_SECONDS)
        )
        self._hits += len(found)
        self._misses -= len(found)
        return found

    async def keep(
        self,
        tenant_id: str,
        timestamp: str,
        field: str,
        values: Iterable[tuple[str, Token, bytes | None]],
    ) -> int:
        """Keep (asset, token, value)s whose token is still current; how many were kept."""
        link, run, tenant = self._link, self._run, key_part(tenant_id)
        # Tokens of another run were given before data may have been lost.
        current = ((a, t, v) for a, t, v in values if isinstance(t, bytes) and t.startswith(run))
        if link is None:
            return 0
        kept = 0
        for some in _parts(current):
            keys: list[str] = []
            given: list[bytes] = []
            for asset_id, token, value in some:
                asset = words.asset_part(asset_id)
                keys += [
                    words.generation_key(tenant, asset),
                    words.features_key(tenant, asset, timestamp),
                    words.live_key(tenant, asset),
                    words.lease_key(tenant, asset, timestamp, field),
                ]
                given += [token, b"" if value is None else words.stamped(value, token)]
            fixed = (field, self._owner, self._ttl * 1000, self._life)
            try:
                kept += await self._call(int, link, words.KEEP, keys, *fixed, *given)
            except _Refused:
                continue
            except Lost:
                break
        return kept

    async def drop(self, entities: Iterable[Entity], prefix: str = "") -> int:
        """Change the tokens of some entities and forget their fields that begin with `prefix`.

        What cannot be dropped now is dropped when Redis is back.
        """
        dropped = 0
        for some in _parts(entities):
            try:
                dropped += await self._dropped(self._link, list(dict.fromkeys(some)), prefix)
            except Lost:
                self._owe(some)
        if self._owed or self._owes_all:
            await self._breaker.found(within=self._grace)
        return dropped

    async def changed(self, entities: Iterable[Entity] | None) -> None:
        """Nothing is left to do: whoever wrote them has dropped them here, or owes it."""

    async def stats(self) -> CacheStats:
        """How it did, and the memory of the server; only scanning could count its entries."""
        told: dict[str, str] = {}
        try:
            if self._link is not None:
                told = information((await self._link.ask(words.pack(("INFO",)), 1))[0])
        except Lost:
            pass
        return CacheStats(
            kind="redis",
            entries=None,
            bytes=_number(told.get("used_memory")),
            max_bytes=_number(told.get("maxmemory")) or None,
            ttl_seconds=self._ttl,
            hits=self._hits,
            misses=self._misses,
            evicted=_number(told.get("evicted_keys")),
        )

    async def close(self) -> None:
        """Let go of the connection; what is kept stays."""
        await self._breaker.close()
        if self._owed or self._owes_all:
            await self._last_try()
        if self._link is not None:
            link, self._link = self._link, None
            await link.close()
        await self._dial.close()

    async def _last_try(self) -> None:
        try:
            await self._connect()
        except Exception as error:  # noqa: BLE001  # Whatever it is, it ends here.
            _log.warning(
                "Redis at %s is left with stale answers of %s, for %d s at most: %s",
                self._dial.place,
                "many assets" if self._owes_all else f"{len(self._owed)} assets",
                self._ttl,
                _reason(error),
            )

    def _away(self, assets: Sequence[str]) -> list[Read]:
        """Misses without a token: nothing says what was dropped meanwhile."""
        self._misses += len(assets)
        return [(None, None)] * len(assets)

    async def _claimed(self, keys: Sequence[words.Key]) -> dict[words.Key, Claimed]:
        """What claiming some values gave; nothing of those that Redis did not answer for."""
        claims: dict[words.Key, Claimed] = {}
        by_field: dict[str, list[words.Key]] = {}
        for key in keys:
            by_field.setdefault(key.field, []).append(key)
        for field, of_field in by_field.items():
            for some in _parts(of_field):
                with suppress(Lost, _Refused):
                    claims |= zip(some, await self._claim(field, some), strict=True)
        return claims

    async def _claim(self, field: str, keys: Sequence[words.Key]) -> list[Claimed]:
        link, run = self._link, self._run
        if link is None:
            raise Lost
        names = [name for key in keys for name in (key.generation, key.features, key.lease)]
        hold, fresh = int(LEASE_SECONDS * 1000), b"%b-%b" % (run, words.unique().encode())
        given = (field, self._owner, hold, self._life, run, fresh)
        reply = await self._call(list, link, words.CLAIM, names, *given)
        return [
            Claimed(words.unstamped(value, token, run), token, bool(mine))
            for token, value, mine in zip(reply[::3], reply[1::3], reply[2::3], strict=True)
        ]

    async def _held(self, keys: Sequence[words.Key]) -> dict[words.Key, bool]:
        """Whether a computation that counts still has the lease on each value."""
        held: dict[words.Key, bool] = {}
        link = self._link
        if link is None:
            return held
        with suppress(Lost, _Refused):
            for some in _parts(keys, _MOST_LOOKED_AT):
                (reply,) = await link.ask(words.looking(some), 1)
                self._check(link, reply, list)
                pairs = zip(reply[::2], reply[1::2], strict=True)
                held |= zip(some, [words.holds(*pair) for pair in pairs], strict=True)
        return held

    async def _dropped(self, link: Link | None, entities: Sequence[Entity], prefix: str) -> int:
        if link is None:
            raise Lost
        keys = []
        for entity in entities:
            tenant, asset = key_part(entity.tenant_id), key_part(entity.asset_id)
            keys += [words.generation_key(tenant, asset), words.live_key(tenant, asset)]
        try:
            if prefix:
                live = await self._call(list, link, words.RENEW, keys, words.unique())
            else:
                live = await self._call(list, link, words.DROP, keys)
        except _Refused:
            # Dropping whole takes no memory.
            prefix = ""
            live = await self._call(list, link, words.DROP, keys)
        dropped = 0
        for some in _parts(live):
            dropped += await self._call(int, link, words.FORGET, some, prefix)
        return dropped

    def _owe(self, entities: Iterable[Entity]) -> None:
        self._owed.update(entities)
        if len(self._owed) > _MOST_OWED:
            self._owed.clear()
            self._owes_all = True

    async def _pay(self, link: Link) -> None:
        """Drop what is owed; what comes to it meanwhile stays owed."""
        owed, self._owed = self._owed, set()
        everything, self._owes_all = self._owes_all, False
        try:
            if everything:
                self._check(link, (await link.ask(words.END_EPOCH, 1))[0], int)
                return
            for some in _parts(owed):
                await self._dropped(link, some, "")
        except BaseException:
            self._owed |= owed
            self._owes_all |= everything
            raise

    async def _call(
        self,
        expected: type[T],
        link: Link,
        script: words.Script,
        keys: list[str],
        *arguments: str | bytes | int,
    ) -> T:
        (reply,) = await link.ask(script.call(keys, *arguments), 1)
        if isinstance(reply, ReplyError) and words.code_of(reply) == "NOSCRIPT":
            (reply,) = await link.ask(script.send(keys, *arguments), 1)
        self._check(link, reply, expected)
        checked: T = reply
        return checked

    def _check(self, link: Link, reply: object, expected: type | UnionType) -> None:
        """Raise for another reply: Refused for an error of one key, else the server is lost."""
        if isinstance(reply, expected):
            return
        reason = "it answers something else"
        if isinstance(reply, ReplyError):
            reason, code = str(reply), words.code_of(reply)
            self.errors[code] += 1
            if code in words.ERRORS_OF_A_KEY:
                raise _Refused(reason)
        link.lose(reason)
        raise Lost(reason)

    async def _connect(self) -> None:
        """Connect, look whether the server will do, and drop what is owed."""
        writer = await self._dial.connect()
        link = Link(writer, self._timeout, words.probe(self._life), self._lost)
        try:
            server = await RedisServer.behind(link, self._life)
            while self._owed or self._owes_all:
                await self._pay(link)
                server = await RedisServer.behind(link, self._life)
        except BaseException:
            await link.close()
            raise
        self._link, self._run = link, server.run

    def _lost(self, reason: str) -> None:
        self.errors["lost"] += 1
        if self._link is not None:
            self._link = None
            self._breaker.trip(reason)


def _parts(items: Iterable[T], size: int = _MOST_KEYS) -> Iterator[list[T]]:
    """In pieces that one script takes."""
    left = iter(items)
    while some := list(islice(left, size)):
        yield some


def _reason(error: Exception) -> str:
    return str(error) or type(error).__name__


def _number(text: str | None) -> int | None:
    return None if text is None else int(text)
