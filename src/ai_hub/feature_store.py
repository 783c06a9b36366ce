"""The front that users import: a method for each task, on the parts that `opening` opens."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from ai_hub.config import Settings
from ai_hub.definitions.registry import Registry
from ai_hub.errors import InvalidInput
from ai_hub.front.access_keys import AccessKeys
from ai_hub.front.archiving import Archiving
from ai_hub.front.audit import Audit
from ai_hub.front.charting import Charting
from ai_hub.front.doctor import Doctor
from ai_hub.front.drift import Drift
from ai_hub.front.history import Histories
from ai_hub.front.ingestion import Ingestion
from ai_hub.front.removal import Removing
from ai_hub.metrics import Metrics
from ai_hub.opening import open_parts
from ai_hub.serving.readiness import Part


def _now() -> int:
    return time.time_ns() // 1_000


class FeatureStore(
    Ingestion, Charting, Histories, Doctor, Drift, AccessKeys, Audit, Removing, Archiving
):
    """Meter readings in, feature vectors and training sets out.

    Use it as `async with FeatureStore.open("duckdb:///features.duckdb") as store:`. Instants are
    aware datetimes, or ISO texts with an offset. Wrong input raises InvalidInput (or NotFound), a
    store that cannot do its work StoreError; an answer of `get` is then a degraded one instead.
    """

    def __init__(
        self, settings: Settings, registry: Registry | None = None, now: Callable[[], int] = _now
    ) -> None:
        if not isinstance(settings, Settings):
            # Of a URL, which may have a password in it, no more is shown.
            expected = "Settings; FeatureStore.open(url) takes the URL of a database"
            raise InvalidInput("settings", type(settings).__name__, expected)
        super().__init__(settings, registry or Registry(), now)

    @classmethod
    def open(
        cls,
        database_url: str | None = None,
        *,
        settings: Settings | None = None,
        registry: Registry | None = None,
        **overrides: Any,
    ) -> FeatureStore:
        """A store for `async with`, on a database URL and settings (environment and file else)."""
        settings = settings or Settings.load(database_url=database_url, **overrides)
        return cls(settings, registry)

    async def __aenter__(self) -> FeatureStore:
        spec = self.specs.of(self.registry.sets()[0].label)
        self._parts = await open_parts(self.settings, spec, self.now, self.metrics, self._hear)
        self._closed = False
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def close(self) -> None:
        """Finish what is under way, then let go of store and cache."""
        self._closed = True
        if self._parts is not None:
            await self._parts.close()

    async def prepare(self) -> None:
        """Import and connect now what the first ingest and the first export would."""
        await self._open.prepare()

    async def ready(self) -> dict[str, Part]:
        """How database, cache and exports are now, each in a word and a sentence."""
        return await self._open.readiness.parts()

    async def status(self, exact: bool = False) -> dict[str, Any]:
        """What the database is like: sizes, series, policies, as `ai-hub status --json` prints it.

        `exact` counts the rows of each series, which takes long on PostgreSQL. Raises StoreError.
        """
        return await self._open.store.status(exact)

    def measured(self) -> Metrics:
        """What this process counted until now (what the doors show)."""
        self._open.count_cache(self.metrics)
        return self.metrics
