"""A circuit breaker: from the first failure on nobody waits, until a probe finds all well again."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Literal

_log = logging.getLogger(__name__)

BreakerState = Literal["closed", "half-open", "open"]
"""Only while it is closed is what stands behind it used."""


class Breaker:
    """Closed while all is well, open while it is not, and half-open between the two.

    While it is open, `probe` is called in the background, every `pause` seconds, until it raises
    nothing. Then the breaker is half-open for `settle` seconds, in which others who lost the same
    thing find it too, and closes. Every change is one line in the log.
    """

    def __init__(
        self, name: str, probe: Callable[[], Awaitable[None]], pause: float, settle: float
    ) -> None:
        self.state: BreakerState = "closed"
        self._name = name
        self._probe = probe
        self._pause = pause
        self._settle = settle
        self._since = self._lost = 0.0
        self._found = asyncio.Event()
        self._tripped = asyncio.Event()
        self._mending: asyncio.Task[None] | None = None

    def trip(self, reason: str) -> None:
        """Open it, if it is not open already."""
        if self.state == "open":
            return
        self._lost = time.monotonic()
        if self.state == "closed":
            self._since = self._lost
        self.state = "open"
        self._found.clear()
        self._tripped.set()
        self._tell(logging.WARNING, f"is away: {reason}")
        if self._mending is None or self._mending.done():
            self._mending = asyncio.create_task(self._mend())

    async def found(self, within: float) -> bool:
        """Whether a probe succeeds until `within` seconds after it opened; waits for that."""
        left = self._lost + within - time.monotonic()
        if self.state == "open" and left > 0:
            with suppress(TimeoutError):
                async with asyncio.timeout(left):
                    await self._found.wait()
        return self.state != "open"

    async def close(self) -> None:
        """Stop probing."""
        if self._mending is not None:
            self._mending.cancel()
            with suppress(asyncio.CancelledError):
                await self._mending

    async def _mend(self) -> None:
        while self.state != "closed":
            self._tripped.clear()
            try:
                await self._probe()
            except Exception:  # noqa: BLE001  # Whatever it is, the next probe looks again.
                await asyncio.sleep(self._pause)
                continue
            self.state = "half-open"
            self._found.set()
            self._tell(logging.INFO, "answers")
            with suppress(TimeoutError):
                async with asyncio.timeout(self._settle):
                    await self._tripped.wait()
            if self.state == "half-open":
                self.state = "closed"
                seconds = time.monotonic() - self._since
                self._tell(logging.WARNING, f"is in use again after {seconds:.1f} s")

    def _tell(self, level: int, what: str) -> None:
        _log.log(level, "%s %s", self._name, what, extra={"breaker": self.state})
