"""The OpenAPI document of the service: every route with all that it takes and answers."""

from __future__ import annotations

from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any, Literal, get_args

from ai_hub import __version__
from ai_hub.definitions.registry import Registry
from ai_hub.definitions.values import MAX_HORIZONS
from ai_hub.export.job import Compression
from ai_hub.http.drift_schemas import drift_components
from ai_hub.http.explained import EXPLAINED
from ai_hub.http.schemas import ID, MODEL, POLICY, TIME, WIDTH, Schema, components, listed, set_name
from ai_hub.intake.labels import FORMATS
from ai_hub.intake.options import BatchKind
from ai_hub.intake.read_options import DRY_RUN, READ_OPTIONS
from ai_hub.stores.audit_log import WHATS

_TABLES = (
    "application/x-ndjson",
    "text/csv",
    "text/tab-separated-values",
    "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
    "application/vnd.apache.parquet",
    "application/vnd.apache.arrow.stream",
    "application/vnd.apache.arrow.file",
)
_KINDS: dict[type, Schema] = {
    str: {"type": "string"},
    int: {"type": "integer", "minimum": 0, "maximum": 999_999_999},
    bool: {"type": "boolean"},
}
_BINARY: Schema = {"type": "string", "format": "binary"}
_ALWAYS = (400, 401, 403, 408, 421, 429, 431, 500)
_WITH_BODY = (413, 415, 422, 503)
_WHY = {
    400: "It is not HTTP, or its body is not JSON.",
    401: "The server asks for access keys (`AI_HUB_AUTH`), and there is none that is valid.",
    403: "The key does not allow it, or a web page of another site asks (`Origin`).",
    404: "There is nothing of that name.",
    409: "What is in the registry does not allow it.",
    408: "It did not arrive in time.",
    413: "The body is over the limit.",
    415: "The body is compressed, or of a type that is not taken.",
    421: "`Host` is none of the names of this server (`AI_HUB_ALLOWED_HOSTS`).",
    422: "A value is not what is expected; the problem names it.",
    429: "The key asks more often than it may (`AI_HUB_RATE_LIMIT`).",
    431: "Target and headers are over the limit.",
    500: "A fault of the server, or an export that could not be written.",
    503: "The database does not answer, or as much as may is under way already.",
}
_BY_KEY: Schema = {"type": "http", "scheme": "bearer", "description": "Where AI_HUB_AUTH=keys"}
_RETRY_AFTER: Schema = {
    "description": "In how many seconds to ask again",
    "schema": {"type": "integer", "minimum": 1},
}

_AT = "2025-10-09T14:30:00Z"
_DAY = {"start_time": "2025-10-09T00:00:00Z", "end_time": "2025-10-10T00:00:00Z"}
_ACME = {"tenant_id": "acme"}
_DEFINITIONS = {"feature_sets": [{"name": "load_ratio", "version": 1, "features": [
    "lag_24h", {"kind": "Rolling", "name": "avg_48h", "stat": "mean", "window": "48h"},
    {"kind": "Derived", "name": "ratio", "expression": "lag_24h / avg_48h"}]}]}  # fmt: skip
_CHOSEN = {"feature_set": "forecast_basic", "timestamp": _AT}


@dataclass(frozen=True)
class Route:
    """One operation: its place, what it takes and what it answers.

    `query` is the names of its parameters, `needs` those that are required; `refuses` the statuses
    beside those that every route has.
    """

    method: Literal["get", "post", "put"]
    path: str
    summary: str
    answer: str | None
    body: str | None = None
    example: object = None
    query: tuple[str, ...] = ()
    needs: tuple[str, ...] = ()
    refuses: tuple[int, ...] = ()
    tables: bool = False
    rows: BatchKind | None = None
    """Of which kind the rows are that it takes, with options of reading as parameters."""
    answers: dict[int, str] = field(default_factory=dict)


