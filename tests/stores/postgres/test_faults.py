"""What the store does when the server, a connection, a right or time is missing."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from ai_hub import FeatureStore
from ai_hub.config import Settings
from ai_hub.definitions.values import HOUR, MINUTE, SECOND, Duration, parse_time, to_datetime
from ai_hub.errors import NotMigrated, StoreError, StoreRefused, StoreUnavailable
from ai_hub.export.limits import Limits
from ai_hub.stores.postgres import exports as postgres_exports
from ai_hub.stores.postgres.store import PostgresStore
from conformance.kit import observation
from servers import Server, server
from stores.postgres.database_away import FAULTS, Fault, suffer

pytestmark = pytest.mark.postgresql
T = parse_time("2025-10-09T14:30:00Z")


@pytest.fixture(scope="module")
def own(installation: object) -> Iterator[Server]:
    """A server of this file's own, which it may stop."""
    mine = Server("plain")
    yield mine
    mine.stop()


@pytest.fixture
def url(own: Server) -> Iterator[str]:
    place = own.fresh()
    yield place
    own.discard(place)


@asynccontextmanager
async def opened(url: str, **settings: Any) -> AsyncIterator[FeatureStore]:
    async with FeatureStore(Settings(database_url=url, **settings)) as store:
        yield store


def inner(store: FeatureStore) -> PostgresStore:
    found = store._open.store
    assert isinstance(found, PostgresStore)
    return found


async def lag(store: FeatureStore, asset: str = "a", shift: int = 0) -> Any:
    """An answer past the cache."""
    return await store.get(
        tenant_id="t", asset_id=asset, timestamp=to_datetime(T + HOUR + shift),
        feature_names=["lag_1h", "hour_of_day"], missing="keep", exact=True,
    )  # fmt: skip


async def land(store: FeatureStore, value: float = 5.0) -> None:
    await store.ingest([observation("a", T, value)], "t")


# What needs a person: one clear sentence.


async def refusal(url: str, error: type[StoreError]) -> str:
    with pytest.raises(error) as caught:
        async with opened(url):
            pass
    sentence = str(caught.value)
    assert "\n" not in sentence
    return sentence


async def test_what_needs_a_person_is_said_in_a_sentence(own: Server, url: str) -> None:
    name = url.rpartition("/")[2]
    own.role("guarded", "right")
    wrong = own.url(name, "guarded", "wrong-secret")
    sentence = await refusal(wrong, StoreRefused)
    assert "password" in sentence
    assert "wrong-secret" not in sentence
    assert "AI_HUB_DATABASE_URL" in sentence
    assert "nowhere" in await refusal(own.url("nowhere"), StoreRefused)
    assert "nobody" in await refusal(own.url(name, "nobody"), StoreRefused)
    empty = own.create("empty")
    assert "ai-hub migrate" in await refusal(empty, NotMigrated)
    own.sql("INSERT INTO ai_hub_migrations VALUES (999, '999_later', 'x', 'plain', '9')", name)
    assert "newer" in await refusal(url, NotMigrated)
    assert "refused" in await refusal("postgresql://ai_hub@127.0.0.1:1/x", StoreUnavailable)


async def test_a_user_who_may_only_read_gets_answers_and_is_told_what_to_grant(
    own: Server, url: str
) -> None:
    name = url.rpartition("/")[2]
    async with opened(url) as store:
        await land(store)
    own.role("reader")
    own.sql('GRANT SELECT ON ALL TABLES IN SCHEMA public TO "reader"', name)
    async with opened(own.url(name, "reader")) as store:
        answer = await lag(store)
        assert (answer.features["lag_1h"], answer.degraded) == (5.0, False)
        with pytest.raises(StoreRefused, match="GRANT") as caught:
            await land(store, 6.0)
        assert "reader" in str(caught.value)
        assert (await lag(store)).features["lag_1h"] == 5.0


# What passes by itself.


@pytest.mark.parametrize("crash", [False, True])
async def test_a_restart_while_nobody_asks_is_not_noticed(
    own: Server, url: str, crash: bool
) -> None:
    async with opened(url) as store:
        await store.prepare()
        await land(store)
        await asyncio.to_thread(own.restart, crash)
        answer = await lag(store)
        assert (answer.features["lag_1h"], answer.degraded) == (5.0, False)
        await land(store, 6.0)
        assert (await lag(store)).features["lag_1h"] == 6.0


