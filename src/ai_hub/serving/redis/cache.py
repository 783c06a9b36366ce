"""The cache on Redis, shared by processes: coherent while Redis answers, and no hindrance else.

`words.py` says what is kept and when it counts. This file says what happens without Redis:

- Every answer comes from the store; the breaker finds Redis again in the background.
- What could not be dropped is owed: `drops.py` says to whom, and that it is paid before Redis is
  used again.
- Reading waits for the breaker to close, a while after the process found Redis again. By then
  others who lost it have found it too, and have dropped what they owe.
- The first drop that fails waits a moment before it gives up: by then others have seen the loss.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Collection, Iterable, Sequence
from contextlib import suppress

from ai_hub.definitions.values import Entity, key_part
from ai_hub.errors import ConfigError
from ai_hub.serving.breaker import Breaker, BreakerState
from ai_hub.serving.cache import Begin, CacheStats, Token
from ai_hub.serving.redis import words
from ai_hub.serving.redis.calls import Calls, Refused
from ai_hub.serving.redis.dial import Dial
from ai_hub.serving.redis.drops import Drops
from ai_hub.serving.redis.first_level import SECONDS, FirstLevel
from ai_hub.serving.redis.leases import LEASE_SECONDS, Claimed, Leases
from ai_hub.serving.redis.link import Link, Lost
from ai_hub.serving.redis.parts import parts
from ai_hub.serving.redis.server import RedisServer, information
from ai_hub.stores.base import Change, Debts

_log = logging.getLogger(__name__)

Read = tuple[bytes | None, Token | None]

_MOST_LOOKED_AT = 2_000
"""Leases of one look: less than a millisecond of Redis's time."""


