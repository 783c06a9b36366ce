"""What caches outside the database are owed, kept in it: see decision 0017."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Sequence

from ai_hub.definitions.values import Entity
from ai_hub.stores.base import Change
from ai_hub.stores.postgres.notices import Notice, changes_of, notice_of_all, notices
from ai_hub.stores.postgres.session import Connection, Sessions

_MOST = 10_000
"""Notices that name entities; beyond them one of each write means all."""
_CLEARED = 1_000

_SHARED = "SELECT seconds FROM ai_hub_shared_cache"
_SHARE = "UPDATE ai_hub_shared_cache SET seconds = $1 WHERE seconds < $1"
_ALL = """
SELECT notice FROM ai_hub_debts
WHERE owed_at > clock_timestamp() - make_interval(secs => (SELECT seconds FROM ai_hub_shared_cache))
"""
# Nothing where no cache is shared. What is older than any vector there is owed no more; writers
# beside this one are not waited for.
_OWE = f"""
WITH shared AS (SELECT seconds FROM ai_hub_shared_cache WHERE seconds > 0),
gone AS (
    DELETE FROM ai_hub_debts WHERE id IN (
        SELECT d.id FROM ai_hub_debts AS d, shared
        WHERE d.owed_at < clock_timestamp() - make_interval(secs => shared.seconds)
        LIMIT {_CLEARED} FOR UPDATE OF d SKIP LOCKED
    )
),
held AS (SELECT count(*) >= {_MOST} AS much FROM (SELECT FROM ai_hub_debts LIMIT {_MOST}) AS d)
INSERT INTO ai_hub_debts (id, notice)
SELECT n.id, n.notice FROM shared, held, unnest($1::text[], $2::text[]) AS n(id, notice)
WHERE NOT held.much
UNION ALL SELECT $3, $4 FROM shared, held WHERE held.much
"""


async def owe(connection: Connection, by: str, told: Sequence[Notice]) -> None:
    """Write down, in the transaction that is under way, what shared caches are owed."""
    everything = notice_of_all(by)
    ids, texts = [one.id for one in told], [one.text for one in told]
    await connection.execute(_OWE, ids, texts, everything.id, everything.text)


class PostgresDebts:
    """The debts of all processes that write to this database."""

    def __init__(self, sessions: Sessions, by: str) -> None:
        self._sessions = sessions
        self._by = by

    async def begin(self, seconds: int) -> None:
        """Have debts written down from now on: vectors live that long in a cache of processes.

        A standby writes nothing down, and nothing is kept for it there.
        """
        if self._sessions.recovery.standby:
            return
        ((known,),) = await self._sessions.fetch(_SHARED)
        if known < seconds:
            await self._sessions.write(lambda on: on.execute(_SHARE, seconds))

    async def all(self) -> list[Change]:
        """What may have to be dropped from a shared cache."""
        texts = [text for (text,) in await self._sessions.fetch(_ALL)]
        return await asyncio.to_thread(changes_of, texts)

    async def owe(self, entities: Collection[Entity]) -> None:
        """Write down what was committed already, and could not be dropped."""
        told = await asyncio.to_thread(notices, self._by, entities)
        await self._sessions.write(lambda on: owe(on, self._by, told))
