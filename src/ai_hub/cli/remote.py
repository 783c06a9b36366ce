"""The backend over HTTP: the server that holds the database."""

from __future__ import annotations

import asyncio
import io
import shutil
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any

from ai_hub.cli.failure import BAD_INPUT, FAILED, Stop
from ai_hub.cli.following import RemoteJobs, check_ended, ended
from ai_hub.cli.registry import RemoteRegistry
from ai_hub.client.connection import HEALTH, MAX_BODY, Connection, Stranger
from ai_hub.errors import (
    AiHubError,
    Busy,
    ExportFailed,
    InvalidInput,
    IssuerUnreachable,
    ServerFailed,
    ServerUnreachable,
    StoreError,
    Unauthorized,
)

if TYPE_CHECKING:
    from ai_hub.cli.backend import Document, Output
    from ai_hub.cli.output import Progress
    from ai_hub.export.place import Place
    from ai_hub.intake.batch import Batch, BatchKind
    from ai_hub.intake.result import IngestResult

_EXPORT = "/ai/features/export"
_SOON = 1
"""Seconds: an export that takes longer is looked at."""
_SLOW = 60.0
"""Seconds that an answer may take; an export answers when it is done."""


class RemoteBackend:
    """The commands through a server, for `async with`.

    `local`: it was found by way of a database file that it holds, so it shares our file system.
    `key` is what it is asked with. A command that fails says so at once: it is not sent again.
    """

    def __init__(
        self, url: str, key: str = "", local: bool = False, max_body: int = MAX_BODY
    ) -> None:
        try:
            self._connection = Connection(
                url, key, timeout=_SLOW, work_timeout=None, patience=0, direct=local
            )
        except InvalidInput as error:
            raise InvalidInput("--url", url, error.expected) from None
        self.url = self._connection.url
        self._local = local
        self._max_body = max_body

    async def __aenter__(self) -> RemoteBackend:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self._connection.close()

    async def database(self) -> str:
        """The path of the database that it serves, `:memory:` for none."""
        found = (await self._ask("GET", HEALTH)).get("database")
        if not isinstance(found, str):
            raise self._connection.stranger()
        return found

    async def get(self, request: Document) -> Document:
        """The answer for one asset."""
        return await self._ask("POST", "/ai/features/get", body=request)

    async def batch(self, request: Document) -> Document:
        """The answers for several assets."""
        return await self._ask("POST", "/ai/features/batch", body=request)

    async def explain(self, request: Document) -> Document:
        """The answer for one asset, each feature explained."""
        return await self._ask("POST", "/ai/features/explain", body=request)

    async def chart(self, request: Document) -> Document:
        """The readings of one asset over a range, with a feature."""
        return await self._ask("POST", "/ai/features/chart", body=request, work=True)

    async def land(self, batch: Batch, kind: BatchKind) -> IngestResult:
        """Land the rows of a checked batch; what became of all that were sent."""
        from ai_hub.client.rows import land

        with self._ending():
            return await land(self._connection, batch, kind, self._max_body)

    @property
    def in_chunks(self) -> bool:
        """A server does not say it."""
        return False

    async def assign_weather_source(self, request: Document) -> Document:
        """Let assets take their weather from a station."""
        return await self._ask("PUT", "/ai/features/weather-sources", body=request)

    async def export(
        self, request: Document, output: Output, force: bool, show: Progress
    ) -> Document:
        """Write a training set; its record, where `storage_path` says where the file is.

        The server keeps the file, in the tenant's folder below its export root. From the server of
        our own file, `output` is a copy of it. A URL must be one that the server allows.
        """
        from ai_hub.export.folder import check_folder
        from ai_hub.export.place import Place

        wanted, place, parts = request, None, request.get("parts", False)
        if isinstance(output, Path) and self._local:
            place = _place(output, force)
            await asyncio.to_thread(check_folder if parts else Place.check, place)
        elif output is not None:
            if force:
                raise Stop("--force: expected without --url: files on a server are its own")
            wanted = {**request, "output_path": str(output)}
        show(None, 0)
        record = await self._exported(wanted, show)
        written = record.get("storage_path")
        if place is not None and written is not None:
            await asyncio.to_thread(_copy, Path(written), place, parts)
            record["storage_path"] = str(place.path)
        return record

    async def detach(self, request: Document, output: Output) -> Document:
        """Have the server write a training set; its record. The file is the server's."""
        if isinstance(output, Path) and self._local:
            raise Stop(
                "--output: expected none with --detach where a server has the database: the file "
                "will be in the tenant's folder of its export root"
            )
        wanted = request if output is None else {**request, "output_path": str(output)}
        return await self._ask("POST", _EXPORT, body={**wanted, "wait_seconds": 0})

    @property
    def jobs(self) -> RemoteJobs:
        """Exports as jobs."""
        return RemoteJobs(self._ask)

    async def _exported(self, request: Document, show: Progress) -> Document:
        """The record of an export that has ended; it ends with who waits for it."""
        record = await self._ask("POST", _EXPORT, body={**request, "wait_seconds": _SOON})
        try:
            return check_ended(await ended(self.jobs, record, show))
        except asyncio.CancelledError:
            await self.jobs.cancel(record["export_id"])
            raise

    async def training_set(
        self, request: Document, spine: Path, output: Output, force: bool, show: Progress
    ) -> Document:
        """Write the training set of a spine's file on this machine; what its record would say."""
        from ai_hub.intake.files import read_labelled_file
        from ai_hub.intake.labels import FORMATS, write_labelled

        if "parts" in request:
            raise Stop("--parts: expected without --spine where a server answers, in one file")
        if isinstance(output, str):
            raise Stop("--output: expected a path with --spine where a server answers")
        chosen = request.get("feature_set") or request["model"]
        name = f"{chosen}_{uuid.uuid4()}.parquet"
        place = _place(output or name, force)
        await asyncio.to_thread(place.check)
        table = await asyncio.to_thread(read_labelled_file, spine)
        content = io.BytesIO()
        await asyncio.to_thread(write_labelled, table, FORMATS["parquet"], content)
        show(None, 0)
        with self._ending():
            response = await self._connection.send(
                "POST",
                "/ai/features/training-set",
                params=request,
                content=content.getvalue(),
                content_type=FORMATS["parquet"],
                work=True,
            )
        await asyncio.to_thread(_keep, response.content, place)
        return {
            "export_id": None,
            "tenant_id": request["tenant_id"],
            "feature_set": chosen,
            "status": "completed" if len(table) else "no_data",
            "storage_path": str(place.path),
            "row_count": len(table),
            "file_size_bytes": len(response.content),
            "file_size_mb": len(response.content) / 1_000_000,
        }

    async def assets(self, request: Document) -> Document:
        """A page of a tenant's assets, with what is known of each."""
        said = {name: value for name, value in request.items() if value is not None}
        return await self._ask("GET", "/ai/features/assets", params={**said, "details": "true"})

    async def exports(self, tenant_id: str | None, limit: int) -> Document:
        """Recorded exports."""
        only = {} if tenant_id is None else {"tenant_id": tenant_id}
        return await self._ask("GET", "/ai/features/exports", params={**only, "limit": limit})

    async def audit(self, request: Document) -> Document:
        """A page of the audit log."""
        return await self._ask("GET", "/ai/features/audit", params=request)

    async def metrics(self) -> str:
        """What it counted, as Prometheus reads it."""
        with self._ending():
            return (await self._connection.send("GET", "/metrics")).text

    async def status(self, exact: bool) -> Document:
        """What the database is like."""
        asked = {"exact": str(exact).lower()}
        path = "/ai/features/status"
        return await self._ask("GET", path, params=asked, work=True)

    async def drift(self, request: Document) -> Document:
        """How far a set's values are from a baseline."""
        path = "/ai/features/drift"
        return await self._ask("POST", path, body=request, work=True)

    async def drift_baseline(self, request: Document) -> Document:
        """Keep what a set's values were in a time of history."""
        path = "/ai/features/drift/baseline"
        return await self._ask("POST", path, body=request, work=True)

    async def delete(self, request: Document) -> Document:
        """Remove data, or count what would go."""
        return await self._ask("POST", "/ai/features/delete", body=request, work=True)

    async def archive(self, request: Document) -> Document:
        """Seal history before a time; the steps that it took."""
        return await self._ask("POST", "/ai/features/archive", body=request, work=True)

    async def unarchive(self, request: Document) -> Document:
        """Bring archived rows back and end the archive; the steps that it took."""
        return await self._ask("POST", "/ai/features/unarchive", body=request, work=True)

    async def archives(self, tenant_id: str | None) -> Document:
        """What is sealed."""
        only = {} if tenant_id is None else {"tenant_id": tenant_id}
        return await self._ask("GET", "/ai/features/archives", params=only)

    async def doctor(self, tenant_id: str | None) -> Document:
        """What is wrong there: `lines`, and the label of its process."""
        only = {} if tenant_id is None else {"tenant_id": tenant_id}
        return await self._ask("GET", "/ai/features/doctor", params=only)

    @property
    def registry(self) -> RemoteRegistry:
        """The feature sets that it serves."""
        return RemoteRegistry(self._ask)

    async def granularity(self) -> str:
        """The step to which it truncates times."""
        found = (await self._ask("GET", HEALTH)).get("granularity")
        if not isinstance(found, str):
            raise self._connection.stranger()
        return found

    async def seen_assets(self, tenant_id: str) -> list[str]:
        """The assets of a tenant that were seen in the last day."""
        found = await self._ask("GET", "/ai/features/assets", params={"tenant_id": tenant_id})
        assets: list[str] = found["asset_ids"]
        return assets

    async def warm(self, request: Document) -> Document:
        """Have vectors ready in its cache."""
        return await self._ask("POST", "/ai/features/cache/warm", body=request, work=True)

    async def invalidate(self, request: Document) -> Document:
        """Forget vectors in its cache."""
        return await self._ask("POST", "/ai/features/cache/invalidate", body=request)

    async def _ask(
        self, method: str, path: str, body: Document | None = None, **how: Any
    ) -> Document:
        with self._ending():
            return await self._connection.ask(method, path, body, **how)

    @contextmanager
    def _ending(self) -> Iterator[None]:
        """What the server refuses, and what fails there, ends the command with its words."""
        try:
            yield
        except (ServerUnreachable, Stranger):
            raise
        except Unauthorized as error:
            raise Stop(f"{error}. Commands take theirs from AI_HUB_API_KEY.", BAD_INPUT) from None
        except (ServerFailed, StoreError, ExportFailed, Busy, IssuerUnreachable) as error:
            raise Stop(f"The server at {self.url} failed: {error}", FAILED) from None
        except AiHubError as error:
            raise Stop(str(error), BAD_INPUT) from None


def _place(output: str | Path, force: bool) -> Place:
    """The place of a file on this machine: a path, or a name in the export root."""
    from ai_hub.config import Settings
    from ai_hub.export.place import Places

    places = Places.of(Settings.load())
    path = places.root / output if isinstance(output, str) else output
    return places.place(path, force)


def _keep(body: bytes, place: Place) -> None:
    """Write a file; whoever reads it sees the old file or the whole new one."""
    with place.draft(uuid.uuid4().hex) as draft:
        draft.write(body)
        draft.publish()


def _copy(source: Path, place: Place, parts: bool) -> None:
    """Copy a finished file, or the folder of an export in parts; whoever reads the copy sees the
    old one or the whole new one."""
    from ai_hub.export.folder import copy_folder

    try:
        if parts:
            return copy_folder(source, place)
        file = source.open("rb")
    except OSError as error:
        why = error.strerror or "it is not visible from here"
        raise Stop(
            f"The server wrote {source}, which cannot be read here: {why}.", FAILED
        ) from None
    with file, place.draft(uuid.uuid4().hex) as draft:
        shutil.copyfileobj(file, draft, 1 << 20)
        draft.publish()
