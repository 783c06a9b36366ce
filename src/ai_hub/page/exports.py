"""Exports: how each is, how far it is, and what can be done with it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ai_hub.page.asked import Asked

_MOST = 50
_UNDER_WAY = ("pending", "processing")
_STATES = {"completed": "ok", "no_data": "ok", "failed": "fault", "cancelled": "warning"}


async def view(asked: Asked, tenant: str | None) -> dict[str, Any]:
    """The newest exports of a tenant."""
    found = [] if tenant is None else await asked.store.exports(tenant, _MOST)
    exports = [
        {
            **one,
            "state": _STATES.get(one["status"], "going"),
            "under_way": one["status"] in _UNDER_WAY,
            "has_file": one["status"] == "completed" and is_file(one["storage_path"]),
        }
        for one in found
    ]
    return {"exports": exports, "going": sum(one["under_way"] for one in exports)}


def is_file(storage_path: str) -> bool:
    """Whether an export is one file of a file system: folders and objects are not handed out."""
    return "://" not in storage_path and Path(storage_path).suffix == ".parquet"
