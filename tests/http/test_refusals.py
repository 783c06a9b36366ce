"""What is refused, and the sentence that says so: field, value and what is expected."""

from __future__ import annotations

import gzip
import json
from typing import Any

import httpx
import pytest

from acceptance.serving import Server

# Stands for a number of 5,000 digits, which Python does not print.
MANY_DIGITS = "many digits"
BODIES: dict[tuple[str, str], dict[str, Any]] = {
    ("POST", "/get"): {"tenant_id": "t", "asset_id": "a"},
    ("POST", "/batch"): {"tenant_id": "t", "asset_ids": ["a"]},
    ("PUT", "/weather-sources"): {"tenant_id": "t", "source_id": "s", "asset_ids": ["a"]},
    ("POST", "/export"): {
        "tenant_id": "t",
        "feature_set": "forecast_basic",
        "start_time": "2025-01-01T00:00:00Z",
        "end_time": "2025-02-01T00:00:00Z",
    },
    ("POST", "/cache/warm"): {"tenant_id": "t", "asset_ids": ["a"]},
    ("POST", "/cache/invalidate"): {"tenant_id": "t", "asset_ids": ["a"]},
}
BAD_IDS: list[tuple[object, str]] = [
    ("", "1 to 256 characters"),
    ("x" * 257, "1 to 256 characters"),
    ("a\nb", "without control characters"),
    ("\u2028", "line separators"),
    ("\x00", "without control characters"),
    ("\ud800", "lone surrogates"),
    (7, "a string"),
    (None, "a string"),
    (["a"], "a string"),
]
BAD_TIMES: list[tuple[object, str]] = [
    ("2025-10-09T14:30:00", "no offset"),
    ("yesterday", "a time with an offset"),
    ("", "a time with an offset"),
    ("2025-02-30T00:00:00Z", "a time with an offset"),
    ("0001-01-01T00:00:00+14:00", "between the years 1 and 9999"),
    (1_760_000_000, "a string"),
]
BAD_POLICIES: list[tuple[object, str]] = [
    ("median", '"mean", "zero", "keep" or a finite number'),
    ("", '"mean", "zero", "keep" or a finite number'),
    (True, "a number or a string or null"),
    ([], "a number or a string or null"),
    (10**400, "a finite number"),
    (MANY_DIGITS, "a number that a float can hold"),
    (float("inf"), "a finite number"),
    (float("nan"), "a finite number"),
]


def written(value: object) -> bytes:
    return json.dumps(value).replace(f'"{MANY_DIGITS}"', "9" * 5_000).encode()


def refused(server: Server, route: tuple[str, str], status: int = 422, **more: object) -> str:
    problem = server.call(*route, None, status, content=written(BODIES[route] | more))
    assert problem.keys() == {"detail", "field"}
    assert problem["detail"].startswith(f"{problem['field']}: got ")
    sentence: str = problem["detail"]
    return sentence


@pytest.mark.parametrize("route", BODIES, ids="".join)
@pytest.mark.parametrize(("bad", "expected"), BAD_IDS)
def test_a_bad_tenant(server: Server, route: tuple[str, str], bad: object, expected: str) -> None:
    sentence = refused(server, route, tenant_id=bad)
    assert sentence.startswith("tenant_id: got ")
    assert expected in sentence


@pytest.mark.parametrize("route", BODIES, ids="".join)
@pytest.mark.parametrize(("bad", "expected"), BAD_IDS)
def test_a_bad_asset(server: Server, route: tuple[str, str], bad: object, expected: str) -> None:
    field = "asset_id" if route[1] == "/get" else "asset_ids"
    value = bad if field == "asset_id" else ["good", bad]
    sentence = refused(server, route, **{field: value})
    assert sentence.startswith("asset_id")
    assert expected in sentence


@pytest.mark.parametrize("route", list(BODIES)[1:], ids="".join)
def test_no_assets_and_assets_that_are_no_list(server: Server, route: tuple[str, str]) -> None:
    assert "at least one asset id" in refused(server, route, asset_ids=[])
    assert "expected a list" in refused(server, route, asset_ids="abc")


