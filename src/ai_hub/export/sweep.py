"""What becomes of exports that a stopped process left behind: looked for again and again."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from ai_hub.errors import AiHubError, StoreError
from ai_hub.export.folder import manifest_checksum, remove_partial_folder
from ai_hub.export.objects import ObjectPlace
from ai_hub.export.place import Places
from ai_hub.storage.url import Url, is_url
from ai_hub.stores.export_log import ExportLog, ExportRecord

_log = logging.getLogger(__name__)

SECONDS = 30.0
"""Between two sweeps."""
_NEWEST = 100
"""Exports that are looked at for what they left."""
_INTERRUPTED = "the process that wrote it was stopped"


async def sweep(log: ExportLog, places: Places, now: Callable[[], int], far: bool = True) -> int:
    """Record how exports of a stopped process ended, and remove their half files; how many.

    What is in object storage, which may not answer for a while, only if it shall be `far`.
    """
    interrupted = [one for one in await log.interrupted() if far or not is_url(one.storage_path)]
    for record in interrupted:
        try:
            in_place = await asyncio.to_thread(_tidy, places, record)
        except AiHubError as error:
            # What became of it is not known yet: it is looked for again.
            _log.warning("sweep waits", extra={"export_id": record.export_id, "error": str(error)})
            continue
        ended = record.completed(now()) if in_place else record.failed(now(), _INTERRUPTED)
        await log.record(ended)
    return len(interrupted)


def _tidy(places: Places, record: ExportRecord) -> bool:
    """Remove the half file, or folder, of an export; whether the whole one is in its place
    already. Raises ExportFailed and StorageError where its storage does not answer."""
    if is_url(record.storage_path):
        far = ObjectPlace.of(Url.of(record.storage_path))
        if record.checksum is not None and record.checksum == far.manifest_checksum():
            far.tidy()
            return True
        _remove(far, record)
        return False
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


def _remove(place: ObjectPlace, record: ExportRecord) -> None:
    """Remove what is below an export's own URL. Raises StorageError."""
    if place.url.segments[-1:] == (record.export_id,):
        place.remove()


class Leftovers:
    """What failed exports left in object storage, as it did not answer them at their end either."""

    def __init__(self) -> None:
        self._gone: set[str] = set()

    async def remove(self, log: ExportLog) -> None:
        """Remove what the newest ones left; what cannot be is tried again the next time."""
        for record in await log.find(limit=_NEWEST):
            if record.status not in ("failed", "no_data") or not is_url(record.storage_path):
                continue
            if record.export_id not in self._gone:
                with suppress(AiHubError):
                    await asyncio.to_thread(self._of, record)
                    self._gone.add(record.export_id)

    def _of(self, record: ExportRecord) -> None:
        _remove(ObjectPlace.of(Url.of(record.storage_path)), record)


class Sweeper:
    """Sweeps now and then, until it is closed."""

    def __init__(self, log: ExportLog, places: Places, now: Callable[[], int]) -> None:
        self._sweeping = asyncio.create_task(self._keep_sweeping(log, places, now))

    async def close(self) -> None:
        """Sweep no more."""
        self._sweeping.cancel()
        await asyncio.wait([self._sweeping])

    async def _keep_sweeping(self, log: ExportLog, places: Places, now: Callable[[], int]) -> None:
        leftovers = Leftovers()
        while True:
            try:
                await sweep(log, places, now)
                await leftovers.remove(log)
            except StoreError:
                pass  # requests tell that the database is away
            except Exception:  # noqa: BLE001  # Whatever it is, it is tried again.
                _log.exception("sweep failed")
            await asyncio.sleep(SECONDS)
