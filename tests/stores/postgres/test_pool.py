"""Connections that are cut, held, given up or shared: who waits, who fails, and what is left."""

from __future__ import annotations

import asyncio
import os
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import asyncpg
import pyarrow as pa
import pytest

from ai_hub import FeatureStore
from ai_hub.config import Settings
from ai_hub.definitions.values import HOUR, SECOND, Duration, parse_time, to_datetime
from ai_hub.errors import StoreUnavailable
from ai_hub.serving import answer as serving
from ai_hub.stores.postgres import exports as postgres_exports
from ai_hub.stores.postgres import write as postgres_write
from conformance.kit import observation
from servers import Kind, Server, require

pytestmark = pytest.mark.postgresql
T = parse_time("2025-10-09T14:30:00Z")
OPEN = "SELECT count(*) FROM pg_stat_activity WHERE application_name LIKE 'ai-hub%'"


@pytest.fixture(
    scope="module",
    params=["plain", pytest.param("timescaledb", marks=pytest.mark.timescaledb)],
)
def own(request: pytest.FixtureRequest, installation: object) -> Iterator[Server]:
    """A server of this file's own, which it may stop."""
    kind: Kind = request.param
    require(kind)
    mine = Server(kind)
    yield mine
    mine.stop()


@pytest.fixture
def url(own: Server) -> Iterator[str]:
    place = own.fresh()
    yield place
    own.discard(place)


@asynccontextmanager
async def opened(url: str, patience: float = 5.0, **settings: Any) -> AsyncIterator[FeatureStore]:
    async with FeatureStore(Settings(database_url=url, **settings)) as store:
        store._open.reader._patience = patience
        await land(store)
        yield store


async def land(store: FeatureStore, value: float = 5.0, assets: int = 1) -> None:
    rows = [observation(f"m-{i}", T, value) for i in range(assets)]
    await store.ingest(rows, "t")


async def lag(store: FeatureStore, shift: int = 0, exact: bool = True) -> serving.Answer:
    return await store.get(
        tenant_id="t", asset_id="m-0", timestamp=to_datetime(T + HOUR + shift),
        feature_names=["lag_1h", "hour_of_day"], missing="keep", exact=exact,
    )  # fmt: skip


def right(answer: serving.Answer, value: float = 5.0) -> bool:
    return (answer.features.get("lag_1h"), answer.degraded) == (value, False)


@asynccontextmanager
async def locked(url: str, mode: str, table: str = "ai_features") -> AsyncIterator[Any]:
    """Nobody else reads (ACCESS EXCLUSIVE) or writes (SHARE) a table in the block."""
    connection = await asyncpg.connect(url)
    try:
        await connection.execute(f"BEGIN; LOCK TABLE {table} IN {mode} MODE")
        yield connection
    finally:
        # The lock goes with the connection, which may be gone already.
        connection.terminate()


async def until(true: Callable[[], Awaitable[Any]]) -> Any:
    for _ in range(12_000):
        if found := await true():
            return found
        await asyncio.sleep(0.005)
    raise AssertionError("it did not come true")


def waiting(blocker: Any, count: int = 1) -> Callable[[], Awaitable[bool]]:
    """Whether so many sessions wait for a lock."""

    async def seen() -> bool:
        found: int = await blocker.fetchval(
            "SELECT count(DISTINCT pid) FROM pg_locks AS l WHERE NOT granted AND pid IN "
            "(SELECT pid FROM pg_stat_activity WHERE datname = current_database())"
        )
        return found >= count

    return seen


async def test_statements_that_do_not_end_degrade_nobody_else(own: Server, url: str) -> None:
    now = time.time_ns() // 1_000

    async with opened(url, patience=0.5) as store:
        await store.ingest([observation("m-0", now - HOUR, 5.0)], "t")
        await store._open.store.prepare()

        async def stuck(n: int) -> bool:
            answer = await store.get(
                tenant_id="t", asset_id="m-0", timestamp=to_datetime(now + n), exact=True,
                feature_set="forecast_advanced",
            )  # fmt: skip
            return answer.degraded

        async with locked(url, "ACCESS EXCLUSIVE", "weather_features"):
            asking = asyncio.create_task(stuck(0))
            others = []
            while not asking.done():
                others.append(await lag(store, now - T - HOUR + len(others)))
                await asyncio.sleep(0.05)
            # And then nobody else asks anything, so that no answer says that all is well.
            assert [await asking, *[await stuck(n) for n in range(1, 4)]] == [True] * 4
            # What is away lets four through at a time, and these are stuck.
            others += [await lag(store, now - T - HOUR + n) for n in range(10)]
            assert all(map(right, others))