ROUTES = (
    Route(
        "post", "/ai/features/get",
        "The features of one entity as of a time (now, when none is given).",
        "FeatureVector", "GetRequest", _ACME | {"asset_id": "meter-001"} | _CHOSEN,
        refuses=(404, 409),
    ),
    Route(
        "post", "/ai/features/batch", "The features of 1 to 1,000 entities of one tenant.",
        "BatchVectors", "BatchRequest",
        _ACME | {"asset_ids": ["meter-001", "meter-002"]} | _CHOSEN, refuses=(404, 409),
    ),
    Route(
        "post", "/ai/features/explain",
        "The features of one entity, each with what it read and why it has no value.",
        "Explanation", "ExplainRequest", _ACME | {"asset_id": "meter-001"} | _CHOSEN,
        refuses=(404, 409, 503),
    ),
    Route(
        "get", "/ai/features/sets", "Every feature set in every version, retired ones too.",
        "FeatureSets",
    ),
    Route(
        "get", "/ai/features/sets/{name}",
        "One feature set, by `name` (its default version) or `name@version`.", "FeatureSet",
        refuses=(404,),
    ),
    Route(
        "get", "/ai/features/sets/{name}/versions/{version}", "One version of a feature set.",
        "FeatureSet", refuses=(404,),
    ),
    Route(
        "post", "/ai/features/sets/plan",
        "What applying a document of definitions would change, and what looks wrong with it.",
        "RegistryPlan", "DefinitionsRequest", _DEFINITIONS, refuses=(503,),
    ),
    Route(
        "post", "/ai/features/sets/apply",
        "Have every process serve the feature sets of a document, all of them or none.",
        "RegistryPlan", "DefinitionsRequest", _DEFINITIONS, refuses=(409, 503),
    ),
    Route(
        "post", "/ai/features/sets/default",
        "Let the name of a feature set alone mean one of its versions.", "FeatureSet",
        "FeatureSetRequest", {"feature_set": "forecast_basic@1"}, refuses=(404, 503),
    ),
    Route(
        "post", "/ai/features/sets/retire",
        "Serve a version of a feature set no more; exports made with it stay readable.",
        "FeatureSet", "FeatureSetRequest", refuses=(404, 409, 503),
    ),
    Route(
        "post", "/ai/features/sets/{name}/rollout",
        "Let the name mean a version for a percentage of the entities, or finish or abort that.",
        "FeatureSet", "RolloutRequest", refuses=(404, 409, 503),
    ),
    Route("get", "/ai/features/models", "Every model that is bound to a feature set.", "Models"),
    Route(
        "post", "/ai/features/models/bind",
        "Bind a version of a model to a version of a feature set, as it is now.", "Model",
        "BindRequest", {"model": "load-model@3", "feature_set": "forecast_basic@1"},
        refuses=(404, 409, 503),
    ),
    Route(
        "post", "/ai/features/models/unbind", "Let a version of a model be bound to nothing.",
        "Model", "ModelRequest", refuses=(404, 503),
    ),
    Route(
        "get", "/ai/features/keys", "The access keys for tenants that are one's own.", "Keys",
    ),
    Route(
        "post", "/ai/features/keys", "Make an access key; only this answer has it.", "CreatedKey",
        "CreateKeyRequest", {"name": "grafana", "tenants": ["acme"], "scopes": ["read"],
                             "expires": "90d"}, refuses=(503,),
    ),
    Route(
        "post", "/ai/features/keys/revoke", "Let an access key be valid no more.", "Key",
        "KeyRequest", refuses=(404, 503),
    ),
    Route(
        "get", "/ai/features/audit", "Who changed what of one's own tenants, the newest first.",
        "Audit", query=("tenant_id", "what", "who", "start_time", "end_time", "before", "limit"),
        refuses=(422, 503),
    ),
    Route(
        "post", "/ai/features/delete", "Remove data of a tenant for good, or count what would go.",
        "Removed", "DeleteRequest",
        _ACME | {"asset_ids": ["meter-001"]} | _DAY | {"dry_run": True}, refuses=(503,),
    ),
    Route(
        "post", "/ai/features/ingest",
        "Land observations; 200 when any row landed. Rejected rows are counted and named.",
        "IngestResult", "Observations",
        _ACME | {"rows": [
            {"timestamp": "2025-10-09T14:00:00Z", "asset_id": "meter-001", "value": 42.5}]},
        ("tenant_id",), refuses=(503,), tables=True, rows="observations",
        answers={422: "IngestResult"},
    ),
    Route(
        "post", "/ai/features/ingest/weather",
        "Land weather rows of assets or of stations that assets share.",
        "IngestResult", "Weather",
        _ACME | {"rows": [
            {"timestamp": "2025-10-09T14:00:00Z", "asset_id": "station-1", "temperature": 11.5}]},
        ("tenant_id",), refuses=(503,), tables=True, rows="weather",
        answers={422: "IngestResult"},
    ),
    Route(
        "post", "/ai/features/ingest/attributes",
        "Land attributes of assets (capacity, timezone ...): a row a value, or a column a key.",
        "IngestResult", "Attributes",
        _ACME | {"rows": [
            {"asset_id": "meter-001", "key": "capacity", "value": 120},
            {"asset_id": "meter-001", "key": "timezone", "value": "Europe/Berlin"}]},
        ("tenant_id",), refuses=(503,), tables=True, rows="attributes",
        answers={422: "IngestResult"},
    ),
    Route(
        "put", "/ai/features/weather-sources",
        "Let assets take their weather from a station that they share, from a time on.",
        "Mapped", "WeatherSourceRequest",
        _ACME | {"source_id": "station-1", "asset_ids": ["meter-001"]}, refuses=(503,),
    ),
    Route(
        "post", "/ai/features/export",
        "Write a training set to Parquet under the export root; answers when it is done.",
        "Export", "ExportRequest",
        _ACME | {"feature_set": "forecast_basic"} | _DAY | {"horizons": ["24h"]},
        refuses=(404, 409, 503),
    ),
    Route(
        "get", "/ai/features/exports", "Recorded exports, the newest first.", "Exports",
        query=("tenant_id", "limit"), refuses=(422, 503),
    ),
    Route(
        "get", "/ai/features/exports/{export_id}", "One recorded export.", "Export",
        refuses=(404, 503),
    ),
    Route(
        "post", "/ai/features/training-set",
        "The rows of a spine in their order, each with its labels and the features as of its time.",
        None, query=("tenant_id", "feature_set", "horizons", "missing", "indicators",
                     "compression", "format", "model"),
        needs=("tenant_id",), refuses=(404, 409, 503), tables=True,
    ),
    Route(
        "post", "/ai/features/drift",
        "How far what a set served (or its history gives) is from a baseline, feature by feature.",
        "Drift", "DriftRequest", _ACME | {"feature_set": "forecast_basic"} | _DAY,
        refuses=(404, 503),
    ),
    Route(
        "post", "/ai/features/drift/baseline",
        "Keep what the values of a set were in a time of history; each export keeps one, too.",
        "Baseline", "BaselineRequest", _ACME | {"feature_set": "forecast_basic"} | _DAY,
        refuses=(404, 503),
    ),
    Route(
        "get", "/ai/features/assets",
        "The assets of a tenant that were seen in the last day, sorted; with `details`, or one of "
        "the others, a page of all, with what is known of each.", "Assets",
        query=("tenant_id", "details", "since", "after", "limit"),
        needs=("tenant_id",), refuses=(422, 503),
    ),
    Route(
        "post", "/ai/features/cache/warm",
        "Have vectors ready, now's by default: of some assets or all, of a set or every one.",
        "Warmed", "WarmRequest", _ACME | {"asset_ids": ["meter-001"]} | _CHOSEN,
        refuses=(404, 503),
    ),
    Route(
        "post", "/ai/features/cache/invalidate",
        "Forget the cached vectors of some assets, of one set or all.", "Invalidated",
        "CacheRequest", _ACME | {"asset_ids": ["meter-001"]}, refuses=(404,),
    ),
    Route("get", "/ai/features/cache/stats", "What the cache holds, and its hit rate.",
          "CacheStats"),
    Route(
        "get", "/ai/features/status",
        "What the database is like: its size, its tables, the series of every tenant.", "Status",
        query=("exact",), refuses=(503,),
    ),
    Route("get", "/health", "That the server is alive, and which database it holds.", "Health"),
    Route(
        "get", "/health/ready", "How each part of the service is, and whether answers are right.",
        "Readiness", answers={503: "Readiness"},
    ),
    Route("get", "/metrics", "What was counted, for Prometheus.", None),
)  # fmt: skip
"""Every route that is described; the pages under `/docs` are for people."""


