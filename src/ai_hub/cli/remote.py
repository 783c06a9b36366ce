"""The backend over HTTP: the server that holds the database."""

from __future__ import annotations

import asyncio
import io
import json
import shutil
import uuid
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any

import httpx

from ai_hub.cli.arrow_bodies import arrow_stream, by_tenant
from ai_hub.cli.failure import BAD_INPUT, FAILED, Stop
from ai_hub.cli.registry import RemoteRegistry
from ai_hub.errors import InvalidInput, ServerUnreachable
from ai_hub.intake.result import MAX_REASONS, IngestResult, Rejection

if TYPE_CHECKING:
    from ai_hub.cli.backend import Document, Output
    from ai_hub.cli.output import Progress
    from ai_hub.export.place import Place
    from ai_hub.intake.batch import Batch, BatchKind

_LOCAL_HOSTS = ("127.0.0.1", "localhost", "::1")
# Connecting is quick or it fails; an export answers when it is done.
_TIMEOUT = httpx.Timeout(60, connect=5)
_TIMEOUT_OF_WORK = httpx.Timeout(None, connect=5)
_ARROW_STREAM = "application/vnd.apache.arrow.stream"
_INGEST_PATHS: dict[BatchKind, str] = {
    "observations": "/ai/features/ingest",
    "weather": "/ai/features/ingest/weather",
    "attributes": "/ai/features/ingest/attributes",
}
_MAX_BODY = 64 * 1024**2
_ALWAYS_READ = 1024**2
_NONE_LANDED = 422
_TOO_LARGE = 413
_UNKNOWN = 401
_HEALTH = "/health"


class _Broke(ServerUnreachable):
    """The connection ended before there was an answer."""


