"""The route that says what is wrong."""

from __future__ import annotations

from typing import Any

from litestar import get
from litestar.datastructures import State

from ai_hub.feature_store import FeatureStore
from ai_hub.http.access import READ_ALL
from ai_hub.process import Process


@get("/doctor", opt=READ_ALL)
async def doctor(state: State, tenant_id: str | None = None) -> dict[str, Any]:
    """What is wrong, and the command that mends it; and what this process runs with."""
    store: FeatureStore = state.store
    # One at a time: each reads a sample of all data.
    async with state.examining:
        lines = await store.doctor(tenant_id)
    return {
        "lines": [line.document for line in lines],
        "process": Process.of(store.settings).label,
    }
