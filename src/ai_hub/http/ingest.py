"""The ingest routes: a body in any of the formats, landed as one batch."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass
from typing import Any, Self

from litestar import MediaType, Request, Response, post
from litestar.datastructures import State

from ai_hub.definitions.valid_range import ValidRange
from ai_hub.definitions.values import check_id
from ai_hub.errors import InvalidInput
from ai_hub.feature_store import FeatureStore
from ai_hub.http.access import WRITE
from ai_hub.http.asked import grant_of
from ai_hub.http.body import BODY
from ai_hub.http.messages import encode
from ai_hub.http.room import Rooms
from ai_hub.intake.batch import BatchKind
from ai_hub.intake.bodies import read_batch
from ai_hub.intake.formats import decode_json_rows, is_plain, open_body, open_rows
from ai_hub.intake.pipeline import ingest_file
from ai_hub.intake.read_options import DRY_RUN, READ_OPTIONS, ReadOptions
from ai_hub.intake.row_files import RowFile

_FEW_BYTES = 2 * 1024 * 1024
_UNKNOWN = 2 * 1024 * 1024
_ROW_BYTES = 32
"""What a row of a packed body is taken for."""


@post("/ingest", opt=WRITE, status_code=200)
async def ingest_observations(request: Request[Any, Any, Any], state: State) -> Response[bytes]:
    """Land observations; 200 when any row landed, else 422. Rejected rows are counted and named."""
    return await _ingest(request, state.store, state.rooms, "observations")


@post("/ingest/weather", opt=WRITE, status_code=200)
async def ingest_weather(request: Request[Any, Any, Any], state: State) -> Response[bytes]:
    """Land weather rows of assets or of stations that assets share."""
    return await _ingest(request, state.store, state.rooms, "weather")


@post("/ingest/attributes", opt=WRITE, status_code=200)
async def ingest_attributes(request: Request[Any, Any, Any], state: State) -> Response[bytes]:
    """Land attributes of assets: a row a value, or a column a key."""
    return await _ingest(request, state.store, state.rooms, "attributes")


async def _ingest(
    request: Request[Any, Any, Any], store: FeatureStore, rooms: Rooms, kind: BatchKind
) -> Response[bytes]:
    query = _Query.of(request.query_params.multi_items(), kind, store.settings.valid_ranges)
    scope: Any = request.scope
    body: bytes = scope[BODY]
    content_type = request.headers.get("content-type") or "application/json"
    size = len(body)
    async with AsyncExitStack() as turn:
        if is_plain(content_type, body):
            await turn.enter_async_context(rooms.parser(size))
            file, tenant_id = await asyncio.to_thread(_opened, query, body, content_type)
            grant_of(request).check_tenant(tenant_id)
        else:
            await turn.enter_async_context(rooms.packed)
            file, tenant_id = await asyncio.to_thread(_opened, query, body, content_type)
            grant_of(request).check_tenant(tenant_id)
            says = _UNKNOWN if file.rows is None else _ROW_BYTES * file.rows
            await turn.enter_async_context(rooms.parser(max(size, says)))
        if query.dry_run:
            result = await ingest_file(file, tenant_id, None)
        else:
            batch = await asyncio.to_thread(read_batch, file, tenant_id, size)
            del file
            if batch.table.nbytes <= _FEW_BYTES:
                # Any number of these may wait to land.
                await turn.aclose()
            result = await store.land(batch, kind)
    return Response(
        encode(result.document()),
        status_code=200 if result.accepted else 422,
        media_type=MediaType.JSON,
    )


@dataclass(frozen=True, slots=True)
class _Query:
    """The query of a request: whose rows they are, and how they are read."""

    tenant_id: str | None
    dry_run: bool
    options: ReadOptions

    @classmethod
    def of(
        cls,
        items: Iterable[tuple[str, str]],
        kind: BatchKind,
        valid_ranges: Mapping[str, ValidRange],
    ) -> Self:
        texts: dict[str, list[str]] = {}
        for name, text in items:
            texts.setdefault(name, []).append(text)
        repeatable = {option.name for option in READ_OPTIONS[kind] if option.repeatable}
        found: dict[str, Any] = {}
        for name, values in texts.items():
            if name not in repeatable and len(values) > 1:
                raise InvalidInput(name, values, "one value")
            found[name] = values if name in repeatable else values[0]
        tenant_id = found.pop("tenant_id", None)
        dry_run = DRY_RUN.parse(found.pop("dry_run", "false"))
        return cls(tenant_id, dry_run is True, ReadOptions.of(kind, found, valid_ranges))


def _opened(query: _Query, body: bytes, content_type: str | None) -> tuple[RowFile, str]:
    media = (content_type or "application/json").partition(";")[0].strip().lower()
    # What curl says of a body by default.
    if media in ("application/json", "application/x-www-form-urlencoded"):
        message = decode_json_rows(body)
        named = check_id("tenant_id", message["tenant_id"].strip())
        if query.tenant_id not in (None, named):
            raise InvalidInput("tenant_id", named, f"{query.tenant_id!r}, as in the query")
        return open_rows(message["rows"], query.options, query.options.required(named)), named
    if query.tenant_id is None:
        raise InvalidInput("tenant_id", None, "a tenant in the query: ?tenant_id=")
    named = check_id("tenant_id", query.tenant_id.strip())
    required = query.options.required(named)
    return open_body(content_type, body, query.options, required), named