async def test_answers_go_on_without_the_server_and_are_right_again_with_it(
    own: Server, url: str, caplog: pytest.LogCaptureFixture
) -> None:
    async with opened(url, connect_timeout=Duration(SECOND)) as store:
        await land(store)
        await asyncio.to_thread(own.halt)
        begin = time.monotonic()
        answers = await asyncio.gather(*(lag(store, shift=i) for i in range(20)))
        assert time.monotonic() - begin < 60
        assert all(answer.degraded for answer in answers)
        assert all(set(answer.features) == {"hour_of_day"} for answer in answers)
        assert len([one for one in caplog.messages if "the store gave no answer" in one]) == 1
        features = await store.get_features("t", "b", feature_names=["lag_1h", "hour_of_day"])
        assert (features.degraded, features.missing) == (True, ("lag_1h",))
        with pytest.raises(StoreUnavailable):
            await land(store, 6.0)
        await asyncio.to_thread(own.start)
        for _ in range(1_000):
            answer = await lag(store)
            if not answer.degraded:
                break
            await asyncio.sleep(0.02)
        assert (answer.features["lag_1h"], answer.degraded) == (5.0, False)
        await land(store, 6.0)
        assert (await lag(store)).features["lag_1h"] == 6.0


async def test_a_server_that_hangs_costs_patience_and_no_connection(own: Server, url: str) -> None:
    async with opened(url, connect_timeout=Duration(SECOND)) as store:
        store._open.reader._patience = 0.5
        await land(store)
        await store.prepare()
        with own.paused():
            begin = time.monotonic()
            answers = await asyncio.gather(*(lag(store, shift=i) for i in range(20)))
            assert time.monotonic() - begin < 60
            assert all(answer.degraded for answer in answers)
        # While it is away an answer waits for a moment only; the first right one ends that.
        for _ in range(1_000):
            if not (await lag(store)).degraded:
                break
            await asyncio.sleep(0.02)
        for shift in range(10):
            answer = await lag(store, shift=shift)
            assert (answer.features["lag_1h"], answer.degraded) == (5.0, False)


@pytest.mark.long
@pytest.mark.parametrize("fault", FAULTS, ids=str)
async def test_clients_see_nothing_wrong_while_the_server_fails_and_heals(fault: Fault) -> None:
    server = Server("plain")
    try:
        seen = await asyncio.to_thread(asyncio.run, suffer(server, server.fresh(), fault))
    finally:
        await asyncio.to_thread(server.stop)
    assert (seen.wrong, seen.failures) == ([], [])
    assert seen.recovered is not None
    assert seen.cached > 0
    assert seen.degraded > 0
    assert seen.late < seen.requests / 4


async def test_more_callers_than_connections(own: Server, url: str) -> None:
    # How long they wait for each other is a busy machine's matter.
    async with opened(url, pool_size=2, patience=Duration(MINUTE)) as store:
        await store.ingest([observation(f"m-{i}", T, float(i)) for i in range(200)], "t")
        found = await asyncio.gather(
            *(lag(store, f"m-{i}", shift=i % 7) for i in range(200)),
            *(store.get_batch(tenant_id="t", asset_ids=["m-1", "m-2"], feature_names=["lag_1h"],
                              timestamp=to_datetime(T + HOUR)) for _ in range(50)),
        )  # fmt: skip
        assert not any(answer.degraded for answer in found[:200])
        assert [answer.features["lag_1h"] for answer in found[:200]] == [*map(float, range(200))]


async def test_readers_do_not_wait_for_writers(own: Server, url: str) -> None:
    name = url.rpartition("/")[2]
    async with opened(url, pool_size=3) as store:
        await land(store)
        blocker = await _connected(url)
        try:
            async with blocker.transaction():
                await blocker.execute("LOCK TABLE ai_features IN SHARE MODE")
                writing = [asyncio.create_task(land(store, float(i))) for i in range(10)]
                await asyncio.sleep(0.2)
                answer = await lag(store)
                assert (answer.features["lag_1h"], answer.degraded) == (5.0, False)
            await asyncio.gather(*writing)
        finally:
            await blocker.close()
        assert own.sql("SELECT count(*) FROM ai_features", name) == [(1,)]


async def test_a_statement_that_takes_too_long_is_given_up(own: Server, url: str) -> None:
    async with opened(url, statement_timeout=Duration(SECOND)) as store:
        blocker = await _connected(url)
        try:
            async with blocker.transaction():
                await blocker.execute("LOCK TABLE ai_features")
                with pytest.raises(StoreUnavailable, match="AI_HUB_STATEMENT_TIMEOUT"):
                    await land(store)
        finally:
            await blocker.close()
        await land(store)
        assert (await lag(store)).features["lag_1h"] == 5.0


