"""Files of exports under way, and what becomes of those that a stopped process left behind."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path

from ai_hub.stores.export_log import ExportLog

_SUFFIX = ".partial"
_INTERRUPTED = "the process that wrote it was stopped"


def partial_path(path: Path, export_id: str) -> Path:
    """The hidden file beside `path` that an export writes before it is whole."""
    return path.parent / f".{path.name}.{export_id}{_SUFFIX}"


async def sweep(log: ExportLog, now: Callable[[], int]) -> int:
    """Remove what exports of a stopped process left behind and mark them failed; how many."""
    interrupted = await log.interrupted()
    for record in interrupted:
        partial = partial_path(Path(record.storage_path), record.export_id)
        await asyncio.to_thread(partial.unlink, missing_ok=True)
        await log.record(record.ended("failed", now(), error=_INTERRUPTED))
    return len(interrupted)
