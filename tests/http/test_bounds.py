"""Large bodies and long lists: refused by their size, before anybody looks at what is in them."""

from __future__ import annotations

import http.client
import json
import socket
import threading
import time
from contextlib import closing, suppress
from typing import Any

import httpx
import pytest

from acceptance.serving import Server

TIMES = {"start_time": "2025-01-01T00:00:00Z", "end_time": "2025-01-02T00:00:00Z"}
EXPORT = {"tenant_id": "t", "feature_set": "forecast_basic", **TIMES}
LISTS: list[tuple[str, str, dict[str, Any], str, int]] = [
    ("POST", "/batch", {"tenant_id": "t"}, "asset_ids", 1_000),
    ("PUT", "/weather-sources", {"tenant_id": "t", "source_id": "s"}, "asset_ids", 10_000),
    ("POST", "/cache/warm", {"tenant_id": "t"}, "asset_ids", 10_000),
    ("POST", "/cache/invalidate", {"tenant_id": "t"}, "asset_ids", 10_000),
    ("POST", "/export", EXPORT, "asset_ids", 10_000),
    ("POST", "/export", EXPORT, "horizons", 100),
    ("POST", "/get", {"tenant_id": "t", "asset_id": "a"}, "feature_names", 1_000),
]
JSON_ROUTES = sorted({(method, path) for method, path, *_ in LISTS})
MIB = 1024 * 1024


class Beside:
    """Somebody who asks meanwhile, and how long each answer took."""

    def __init__(self, server: Server) -> None:
        self._url = f"http://127.0.0.1:{server.port}/health"
        self.seconds: list[float] = []
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._ask)

    def _ask(self) -> None:
        with httpx.Client(trust_env=False, timeout=30) as client:
            while not self._stop.is_set():
                begin = time.perf_counter()
                assert client.get(self._url).status_code == 200
                self.seconds.append(time.perf_counter() - begin)
                time.sleep(0.005)

    def __enter__(self) -> Beside:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()


@pytest.mark.parametrize(("method", "path", "body", "field", "most"), LISTS)
def test_a_list_is_counted_before_it_is_looked_at(
    server: Server, method: str, path: str, body: dict[str, Any], field: str, most: int
) -> None:
    for one in ("a", "\n"):
        sentence = server.refusal(method, path, {**body, field: [one] * (most + 1)})
        assert sentence.startswith(f"{field}: got {most + 1}, expected ")
        assert f"at most {most:,}" in sentence or f"at most {most}" in sentence


def test_targets_of_a_training_set_are_counted(server: Server) -> None:
    query = {"tenant_id": "t", "feature_set": "forecast_basic", "horizons": ["1h"] * 101}
    spine = b"asset_id,timestamp\na,2025-01-01T00:00:00Z\n"
    answer = server.client.post(
        "/ai/features/training-set", params=query, content=spine,
        headers={"content-type": "text/csv"},
    )  # fmt: skip
    assert answer.status_code == 422
    assert answer.json()["detail"].startswith("horizons: got 101, expected a list of at most 100")


@pytest.mark.parametrize(("method", "path"), JSON_ROUTES)
def test_a_body_that_is_no_table_has_a_mebibyte(server: Server, method: str, path: str) -> None:
    for size, status in ((MIB, 400), (MIB + 1, 413)):
        problem = server.call(method, path, None, status, content=b" " * size)
        assert problem["field"] == ("body" if status == 400 else None)


@pytest.mark.parametrize(("method", "path"), JSON_ROUTES)
def test_the_worst_body_stalls_nobody(server: Server, method: str, path: str) -> None:
    zeros = b'{"tenant_id":"a","x":[' + b"0," * (MIB // 2 - 20) + b"NaN]}"
    half = b'{"tenant_id":"a","x":[' + b'"\xc3\xa4",' * (MIB // 5 - 20) + b'"\\ud800"]}'
    nested = b'{"tenant_id":"a","x":' + b"[" * (MIB // 2 - 20) + b"]" * (MIB // 2 - 20) + b"}"
    same = json.dumps({"tenant_id": "t", "asset_ids": ["a"] * 100_000}).encode()
    with Beside(server) as beside:
        for content in (zeros, half, nested, same):
            answer = server.client.request(method, f"/ai/features{path}", content=content)
            assert answer.status_code in (400, 422)
    # Tests share the processor; what stalled was seconds long.
    assert max(beside.seconds, default=0) < 1


@pytest.mark.parametrize("size", [MIB + 1, 5 * MIB, 20 * MIB, 60 * MIB])
def test_who_sends_all_of_a_body_first_sees_why_it_is_refused(server: Server, size: int) -> None:
    """As Python's own client does, which looks at no answer before."""
    with closing(http.client.HTTPConnection("127.0.0.1", server.port, timeout=120)) as client:
        client.request("POST", "/ai/features/get", b" " * size)
        answer = client.getresponse()
        assert answer.status == 413
        assert b"over the limit" in answer.read()


@pytest.mark.parametrize("headers", [{"host": "elsewhere"}, {"origin": "http://elsewhere"}])
def test_also_where_its_head_is_refused(server: Server, headers: dict[str, str]) -> None:
    with closing(http.client.HTTPConnection("127.0.0.1", server.port, timeout=120)) as client:
        client.request("POST", "/ai/features/ingest?tenant_id=t", b" " * 20 * MIB, headers)
        assert client.getresponse().status in (403, 421)


def test_a_body_of_any_other_length_is_not_read_to_its_end(server: Server) -> None:
    for length in (b"content-length: 99999999999", b"transfer-encoding: chunked"):
        head = b"POST /ai/features/get HTTP/1.1\r\nhost: elsewhere\r\n" + length + b"\r\n\r\n"
        unit = b"ffff\r\n" + b" " * 65_535 + b"\r\n"
        sent = 0
        with (
            suppress(ConnectionError),
            socket.create_connection(("127.0.0.1", server.port), 20) as connection,
        ):
            connection.sendall(head)
            while sent < 100 * MIB:
                connection.sendall(unit)
                sent += len(unit)
        # What the systems on both sides hold is more than what was read.
        assert sent < 16 * MIB