def document(registry: Registry) -> dict[str, Any]:
    """The OpenAPI document, with the names of a registry's sets and features."""
    schemas = components(registry) | EXPLAINED | drift_components(registry)
    parameters = _parameters(set_name(registry))
    paths: dict[str, dict[str, Any]] = {}
    for route in ROUTES:
        paths.setdefault(route.path, {})[route.method] = _operation(route, parameters)
    return {
        "openapi": "3.1.0",
        "info": {"title": "AI Hub Feature Store", "version": __version__},
        "paths": paths,
        "components": {"schemas": schemas, "securitySchemes": {"key": _BY_KEY}},
        "security": [{}, {"key": []}],
    }


def _operation(route: Route, parameters: Schema) -> dict[str, Any]:
    inside = [
        {"name": name, "in": "path", "required": True, "schema": _inside(route, name, parameters)}
        for name in ("name", "version", "export_id")
        if f"{{{name}}}" in route.path
    ]
    asked = [
        {"name": name, "in": "query", "required": name in route.needs, "schema": parameters[name]}
        for name in route.query
    ]
    asked += [] if route.rows is None else _options(route.rows)
    takes = route.body is not None or route.tables
    said: dict[str, Any] = {
        "operationId": f"{route.method}{route.path.replace('/', '_').replace('-', '_')}".translate(
            {ord("{"): None, ord("}"): None}
        ),
        "summary": route.summary,
        "responses": _responses(route, _WITH_BODY if takes else ()),
    }
    if inside or asked:
        said["parameters"] = inside + asked
    if takes:
        said["requestBody"] = {"required": True, "content": _content(route)}
    return said