@pytest.mark.parametrize(("bad", "expected"), BAD_TIMES)
def test_a_bad_time(server: Server, bad: object, expected: str) -> None:
    for route, field in (
        (("POST", "/get"), "timestamp"),
        (("POST", "/batch"), "timestamp"),
        (("POST", "/export"), "start_time"),
        (("POST", "/export"), "end_time"),
    ):
        sentence = refused(server, route, **{field: bad})
        assert sentence.startswith(f"{field}: got ")
        assert expected in sentence


@pytest.mark.parametrize(("bad", "expected"), BAD_POLICIES)
def test_a_bad_policy(server: Server, bad: object, expected: str) -> None:
    for route in (("POST", "/get"), ("POST", "/batch"), ("POST", "/export")):
        sentence = refused(server, route, missing=bad)
        assert sentence.startswith("missing: got ")
        assert expected in sentence


def test_an_unknown_set_is_404_with_the_known_names(server: Server) -> None:
    known = {one["name"] for one in server.call("GET", "/sets")["feature_sets"]}
    for route in BODIES:
        if route[1] == "/weather-sources":
            continue
        for name in ("nope", "forecast_basic@2", "forecast_basic@", "@", "'"):
            sentence = refused(server, route, 404, feature_set=name)
            assert sentence.startswith(f"feature_set: got {name!r}"[:20])
            assert all(one in sentence for one in known)
    for name in ("nope", "%00", "%F0%9F%98%80", "x" * 2_000):
        assert "forecast_basic" in server.refusal("GET", f"/sets/{name}", status=404)


def test_features_by_name(server: Server) -> None:
    for route in (("POST", "/get"), ("POST", "/batch")):
        unknown = refused(server, route, feature_names=["month", "nope"])
        assert unknown.startswith("feature_names: got 'nope', expected one of hour_of_day")
        assert "each name once" in refused(server, route, feature_names=["month", "month"])
        assert "at least one" in refused(server, route, feature_names=[])
        assert "a list or null" in refused(server, route, feature_names="month")
        assert "[1]: got 3, expected a string" in refused(server, route, feature_names=["month", 3])
        both = refused(server, route, feature_names=["month"], feature_set="forecast_basic")
        assert "not both" in both


@pytest.mark.parametrize(
    ("more", "expected"),
    [
        ({"end_time": "2024-12-31T23:59:59Z"}, "start_time: got '2025-01-01T00:00:00Z'"),
        ({"end_time": "2024-01-01T00:00:00Z"}, "a time not after end_time (2024-01-01T00:00:00Z)"),
        ({"compression": "lzo"}, "one of snappy, zstd"),
        ({"compression": 1}, "a string"),
        ({"horizons": ["1h", "soon"]}, 'a width such as "24h"'),
        ({"horizons": ["1h", "1h"]}, "target_1h"),
        ({"horizons": "1h"}, "a list"),
        ({"frequency": "0h"}, 'a width such as "24h"'),
        ({"frequency": "-1h"}, 'a width such as "24h"'),
        ({"frequency": "9" * 12 + "w"}, 'a width such as "24h"'),
        ({"indicators": "yes"}, "true or false"),
    ],
)
def test_a_bad_export(server: Server, more: dict[str, object], expected: str) -> None:
    assert expected in refused(server, ("POST", "/export"), **more)


@pytest.mark.parametrize("route", BODIES, ids="".join)
def test_bodies_that_are_no_requests(server: Server, route: tuple[str, str]) -> None:
    # Without assets all that were seen are warmed, and a model stands for a set.
    optional = {"/cache/warm": {"asset_ids"}, "/export": {"feature_set"}}.get(route[1], set())
    for field in {*BODIES[route]} - optional:
        body = {name: value for name, value in BODIES[route].items() if name != field}
        sentence = server.refusal(*route, body)
        assert sentence == f"{field}: got None, expected a value: the field is required"
    assert "no fields but tenant_id" in refused(server, route, tenant="t")
    for body in (None, [], "text", 7, True):
        problem = server.call(*route, None, 422, content=json.dumps(body))
        assert problem["detail"].endswith("expected an object")
    for text in (b"", b"{", b"\xff", b'{"tenant_id":"\xff"}', b"[" * 100_000, b"nul", b"{}{}"):
        problem = server.call(*route, None, 400, content=text)
        assert problem["field"] == "body"
        assert "expected JSON" in problem["detail"]
    deep = b'{"tenant_id":' + b"[" * 50_000 + b"]" * 50_000 + b"}"
    assert server.call(*route, None, 400, content=deep)["field"] == "body"


