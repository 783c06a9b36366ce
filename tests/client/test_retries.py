"""What is sent again, when, and for how long."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from acceptance.serving import free_port
from ai_hub import AsyncClient
from ai_hub.errors import (
    AiHubError,
    ExportFailed,
    ServerFailed,
    ServerUnreachable,
    StoreUnavailable,
    TooMany,
)

LISTED = '{"feature_sets": []}'
RECORD = '{"status": "completed", "export_id": "e"}'
COUNTS = '{"accepted": 1, "replaced": 0, "unchanged": 0, "rejected": 0, "aged": 0}'
BUSY = b'{"detail": "exports: 8 wait. Try again in 10 s.", "field": null}'
BUSY_REPLY = b"HTTP/1.1 503 Said\r\ncontent-length: %d\r\n\r\n%b" % (len(BUSY), BUSY)
ROW = {"timestamp": "2025-01-01T00:00:00Z", "asset_id": "a", "value": 1.0}

Call = Callable[[AsyncClient], Awaitable[Any]]


def export(client: AsyncClient) -> Awaitable[Any]:
    times = ("2025-01-01T00:00:00Z", "2025-01-02T00:00:00Z")
    return client.export_features_to_parquet("t", "forecast_basic", *times)


SAFE: dict[str, tuple[Call, str]] = {
    "listed": (lambda client: client.listed(), LISTED),
    "ingest": (lambda client: client.ingest([ROW], "t"), COUNTS),
    "attributes": (
        lambda client: client.ingest_attributes(
            [{"asset_id": "a", "key": "k", "value": 1.0, "valid_from": "2025-01-01T00:00:00Z"}], "t"
        ),
        COUNTS,
    ),
}
UNSAFE: dict[str, tuple[Call, str]] = {
    "export": (export, RECORD),
    "unbind": (lambda client: client.unbind_model("m@1"), "{}"),
    "attributes": (
        lambda client: client.ingest_attributes([{"asset_id": "a", "key": "k", "value": 1.0}], "t"),
        COUNTS,
    ),
    "station": (
        lambda client: client.assign_weather_source(tenant_id="t", source_id="s", asset_ids=["a"]),
        '{"changed": 1}',
    ),
}


@pytest.mark.parametrize("fault", [503, 429, 502, 504, 408, "break", "hang"])
@pytest.mark.parametrize("name", SAFE)
async def test_what_is_safe_is_sent_again(name: str, fault: int | str, tell: Any) -> None:
    call, answer = SAFE[name]
    # Whoever does not answer has answered too late at any time.
    wait = 0.5 if fault == "hang" else 60.0
    async with (
        tell(fault, answer) as server,
        AsyncClient(server.url, timeout=wait, work_timeout=wait) as client,
    ):
        await call(client)
    assert len(server.requests) == 2 or (fault == "hang" and len(server.requests) > 2)


@pytest.mark.parametrize("fault", [503, 502, "break", "hang"])
@pytest.mark.parametrize("name", UNSAFE)
async def test_what_may_have_been_done_is_not(name: str, fault: int | str, tell: Any) -> None:
    call, answer = UNSAFE[name]
    async with (
        tell(fault, answer) as server,
        AsyncClient(server.url, timeout=0.5, work_timeout=0.5) as client,
    ):
        with pytest.raises((ServerUnreachable, ServerFailed, ExportFailed, StoreUnavailable)):
            await call(client)
    assert len(server.requests) == 1


@pytest.mark.parametrize("refusal", [429, BUSY_REPLY])
@pytest.mark.parametrize("name", UNSAFE)
async def test_what_was_refused_before_it_began_is_sent_again(
    name: str, refusal: int | bytes, tell: Any
) -> None:
    call, answer = UNSAFE[name]
    async with tell(refusal, answer) as server, AsyncClient(server.url) as client:
        await call(client)
    # An export is looked at afterwards.
    assert len([method for method, _ in server.requests if method != "GET"]) == 2


@pytest.mark.parametrize(
    ("status", "kind"), [(401, AiHubError), (422, ValueError), (500, ServerFailed)]
)
async def test_what_another_try_does_not_change_is_told_at_once(
    status: int, kind: type[Exception], tell: Any
) -> None:
    async with tell(status) as server, AsyncClient(server.url) as client:
        with pytest.raises(kind):
            await client.listed()
    assert len(server.requests) == 1


async def test_patience_bounds_it_all(tell: Any) -> None:
    async with tell(503) as server, AsyncClient(server.url, patience=0.5) as client:
        begun = time.monotonic()
        with pytest.raises(StoreUnavailable, match="it is 503"):
            await client.listed()
        assert time.monotonic() - begun < 30
    assert 1 < len(server.requests) < 100


async def test_who_is_told_to_wait_longer_than_patience_does_not_wait(tell: Any) -> None:
    async with tell(429, retry_after="3600") as server, AsyncClient(server.url) as client:
        with pytest.raises(TooMany):
            await client.listed()
    assert len(server.requests) == 1


async def test_it_waits_as_long_as_it_is_told(tell: Any) -> None:
    async with tell(503, LISTED, retry_after="1") as server, AsyncClient(server.url) as client:
        begun = time.monotonic()
        await client.listed()
        assert time.monotonic() - begun >= 1


async def test_nobody_there_is_said_so() -> None:
    url = f"http://127.0.0.1:{free_port()}"
    async with AsyncClient(url, patience=0.2) as client:
        with pytest.raises(ServerUnreachable, match=f"No server answers at {url}"):
            await client.listed()


@pytest.mark.parametrize("answer", [b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok", "[]", 404])
async def test_who_is_none_of_ours_is_told(answer: Any, tell: Any) -> None:
    page = b"HTTP/1.1 404 Said\r\ncontent-length: 2\r\n\r\nno" if answer == 404 else answer
    async with tell(page) as server, AsyncClient(server.url) as client:
        with pytest.raises(ServerFailed, match="is not an AI Hub server"):
            await client.listed()


async def test_a_closed_client_says_so_at_once() -> None:
    client = AsyncClient(patience=3600.0)
    await client.close()
    async with asyncio.timeout(10.0):
        with pytest.raises(ServerUnreachable, match="the client is closed"):
            await client.listed()


@pytest.mark.parametrize("url", ["", "localhost:8003", "ftp://host", "http://"])
def test_an_address_that_is_none_is_refused(url: str) -> None:
    if url:
        with pytest.raises(ValueError, match=r"^url: got "):
            AsyncClient(url)
    else:
        assert AsyncClient(url).connection.url == "http://127.0.0.1:8003"
