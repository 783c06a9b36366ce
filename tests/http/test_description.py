"""The OpenAPI document and the page of it: complete, true, and from nowhere else."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import jsonschema_rs
import msgspec
import pytest

from acceptance.serving import Server
from ai_hub.definitions.document import read_document
from ai_hub.definitions.registry import Registry
from ai_hub.http import messages
from ai_hub.http.description import ROUTES, Route
from ai_hub.http.openapi import document
from ai_hub.page.static import URLS

DOCUMENT = document(Registry())
SCHEMAS = DOCUMENT["components"]["schemas"]
TRIED = [route for route in ROUTES if route.example is not None]


def fits(value: Any, schema: dict[str, Any], at: str = "") -> None:
    """Assert what a schema of this document says, for the words that it uses."""
    if "$ref" in schema:
        schema = SCHEMAS[schema["$ref"].rpartition("/")[2]]
    for word in ("anyOf",):
        if word in schema:
            errors = []
            for one in schema[word]:
                try:
                    return fits(value, one, at)
                except AssertionError as error:
                    errors.append(error)
            raise AssertionError(errors)
    kinds = schema.get("type", [])
    kinds = [kinds] if isinstance(kinds, str) else kinds
    python = {"string": str, "integer": int, "number": (int, float), "boolean": bool,
              "null": type(None), "object": dict, "array": list}  # fmt: skip
    assert not kinds or any(isinstance(value, python[kind]) for kind in kinds), (at, value, kinds)
    assert value in schema.get("enum", [value]), (at, value)
    if isinstance(value, str):
        assert re.search(schema.get("pattern", ""), value)
        assert schema.get("minLength", 0) <= len(value) <= schema.get("maxLength", len(value))
    if isinstance(value, list):
        assert schema.get("minItems", 0) <= len(value) <= schema.get("maxItems", len(value)), at
        for place, one in enumerate(value):
            fits(one, schema.get("items", {}), f"{at}[{place}]")
    if isinstance(value, dict):
        assert set(schema.get("required", [])) <= value.keys(), (at, value)
        rest = schema.get("additionalProperties", {})
        for name, one in value.items():
            inner = schema.get("properties", {}).get(name, rest)
            assert inner is not False, (at, name)
            fits(one, inner, f"{at}.{name}")


@pytest.mark.parametrize("route", TRIED, ids=lambda route: route.path)
def test_every_example_is_taken_and_answered_as_described(server: Server, route: Route) -> None:
    assert route.body is not None
    fits(route.example, SCHEMAS[route.body])
    answer = server.client.request(route.method.upper(), route.path, json=route.example)
    assert answer.status_code == 200, answer.text
    assert route.answer is not None
    fits(answer.json(), SCHEMAS[route.answer])


@pytest.mark.parametrize("route", ROUTES, ids=lambda route: f"{route.method} {route.path}")
def test_what_is_asked_without_a_body_is_answered_as_described(
    server: Server, route: Route
) -> None:
    if route.method != "get" or route.answer is None:
        return
    exports = server.call("GET", "/exports?limit=1")["exports"]
    export_id = exports[0]["export_id"] if exports else "none"
    path = route.path.format(name="forecast_basic", version=1, export_id=export_id)
    answer = server.client.get(path, params=dict.fromkeys(route.needs, "acme"))
    if answer.status_code == 404 and not exports:
        fits(answer.json(), SCHEMAS["Problem"])
        return
    assert answer.status_code == 200, answer.text
    fits(answer.json(), SCHEMAS[route.answer])


@pytest.mark.parametrize("name", [name for name in SCHEMAS if name.endswith("Request")])
def test_requests_have_the_fields_that_are_taken(name: str) -> None:
    struct = getattr(messages, name)
    described = SCHEMAS[name]
    assert [*described["properties"]] == [one.encode_name for one in msgspec.structs.fields(struct)]
    required = [one.encode_name for one in msgspec.structs.fields(struct) if one.required]
    assert described["required"] == required


def lists(schema: Any, at: str) -> Iterator[str]:
    """The places of lists that may be of any length."""
    if isinstance(schema, list):
        schema = dict(enumerate(schema))
    if isinstance(schema, dict):
        if schema.get("type") == "array" and "items" in schema and "maxItems" not in schema:
            yield at
        for name, one in schema.items():
            yield from lists(one, f"{at}.{name}")


def test_every_list_that_is_taken_says_how_long_it_may_be() -> None:
    asked = {name: one for name, one in SCHEMAS.items() if name.endswith("Request")}
    asked |= {name: SCHEMAS[name] for name in ("Observations", "Weather", "Attributes")}
    asked |= {name: one for name, one in SCHEMAS.items() if name.startswith("Defined")}
    operations = [one for path in DOCUMENT["paths"].values() for one in path.values()]
    queries = [one.get("parameters", []) for one in operations]
    assert [*lists(asked, ""), *lists(queries, "query")] == []


def test_every_refusal_has_its_schema(server: Server) -> None:
    for methods in DOCUMENT["paths"].values():
        for said in methods.values():
            statuses = {int(status) for status in said["responses"]}
            assert {200, 400, 403, 408, 421, 431, 500} <= statuses
            assert ("requestBody" in said) <= ({413, 415, 422} <= statuses)
    for name in re.findall(r'"#/components/schemas/(\w+)"', msgspec.json.encode(DOCUMENT).decode()):
        assert name in SCHEMAS
    # Other tests here may have applied the set of the example; the document names it from then on.
    (example,) = (one.example for one in TRIED if one.path.endswith("/sets/apply"))
    registries = Registry(), Registry().with_applied(read_document(example), [], {})
    assert server.client.get("/docs/openapi.json").json() in [*map(document, registries)]


def test_the_page_needs_nothing_else(server: Server) -> None:
    answer = server.client.get("/docs")
    assert answer.headers["content-type"].startswith("text/html")
    assert "default-src 'none'" in answer.headers["content-security-policy"]
    page = answer.text
    assert "<script" not in page
    assert " style=" not in page
    linked = set(re.findall(r'(?:src|href)="([^"]*)"', page))
    assert linked == {"/", "/docs/openapi.json", URLS["docs.css"], URLS["icon.svg"]}
    assert "url(" not in page
    for route in ROUTES:
        assert route.path in page


def test_what_may_be_asked_again_says_when() -> None:
    described = [
        (path, answers)
        for path, operations in DOCUMENT["paths"].items()
        for operation in operations.values()
        for status, answers in operation["responses"].items()
        if status == "503"
    ]
    assert len(described) > 10
    for path, answer in described:
        assert "Retry-After" in answer["headers"], path


_EXPORTED = {"tenant_id": "acme", "feature_set": "forecast_basic",
             "start_time": "2025-10-09T00:00:00Z", "end_time": "2025-10-10T00:00:00Z"}  # fmt: skip
_SEALED = {"before": "2024-01-01T00:00:00Z", "to": "history-of-rules"}


@pytest.mark.parametrize(
    ("path", "asked", "taken"),
    [
        ("export", {"parts": True, "partition_by": ["asset_bucket"], "buckets": 4.0}, True),
        ("export", {"partition_by": [], "buckets": None, "format": "parquet"}, True),
        ("export", {"parts": True, "partition_by": ["month"], "buckets": 4}, False),
        ("export", {"parts": True, "partition_by": ["month", "month"]}, False),
        ("export", {"parts": False, "partition_by": ["month"]}, False),
        ("export", {"parts": True, "buckets": 4}, False),
        ("export", {"format": "delta"}, False),
        ("export", {"format": "delta", "output_path": "tables/one"}, False),
        ("archive", {"tenant_id": "acme"}, True),
        ("archive", {"drop": True}, True),
        ("archive", {"tenant_id": "acme", "drop": True}, False),
        ("archive", {"to": ""}, False),
        ("history", {"limit": 10.0, "weather": ["humidity"]}, True),
        ("history", {"limit": 10.5}, False),
        ("history", {"weather": ["humidity"] * 20}, False),
        ("keys", {"created_by": "a\0b"}, False),
        ("keys", {"created_by": "b" * 201}, False),
    ],
)
def test_rules_between_values_are_described(
    server: Server, path: str, asked: dict[str, Any], taken: bool
) -> None:
    some = {"name": "ruled", "scopes": ["read"], "tenants": ["acme"]}
    past = _EXPORTED | {"asset_ids": ["meter-001"]}
    whole = {"export": _EXPORTED, "archive": _SEALED, "history": past, "keys": some}
    body = whole[path] | asked
    (route,) = (one for one in ROUTES if one.path.endswith(f"/{path}") and one.body is not None)
    schema = {"$ref": f"#/components/schemas/{route.body}", "components": DOCUMENT["components"]}
    assert jsonschema_rs.validator_for(schema).is_valid(body) == taken
    assert server.client.post(route.path, json=body).status_code == (200 if taken else 422)
