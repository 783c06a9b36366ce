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
from ai_hub.stores.export_log import MOST_DEATHS, ExportLog, ExportRecord

_log = logging.getLogger(__name__)

SECONDS = 30.0
"""Between two sweeps."""
_NEWEST = 100
"""Exports that are looked at for what they left."""
_SETTLED = 600 * 1_000_000
"""Microseconds: a request that nobody waits for any more is done by then, or never."""
_INTERRUPTED = "the process that wrote it was stopped"


async def sweep(log: ExportLog, places: Places, now: Callable[[], int], far: bool = True) -> int:
    """Have exports of a stopped process wait for another one, or record how they ended and remove
    their half files; how many there were.

    What is in object storage, which may not answer for a while, only if it shall be `far`.
    """
    swept = 0
    for record in await log.interrupted():
        if not far and is_url(record.storage_path):
            continue
        try:
            in_place = await asyncio.to_thread(_in_place, places, record)
        except AiHubError as error:
            # What became of it is not known yet: it is looked for again.
            _log.warning("sweep waits", extra={"export_id": record.export_id, "error": str(error)})
            continue
        if await log.take(record):
            swept += 1
            ended = _ended(record, in_place, now())
            # In object storage everything that another process can go on from is apart.
            anew = record.request is not None and not record.request["parts"]
            if not ended.under_way or (anew and not is_url(record.storage_path)):
                await asyncio.to_thread(remove_half, places, record, in_place)
            elif is_url(record.storage_path):
                await asyncio.to_thread(_give_up_uploads, places, record)
            await log.record(ended, keep=not ended.under_way)
    return swept


def _ended(record: ExportRecord, in_place: bool, at: int) -> ExportRecord:
    """What becomes of an export that nobody has any more."""
    if in_place:
        return record.completed(at)
    if record.cancelled_by is not None:
        return record.cancelled(at, record.cancelled_by)
    # A process that ended before its turn did not die of it.
    deaths = record.deaths + (record.status == "processing")
    if record.request is not None and deaths < MOST_DEATHS:
        return record.again(deaths)
    often = f", {deaths} times" if deaths > 1 else ""
    return record.failed(at, f"{_INTERRUPTED}{often}")


def remove_half(places: Places, record: ExportRecord, in_place: bool = False) -> None:
    """Remove the half file, or folder, of an export, or what is left of one that is `in_place`."""
    if is_url(record.storage_path):
        with suppress(AiHubError):  # what is left is swept later
            far = ObjectPlace.of(Url.of(record.storage_path), places)
            if in_place:
                far.tidy()
            else:
                _remove(far, record)
        return
    place = places.place(Path(record.storage_path))
    if not place.remove_partial(record.export_id):
        remove_partial_folder(place, record.export_id)


def _give_up_uploads(places: Places, record: ExportRecord) -> None:
    """Nobody can go on with what is uploaded of a part: parts that are finished stay."""
    with suppress(AiHubError):  # who goes on with it does it, too
        ObjectPlace.of(Url.of(record.storage_path), places).give_up_uploads()


def _in_place(places: Places, record: ExportRecord) -> bool:
    """Whether the whole file, or folder, of an export is in its place already. Raises ExportFailed
    and StorageError where its storage does not answer."""
    if is_url(record.storage_path):
        far = ObjectPlace.of(Url.of(record.storage_path), places)
        if record.checksum is None or record.checksum != far.manifest_checksum():
            return False
        far.complete()
        return True
    place = places.place(Path(record.storage_path))
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
    """What exports that have ended left in object storage, as it did not answer in time."""

    def __init__(self, places: Places) -> None:
        self._places = places
        self._gone: set[str] = set()

    async def remove(self, log: ExportLog, now: int) -> None:
        """Remove what the newest ones left; what cannot be is tried again the next time.

        A request that was given up may be done later still: for a while they are looked at again.
        """
        for record in await log.find(limit=_NEWEST):
            if record.under_way or not is_url(record.storage_path):
                continue
            if record.export_id not in self._gone:
                with suppress(AiHubError):
                    await asyncio.to_thread(self._of, record)
                    if (record.completed_at or now) < now - _SETTLED:
                        self._gone.add(record.export_id)

    def _of(self, record: ExportRecord) -> None:
        place = ObjectPlace.of(Url.of(record.storage_path), self._places)
        if record.status == "completed":
            place.tidy()
        else:
            _remove(place, record)


class Sweeper:
    """Sweeps now and then, until it is closed."""

    def __init__(self, log: ExportLog, places: Places, now: Callable[[], int]) -> None:
        self._sweeping = asyncio.create_task(self._keep_sweeping(log, places, now))

    async def close(self) -> None:
        """Sweep no more."""
        self._sweeping.cancel()
        await asyncio.wait([self._sweeping])

    async def _keep_sweeping(self, log: ExportLog, places: Places, now: Callable[[], int]) -> None:
        leftovers = Leftovers(places)
        while True:
            try:
                await sweep(log, places, now)
                await leftovers.remove(log, now())
            except StoreError:
                pass  # requests tell that the database is away
            except Exception:  # noqa: BLE001  # Whatever it is, it is tried again.
                _log.exception("sweep failed")
            await asyncio.sleep(SECONDS)
