"""The two ingest routes: a body in any of the formats, landed as one batch."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Self

from litestar import MediaType, Request, Response, post
from litestar.datastructures import State
from litestar.openapi.spec import (
    OpenAPIMediaType,
    Operation,
    Parameter,
    Reference,
    RequestBody,
    Schema,
)
from litestar.openapi.spec.enums import OpenAPIFormat, OpenAPIType

from ai_hub.definitions.kinds import WEATHER_COLUMNS
from ai_hub.definitions.valid_range import ValidRange
from ai_hub.definitions.values import check_id
from ai_hub.errors import InvalidInput
from ai_hub.feature_store import FeatureStore
from ai_hub.http.messages import encode
from ai_hub.intake.batch import BatchKind
from ai_hub.intake.bodies import read_batch
from ai_hub.intake.files import DataFile
from ai_hub.intake.formats import decode_json_rows, open_body, open_rows
from ai_hub.intake.pipeline import ingest_file
from ai_hub.intake.read_options import DRY_RUN, READ_OPTIONS, TENANT, ReadOptions

_TEXT = Schema(type=OpenAPIType.STRING)
_TIME = Schema(type=OpenAPIType.STRING, format=OpenAPIFormat.DATE_TIME)
_NUMBER = Schema(type=OpenAPIType.NUMBER)
_SCHEMAS = {
    str: _TEXT,
    int: Schema(type=OpenAPIType.INTEGER, minimum=0),
    bool: Schema(type=OpenAPIType.BOOLEAN),
}
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


def _parameters_of(kind: BatchKind) -> list[Parameter | Reference]:
    options = (TENANT, DRY_RUN, *READ_OPTIONS[kind])
    return [
        Parameter(
            name=option.name,
            param_in="query",
            description=option.help,
            schema=Schema(type=OpenAPIType.ARRAY, items=_SCHEMAS[option.kind])
            if option.repeatable
            else _SCHEMAS[option.kind],
        )
        for option in options
    ]


@dataclass
class ObservationsOperation(Operation):
    """The route's query and body, which the framework cannot read off its signature."""

    def __post_init__(self) -> None:
        self.request_body = _body_of(_OBSERVATION)
        self.parameters = _parameters_of("observations")


@dataclass
class WeatherOperation(Operation):
    """The route's query and body, which the framework cannot read off its signature."""

    def __post_init__(self) -> None:
        self.request_body = _body_of(_WEATHER)
        self.parameters = _parameters_of("weather")


@post("/ingest", status_code=200, operation_class=ObservationsOperation)
async def ingest_observations(request: Request[Any, Any, Any], state: State) -> Response[bytes]:
    """Land observations; 200 when any row landed, else 422. Rejected rows are counted and named."""
    return await _ingest(request, state.store, "observations")


@post("/ingest/weather", status_code=200, operation_class=WeatherOperation)
async def ingest_weather(request: Request[Any, Any, Any], state: State) -> Response[bytes]:
    """Land weather rows of assets or of stations that assets share."""
    return await _ingest(request, state.store, "weather")


async def _ingest(
    request: Request[Any, Any, Any], store: FeatureStore, kind: BatchKind
) -> Response[bytes]:
    query = _Query.of(request.query_params.multi_items(), kind, store.settings.valid_ranges)
    body = await request.body()
    content_type = request.headers.get("content-type")
    file, tenant_id = await asyncio.to_thread(_opened, query, body, content_type)
    if query.dry_run:
        result = await ingest_file(file, tenant_id, None)
    else:
        batch = await asyncio.to_thread(read_batch, file, tenant_id, len(body))
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


def _opened(query: _Query, body: bytes, content_type: str | None) -> tuple[DataFile, str]:
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
