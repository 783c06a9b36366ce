"""Exports as jobs: of an open feature store, or of a server; followed to their end."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from ai_hub.cli.failure import FAILED, Stop

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from ai_hub.cli.backend import Document, JobsBackend
    from ai_hub.cli.output import Progress
    from ai_hub.feature_store import FeatureStore

_LOOK_SECONDS = 0.5
_LOOKS = 10
"""A server with a turn free takes what waits within three seconds."""
_UNDER_WAY = ("pending", "processing")


class LocalJobs:
    """The jobs of an open feature store."""

    def __init__(self, store: FeatureStore) -> None:
        self._store = store
        self.here = True

    async def record(self, export_id: str) -> Document:
        """A job as it is now."""
        return await self._store.export_record(export_id)

    async def wait(self, export_id: str, seconds: float) -> Document:
        """A job once it has ended, or after so many seconds."""
        return await self._store.wait_for_export(export_id, seconds)

    async def cancel(self, export_id: str) -> Document:
        """End a job."""
        return await self._store.cancel_export(export_id)

    async def resume(self, export_id: str) -> Document:
        """Go on with a job in this process."""
        return await self._store.resume_export(export_id)

    def check_had(self, record: Document) -> None:
        """Raise Stop for a job that waits where nobody takes it."""
        if not self._store.settings.on_server:
            raise Stop(
                f"{record['export_id']} is {record['status']}, and no process has it: go on with "
                f"it here (`ai-hub exports resume {record['export_id']}`), or start a server, "
                "which takes it up (`ai-hub serve`).",
                FAILED,
            )


class RemoteJobs:
    """The jobs of a server, which is asked by `ask`."""

    def __init__(self, ask: Callable[..., Awaitable[Document]]) -> None:
        self._ask = ask
        self.here = False

    async def record(self, export_id: str) -> Document:
        """A job as it is now."""
        return await self._ask("GET", _path(export_id))

    async def wait(self, export_id: str, seconds: float) -> Document:
        """A job after so many seconds."""
        await asyncio.sleep(seconds)
        return await self.record(export_id)

    async def cancel(self, export_id: str) -> Document:
        """End a job."""
        return await self._ask("DELETE", _path(export_id))

    async def resume(self, export_id: str) -> Document:
        """Have the server go on with a job."""
        return await self._ask("POST", f"{_path(export_id)}/resume", body={})

    def check_had(self, record: Document) -> None:
        """The server takes it up."""


def under_way(record: Document) -> bool:
    """Whether a job has not ended."""
    return record["status"] in _UNDER_WAY


async def begun(jobs: JobsBackend, record: Document) -> Document:
    """A job once it is no longer pending, or after as long as a server takes that has a turn."""
    for _ in range(_LOOKS):
        if record["status"] != "pending":
            break
        record = await jobs.wait(record["export_id"], _LOOK_SECONDS)
    return record


async def ended(jobs: JobsBackend, record: Document, show: Progress) -> Document:
    """A job once it has ended, shown meanwhile."""
    while under_way(record):
        far = record["progress"]
        show(far["share"], far["rows"])
        record = await jobs.wait(record["export_id"], _LOOK_SECONDS)
    return record


def check_ended(record: Document) -> Document:
    """A job that completed or found no rows. Raises Stop for what else became of it."""
    if record["status"] in ("failed", "cancelled"):
        raise Stop(f"{record['export_id']}: {record.get('error') or record['status']}", FAILED)
    return record


def _path(export_id: str) -> str:
    from urllib.parse import quote

    return f"/ai/features/exports/{quote(export_id, safe='')}"
