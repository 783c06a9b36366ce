"""What operators look at: `/metrics` and `/health/ready`."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import msgspec

from ai_hub.access.grant import Grant
from ai_hub.errors import Forbidden, StoreUnavailable
from ai_hub.feature_store import FeatureStore
from ai_hub.http.body import GRANT, JSON, Receive, Reply, Scope, refusal
from ai_hub.metrics import Metrics, exposition

PUBLISH_SECONDS = 1.0
_RANK = ("ok", "degraded", "down")
_encode = msgspec.json.Encoder().encode


class Watch:
    """Answers of one process about itself and, by way of `together`, about its siblings."""

    def __init__(
        self, store: FeatureStore, together: Callable[[], Awaitable[Metrics]] | None = None
    ) -> None:
        self._store = store
        self._together = together

    async def metrics(self, scope: Scope, receive: Receive) -> Reply:
        """`GET /metrics`."""
        grant: Grant = scope[GRANT]
        try:
            grant.check_scope("read")
        except Forbidden as error:
            return refusal(error)
        body, content_type = await self.exposition(grant)
        return 200, content_type, body

    async def ready(self, scope: Scope, receive: Receive) -> Reply:
        """`GET /health/ready`."""
        status, found = await self.readiness()
        return status, JSON, _encode(found)

    async def exposition(self, grant: Grant) -> tuple[bytes, bytes]:
        """The metrics of all workers, and their content type: of the tenants that a key is for."""
        counted = await self.counted()
        shown = counted if grant.tenants is None else counted.of_tenants(grant.tenants)
        return exposition(shown, self._store.now())

    async def counted(self) -> Metrics:
        """What all workers counted, of every tenant."""
        return await self._together() if self._together else self._store.measured()

    async def readiness(self) -> tuple[int, dict[str, Any]]:
        """The state of each part and the worst of them; 503 if requests are not answered correctly.

        Without the cache they still are, from the database.
        """
        parts = await self._store.ready()
        worst = max((part.state for part in parts.values()), key=_RANK.index)
        return 503 if worst == "down" else 200, {"status": worst, "parts": parts}


class Siblings:
    """The counts of all workers, each in a file of its own, which the process after it continues.

    Whoever looks has its own counts written first, so no count is seen to go back by the next who
    asks another worker; only where the file cannot be written it may.
    """

    def __init__(self, folder: Path, slot: int, store: FeatureStore) -> None:
        self._folder = folder
        self._own = folder / f"{slot}.metrics"
        self._store = store
        self._lock = asyncio.Lock()
        self._before = _read(self._own) or Metrics(workers=0)
        self._before.workers = self._before.cache_state = self._before.near_bytes = 0

    async def total(self) -> Metrics:
        """What all workers counted; this one's own counts do not need a file that is written."""
        with suppress(OSError):
            await self.publish()
        return await asyncio.to_thread(self._sum, self._counted())

    async def publish(self) -> None:
        """Let the others know what this one counted."""
        async with self._lock:
            await asyncio.to_thread(self._write, msgspec.msgpack.encode(self._counted()))

    def _counted(self) -> Metrics:
        counted = Metrics(workers=0)
        counted.add(self._before)
        try:
            counted.add(self._store.measured())
        except StoreUnavailable:  # closed: what landed until then was counted too
            counted.add(self._store.metrics)
        return counted

    async def keep_publishing(self) -> None:
        """Publish again and again, until cancelled; a full disk stops that and nothing else."""
        while True:
            with suppress(OSError):
                await self.publish()
            await asyncio.sleep(PUBLISH_SECONDS)

    async def publish_last(self) -> None:
        """Let the process after it go on from here, if the file can be written."""
        with suppress(OSError):
            await self.publish()

    def _write(self, counted: bytes) -> None:
        partial = self._own.with_suffix(".partial")
        partial.write_bytes(counted)
        partial.replace(self._own)

    def _sum(self, total: Metrics) -> Metrics:
        for file in sorted(self._folder.glob("*.metrics")):
            counted = None if file == self._own else _read(file)
            if counted is not None:
                total.add(counted)
        return total


def _read(file: Path) -> Metrics | None:
    try:
        return msgspec.msgpack.decode(file.read_bytes(), type=Metrics)
    except (OSError, msgspec.DecodeError):
        return None
