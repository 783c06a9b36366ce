"""Whatever is sent, the answer is no fault: a refusal is a sentence."""

from __future__ import annotations

import json
from urllib.parse import quote_from_bytes

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from acceptance.serving import Server

PATHS = {
    "/get": "POST",
    "/batch": "POST",
    "/ingest": "POST",
    "/ingest/weather": "POST",
    "/ingest/attributes": "POST",
    "/weather-sources": "PUT",
    "/export": "POST",
    "/training-set": "POST",
    "/cache/warm": "POST",
    "/cache/invalidate": "POST",
}
# What requests are made of, so that many get past the first check.
NAMES = (
    "tenant_id", "asset_id", "asset_ids", "feature_set", "feature_names", "timestamp", "missing",
    "source_id", "start_time", "end_time", "output_path", "compression", "horizons", "indicators",
    "rows", "value", "feature_type", "quality", "issued_at", "temperature",
)  # fmt: skip
TEXTS = (
    "t", "a", "forecast_basic", "lag_1h", "keep", "2025-01-01T00:00:00Z", "2025-01-02T00:00:00Z",
    "9999-12-31T23:59:59.9999999Z", "0001-01-01T00:00:00Z", "fuzz/x.parquet", "zstd", "1h", "1us",
    "", "\x00", "\ud800", "😀", "../x", "NaN", "1e999", "x" * 300,
)  # fmt: skip
TYPES = (
    "application/json", "application/x-ndjson", "text/csv", "application/vnd.apache.parquet",
    "application/vnd.apache.arrow.stream", "application/vnd.apache.arrow.file", "text/plain",
    "multipart/form-data; boundary=x", "application/x-www-form-urlencoded", "", "\xff", "a" * 500,
)  # fmt: skip
HEADS = (b"", b"PAR1", b"ARROW1\0\0", b"\xff\xff\xff\xff", b"timestamp,asset_id,value\n", b"[{")

atoms = st.one_of(
    st.sampled_from(TEXTS),
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.text(st.characters(), max_size=5),
    st.just(10**400),
)
keys = st.one_of(st.sampled_from(NAMES), st.text(st.characters(), max_size=3))
values = st.recursive(
    atoms,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(keys, inner, max_size=6),
    max_leaves=12,
)
bodies = st.fixed_dictionaries({}, optional=dict.fromkeys(NAMES, values)) | values
fuzz = settings(suppress_health_check=[*HealthCheck])


def check(server: Server, method: str, path: str, **more: object) -> None:
    response = server.client.request(method, path, **more)  # type: ignore[arg-type]
    assert response.status_code < 500, response.text
    if response.status_code >= 400 and "accepted" not in response.text:
        problem = response.json()
        assert problem.keys() == {"detail", "field"}
        assert ", expected " in problem["detail"] or "over the limit" in problem["detail"]


@pytest.mark.parametrize("path", PATHS)
def test_any_json(server: Server, path: str) -> None:
    @fuzz
    @given(bodies)
    def one(body: object) -> None:
        check(server, PATHS[path], f"/ai/features{path}", content=json.dumps(body).encode())

    one()


@pytest.mark.parametrize("path", ["/ingest", "/ingest/weather", "/ingest/attributes"])
def test_any_rows(server: Server, path: str) -> None:
    row = st.fixed_dictionaries({}, optional=dict.fromkeys(NAMES, atoms))

    @fuzz
    @given(st.lists(row, max_size=4))
    def one(rows: list[object]) -> None:
        body = {"tenant_id": "fuzz", "rows": rows}
        check(server, "POST", f"/ai/features{path}", content=json.dumps(body).encode())

    one()


@pytest.mark.parametrize("path", PATHS)
def test_any_bytes_of_any_type(server: Server, path: str) -> None:
    @fuzz
    @given(st.sampled_from(TYPES), st.sampled_from(HEADS), st.binary(max_size=100))
    def one(kind: str, head: bytes, rest: bytes) -> None:
        check(
            server,
            PATHS[path],
            f"/ai/features{path}?tenant_id=fuzz",
            content=head + rest,
            headers={"content-type": kind.encode("latin-1")},
        )

    one()


def test_any_path_and_query(server: Server) -> None:
    odd = st.binary(max_size=20).map(lambda some: quote_from_bytes(some, safe=""))
    start = st.sampled_from(["/", *(f"/ai/features{p}" for p in ("", "/sets/", "/exports/"))])
    query = st.sampled_from(["", "?", "?tenant_id=", "?limit=", "?limit=1&limit=", "?%00=", "?&&="])

    @fuzz
    @given(st.sampled_from(["GET", "POST", "PUT", "DELETE"]), start, odd, query, odd)
    def one(method: str, start: str, path: str, query: str, rest: str) -> None:
        check(server, method, f"{start}{path}{query}{rest if query else ''}")

    one()


def test_a_path_of_any_length(server: Server) -> None:
    for size in (1_000, 20_000):
        check(server, "GET", "/ai/features/sets/" + "x" * size)
        check(server, "GET", "/ai/features/exports?tenant_id=" + "%41" * size)
