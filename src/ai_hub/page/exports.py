"""Exports: how each is, how far it is, and what can be done with it."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from ai_hub.export.manifest import MANIFEST
from ai_hub.page.asked import Asked
from ai_hub.storage.url import is_url

_MOST = 50
_UNDER_WAY = ("pending", "processing")
Kept = Literal["file", "folder"]
_STATES = {"completed": "ok", "no_data": "ok", "failed": "fault", "cancelled": "warning"}


async def view(asked: Asked, tenant: str | None) -> dict[str, Any]:
    """The newest exports of a tenant."""
    found = [] if tenant is None else await asked.store.exports(tenant, _MOST)
    root = asked.store.settings.export_root
    kinds = await asyncio.to_thread(lambda: [kept_here(one, root) for one in found])
    exports = [
        {
            **one,
            "state": _STATES.get(one["status"], "going"),
            "under_way": one["status"] in _UNDER_WAY,
            "kept": kept,
            "reading": None if kept else _reading(one),
        }
        for one, kept in zip(found, kinds, strict=True)
    ]
    return {"exports": exports, "going": sum(one["under_way"] for one in exports)}


def kept_here(record: Mapping[str, Any], root: Path) -> Kept | None:
    """How this server has what an export wrote: below its export root, whatever links say; None
    for what is elsewhere or gone, and for what was replaced (blocking)."""
    place = record["storage_path"]
    if record["status"] != "completed" or record["replaced_by"] or not place or is_url(place):
        return None
    path = Path(place)
    if not path.resolve().is_relative_to(root.resolve()):
        return None
    if path.is_file():
        return "file"
    return "folder" if (path / MANIFEST).is_file() else None


def _reading(record: Mapping[str, Any]) -> str | None:
    """What reads an export that this server does not hand out, as Python."""
    place = record["storage_path"]
    if record["status"] != "completed" or record["replaced_by"] or not place:
        return None
    if not is_url(place) and Path(place).suffix == ".parquet":
        return f"import pandas\n\nrows = pandas.read_parquet({place!r})"
    return f"from ai_hub.export.reading import dataset\n\nrows = dataset({place!r}).to_table()"