@pytest.mark.parametrize("route", BODIES, ids="".join)
def test_json_is_taken_by_any_name_and_a_key_given_twice_counts_last(
    server: Server, route: tuple[str, str]
) -> None:
    body = json.dumps(BODIES[route]).encode()
    twice = b'{"tenant_id":"\\n",' + body[1:]
    kinds = ("application/json; charset=utf-8", "text/plain", "application/x-www-form-urlencoded",
             "multipart/form-data", "application/x-msgpack", ";;;", "")  # fmt: skip
    for kind in kinds:
        server.call(*route, content=twice, headers={"content-type": kind})
    server.call(*route, content=body)


@pytest.mark.parametrize(
    "route",
    [*BODIES, ("POST", "/ingest"), ("POST", "/ingest/weather"), ("POST", "/ingest/attributes")],
)
def test_a_compressed_body_is_refused(server: Server, route: tuple[str, str]) -> None:
    content = gzip.compress(b"{}")
    header = {"content-encoding": "gzip"}
    problem = server.call(*route, None, 415, content=content, headers=header)
    assert problem["detail"].startswith("content-encoding: got 'gzip', expected ")
    assert problem["field"] == "content-encoding"


def test_query_parameters(server: Server) -> None:
    for bad in ("abc", "", "1.5", "0", "-1", "10001", "9" * 30):
        assert "a whole number" in server.refusal("GET", f"/exports?limit={bad}")
    for bad in ("", "%00", "x" * 257):
        assert server.refusal("GET", f"/exports?tenant_id={bad}").startswith("tenant_id: got ")
    assert server.refusal("GET", "/exports/nope", status=404).startswith("export_id: got 'nope'")


def test_paths_and_methods_that_are_not_there(server: Server) -> None:
    for path in ("/nope", "/get/more", "/sets/a/b", "/%00", "/" + "x" * 5_000, "/%ff%fe"):
        assert server.refusal("GET", path, status=404).startswith("path: got ")
    for method, path in (("GET", "/get"), ("DELETE", "/ingest"), ("PATCH", "/export"),
                         ("POST", "/sets"), ("GET", "/weather-sources")):  # fmt: skip
        assert server.refusal(method, path, status=405).startswith(f"method: got {method}")


@pytest.mark.parametrize(
    ("path", "name", "values"),
    [
        ("/audit", "before", ["1", "2"]),
        ("/audit", "before", ["null"]),
        ("/audit", "before", ["9" * 20]),
        ("/audit", "before", ["\u0661"]),
        ("/audit", "who", ["a", "a"]),
        ("/assets?tenant_id=t", "limit", ["null"]),
        ("/assets?tenant_id=t", "limit", ["0"]),
        ("/assets?tenant_id=t", "limit", ["1", "1"]),
        ("/assets?tenant_id=t", "tenant_id", ["t"]),
        ("/assets?tenant_id=t", "details", ["true", "false"]),
        ("/tenants", "limit", ["0"]),
        ("/freshness?tenant_id=t", "limit", ["0"]),
        ("/exports", "limit", ["5", "6"]),
        ("/status", "exact", ["null", "null"]),
        ("/status", "exact", ["null"]),
        ("/doctor", "tenant_id", [""]),
        ("/doctor", "tenant_id", ["a", "b"]),
    ],
)
def test_a_parameter_is_one_value_of_its_kind(
    server: Server, path: str, name: str, values: list[str]
) -> None:
    query = [*httpx.URL(path).params.multi_items(), *((name, value) for value in values)]
    path = path.partition("?")[0]
    problem = server.call("GET", path, status=422, params=query)
    assert problem["field"] == name
    described = server.client.get("/docs/openapi.json").json()["paths"][f"/ai/features{path}"]
    assert "422" in described["get"]["responses"]
