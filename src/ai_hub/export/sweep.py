"""What becomes of exports that a stopped process left behind: looked for again and again."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from pathlib import Path

from ai_hub.errors import StoreError
from ai_hub.export.folder import manifest_checksum, remove_partial_folder
from ai_hub.export.place import Places
from ai_hub.stores.export_log import ExportLog, ExportRecord

_log = logging.getLogger(__name__)

SECONDS = 30.0
"""Between two sweeps."""
_INTERRUPTED = "the process that wrote it was stopped"


async def sweep(log: ExportLog, places: Places, now: Callable[[], int]) -> int:
    """Record how exports of a stopped process ended, and remove their half files; how many."""
    interrupted = await log.interrupted()
    for record in interrupted:
        in_place = await asyncio.to_thread(_tidy, places, record)
        ended = record.completed(now()) if in_place else record.failed(now(), _INTERRUPTED)
        await log.record(ended)
    return len(interrupted)


def _tidy(places: Places, record: ExportRecord) -> bool:
    """Remove the half file, or folder, of an export; whether the whole one is in its place
    already."""
    place = places.place(Path(record.storage_path))
    if place.remove_partial(record.export_id):
        return False
    remove_partial_folder(place, record.export_id)
    try:
        return record.checksum is not None and record.checksum in (
            place.checksum(),
            manifest_checksum(place),
        )
    except OSError:
        return False


class Sweeper:
    """Sweeps now and then, until it is closed."""

    def __init__(self, log: ExportLog, places: Places, now: Callable[[], int]) -> None:
        self._sweeping = asyncio.create_task(self._keep_sweeping(log, places, now))

    async def close(self) -> None:
        """Sweep no more."""
        self._sweeping.cancel()
        await asyncio.wait([self._sweeping])

    async def _keep_sweeping(self, log: ExportLog, places: Places, now: Callable[[], int]) -> None:
        while True:
            await asyncio.sleep(SECONDS)
            try:
                await sweep(log, places, now)
            except StoreError:
                continue  # requests tell that the database is away
            except Exception:  # noqa: BLE001  # Whatever it is, it is tried again.
                _log.exception("sweep failed")