async def test_a_restart_in_the_middle_of_answers(own: Server, url: str) -> None:
    async with opened(url, connect_timeout=Duration(SECOND)) as store:
        async with locked(url, "ACCESS EXCLUSIVE") as blocker:
            asking = [asyncio.create_task(lag(store, i)) for i in range(5)]
            await until(waiting(blocker))
            # The lock goes with the server.
            await asyncio.to_thread(own.restart, True)
        answers = await asyncio.gather(*asking)
        assert all(answer.degraded or right(answer) for answer in answers)
        await until(lambda: _is_right(store))
        await land(store, 6.0)
        assert right(await lag(store), 6.0)


async def test_a_server_that_hangs_is_waited_for_no_longer_than_told(own: Server, url: str) -> None:
    settings = {"connect_timeout": Duration(SECOND), "statement_timeout": Duration(SECOND // 2)}
    async with opened(url, 0.5, pool_size=2, **settings) as store:
        await store.prepare()
        with own.paused():
            begin = time.monotonic()
            found = await asyncio.gather(*(lag(store, i, exact=i % 2 == 0) for i in range(20)))
            assert all(answer.degraded for answer in found)
            assert time.monotonic() - begin < 30
            with pytest.raises(StoreUnavailable):
                await land(store, 6.0)
            assert time.monotonic() - begin < 60
        await until(lambda: _is_right(store))
        # Every connection of the pool is to be had, and none is left beside them.
        await store.prepare()
        await land(store, 6.0)
        assert right(await lag(store), 6.0)
        assert await asyncio.to_thread(own.sql, OPEN) == [
            (4,)
        ]  # one hears of others' writes, one of the registry


async def _is_right(store: FeatureStore) -> bool:
    return right(await lag(store))


async def test_a_copy_that_is_cut_leaves_nothing_and_may_be_sent_again(
    own: Server, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = url.rpartition("/")[2]

    async def cut(connection: Any, table: str, batch: pa.Table) -> None:
        data = bytes(postgres_write.copy_rows(batch))

        async def pieces() -> AsyncIterator[bytes]:
            yield postgres_write._COPY_HEAD + data[: len(data) // 2]
            pid = connection.get_server_pid()
            await asyncio.to_thread(own.sql, "SELECT pg_terminate_backend($1)", name, pid)
            yield data[len(data) // 2 :] + postgres_write._COPY_END

        await connection.copy_to_table(
            table, source=pieces(), columns=batch.column_names, format="binary"
        )

    async with opened(url) as store:
        with monkeypatch.context() as patch:
            patch.setattr(postgres_write, "_copy", cut)
            with pytest.raises(StoreUnavailable, match="lost"):
                await land(store, 6.0, 20_000)
        for table in ("timeseries_data", "ai_features"):
            rows = await asyncio.to_thread(own.sql, f"SELECT count(*) FROM {table}", name)
            assert rows[0][0] <= 1
        assert right(await lag(store))
        await land(store, 6.0, 20_000)
        assert right(await lag(store), 6.0)


async def test_who_stands_in_anothers_way_is_tried_again(own: Server, url: str) -> None:
    """The store's batch is the one that PostgreSQL gives up, as it waits with less patience."""
    rows = "UPDATE ai_features SET value = 7 WHERE asset_id = 'm-{}'"
    name = url.rpartition("/")[2]
    async with opened(url) as store:
        await land(store, 5.0, 2)
        other = await asyncpg.connect(url, server_settings={"deadlock_timeout": "20s"})
        try:
            async with other.transaction():
                await other.execute(rows.format(1))
                writing = asyncio.create_task(land(store, 6.0, 2))
                await until(waiting(other))
                await other.execute(rows.format(0))
        finally:
            await other.close()
        await writing
        values = await asyncio.to_thread(own.sql, "SELECT DISTINCT value FROM ai_features", name)
        assert values == [(6.0,)]
        told = await asyncio.to_thread(own.log.read_text)
        assert "deadlock detected" in told


async def test_who_gives_up_in_the_middle_leaves_its_connection_usable(
    own: Server, url: str
) -> None:
    async with opened(url, pool_size=1) as store:
        async with locked(url, "ACCESS EXCLUSIVE") as blocker:
            for exact in (True, False):
                asking = asyncio.create_task(lag(store, exact=exact))
                await until(waiting(blocker))
                asking.cancel()
                with pytest.raises(asyncio.CancelledError):
                    await asking
        assert right(await lag(store, HOUR // 60))
        assert await asyncio.to_thread(own.sql, OPEN) == [(3,)]


async def test_many_long_writes_wait_for_each_other_and_no_answer_for_them(
    own: Server, url: str
) -> None:
    async with opened(url, pool_size=4) as store:
        await store.prepare()
        assert right(await lag(store))
        async with locked(url, "SHARE") as blocker:
            writing = [asyncio.create_task(land(store, 6.0)) for _ in range(40)]
            await until(waiting(blocker, 2))
            answers = await asyncio.gather(*(lag(store, i) for i in range(40)))
            assert all(map(right, answers))
        await asyncio.gather(*writing)
        assert right(await lag(store), 6.0)


async def test_a_write_that_has_no_turn_says_so(own: Server, url: str) -> None:
    limits = {"statement_timeout": Duration(SECOND // 2), "connect_timeout": Duration(SECOND)}
    async with opened(url, pool_size=2, **limits) as store:
        async with locked(url, "SHARE"):
            writing = [asyncio.create_task(land(store, 6.0)) for _ in range(3)]
            ended = await asyncio.gather(*writing, return_exceptions=True)
        assert all(isinstance(error, StoreUnavailable) for error in ended)
        assert any("AI_HUB_POOL_SIZE" in str(error) for error in ended)
        await land(store, 6.0)


async def test_closing_lets_answers_and_batches_end(own: Server, url: str) -> None:
    store = FeatureStore(Settings(database_url=url))
    await store.__aenter__()
    await land(store)
    await store.prepare()
    async with locked(url, "ACCESS EXCLUSIVE") as blocker:
        asking = asyncio.create_task(lag(store, exact=False))
        writing = asyncio.create_task(land(store, 6.0))
        await until(waiting(blocker, 2))
        closing = asyncio.create_task(store.close())
        await asyncio.sleep(0.2)
        assert not closing.done()
    await asyncio.gather(closing, writing)
    assert not (await asking).degraded
    assert await asyncio.to_thread(own.sql, OPEN) == [(0,)]
    with pytest.raises(StoreUnavailable, match="closed"):
        await land(store)


EXPORT = """
import asyncio, sys
from datetime import datetime, timedelta, timezone
from ai_hub import FeatureStore
from ai_hub.config import Settings
T = datetime(2025, 10, 9, 14, 30, tzinfo=timezone.utc)
async def main():
    async with FeatureStore(Settings(database_url=sys.argv[1])) as store:
        def wait(rows):
            print(rows, flush=True)
            import time; time.sleep(60)
        await store.export_features_to_parquet("t", "forecast_basic", T - timedelta(hours=9),
            T, output_path=sys.argv[2], progress=wait)
asyncio.run(main())
"""


async def test_what_a_killed_process_exported_is_cleared_away_when_it_is_surely_dead(
    own: Server, url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clean = {name: text for name, text in os.environ.items() if not name.startswith("AI_HUB_")}
    async with opened(url) as store:
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-c", EXPORT, url, str(tmp_path / "out.parquet"),
            stdout=asyncio.subprocess.PIPE, env=clean,
        )  # fmt: skip
        assert process.stdout is not None
        assert await process.stdout.readline()
        process.kill()
        await process.communicate()
        (partial,) = list(tmp_path.glob(".*"))  # noqa: ASYNC240
        await asyncio.sleep(0.01)
        for dead_after, status in ((postgres_exports._DEAD_AFTER, "processing"), (1, "pending")):
            monkeypatch.setattr(postgres_exports, "_DEAD_AFTER", dead_after)
            async with FeatureStore(Settings(database_url=url)):
                pass
            (record,) = await store.exports("t")
            assert record["status"] == status
            assert partial.exists() == (status == "processing")
