"""Maintenance of the database beside serving, and what it did as lines of the log."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from ai_hub.administration import maintain_every
from ai_hub.config import Settings
from ai_hub.definitions.values import Duration

_log = logging.getLogger("ai_hub.maintenance")

_ENDING_SECONDS = 5
_ALWAYS_TOLD = ("wait", "notice")


@asynccontextmanager
async def maintained(settings: Settings, every: Duration | None) -> AsyncIterator[None]:
    """Maintain the database until the block ends, every so often; never if `every` is None."""
    if every is None:
        yield
        return
    task = asyncio.create_task(_maintain(settings, every))
    try:
        yield
    finally:
        # It may stop anywhere: what is not done is done next time.
        task.cancel()
        await asyncio.wait([task], timeout=_ENDING_SECONDS)


async def _maintain(settings: Settings, every: Duration) -> None:
    told: set[str] = set()

    def done(steps: list[dict[str, Any]]) -> None:
        nonlocal told
        notices = {step["said"] for step in steps if step["action"] == "notice"}
        for step in steps:
            if step["said"] in told or not (step["count"] or step["action"] in _ALWAYS_TOLD):
                continue
            level = logging.WARNING if step["action"] == "notice" else logging.INFO
            _log.log(level, step["action"], extra=step)
        # A notice is logged once, and not every quarter of an hour for a week.
        told = notices

    def failed(why: str) -> None:
        _log.error("maintenance failed", extra={"error": why})

    while True:
        try:
            await maintain_every(settings, every, done, failed)
        except Exception:  # noqa: BLE001  # Whatever it is, serving goes on and so does this.
            _log.exception("maintenance failed")
            await asyncio.sleep(every.seconds)
