"""Long work on the event loop, in pieces between which everybody else has a turn."""

from __future__ import annotations

import asyncio
from collections import deque

_waiting: dict[asyncio.AbstractEventLoop, deque[asyncio.Future[None]]] = {}


async def others_first() -> None:
    """Let others go on: of all who wait here, one goes on in each round of the loop.

    So a request waits for one piece of such work at most, however many do it at the same time.
    """
    loop = asyncio.get_running_loop()
    turn = loop.create_future()
    waiting = _waiting.get(loop)
    if waiting is None:
        waiting = _waiting[loop] = deque()
        loop.call_soon(_go_on, loop)
    waiting.append(turn)
    await turn


def _go_on(loop: asyncio.AbstractEventLoop) -> None:
    waiting = _waiting[loop]
    while waiting:
        turn = waiting.popleft()
        if not turn.done():  # as one is whose task was cancelled
            turn.set_result(None)
            break
    if waiting:
        loop.call_soon(_go_on, loop)
    else:
        del _waiting[loop]
