"""Jobs that wait for a process are taken up where a turn is free: what a server does."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable

from ai_hub.errors import AiHubError, StoreError
from ai_hub.export.turns import Turn, Turns
from ai_hub.export.working import to_its_end
from ai_hub.stores.export_log import ExportLog, ExportRecord

_log = logging.getLogger(__name__)

SECONDS = 3.0
"""Between two looks."""
TakeUp = Callable[[ExportRecord, Turn], Awaitable[None]]


class Taker:
    """Takes up what waits, the oldest first, until it is closed."""

    def __init__(self, log: ExportLog, turns: Turns, take_up: TakeUp) -> None:
        self._log = log
        self._turns = turns
        self._take_up = take_up
        self._taking = asyncio.create_task(self._keep_taking())

    async def close(self) -> None:
        """Take up no more."""
        self._taking.cancel()
        await asyncio.wait([self._taking])

    async def _keep_taking(self) -> None:
        while True:
            try:
                await self._take_all()
            except StoreError:
                pass  # requests tell that the database is away
            except Exception:  # noqa: BLE001  # Whatever it is, it is tried again.
                _log.exception("jobs not taken up")
            await asyncio.sleep(SECONDS)

    async def _take_all(self) -> None:
        """Take up as many as there are turns free."""
        free = self._turns.free
        for record in await self._log.waiting(free) if free else ():
            try:
                turn = self._turns.turn()
            except AiHubError:
                return  # somebody asked for theirs meanwhile
            # Whoever closes it meanwhile finds the job begun, or still waiting.
            await to_its_end(self._take_one(record, turn))

    async def _take_one(self, record: ExportRecord, turn: Turn) -> None:
        try:
            taken = not turn.waits and await self._log.take(record)
        except BaseException:
            turn.leave()
            raise
        if taken:
            await self._take_up(record, turn)
        else:
            turn.leave()
