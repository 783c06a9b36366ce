"""What other processes changed in the database, told to this one by LISTEN and NOTIFY.

This is for a cache in the process. It hears of a change by another process within milliseconds,
not in the same instant.
"""

from __future__ import annotations

import asyncio
import json
import uuid
from collections.abc import Iterable, Iterator
from itertools import islice

from ai_hub.config import Settings
from ai_hub.definitions.values import Entity
from ai_hub.errors import StoreError
from ai_hub.stores.base import Changed
from ai_hub.stores.postgres.session import Connection, session

CHANNEL = "ai_hub_changes"
_PAYLOAD = 7_900
"""Bytes of a payload: PostgreSQL takes less than 8,000."""
_MOST_PAYLOADS = 200
_PAUSES = (0.1, 0.5, 2.0, 5.0)


def notices(by: str, entities: Iterable[Entity]) -> list[str]:
    """Payloads that name the entities; one that names none means all of them."""
    found = list(islice(_payloads(by, entities), _MOST_PAYLOADS + 1))
    return found if len(found) <= _MOST_PAYLOADS else [json.dumps([by, None])]


def _payloads(by: str, entities: Iterable[Entity]) -> Iterator[str]:
    # In ASCII: a character is a byte, and any encoding of a database takes it.
    named: list[list[str]] = []
    size = len(by) + 10
    for entity in entities:
        pair = [entity.tenant_id, entity.asset_id]
        length = len(json.dumps(pair)) + 2
        if named and size + length > _PAYLOAD:
            yield json.dumps([by, named])
            named, size = [], len(by) + 10
        named.append(pair)
        size += length
    if named:
        yield json.dumps([by, named])


class Changes:
    """Tells others of this process's changes, and this process of theirs."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._me = uuid.uuid4().hex
        self._task: asyncio.Task[None] | None = None
        self._heard: asyncio.Queue[list[Entity] | None] = asyncio.Queue()

    async def tell(self, connection: Connection, entities: Iterable[Entity]) -> None:
        """Tell the other processes that the features of some entities may differ now."""
        payloads = notices(self._me, entities)
        if payloads:
            await connection.execute(
                "SELECT pg_notify($1, p) FROM unnest($2::text[]) AS p", CHANNEL, payloads
            )

    async def watch(self, changed: Changed) -> None:
        """Call `changed` from now on, also when something may have been missed."""
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
                    lost = asyncio.Event()
                    connection.add_termination_listener(lambda *_, lost=lost: lost.set())
                    await connection.add_listener(CHANNEL, self._hear)
                    if listening.is_set():
                        await changed(None)
                    listening.set()
                    failures = 0
                    await self._pass_on(changed, lost)
            except StoreError:
                # Without listening it goes on: what it misses now is made up for above.
                listening.set()
            await asyncio.sleep(_PAUSES[min(failures, len(_PAUSES) - 1)])
            failures += 1

    async def _pass_on(self, changed: Changed, lost: asyncio.Event) -> None:
        ended = asyncio.create_task(lost.wait())
        hearing: asyncio.Task[list[Entity] | None] | None = None
        try:
            while not lost.is_set():
                hearing = hearing or asyncio.create_task(self._heard.get())
                await asyncio.wait([ended, hearing], return_when=asyncio.FIRST_COMPLETED)
                if hearing.done():
                    await changed(hearing.result())
                    hearing = None
        finally:
            for task in (ended, hearing):
                if task is not None:
                    task.cancel()

    def _hear(self, _connection: object, _pid: int, _channel: str, payload: str) -> None:
        by, named = json.loads(payload)
        if by != self._me:
            self._heard.put_nowait(None if named is None else [Entity(*pair) for pair in named])
