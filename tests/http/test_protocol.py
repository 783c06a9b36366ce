"""HTTP itself: limits, broken connections, pipelines, other methods, and the description."""

from __future__ import annotations

import http.client
import json
import re
import socket
from collections.abc import Iterator
from contextlib import closing
from typing import Any

import pytest

from acceptance.serving import Server
from ai_hub.http.description import ROUTES as DESCRIBED

GET = {"tenant_id": "protocol", "asset_id": "a", "feature_set": "forecast_basic"}
ROUTES = {
    "/ai/features/get": "post",
    "/ai/features/batch": "post",
    "/ai/features/explain": "post",
    "/ai/features/history": "post",
    "/ai/features/chart": "post",
    "/ai/features/sets": "get",
    "/ai/features/sets/{name}": "get",
    "/ai/features/sets/{name}/versions/{version}": "get",
    "/ai/features/sets/plan": "post",
    "/ai/features/sets/apply": "post",
    "/ai/features/sets/default": "post",
    "/ai/features/sets/retire": "post",
    "/ai/features/sets/{name}/rollout": "post",
    "/ai/features/models": "get",
    "/ai/features/models/bind": "post",
    "/ai/features/models/unbind": "post",
    "/ai/features/keys": "get",
    "/ai/features/keys/revoke": "post",
    "/ai/features/audit": "get",
    "/ai/features/delete": "post",
    "/ai/features/archive": "post",
    "/ai/features/archives": "get",
    "/ai/features/unarchive": "post",
    "/ai/features/ingest": "post",
    "/ai/features/ingest/weather": "post",
    "/ai/features/ingest/attributes": "post",
    "/ai/features/weather-sources": "put",
    "/ai/features/export": "post",
    "/ai/features/exports": "get",
    "/ai/features/exports/{export_id}": "get",
    "/ai/features/exports/{export_id}/resume": "post",
    "/ai/features/tenants": "get",
    "/ai/features/assets": "get",
    "/ai/features/freshness": "get",
    "/ai/features/training-set": "post",
    "/ai/features/drift": "post",
    "/ai/features/drift/baseline": "post",
    "/ai/features/cache/warm": "post",
    "/ai/features/cache/invalidate": "post",
    "/ai/features/cache/stats": "get",
    "/ai/features/status": "get",
    "/ai/features/doctor": "get",
    "/health": "get",
    "/health/ready": "get",
    "/metrics": "get",
}
TAKING = [path for path, method in ROUTES.items() if method != "get"]


def request(body: bytes, path: str = "/ai/features/get", length: int = 0, end: str = "") -> bytes:
    head = f"POST {path} HTTP/1.1\r\nhost: localhost\r\ncontent-length: {length or len(body)}\r\n"
    return f"{head}{end}\r\n".encode() + body


def pieces(size: int) -> Iterator[bytes]:
    for _ in range(size // 1_000):
        yield b" " * 1_000


@pytest.mark.parametrize("path", TAKING)
@pytest.mark.parametrize("size", [3_000, 100_000])
@pytest.mark.parametrize("chunked", [False, True])
def test_a_body_over_the_limit_is_413(small: Server, path: str, size: int, chunked: bool) -> None:
    content: Any = pieces(size) if chunked else b" " * size
    answer = small.client.request(ROUTES[path].upper(), path, content=content)
    assert answer.status_code == 413
    assert answer.json()["detail"].startswith("body: over the limit of 2000 bytes")


def test_a_body_at_the_limit_is_taken(small: Server) -> None:
    content = json.dumps(GET).encode()
    for sent in (content.ljust(2_000), iter([content, b" " * (2_000 - len(content))])):
        small.call("POST", "/get", content=sent)
    small.call("POST", "/get", None, 413, content=content.ljust(2_001))


@pytest.mark.parametrize("path", TAKING)
def test_a_client_that_leaves_amid_a_body_does_no_harm(server: Server, path: str) -> None:
    sent = request(b'{"tenant_id":', path, length=1_000)
    for reset in (b"\0" * 8, b"\1\0\0\0\0\0\0\0"):
        with socket.create_connection(("127.0.0.1", server.port)) as connection:
            connection.sendall(sent)
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, reset)
    assert server.client.get("/health").status_code == 200


def test_requests_in_one_go_are_answered_in_order(server: Server) -> None:
    bodies = [json.dumps(GET | {"asset_id": f"m{n}"}).encode() for n in range(20)]
    bad = request(b"{")
    last = request(b"{", end="connection: close\r\n")
    answer = server.raw(b"".join(request(body) + bad for body in bodies) + last)
    heads = [part.split(b"\r\n")[0] for part in answer.split(b"HTTP/1.1 ")[1:]]
    assert heads == [b"200 OK", b"400 Bad Request"] * 20 + [b"400 Bad Request"]
    places = [answer.index(b'"asset_id":"m%d"' % n) for n in range(20)]
    assert places == sorted(places)


def test_a_connection_is_kept(server: Server) -> None:
    with closing(http.client.HTTPConnection("127.0.0.1", server.port, timeout=120)) as connection:
        connection.connect()
        kept = connection.sock
        for path, body in (("get", GET), ("batch", {}), ("nope", {}), ("export", {}), ("get", GET)):
            connection.request("POST", f"/ai/features/{path}", json.dumps(body))
            assert connection.getresponse().read()
            assert connection.sock is kept


