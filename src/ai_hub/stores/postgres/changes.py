"""What other processes changed in the database, told to this one by LISTEN and NOTIFY.

This is for caches: one in the process forgets what others wrote, one on Redis what was written past
it. They hear within milliseconds, not in the same instant.
"""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Collection, Sequence

from ai_hub.config import Settings
from ai_hub.definitions.values import Entity
from ai_hub.errors import StoreError
from ai_hub.stores.base import Announce, Changed, Followed
from ai_hub.stores.postgres.debts import owe
from ai_hub.stores.postgres.notices import Notice, changes_of, is_by, notices
from ai_hub.stores.postgres.recovery import Recovery
from ai_hub.stores.postgres.session import Connection, session

CHANNEL = "ai_hub_changes"
_FEW_ENTITIES, _FEW_TEXTS = 500, 4
"""Of more, notices are made and read beside the event loop."""
_PAUSES = (0.1, 0.5, 2.0, 5.0)
_BEAT = 2.0
"""Seconds without a word until the connection is asked whether it is there, and until it says so.

A network that drops packets says nothing to who only listens.
"""


class Telling:
    """One write, told to other processes: `before` in its transaction and `after` it."""

    def __init__(self, by: str, connection: Connection, announce: Announce | None) -> None:
        self._by = by
        self._connection = connection
        self._announce = announce
        self._later: Sequence[Notice] = ()

    async def before(self, entities: Collection[Entity]) -> None:
        """Mark the entities; where others do not see that, tell them with the commit."""
        if not entities:
            return
        marked = await self._announce(entities) if self._announce else ""
        if len(entities) <= _FEW_ENTITIES:
            told = notices(self._by, entities, marked)
        else:
            told = await asyncio.to_thread(notices, self._by, entities, marked)
        if marked:
            # A notice in a transaction makes the commits of all writers wait for each other.
            self._later = told
        else:
            await owe(self._connection, self._by, told)
            await self._notify(told)

    async def after(self) -> None:
        """Tell of what was marked, once it is committed."""
        if self._later:
            await self._notify(self._later)

    async def _notify(self, told: Sequence[Notice]) -> None:
        await self._connection.execute(
            "SELECT pg_notify($1, p) FROM unnest($2::text[]) AS p",
            CHANNEL,
            [one.text for one in told],
        )


class Changes:
    """Tells others of this process's changes, and this process of theirs."""

    def __init__(self, settings: Settings, recovery: Recovery) -> None:
        self._settings = settings
        self._recovery = recovery
        self.me = uuid.uuid4().hex
        self._task: asyncio.Task[None] | None = None
        self._heard: asyncio.Queue[str] = asyncio.Queue()

    def telling(self, connection: Connection, announce: Announce | None) -> Telling:
        """How one write of this process is told."""
        return Telling(self.me, connection, announce)

    async def watch(self, changed: Changed, followed: Followed) -> None:
        """Call `changed` from now on, also when something may have been missed, and `followed`
        while the server is a standby, where nothing is heard."""
        await self._recovery.tell(followed)
        listening = asyncio.Event()
        self._task = asyncio.create_task(self._watch(changed, listening))
        await listening.wait()

    async def close(self) -> None:
        """Listen no longer."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])

    async def _watch(self, changed: Changed, listening: asyncio.Event) -> None:
        failures = 0
        while True:
            try:
                async with session(self._settings) as connection:
                    if await self._recovery.look(connection):
                        listening.set()
                        failures = 0
                        await self._recovery.outlast(connection)
                    lost = asyncio.Event()
                    connection.add_termination_listener(lambda *_, lost=lost: lost.set())
                    await connection.add_listener(CHANNEL, self._hear)
                    # Whatever was written before, we did not hear.
                    await changed(None)
                    await self._recovery.ended()
                    listening.set()
                    failures = 0
                    await self._pass_on(connection, changed, lost)
            except StoreError:
                # Without listening it goes on: what it misses now is made up for above.
                listening.set()
            await asyncio.sleep(_PAUSES[min(failures, len(_PAUSES) - 1)])
            failures += 1

    async def _pass_on(self, connection: Connection, changed: Changed, lost: asyncio.Event) -> None:
        ended = asyncio.create_task(lost.wait())
        hearing: asyncio.Task[str] | None = None
        try:
            while not lost.is_set():
                hearing = hearing or asyncio.create_task(self._heard.get())
                done, _ = await asyncio.wait(
                    [ended, hearing], timeout=_BEAT, return_when=asyncio.FIRST_COMPLETED
                )
                if not done:
                    await connection.fetchval("SELECT 1", timeout=_BEAT)
                elif hearing.done():
                    texts = [hearing.result(), *self._waiting()]
                    await changed(
                        changes_of(texts)
                        if len(texts) <= _FEW_TEXTS
                        else await asyncio.to_thread(changes_of, texts)
                    )
                    hearing = None
        finally:
            for task in (ended, hearing):
                if task is not None:
                    task.cancel()

    def _waiting(self) -> list[str]:
        """What was heard besides."""
        return [self._heard.get_nowait() for _ in range(self._heard.qsize())]

    def _hear(self, _connection: object, _pid: int, _channel: str, payload: str) -> None:
        # What it told itself may be of very many entities.
        if not is_by(self.me, payload):
            self._heard.put_nowait(payload)
