"""Whether the server is a standby: one that replays what its primary wrote, and takes no writes.

Nobody can listen there, so no process hears of a change.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Any

from ai_hub.stores.base import Followed

_log = logging.getLogger(__name__)

_IN_RECOVERY = "SELECT pg_is_in_recovery()"
_PAUSE_SECONDS = 0.5


class Recovery:
    """What is known of it in this process. `renew` has new connections opened from then on."""

    def __init__(self, renew: Callable[[], Awaitable[object]]) -> None:
        self.standby = False
        self._renew = renew
        self._followed: Followed | None = None

    async def tell(self, followed: Followed) -> None:
        """Tell somebody whether it is a standby: now, and whenever that changes."""
        self._followed = followed
        if self.standby:
            await followed(True)

    async def look(self, connection: Any) -> bool:
        """Whether a connection is one to a standby. If so that is told before this ends."""
        standby = await is_standby(connection)
        if standby and not self.standby:
            _log.warning("database is a standby", extra={"writes": "refused"})
            await self._note(True)
        return standby

    async def outlast(self, connection: Any) -> None:
        """Wait until the standby of a connection is promoted."""
        while await is_standby(connection):  # noqa: ASYNC110  # Nobody tells of it.
            await asyncio.sleep(_PAUSE_SECONDS)

    async def ended(self) -> None:
        """The server takes writes, and what others wrote before was reported."""
        if self.standby:
            # What a connection that is still one to a standby gives may not be kept either.
            await self._renew()
            _log.warning("database takes writes")
            await self._note(False)

    async def _note(self, standby: bool) -> None:
        self.standby = standby
        if self._followed is not None:
            await self._followed(standby)


async def is_standby(connection: Any) -> bool:
    """Whether a connection is one to a standby."""
    return bool(await connection.fetchval(_IN_RECOVERY))