def test_bytes_that_are_no_http_do_no_harm(server: Server) -> None:
    length = b"POST / HTTP/1.1\r\ncontent-length: -1\r\n\r\n"
    for sent in (b"\x00\xff" * 100, b"GET\r\n\r\n", b"GET / HTTP/9.9\r\n\r\n", length):
        assert b" 400 " in server.raw(sent)[:20]
    assert server.client.get("/health").status_code == 200


def test_an_upgrade_to_a_websocket_is_no_fault(server: Server) -> None:
    header = {"connection": "Upgrade", "upgrade": "websocket", "sec-websocket-version": "13",
              "sec-websocket-key": "AAAAAAAAAAAAAAAAAAAAAA=="}  # fmt: skip
    answer = server.client.get("/ai/features/sets", headers=header)
    assert answer.status_code < 500


@pytest.mark.parametrize("method", ["HEAD", "OPTIONS", "TRACE", "PROPFIND"])
@pytest.mark.parametrize("path", [*ROUTES, "/docs", "/nope"])
def test_other_methods_are_no_fault(server: Server, method: str, path: str) -> None:
    assert server.client.request(method, path).status_code < 500


def test_options_are_the_methods_of_the_document(server: Server) -> None:
    described: dict[str, set[str]] = {}
    for route in DESCRIBED:
        path = re.sub(r"{\w+}", "x", route.path)
        described.setdefault(path, {"OPTIONS"}).add(route.method.upper())
    for path, methods in described.items():
        answer = server.client.options(path)
        assert (answer.status_code, {*answer.headers["allow"].split(", ")}) == (204, methods), path


def test_health_says_what_is_served(server: Server, small: Server) -> None:
    health = server.client.get("/health").json()
    assert health.keys() == {"status", "version", "database", "granularity"}
    assert health["status"] == "ok"
    assert health["database"] == str(server.folder / "features.duckdb")
    other = small.client.get("/health").json()
    assert (other["database"], other["granularity"]) == (":memory:", "1h")
    assert health["granularity"] == "1m"


def test_a_slash_at_the_end_is_the_same_route(server: Server) -> None:
    for path, key in (("/get", "features"), ("/batch", "results")):
        body = {"tenant_id": "t", "timestamp": "2025-01-01T00:00:00Z"}
        body |= {"asset_id": "a"} if key == "features" else {"asset_ids": ["a"]}
        answers = [server.call("POST", f"{path}{end}", body) for end in ("", "/")]
        assert answers[0].keys() == answers[1].keys()
        assert json.dumps(answers[0][key])[:20] == json.dumps(answers[1][key])[:20]
        problem = server.call("POST", f"{path}/", None, 400, content=b"{")
        assert problem["field"] == "body"


def test_feature_sets_are_described(server: Server) -> None:
    # The example of the description may have been applied.
    named = ("anomaly_detection", "forecast_advanced", "forecast_basic")
    listed = server.call("GET", "/sets")["feature_sets"]
    listed = [one for one in listed if one["name"] in named]
    assert [(one["name"], one["feature_count"]) for one in listed] == [
        ("anomaly_detection", 7), ("forecast_advanced", 13), ("forecast_basic", 6),
    ]  # fmt: skip
    for one in listed:
        assert one.keys() == {
            "name", "version", "fingerprint", "description", "owner", "use_cases", "missing",
            "on_violation", "series", "feature_count", "features", "definitions", "state",
            "default", "applied_at", "applied_by", "models", "rollout",
        }  # fmt: skip
        assert one == server.call("GET", f"/sets/{one['name']}")
        assert one == server.call("GET", f"/sets/{one['name']}@{one['version']}")


def test_the_description_has_every_route_and_its_body(server: Server) -> None:
    page = server.client.get("/docs")
    assert page.status_code == 200
    assert "text/html" in page.headers["content-type"]
    described = server.client.get("/docs/openapi.json").json()
    assert {path: next(iter(one)) for path, one in described["paths"].items()} == ROUTES
    schemas = described["components"]["schemas"]
    for path in TAKING:
        if path.endswith("/resume"):
            continue  # it says all
        body = described["paths"][path][ROUTES[path]]["requestBody"]
        if path == "/ai/features/training-set":
            assert "text/csv" in body["content"]
            continue
        schema = body["content"]["application/json"]["schema"]
        schema = schemas[schema["$ref"].rsplit("/")[-1]] if "$ref" in schema else schema
        # What all tenants share, definitions and models, names none; a key has some or all.
        shared = (
            "/ai/features/sets/", "/ai/features/models/", "/ai/features/keys",
            "/ai/features/archive",
            "/ai/features/unarchive",
        )  # fmt: skip
        if not path.startswith(shared):
            assert "tenant_id" in schema["properties"]
            # Drift of the one tenant with data needs no name.
            assert ("tenant_id" in schema["required"]) == ("/drift" not in path), path
    for path, key in (("/ai/features/get", "features"), ("/ai/features/batch", "results")):
        answer = described["paths"][path]["post"]["responses"]["200"]["content"]
        name = answer["application/json"]["schema"]["$ref"].rsplit("/")[-1]
        assert key in schemas[name]["properties"]
