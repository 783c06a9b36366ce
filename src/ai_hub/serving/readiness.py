"""Whether each part of the service can do its work: found in bounded time, kept for a moment."""

from __future__ import annotations

import asyncio
import tempfile
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from ai_hub.errors import AiHubError
from ai_hub.serving.cache import Cache
from ai_hub.serving.spec import Spec
from ai_hub.stores.base import Store

PATIENCE = 1.0
"""Seconds that looking at a part may take."""
KEPT = 1.0
"""Seconds that an answer is given again."""

Condition = Literal["ok", "degraded", "down"]


@dataclass(frozen=True, slots=True)
class Part:
    """How a part is, and a sentence about it. Without a degraded one all else is answered right."""

    state: Condition
    detail: str


class Probe:
    """Looks at one part. What does not answer in time counts as `late`, and is not asked twice."""

    def __init__(self, look: Callable[[], Awaitable[Part]], late: Condition) -> None:
        self._look = look
        self._late = Part(late, f"It did not answer within {PATIENCE:g} s.")
        self._found = self._late
        self._until = 0.0
        self._begun = 0.0
        self._task: asyncio.Task[Part] | None = None

    async def part(self) -> Part:
        """How the part is."""
        now = time.monotonic()
        if now >= self._until:
            if self._task is None:
                self._task, self._begun = asyncio.create_task(self._looked()), now
            await asyncio.wait([self._task], timeout=max(0.0, self._begun + PATIENCE - now))
            # Whoever asks while it is looked at waits for the same look.
            if self._task is not None:
                self._found = self._task.result() if self._task.done() else self._late
                self._until = time.monotonic() + KEPT
                if self._task.done():
                    self._task = None
        return self._found

    async def close(self) -> None:
        """Stop looking."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task], timeout=PATIENCE)

    async def _looked(self) -> Part:
        try:
            return await self._look()
        except (AiHubError, OSError) as error:
            return Part(self._late.state, str(error))


class Readiness:
    """The parts of a feature store. Only without its database it cannot answer right."""

    def __init__(self, store: Store, spec: Spec, cache: Cache, exports: Path) -> None:
        async def database() -> Part:
            # What a request does, for an asset that nobody has.
            await store.compute(spec.plan, spec.missing, "-", ["-"], 0)
            return Part("ok", "It answers.")

        async def caching() -> Part:
            if cache.follows:
                return Part("ok", "It is hardly in use: the database is a standby.")
            if cache.state == "closed":
                return Part("ok", "It is in use.")
            return Part("degraded", f"{cache.name} is away: answers come from the database.")

        async def folder() -> Part:
            await asyncio.to_thread(_write_below, exports)
            return Part("ok", f"{exports} can be written.")

        self._probes: Mapping[str, Probe] = {
            "database": Probe(database, "down"),
            "cache": Probe(caching, "degraded"),
            "exports": Probe(folder, "degraded"),
        }

    async def parts(self) -> dict[str, Part]:
        """How each part is, by name."""
        found = await asyncio.gather(*(probe.part() for probe in self._probes.values()))
        return dict(zip(self._probes, found, strict=True))

    async def close(self) -> None:
        """Stop looking."""
        for probe in self._probes.values():
            await probe.close()


def _write_below(folder: Path) -> None:
    """Write a file that nobody sees; the first export makes the folder where there is none."""
    there = next((one for one in (folder, *folder.absolute().parents) if one.exists()), folder)
    try:
        with tempfile.TemporaryFile(dir=there) as file:
            file.write(b"-")
    except OSError as error:
        raise OSError(f"{there} cannot be written: {error.strerror or error}.") from None