async def test_a_batch_whose_connection_is_cut_leaves_nothing_and_may_be_sent_again(
    own: Server, url: str
) -> None:
    name = url.rpartition("/")[2]
    rows = [observation(f"m-{i}", T, float(i)) for i in range(2_000)]
    async with opened(url) as store:
        blocker = await _connected(url)
        try:
            async with blocker.transaction():
                await blocker.execute("LOCK TABLE ai_features IN SHARE MODE")
                writing = asyncio.create_task(store.ingest(rows, "t"))
                waiting = (
                    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                    "WHERE datname = current_database() AND wait_event_type = 'Lock'"
                )
                while not await blocker.fetch(waiting):  # noqa: ASYNC110
                    await asyncio.sleep(0.05)
                with pytest.raises(StoreUnavailable):
                    await writing
        finally:
            await blocker.close()
        for table in ("timeseries_data", "ai_features"):
            assert own.sql(f"SELECT count(*) FROM {table}", name) == [(0,)]
        result = await store.ingest(rows, "t")
        assert (result.accepted, result.replaced, result.unchanged) == (2_000, 0, 0)


async def test_batches_that_stand_in_each_others_way_both_land(own: Server, url: str) -> None:
    """The same keys in both, removed by one and rewritten by the other, again and again."""
    name = url.rpartition("/")[2]
    async with opened(url) as store, opened(url) as other:
        for turn in range(5):
            good = [observation(f"m-{i}", T, float(turn)) for i in range(300)]
            bad = [row | {"quality": 0} for row in reversed(good)]
            await asyncio.gather(
                store.ingest(good, "t"), other.ingest(bad, "t"), other.ingest(good, "t")
            )
        await store.ingest(good, "t")
        assert own.sql("SELECT count(*), min(value) FROM ai_features", name) == [(300, 4.0)]


async def test_one_who_gives_up_leaves_the_connection_usable(own: Server, url: str) -> None:
    async with opened(url, pool_size=1) as store:
        await land(store)
        for _ in range(5):
            asking = asyncio.create_task(lag(store))
            await asyncio.sleep(0.001)
            asking.cancel()
            answer = await lag(store)
            assert (answer.features["lag_1h"], answer.degraded) == (5.0, False)


async def test_closing_waits_for_what_is_under_way_and_leaves_nothing_open(
    own: Server, url: str
) -> None:
    rows = [observation(f"m-{i}", T, float(i)) for i in range(20_000)]
    async with opened(url) as store:
        await store.prepare()
        writing = asyncio.create_task(store.ingest(rows, "t"))
        for _ in range(1_000):
            await asyncio.sleep(0.005)
            if store._open.writer._tasks:
                break
    assert (await writing).accepted == 20_000
    left = "SELECT count(*) FROM pg_stat_activity WHERE application_name LIKE 'ai-hub%'"
    assert own.sql(left) == [(0,)]
    with pytest.raises(StoreUnavailable):
        await inner(store).append_weather(None)  # type: ignore[arg-type]


# Exports of other processes.


async def test_an_export_is_given_up_for_dead_when_its_process_is_silent(
    own: Server, url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = url.rpartition("/")[2]
    async with opened(url, export_root=tmp_path) as store:
        await land(store)
        done = await store.export_features_to_parquet(
            "t", "forecast_basic", to_datetime(T - 1), to_datetime(T)
        )
        own.sql(
            "UPDATE feature_exports SET status = 'processing', completed_at = NULL, "
            "checksum = NULL", name
        )  # fmt: skip
        async with opened(url):
            pass
        assert (await store.export_record(done["export_id"]))["status"] == "processing"
        monkeypatch.setattr(postgres_exports, "_DEAD_AFTER", 0)
        async with opened(url):
            pass
        record = await store.export_record(done["export_id"])
        assert record["status"] == "pending"
        assert own.sql("SELECT deaths FROM feature_exports", name) == [(1,)]


async def test_an_export_under_way_says_that_it_lives(
    own: Server, url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = url.rpartition("/")[2]
    monkeypatch.setattr(postgres_exports, "_BEAT_SECONDS", 0.05)
    monkeypatch.setattr(Limits, "check_done", lambda limits, rows: time.sleep(0.5))
    async with opened(url, export_root=tmp_path) as store:
        await land(store)
        await store.export_features_to_parquet(
            "t", "forecast_basic", to_datetime(T - 1), to_datetime(T), wait_seconds=0
        )
        begun = own.sql("SELECT heartbeat_at FROM feature_exports", name)
        for _ in range(100):
            await asyncio.sleep(0.02)
            if own.sql("SELECT heartbeat_at FROM feature_exports", name) > begun:
                return
    raise AssertionError("the heartbeat stood still")


async def _connected(url: str) -> Any:
    import asyncpg

    return await asyncpg.connect(url)


def test_the_shared_server_is_not_the_one_of_this_file(own: Server) -> None:
    assert server("plain").port != own.port