def _inside(route: Route, name: str, parameters: Schema) -> Schema:
    """The schema of a part of a path; what is about a name as such takes none with a version."""
    schema: Schema = parameters[name]
    if name == "name" and route.path.endswith("/rollout"):
        return {**schema, "enum": [one for one in schema["enum"] if "@" not in one]}
    return schema


def _options(kind: BatchKind) -> list[dict[str, Any]]:
    """The options of reading rows, as parameters."""
    return [
        {
            "name": option.name,
            "in": "query",
            "required": False,
            "description": option.help,
            "schema": listed(_KINDS[option.kind], 0) if option.repeatable else _KINDS[option.kind],
        }
        for option in (DRY_RUN, *READ_OPTIONS[kind])
    ]


def _content(route: Route) -> Schema:
    binary: Schema = {"schema": _BINARY}
    if route.body is None:
        return dict.fromkeys(FORMATS.values(), binary)
    named: Schema = {"schema": _of(route.body)}
    if route.example is not None:
        named["example"] = route.example
    return {"application/json": named} | (dict.fromkeys(_TABLES, binary) if route.tables else {})


def _responses(route: Route, more: tuple[int, ...]) -> dict[str, Any]:
    found: dict[str, Any] = {"200": {"description": HTTPStatus.OK.description}}
    if route.answer is not None:
        found["200"]["content"] = {"application/json": {"schema": _of(route.answer)}}
    elif route.tables:
        found["200"]["content"] = {key: {"schema": _BINARY} for key in FORMATS.values()}
    else:
        found["200"]["content"] = {"text/plain": {"schema": {"type": "string"}}}
    for status in sorted({*_ALWAYS, *more, *route.refuses, *route.answers}):
        schema = _of("Problem")
        why = _WHY.get(status, HTTPStatus(status).description)
        if status in route.answers:
            both = [_of(route.answers[status]), schema]
            schema = {"anyOf": both}
        found[str(status)] = {
            "description": why,
            "content": {"application/json": {"schema": schema}},
        }
        if status in (429, 503):
            found[str(status)]["headers"] = {"Retry-After": _RETRY_AFTER}
    return found


def _parameters(chosen: Schema) -> Schema:
    return {
        "name": chosen,
        "version": {"type": "integer", "minimum": 1, "maximum": 999_999_999},
        "export_id": {"type": "string", "minLength": 1},
        "tenant_id": ID,
        "limit": {"type": "integer", "minimum": 1, "maximum": 10_000, "default": 100},
        "details": {"type": "boolean", "default": False},
        "exact": {"type": "boolean", "default": False},
        "since": TIME,
        "after": ID,
        "what": {"type": "string", "enum": [*WHATS]},
        "who": ID,
        "start_time": TIME,
        "end_time": TIME,
        "before": {"type": "integer", "minimum": 1, "maximum": 2**63 - 1},
        "feature_set": chosen,
        "horizons": {**listed(WIDTH, 0, MAX_HORIZONS), "uniqueItems": True},
        "missing": POLICY,
        "indicators": {"type": "boolean", "default": False},
        "compression": {"type": "string", "enum": [*get_args(Compression)], "default": "snappy"},
        "format": {"type": "string", "enum": [*FORMATS]},
        "model": MODEL,
    }


def _of(name: str) -> Schema:
    return {"$ref": f"#/components/schemas/{name}"}
