"""Looking for drift beside serving: what metrics tell of it, and lines of the log."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from ai_hub.definitions.values import MINUTE, SECOND, Duration
from ai_hub.errors import InvalidInput, NotFound, StoreError
from ai_hub.feature_store import FeatureStore
from ai_hub.stores.drift_table import SetOf

_log = logging.getLogger("ai_hub.drift")

_FIRST = MINUTE
"""The first look is not later than this after the start: metrics are then of now."""


@asynccontextmanager
async def watched(store: FeatureStore, every: Duration | None) -> AsyncIterator[None]:
    """Compare what is served with its baselines until the block ends, every so often; never if
    `every` is None."""
    if every is None:
        yield
        return
    task = asyncio.create_task(_watch(store, every))
    try:
        yield
    finally:
        task.cancel()
        await asyncio.wait([task])


async def _watch(store: FeatureStore, every: Duration) -> None:
    told: dict[SetOf, list[str]] = {}
    await asyncio.sleep(min(every.micros, _FIRST) / SECOND)
    while True:
        try:
            await look(store, told)
        except StoreError as error:
            _log.warning("drift not looked for", extra={"error": str(error)})
        except Exception:  # noqa: BLE001  # Whatever it is, serving goes on and so does this.
            _log.exception("looking for drift failed")
        await asyncio.sleep(every.seconds)


async def look(store: FeatureStore, told: dict[SetOf, list[str]]) -> None:
    """Compare every version of a tenant that was served and has a baseline; the log has those that
    drift, once as long as the same features do. Raises StoreError."""
    for of in await store.drifting():
        try:
            label = f"{of.feature_set}@{of.version}"
            if store.registry.get(label).fingerprint != of.fingerprint:
                continue
            found = await store.drift(of.tenant_id, label, source="served")
        except (NotFound, InvalidInput):
            # Nobody has made a baseline, or nobody is served it any more.
            continue
        drifting = sorted(one["name"] for one in found["features"] if one["alarm"])
        if drifting and drifting != told.get(of):
            extra = {"tenant_id": of.tenant_id, "feature_set": label, "features": drifting}
            _log.warning("features drift", extra=extra)
        told[of] = drifting
