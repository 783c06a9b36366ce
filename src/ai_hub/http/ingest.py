"""The two ingest routes: a body in any of the formats, landed as one batch."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Any

from litestar import MediaType, Request, Response, post
from litestar.datastructures import State
from litestar.openapi.spec import OpenAPIMediaType, Operation, RequestBody, Schema
from litestar.openapi.spec.enums import OpenAPIFormat, OpenAPIType

from ai_hub.definitions.kinds import WEATHER_COLUMNS
from ai_hub.definitions.values import check_id
from ai_hub.errors import InvalidInput
from ai_hub.feature_store import FeatureStore
from ai_hub.http.messages import encode
from ai_hub.intake.batch import Batch, BatchKind
from ai_hub.intake.checks import check_rows
from ai_hub.intake.formats import decode_json_rows, read_body
from ai_hub.intake.frames import rows_to_table

_TEXT = Schema(type=OpenAPIType.STRING)
_TIME = Schema(type=OpenAPIType.STRING, format=OpenAPIFormat.DATE_TIME)
_NUMBER = Schema(type=OpenAPIType.NUMBER)
_OBSERVATION: dict[str, Schema] = {
    "timestamp": _TIME,
    "asset_id": _TEXT,
    "value": _NUMBER,
    "feature_type": _TEXT,
    "quality": Schema(type=OpenAPIType.INTEGER),
}
_WEATHER: dict[str, Schema] = {
    "timestamp": _TIME,
    "asset_id": _TEXT,
    "issued_at": _TIME,
    **{str(name): _NUMBER for name in WEATHER_COLUMNS},
}
_OTHER_FORMATS = (
    "application/x-ndjson",
    "text/csv",
    "application/vnd.apache.parquet",
    "application/vnd.apache.arrow.stream",
    "application/vnd.apache.arrow.file",
)


def _body_of(row: dict[str, Schema]) -> RequestBody:
    rows = Schema(
        type=OpenAPIType.ARRAY, items=Schema(type=OpenAPIType.OBJECT, properties=dict(row))
    )
    whole = Schema(
        type=OpenAPIType.OBJECT,
        properties={"tenant_id": _TEXT, "rows": rows},
        required=["tenant_id", "rows"],
    )
    binary = Schema(type=OpenAPIType.STRING, format=OpenAPIFormat.BINARY)
    return RequestBody(
        required=True,
        description="JSON, or a table in another format with ?tenant_id=",
        content={
            "application/json": OpenAPIMediaType(schema=whole),
            **{name: OpenAPIMediaType(schema=binary) for name in _OTHER_FORMATS},
        },
    )


@dataclass
class ObservationsOperation(Operation):
    """The route's body, which the framework cannot read off its signature."""

    def __post_init__(self) -> None:
        self.request_body = _body_of(_OBSERVATION)


@dataclass
class WeatherOperation(Operation):
    """The route's body, which the framework cannot read off its signature."""

    def __post_init__(self) -> None:
        self.request_body = _body_of(_WEATHER)


@post("/ingest", status_code=200, operation_class=ObservationsOperation)
async def ingest_observations(
    request: Request[Any, Any, Any], state: State, tenant_id: str | None = None
) -> Response[bytes]:
    """Land observations; 200 when any row landed, else 422. Rejected rows are counted and named."""
    return await _ingest(request, state.store, tenant_id, "observations")


@post("/ingest/weather", status_code=200, operation_class=WeatherOperation)
async def ingest_weather(
    request: Request[Any, Any, Any], state: State, tenant_id: str | None = None
) -> Response[bytes]:
    """Land weather rows of assets or of stations that assets share."""
    return await _ingest(request, state.store, tenant_id, "weather")


async def _ingest(
    request: Request[Any, Any, Any],
    store: FeatureStore,
    tenant_id: str | None,
    kind: BatchKind,
) -> Response[bytes]:
    body = await request.body()
    content_type = request.headers.get("content-type")
    batch = await asyncio.to_thread(_read, kind, body, content_type, tenant_id)
    result = await store.land(batch, kind)
    return Response(
        encode(result.document()),
        status_code=200 if result.accepted else 422,
        media_type=MediaType.JSON,
    )


def _read(kind: BatchKind, body: bytes, content_type: str | None, tenant_id: str | None) -> Batch:
    media = (content_type or "application/json").partition(";")[0].strip().lower()
    # What curl says of a body by default.
    if media in ("application/json", "application/x-www-form-urlencoded"):
        message = decode_json_rows(body)
        named = check_id("tenant_id", message["tenant_id"])
        if tenant_id not in (None, named):
            raise InvalidInput("tenant_id", named, f"{tenant_id!r}, as in the query")
        return check_rows(kind, rows_to_table(message["rows"]), named)
    if tenant_id is None:
        raise InvalidInput("tenant_id", None, "a tenant in the query: ?tenant_id=")
    return check_rows(kind, read_body(content_type, body), check_id("tenant_id", tenant_id))
