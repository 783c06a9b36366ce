"""The OpenAPI document of the service, made of the table of its routes."""

from __future__ import annotations

from http import HTTPStatus
from typing import Any, get_args

from ai_hub import __version__
from ai_hub.definitions.registry import Registry
from ai_hub.definitions.values import MAX_HORIZONS
from ai_hub.export.job import Compression
from ai_hub.http.change_schemas import CHANGES
from ai_hub.http.chart_schemas import chart_components
from ai_hub.http.description import ROUTES, Route
from ai_hub.http.doctor_schemas import DOCTOR
from ai_hub.http.drift_schemas import drift_components
from ai_hub.http.explained import EXPLAINED
from ai_hub.http.export_schemas import export_components
from ai_hub.http.history_schemas import history_components
from ai_hub.http.schemas import ID, MODEL, POLICY, TIME, WIDTH, Schema, components, listed, set_name
from ai_hub.intake.labels import FORMATS
from ai_hub.intake.options import BatchKind, Option
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
    202: "It is under way still.",
    400: "It is not HTTP, or its body is not JSON.",
    401: "The server asks for access keys (`AI_HUB_AUTH`), and there is none that is valid.",
    403: "The key or token does not allow it, or a web page of another site asks (`Origin`).",
    404: "There is nothing of that name.",
    409: "What is in the registry does not allow it.",
    408: "It did not arrive in time.",
    413: "The body is over the limit.",
    415: "The body is compressed, or of a type that is not taken.",
    421: "`Host` is none of the names of this server (`AI_HUB_ALLOWED_HOSTS`).",
    422: "A value is not what is expected; the problem names it.",
    429: "The key or token asks more often than it may (`AI_HUB_RATE_LIMIT`).",
    431: "Target and headers are over the limit.",
    500: "A fault of the server, or an export that could not be written.",
    503: "The database does not answer, or as much as may is under way already.",
}
_BY_KEY: Schema = {"type": "http", "scheme": "bearer", "description": "Where AI_HUB_AUTH=keys"}
_LOCATION: Schema = {"description": "Where to look at it", "schema": {"type": "string"}}
_RETRY_AFTER: Schema = {
    "description": "In how many seconds to ask again",
    "schema": {"type": "integer", "minimum": 1},
}


def document(registry: Registry) -> dict[str, Any]:
    """The OpenAPI document, with the names of a registry's sets and features."""
    schemas = components(registry) | EXPLAINED | DOCTOR | drift_components(registry) | CHANGES
    schemas |= history_components(registry)
    schemas |= export_components(registry)
    schemas |= chart_components(registry)
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
            "schema": _option(option),
        }
        for option in (DRY_RUN, *READ_OPTIONS[kind])
    ]


def _option(option: Option) -> Schema:
    one = _KINDS[option.kind]
    if option.kind is str:
        one = {**one, "maxLength": option.longest}
    return listed(one, 0, option.most) if option.repeatable else one


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
        if route.in_tables:
            found["200"]["content"] |= {key: {"schema": _BINARY} for key in FORMATS.values()}
    elif route.tables:
        found["200"]["content"] = {key: {"schema": _BINARY} for key in FORMATS.values()}
    else:
        found["200"]["content"] = {"text/plain": {"schema": {"type": "string"}}}
    for status in sorted({*_ALWAYS, *more, *route.refuses, *route.answers}):
        schema = _of("Problem")
        why = _WHY.get(status, HTTPStatus(status).description)
        if status in route.answers:
            answer = _of(route.answers[status])
            schema = answer if status < 400 else {"anyOf": [answer, schema]}
        found[str(status)] = {
            "description": why,
            "content": {"application/json": {"schema": schema}},
        }
        if status == 202:
            found[str(status)]["headers"] = {"Location": _LOCATION}
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
        "search": {**ID, "minLength": 0},
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
