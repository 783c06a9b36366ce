"""What a process takes out of the cache on Redis, and what is owed where it could not.

- A write marks its entities before its commit: from then on nothing of theirs is served or kept,
  until it has dropped them. A writer that is paused or killed between leaves its marks, which end
  when nothing can be there any more that was computed before.
- What could not be marked is a debt: the store keeps it, with the write itself.
- What could not be dropped, a process remembers too.
- Who connects pays before it reads: what it remembers, and what the store keeps. Which debts were
  paid on this Redis stands there, so each is paid once.
"""

from __future__ import annotations

import logging
from collections.abc import Collection, Iterable, Sequence
from itertools import chain

from hiredis import ReplyError

from ai_hub.definitions.values import Entity, key_part
from ai_hub.errors import StoreError
from ai_hub.serving.cache import SLACK, Place, place_of, tenants_of
from ai_hub.serving.redis import words
from ai_hub.serving.redis.calls import Calls, Refused
from ai_hub.serving.redis.link import Link, Lost
from ai_hub.serving.redis.parts import parts
from ai_hub.stores.base import Change, Debts

_log = logging.getLogger(__name__)

_MOST_OWED = 10_000
"""As many are dropped in well under a second; to owe more is to owe everything."""
_MOST_ASKED = 1_000

_Drop = tuple[Place, str]
"""What is dropped, and the mark that goes with it; '' for none."""


class Drops:
    """Marks and drops entities, remembers what it could not drop, and pays what is owed.

    `life` is how many seconds a mark lasts.
    """

    def __init__(self, calls: Calls, life: int, debts: Debts | None) -> None:
        self._calls = calls
        self._life = life
        self._debts = debts
        self._owed: set[_Drop] = set()
        self._owes_all = False

    @property
    def owes(self) -> bool:
        """Whether something could not be dropped yet."""
        return self._owes_all or bool(self._owed)

    async def begin(self) -> None:
        """Have the store keep from now on what is owed here."""
        if self._debts is None:
            return
        try:
            await self._debts.begin(self._life)
        except StoreError as error:
            # A role that may only read is no reason to have no cache.
            told = {"why": str(error), "stale_seconds": self._life - SLACK}
            _log.warning("cache without debts", extra=told)

    async def mark(self, link: Link | None, entities: Collection[Entity], mark: str) -> bool:
        """Mark entities and drop them; whether everybody on this Redis sees it."""
        if link is None:
            return False
        tenants = tenants_of(entities)
        try:
            for some in parts(tenants or map(place_of, entities)):
                keys = []
                for place in map(_named, some):
                    keys += [words.generation_key(*place), words.marks_key(*place)]
                await self._calls.run(int, link, words.MARK, keys, mark, self._life)
            if tenants:
                await self._drop(link, _placed(entities), "")
        except Refused:
            # It is full, and dropping takes no memory.
            await self.drop(link, entities)
            return False
        except Lost:
            return False
        return True

    async def drop(
        self, link: Link | None, entities: Iterable[Entity], prefix: str = "", mark: str = ""
    ) -> int:
        """How many vectors were dropped; what could not be dropped is owed."""
        those = _placed(entities, mark)
        if mark and isinstance(entities, Collection):
            those = chain(those, ((place, mark) for place in tenants_of(entities)))
        dropped = 0
        for some in parts(those):
            try:
                dropped += await self._drop(link, dict.fromkeys(some), prefix)
            except Lost:
                self._owe(some)
        return dropped

    def owe(self, changes: Iterable[Change]) -> None:
        """Remember to drop what others changed."""
        for change in changes:
            if change.entities is None:
                self._owes_all = True
            else:
                self._owe(_placed(change.entities))

    async def pay(self, link: Link) -> bool:
        """Drop what is owed, as far as it is known now; whether there was anything."""
        paid = False
        if self.owes:
            await self._pay_own(link)
            paid = True
        return bool(await self.settle(link, await self.owed_by_all())) or paid

    async def owed_by_all(self) -> Sequence[Change]:
        """What the store keeps. Raises StoreError."""
        return [] if self._debts is None else await self._debts.all()

    async def settle(self, link: Link, changes: Sequence[Change]) -> list[Change]:
        """Drop what others changed and nobody has dropped here yet, and give that. Raises Lost."""
        unpaid: list[Change] = []
        for some in parts(changes, _MOST_ASKED):
            asked = words.pack(("SMISMEMBER", words.PAID, *[one.id for one in some]))
            (known,) = await link.ask(asked, 1)
            # A key that is someone else's tells nothing, and paying twice does no harm.
            known = [0] * len(some) if isinstance(known, ReplyError) else known
            unpaid += [one for one, is_known in zip(some, known, strict=True) if not is_known]
        if not unpaid:
            return []
        if any(one.entities is None for one in unpaid):
            await self._end_epoch(link)
        else:
            named = dict.fromkeys(chain.from_iterable(one.entities or () for one in unpaid))
            await self._drop(link, _placed(named), "")
        for some in parts(unpaid, _MOST_ASKED):
            noted = words.pack(("SADD", words.PAID, *[one.id for one in some]))
            await link.ask(noted + words.pack(("EXPIRE", words.PAID, self._life)), 2)
        return unpaid

    async def _drop(self, link: Link | None, those: Iterable[_Drop], prefix: str) -> int:
        if link is None:
            raise Lost
        dropped = 0
        for some in parts(those):
            keys = []
            for name in (_named(place) for place, _ in some):
                keys += [words.generation_key(*name), words.live_key(*name), words.marks_key(*name)]
            if prefix:
                try:
                    live = await self._renew(link, keys)
                    dropped += await self._forget(link, live, prefix)
                    # Who read a field before it was forgotten has it under the token of then.
                    await self._renew(link, keys)
                    continue
                except Refused:
                    # It is full, and dropping whole takes no memory.
                    pass
            marks = [mark for _, mark in some]
            live = await self._calls.run(list, link, words.DROP, keys, *marks)
            dropped += await self._forget(link, live, "")
        return dropped

    async def _renew(self, link: Link, keys: list[str]) -> list[str]:
        """Change tokens, but no stamps; gives the live hashes."""
        return await self._calls.run(list, link, words.RENEW, keys, words.unique())

    async def _forget(self, link: Link, live: Sequence[str], prefix: str) -> int:
        dropped = 0
        for some in parts(live):
            dropped += await self._calls.run(int, link, words.FORGET, some, prefix)
        return dropped

    async def _end_epoch(self, link: Link) -> None:
        self._calls.check(link, (await link.ask(words.END_EPOCH, 1))[0], int)

    def _owe(self, those: Iterable[_Drop]) -> None:
        self._owed.update(those)
        if len(self._owed) > _MOST_OWED:
            self._owed.clear()
            self._owes_all = True

    async def _pay_own(self, link: Link) -> None:
        """Drop what this process remembers; what comes to it meanwhile stays owed."""
        owed, self._owed = self._owed, set()
        everything, self._owes_all = self._owes_all, False
        try:
            if everything:
                await self._end_epoch(link)
            else:
                await self._drop(link, owed, "")
        except BaseException:
            self._owed |= owed
            self._owes_all |= everything
            raise


def _placed(entities: Iterable[Entity], mark: str = "") -> Iterable[_Drop]:
    """Entities to be dropped, each with the mark that goes."""
    return ((place_of(one), mark) for one in entities)


def _named(place: Place) -> Place:
    """A place as it stands in a key."""
    tenant_id, asset_id = place
    return key_part(tenant_id), key_part(asset_id)
