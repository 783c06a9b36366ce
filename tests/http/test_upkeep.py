"""A server that maintains its database beside serving."""

from __future__ import annotations

import asyncio
import logging
import sys
import time
from collections.abc import Awaitable, Callable, Iterator
from typing import Any

import asyncpg
import pytest

import servers
from acceptance.serving import serving
from ai_hub import administration
from ai_hub.config import Settings
from ai_hub.definitions.values import SECOND, Duration
from ai_hub.errors import StoreUnavailable
from ai_hub.http.upkeep import maintained
from ai_hub.stores.postgres.write import WRITERS_LOCK
from watching import eventually, get, ingest, log

COMMAND = (sys.executable, "-c", "from ai_hub.cli import main; main()", "serve", "--maintain", "1s")


@pytest.fixture
def url() -> Iterator[str]:
    server = servers.server("timescaledb")
    made = server.fresh()
    yield made
    server.discard(made)


@pytest.mark.timescaledb
def test_a_server_maintains_and_serves_meanwhile(url: str, tmp_path: Any) -> None:
    with serving(COMMAND, tmp_path, database_url=url, retention_features="30d") as server:
        eventually(lambda: log(server, "declare"))
        ingest(server, "t")
        eventually(lambda: log(server, "refresh") and log(server, "notice"))
        (declared,) = log(server, "declare")
        assert (declared["logger"], declared["relation"]) == ("ai_hub.maintenance", "ai_features")
        assert declared["said"] == "kept for 30d from now on"
        assert log(server, "notice")[0]["level"] == "warning"

        async def held() -> None:
            # Maintenance waits for a writer; nobody waits for it.
            connection = await asyncpg.connect(url)
            try:
                await connection.execute("SELECT pg_advisory_lock_shared($1)", WRITERS_LOCK)
                waits = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted"
                await until(lambda: connection.fetchval(waits))
                for asset in "abcdefgh":
                    await asyncio.to_thread(get, server, "t", asset)
            finally:
                await connection.close()

        asyncio.run(held())
        # What is told again and again is told once.
        notices = len(log(server, "notice"))
        time.sleep(2.5)
        assert len(log(server, "notice")) == notices
    assert "maintenance failed" not in (tmp_path / "log.txt").read_text()


@pytest.mark.timescaledb
def test_maintenance_that_fails_is_logged_and_tried_again(url: str, tmp_path: Any) -> None:
    name = url.rpartition("/")[2]
    server = servers.server("timescaledb")
    with serving(COMMAND, tmp_path, database_url=url) as running:
        eventually(lambda: log(running, "serving"))
        server.sql("ALTER TABLE ai_hub_retention RENAME TO gone", name)
        eventually(lambda: len(log(running, "maintenance failed")) > 1)
        assert "ai-hub migrate" in log(running, "maintenance failed")[0]["error"]
        assert running.client.get("/health").status_code == 200


class Listening(logging.Handler):
    def __init__(self) -> None:
        super().__init__()
        self.events: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.events.append(record.getMessage())


@pytest.fixture
def heard() -> Iterator[Listening]:
    logger, handler = logging.getLogger("ai_hub.maintenance"), Listening()
    level = logger.level
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    yield handler
    logger.setLevel(level)
    logger.removeHandler(handler)


async def until(true: Callable[[], Awaitable[object]]) -> None:
    for _ in range(5_000):
        if await true():
            return
        await asyncio.sleep(0.02)
    raise AssertionError("it did not come true")


async def test_no_failure_ends_it_and_the_end_of_serving_does(
    monkeypatch: pytest.MonkeyPatch, heard: Listening
) -> None:
    step = {"action": "notice", "relation": "ai_features", "said": "old", "count": 0}
    turns: list[Any] = [StoreUnavailable("away"), ValueError("a fault"), [step], [step], [],
                        [step, step | {"action": "keep"}]]  # fmt: skip
    began, ended = asyncio.Event(), asyncio.Event()

    async def maintain(settings: Settings, **_: object) -> list[dict[str, Any]]:
        if turns:
            turn = turns.pop(0)
            if isinstance(turn, Exception):
                raise turn
            found: list[dict[str, Any]] = turn
            return found
        began.set()
        try:
            await asyncio.Event().wait()
        finally:
            ended.set()
        return []

    monkeypatch.setattr(administration, "maintain", maintain)
    async with maintained(Settings(), Duration(SECOND // 100)):
        await asyncio.wait_for(began.wait(), 10)
    assert ended.is_set()
    # Told again only after it was over in between.
    assert heard.events == ["maintenance failed", "maintenance failed", "notice", "notice"]


async def test_nothing_is_maintained_where_it_is_not_asked_for(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def maintain(settings: Settings, **_: object) -> list[dict[str, Any]]:
        raise AssertionError

    monkeypatch.setattr(administration, "maintain", maintain)
    async with maintained(Settings(), None):
        await asyncio.sleep(0.05)