class RemoteBackend:
    """The commands through a server, for `async with`.

    `local`: it was found by way of a database file that it holds, so it shares our file system.
    `key` is what it is asked with.
    """

    def __init__(
        self, url: str, key: str = "", local: bool = False, max_body: int = _MAX_BODY
    ) -> None:
        self._key = {"authorization": f"Bearer {key}"} if key else {}
        self.url = url.rstrip("/")
        self._local = local
        self._max_body = max_body
        host = _host_of(url)
        # A proxy of the environment knows nothing of this machine's own ports.
        self._http = httpx.AsyncClient(
            base_url=self.url, timeout=_TIMEOUT, trust_env=not local and host not in _LOCAL_HOSTS
        )

    async def __aenter__(self) -> RemoteBackend:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self._http.aclose()

    async def database(self) -> str:
        """The path of the database that it serves, `:memory:` for none."""
        found = (await self._ask("GET", _HEALTH)).get("database")
        if not isinstance(found, str):
            raise self._stranger()
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

    async def land(self, batch: Batch, kind: BatchKind) -> IngestResult:
        """Land the rows of a checked batch; what became of all that were sent."""
        stored = IngestResult()
        for tenant_id, table in by_tenant(batch.table):
            stored += await self._send(_INGEST_PATHS[kind], tenant_id, table)
        # The server was sent the accepted rows only, and one of those with the same key. Its own
        # settings may refuse some of them.
        found = batch.landed(stored.replaced, stored.unchanged, stored.aged)
        return replace(
            found,
            accepted=found.accepted - stored.rejected,
            rejected=found.rejected + stored.rejected,
            reasons=(*found.reasons, *stored.reasons)[:MAX_REASONS],
        )

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
        record = await self._ask(
            "POST", "/ai/features/export", body=wanted, timeout=_TIMEOUT_OF_WORK
        )
        written = record.get("storage_path")
        if place is not None and written is not None:
            await asyncio.to_thread(_copy, Path(written), place, parts)
            record["storage_path"] = str(place.path)
        return record

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
        response = await self._response(
            "POST",
            "/ai/features/training-set",
            params=request,
            content=content.getvalue(),
            headers={"content-type": FORMATS["parquet"]},
            timeout=_TIMEOUT_OF_WORK,
        )
        if response.status_code != httpx.codes.OK:
            self._document(response)
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

    async def status(self, exact: bool) -> Document:
        """What the database is like."""
        asked = {"exact": str(exact).lower()}
        path = "/ai/features/status"
        return await self._ask("GET", path, params=asked, timeout=_TIMEOUT_OF_WORK)

    async def drift(self, request: Document) -> Document:
        """How far a set's values are from a baseline."""
        path = "/ai/features/drift"
        return await self._ask("POST", path, body=request, timeout=_TIMEOUT_OF_WORK)

    async def drift_baseline(self, request: Document) -> Document:
        """Keep what a set's values were in a time of history."""
        path = "/ai/features/drift/baseline"
        return await self._ask("POST", path, body=request, timeout=_TIMEOUT_OF_WORK)

    async def delete(self, request: Document) -> Document:
        """Remove data, or count what would go."""
        return await self._ask(
            "POST", "/ai/features/delete", body=request, timeout=_TIMEOUT_OF_WORK
        )

    async def archive(self, request: Document) -> Document:
        """Seal history before a time; the steps that it took."""
        return await self._ask(
            "POST", "/ai/features/archive", body=request, timeout=_TIMEOUT_OF_WORK
        )

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
        found = (await self._ask("GET", _HEALTH)).get("granularity")
        if not isinstance(found, str):
            raise self._stranger()
        return found

    async def seen_assets(self, tenant_id: str) -> list[str]:
        """The assets of a tenant that were seen in the last day."""
        found = await self._ask("GET", "/ai/features/assets", params={"tenant_id": tenant_id})
        assets: list[str] = found["asset_ids"]
        return assets

    async def warm(self, request: Document) -> Document:
        """Have vectors ready in its cache."""
        return await self._ask(
            "POST", "/ai/features/cache/warm", body=request, timeout=_TIMEOUT_OF_WORK
        )

    async def invalidate(self, request: Document) -> Document:
        """Forget vectors in its cache."""
        return await self._ask("POST", "/ai/features/cache/invalidate", body=request)

    async def _send(self, path: str, tenant_id: str, table: Any) -> IngestResult:
        """Send rows of one tenant; in halves where they are more than a body may hold."""
        body = arrow_stream(table)
        response = None
        if len(body) <= self._max_body:
            try:
                response = await self._response(
                    "POST",
                    path,
                    params={"tenant_id": tenant_id},
                    content=body,
                    headers={"content-type": _ARROW_STREAM},
                    timeout=_TIMEOUT_OF_WORK,
                )
            except _Broke:
                # A server that refuses a large body does not read the rest of it, and its answer
                # may be lost with the connection.
                if len(body) <= _ALWAYS_READ:
                    raise
        if response is None or response.status_code == _TOO_LARGE:
            half = len(table) // 2
            if not half:
                raise Stop("A single row is larger than the largest body that the server accepts.")
            first = await self._send(path, tenant_id, table.slice(0, half))
            return first + await self._send(path, tenant_id, table.slice(half))
        counts = self._document(response, ends=response.status_code != _NONE_LANDED)
        return IngestResult(
            replaced=int(counts.get("replaced", 0)),
            unchanged=int(counts.get("unchanged", 0)),
            aged=int(counts.get("aged", 0)),
            rejected=int(counts.get("rejected", 0)),
            # Their places are those in what was sent, which no file has.
            reasons=tuple(Rejection(**{**one, "row": None}) for one in counts.get("reasons", ())),
        )

    async def _ask(
        self, method: str, path: str, body: Document | None = None, **content: Any
    ) -> Document:
        if body is not None:
            # In ASCII: an id that UTF-8 cannot say is for the server to refuse.
            content |= {
                "content": json.dumps(body).encode(),
                "headers": {"content-type": "application/json"},
            }
        return self._document(await self._response(method, path, **content))

    async def _response(self, method: str, path: str, **content: Any) -> httpx.Response:
        # Who answers is looked at without it.
        if path != _HEALTH:
            content["headers"] = {**content.get("headers", {}), **self._key}
        try:
            return await self._http.request(method, path, **content)
        except httpx.ConnectError:
            raise ServerUnreachable(
                f"No server answers at {self.url}. Start one with `ai-hub serve`."
            ) from None
        except httpx.TimeoutException:
            raise ServerUnreachable(f"The server at {self.url} did not answer in time.") from None
        except httpx.TransportError as error:
            why = str(error) or type(error).__name__
            raise _Broke(f"The connection to {self.url} broke: {why}") from None

    def _document(self, response: httpx.Response, ends: bool = True) -> Document:
        try:
            found = response.json()
        except ValueError:
            raise self._stranger() from None
        if not isinstance(found, dict):
            raise self._stranger()
        if response.is_success or (not ends and "rejected" in found):
            return found
        why = found.get("detail") or f"it answered {response.status_code}"
        if response.status_code == _UNKNOWN:
            why = f"{why}. Commands take theirs from AI_HUB_API_KEY."
        if response.is_client_error:
            raise Stop(str(why), BAD_INPUT)
        raise Stop(f"The server at {self.url} failed: {why}", FAILED)

    def _stranger(self) -> Stop:
        return Stop(f"What answers at {self.url} is not an AI Hub server.", FAILED)


def _host_of(url: str) -> str:
    try:
        parsed = httpx.URL(url)
    except httpx.InvalidURL:
        parsed = httpx.URL("")
    if parsed.scheme not in ("http", "https") or not parsed.host:
        raise InvalidInput("--url", url, "the address of a server, such as http://127.0.0.1:8003")
    return parsed.host


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
