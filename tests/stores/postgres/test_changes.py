"""What another process writes is answered here too, although vectors are cached in each."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

import redis_server
from ai_hub import FeatureStore
from ai_hub.definitions.values import HOUR, SECOND, Duration, Entity, parse_time, to_datetime
from ai_hub.stores.base import Change
from ai_hub.stores.postgres import changes as postgres_changes
from ai_hub.stores.postgres.changes import Changes
from ai_hub.stores.postgres.notices import heard, notices
from ai_hub.stores.postgres.store import PostgresStore
from conformance.conftest import on_server as on_server
from conformance.kit import Deployment, observation
from serving.proxy import Proxy

T = parse_time("2025-10-09T14:30:00Z")
ids = st.text(st.characters(exclude_categories=("Cc", "Cs", "Zl", "Zp")), min_size=1, max_size=256)


@given(st.lists(st.builds(Entity, ids, ids), max_size=80), st.sampled_from(("", "6dde38ea6fc9")))
def test_every_entity_is_named_in_payloads_that_fit(entities: list[Entity], marked: str) -> None:
    told = notices("x" * 32, entities, marked)
    assert all(len(one.text.encode()) < 8_000 for one in told)
    named = []
    for one in told:
        by, change = heard(one.text)
        assert (by, change.id, change.marked) == ("x" * 32, one.id, marked)
        named += change.entities or ()
    assert named == entities
    assert len({one.id for one in told}) == len(told)


def test_too_many_to_name_are_all_there_are() -> None:
    entities = [Entity("tenant", f"asset-{i:06d}") for i in range(100_000)]
    (one,) = notices("me", entities)
    assert heard(one.text) == ("me", Change(one.id, None))


def test_notices_of_earlier_releases_are_understood() -> None:
    assert heard('["me", [["t", "a"]]]') == ("me", Change("", (Entity("t", "a"),)))


async def lag(store: FeatureStore, asset: str = "a") -> object:
    found = await store.get_features("t", asset, to_datetime(T + HOUR), ["lag_1h"], missing="keep")
    return found["lag_1h"]


async def becomes(ask: Callable[[], Awaitable[object]], expected: object) -> None:
    """Ask until the answer is what is expected: another process is told within milliseconds."""
    for _ in range(2_000):
        if await ask() == expected:
            return
        await asyncio.sleep(0.002)
    raise AssertionError(f"still {await ask()}, expected {expected}")


async def test_a_write_by_another_process_reaches_the_cache_of_this_one(
    on_server: Deployment, tmp_path: Path
) -> None:
    async with on_server.open(tmp_path) as one, on_server.open(tmp_path) as other:
        assert [await lag(one), await lag(one, "b")] == [None, None]
        await other.ingest([observation("a", T, 5.0)], "t")
        await becomes(lambda: lag(one), 5.0)
        # What was not written stays cached; and the writer's own cache is dropped once, not twice.
        answer = await one.get(
            tenant_id="t", asset_id="b", timestamp=to_datetime(T + HOUR),
            feature_names=["lag_1h"], missing="keep",
        )  # fmt: skip
        assert answer.cache_hit
        assert await lag(other) == 5.0
        await asyncio.sleep(0.1)
        answer = await other.get(
            tenant_id="t", asset_id="a", timestamp=to_datetime(T + HOUR),
            feature_names=["lag_1h"], missing="keep",
        )  # fmt: skip
        assert answer.cache_hit


async def test_weather_and_stations_of_another_process(
    on_server: Deployment, tmp_path: Path
) -> None:
    async with on_server.open(tmp_path) as one, on_server.open(tmp_path) as other:

        async def temperature() -> object:
            found = await one.get_features("t", "a", to_datetime(T), ["temperature"])
            return found["temperature"]

        assert await temperature() == 0.0
        row = {"timestamp": to_datetime(T), "asset_id": "station", "temperature": 7.0}
        await other.ingest_weather([row], "t")
        await other.assign_weather_source(tenant_id="t", source_id="station", asset_ids=["a"])
        await becomes(temperature, 7.0)
        await other.ingest_weather([row | {"temperature": 8.0}], "t")
        await becomes(temperature, 8.0)


async def test_what_was_written_while_nobody_listened_is_not_answered_from_before(
    on_server: Deployment, tmp_path: Path
) -> None:
    async with on_server.open(tmp_path) as one, on_server.open(tmp_path) as other:
        assert await lag(one) is None
        inner = other._open.store
        assert isinstance(inner, PostgresStore)
        # Every connection of the first is cut, the one that listens too.
        await inner._sessions.fetch(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
            "WHERE datname = current_database() AND pid <> pg_backend_pid() "
            "AND backend_type = 'client backend'"
        )
        await other.ingest([observation("a", T, 5.0)], "t")
        await becomes(lambda: lag(one), 5.0)
        await other.ingest([observation("a", T, 6.0)], "t")
        await becomes(lambda: lag(one), 6.0)


async def test_a_connection_that_says_nothing_is_asked_and_given_up(
    on_server: Deployment, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A network that drops packets: nobody hears, and nothing is closed."""
    monkeypatch.setattr(postgres_changes, "_BEAT", 0.2)
    heard: asyncio.Queue[object] = asyncio.Queue()
    async with on_server.open(tmp_path) as store:
        place = urlsplit(store.settings.database_url)
        async with Proxy(place.port or 5432) as proxy:
            at = place._replace(netloc=f"{place.username}@127.0.0.1:{proxy.port}")
            inner = store._open.store
            assert isinstance(inner, PostgresStore)
            settings = replace(store.settings, database_url=urlunsplit(at))
            listening = Changes(settings, inner._sessions.recovery)
            await listening.watch(heard.put, heard.put)
            assert await heard.get() is None
            proxy.answer = b""
            await store.ingest([observation("a", T, 5.0)], "t")
            await asyncio.sleep(0.5)
            proxy.answer = None
            async with asyncio.timeout(30):
                assert await heard.get() is None
            await listening.close()


@pytest.mark.redis
async def test_a_server_on_redis_hears_of_writers_without_it(
    on_server: Deployment, tmp_path: Path
) -> None:
    redis = redis_server.server()
    redis.call("FLUSHALL")
    async with on_server.open(tmp_path) as writer:
        shared = replace(writer.settings, cache_url=redis.url(), cache_timeout=Duration(2 * SECOND))
        async with (
            FeatureStore.open(settings=shared) as one,
            FeatureStore.open(settings=shared) as other,
        ):
            for value in (5.0, 6.0):
                await writer.ingest([observation("a", T, value)], "t")
                await becomes(lambda: lag(one), value)
                assert await lag(other) == value
            # What one of them writes is marked, so the others have nothing to do, and no debt.
            await one.ingest([observation("a", T, 7.0)], "t")
            assert await lag(other) == 7.0
            assert len(await other._open.store.debts.all()) == 2