class RedisCache:
    """The contract on a Redis server. `timeout` is how many seconds an answer may take.

    `debts` are those that the store keeps, where it keeps any. `clock` gives seconds, and `name` is
    what its connection is called.
    """

    name = "Redis"
    shared = True

    def __init__(
        self,
        url: str,
        ttl_seconds: int = 300,
        timeout: float = 0.1,
        debts: Debts | None = None,
        clock: Callable[[], float] = time.monotonic,
        name: str = "ai-hub",
    ) -> None:
        self.follows = False
        self._ttl = ttl_seconds
        self._timeout = timeout
        self._dial = Dial(url, connecting := 5 * timeout, name)
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
        self._calls = Calls()
        self._drops = Drops(self._calls, self._life, debts)
        self._clock = clock
        self._first = self._nothing_read()
        self._hits = self._misses = 0
        self.near_hits = 0
        self.errors = self._calls.errors

    @classmethod
    async def open(
        cls,
        url: str,
        ttl_seconds: int = 300,
        timeout: float = 0.1,  # noqa: ASYNC109  # of every answer, not of opening
        debts: Debts | None = None,
        clock: Callable[[], float] = time.monotonic,
        name: str = "ai-hub",
    ) -> RedisCache:
        """A cache in use, or one that waits for Redis to come.

        Raises ConfigError for a URL that is not understood and a server that will not do.
        """
        cache = cls(url, ttl_seconds, timeout, debts, clock, name)
        await cache._drops.begin()
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

    @property
    def near_bytes(self) -> int:
        """What this process holds of what it read."""
        return self._first.size

    async def read(
        self, tenant_id: str, asset_ids: Sequence[str], timestamp: str, field: str
    ) -> list[Read]:
        """The value (None: a miss) and the token (None: it has none) of each asset, in order."""
        if not asset_ids:
            return []
        link, run, first = self._link, self._run, self._first
        slot = tenant_id, timestamp, field
        known = first.known(slot, asset_ids)
        lacking = [one for one, pair in zip(asset_ids, known, strict=True) if pair is None]
        commands = words.reading(tenant_id, asset_ids, lacking, timestamp, field)
        if link is None or self._breaker.state != "closed" or self.follows:
            return self._away(asset_ids)
        try:
            tokens, *values = await link.ask(commands, 1 + len(lacking))
            self._calls.check(link, tokens, list)
            for value in values:
                if type(value) is not bytes and not words.is_foreign(value):
                    self._calls.check(link, value, bytes | None)
        except (Lost, Refused):
            return self._away(asset_ids)
        both = zip(known, tokens, strict=True)
        found = [pair[1] if pair and pair[0] == token else None for pair, token in both]
        near = len(found) - found.count(None)
        self._hits += near
        self.near_hits += near
        if near == len(found):
            return list(zip(found, tokens, strict=True))
        fresh = [place for place, pair in enumerate(known) if pair is None]
        theirs = [tokens[place] for place in fresh]
        values = words.found(values, theirs, run)
        for place, value, token in zip(fresh, values, theirs, strict=True):
            if value is not None:
                found[place] = value
                first.put(slot, asset_ids[place], token, value)
        lacked = values.count(None)
        self._hits += len(values) - lacked
        self._misses += lacked
        reads = [
            (value, token if token is not None and token.startswith(run) else None)
            for value, token in zip(found, tokens, strict=True)
        ]
        dropped = [place for place, pair in enumerate(known) if pair and found[place] is None]
        if dropped:
            # Since they were read; somebody may have computed them anew.
            assets = [asset_ids[place] for place in dropped]
            first.forget(slot, assets)
            again = await self.read(tenant_id, assets, timestamp, field)
            for place, read in zip(dropped, again, strict=True):
                reads[place] = read
        return reads

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
        if self._link is None or self._breaker.state != "closed" or self.follows:
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
        if link is None or self.follows:
            return 0
        kept, slot = 0, (tenant_id, timestamp, field)
        for some in parts(current):
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
                kept += await self._calls.run(int, link, words.KEEP, keys, *fixed, *given)
                self._first.forget(slot, [asset_id for asset_id, *_ in some])
            except Refused:
                continue
            except Lost:
                break
        return kept

    @property
    def owes(self) -> bool:
        """Whether something could not be dropped yet."""
        return self._drops.owes

    async def mark(self, entities: Collection[Entity], mark: str) -> str:
        """Mark entities of one tenant before a write is committed; where everybody here sees it."""
        link, run = self._link, self._run.decode()
        return run if await self._drops.mark(link, entities, mark) else ""

    async def drop(self, entities: Iterable[Entity], prefix: str = "", mark: str = "") -> int:
        """Change the tokens of some entities and forget their fields that begin with `prefix`.

        What cannot be dropped now is dropped when Redis is back.
        """
        dropped = await self._drops.drop(self._link, entities, prefix, mark)
        if self._drops.owes:
            await self._breaker.found(within=self._grace)
        return dropped

    async def changed(self, changes: Sequence[Change] | None) -> None:
        """Drop what others wrote without a mark here. Raises StoreError where that is unknown."""
        run = self._run.decode()
        told = await self._drops.owed_by_all() if changes is None else changes
        others = [one for one in told if not run or one.marked != run]
        link = self._link
        try:
            if link is None:
                raise Lost
            paid = await self._drops.settle(link, others)
        except Lost:
            self._drops.owe(others)
            return
        if any(one.entities is None for one in (paid if changes is None else others)):
            # Whoever paid that has ended the epoch: what was read under it counts no more.
            link.lose("what it holds does not count any more")

    async def follow(self, standby: bool) -> None:
        """Use Redis no more while the database is a standby; what others keep there is theirs."""
        self.follows = standby
        if not standby:
            await self._drops.begin()

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
        if self._link is not None:
            link, self._link = self._link, None
            await link.close()
        self._first = self._nothing_read()
        await self._dial.close()

    def _nothing_read(self) -> FirstLevel:
        return FirstLevel(min(SECONDS, self._ttl / 30), clock=self._clock)

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
            for some in parts(of_field):
                with suppress(Lost, Refused):
                    claims |= zip(some, await self._claim(field, some), strict=True)
        return claims

    async def _claim(self, field: str, keys: Sequence[words.Key]) -> list[Claimed]:
        link, run = self._link, self._run
        if link is None:
            raise Lost
        names = [name for key in keys for name in key.claimed]
        hold, fresh = int(LEASE_SECONDS * 1000), b"%b-%b" % (run, words.unique().encode())
        given = (field, self._owner, hold, self._life, run, fresh)
        reply = await self._calls.run(list, link, words.CLAIM, names, *given)
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
        with suppress(Lost, Refused):
            for some in parts(keys, _MOST_LOOKED_AT):
                (reply,) = await link.ask(words.looking(some), 1)
                self._calls.check(link, reply, list)
                pairs = zip(reply[::2], reply[1::2], strict=True)
                held |= zip(some, [words.holds(*pair) for pair in pairs], strict=True)
        return held

    async def _connect(self) -> None:
        """Connect, look whether the server will do, and drop what is owed."""
        writer = await self._dial.connect()
        link = Link(writer, self._timeout, words.probe(self._life), self._lost)
        try:
            server = await RedisServer.behind(link, self._life)
            if await self._drops.pay(link):
                server = await RedisServer.behind(link, self._life)
            # From here on what is written is marked and dropped here, and what is heard too.
            self._link, self._run, self._first = link, server.run, self._nothing_read()
            if await self._drops.pay(link):
                self._run = (await RedisServer.behind(link, self._life)).run
        except BaseException:
            self._link = None
            await link.close()
            raise

    def _lost(self, reason: str) -> None:
        self.errors["lost"] += 1
        if self._link is not None:
            self._link = None
            self._breaker.trip(reason)


def _reason(error: Exception) -> str:
    return str(error) or type(error).__name__


def _number(text: str | None) -> int | None:
    return None if text is None else int(text)
