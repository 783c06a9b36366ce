"""What a cache outside the database is owed is written down with the write, and only then."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Collection

import pytest

import servers
from ai_hub.config import Settings
from ai_hub.definitions.values import Entity
from ai_hub.errors import StoreError
from ai_hub.stores.postgres import debts as postgres_debts
from ai_hub.stores.postgres.session import session
from ai_hub.stores.postgres.store import PostgresStore
from serving.doubles import batch

pytestmark = pytest.mark.postgresql

A = Entity("t", "a")


@pytest.fixture
async def store() -> AsyncIterator[PostgresStore]:
    server = servers.server("plain")
    url = server.fresh()
    opened = await PostgresStore.open(Settings(database_url=url))
    try:
        yield opened
    finally:
        await opened.close()
        server.discard(url)


async def seen(_: Collection[Entity]) -> str:
    return "6dde38ea6fc9"


async def unseen(_: Collection[Entity]) -> str:
    return ""


async def rows(store: PostgresStore) -> int:
    ((count,),) = await store._sessions.fetch("SELECT count(*) FROM ai_hub_debts")
    return int(count)


async def test_nothing_is_written_down_where_no_cache_is_shared(store: PostgresStore) -> None:
    await store.append(batch(1.0, "a").table, unseen)
    assert await rows(store) == 0


async def test_only_what_a_shared_cache_does_not_know_is_a_debt(store: PostgresStore) -> None:
    await store.debts.begin(600)
    await store.append(batch(1.0, "a").table, seen)
    assert await rows(store) == 0
    await store.append(batch(2.0, "a").table, unseen)
    await store.assign_weather_source("t", "station", ["a", "b"], None, 0)
    owed = await store.debts.all()
    assert [set(change.entities or ()) for change in owed] == [{A}, {A, Entity("t", "b")}]
    assert [change.marked for change in owed] == ["", ""]


async def test_a_debt_is_there_if_and_only_if_its_write_is(store: PostgresStore) -> None:
    await store.debts.begin(600)

    async def fails(_: Collection[Entity]) -> str:
        raise StoreError("no")

    with pytest.raises(StoreError):
        await store.append(batch(1.0, "a").table, fails)
    assert await rows(store) == 0
    await store.debts.owe([A])
    assert [change.entities for change in await store.debts.all()] == [(A,)]


async def test_what_is_older_than_every_vector_is_owed_no_more(store: PostgresStore) -> None:
    await store.debts.begin(600)
    await store.debts.owe([A])
    await store._sessions.write(
        lambda on: on.execute("UPDATE ai_hub_debts SET owed_at = owed_at - INTERVAL '601 seconds'")
    )
    assert await store.debts.all() == []
    # The longest time counts, whoever has a shorter one.
    await store.debts.begin(300)
    await store.debts.owe([Entity("t", "b")])
    assert await rows(store) == 1


async def test_many_debts_are_all_there_are(
    store: PostgresStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(postgres_debts, "_OWE", postgres_debts._OWE.replace("10000", "3"))
    await store.debts.begin(600)
    for n in range(5):
        await store.debts.owe([Entity("t", f"a{n}")])
    named = [change.entities for change in await store.debts.all()]
    assert named.count(None) == 2
    assert len(named) == 5


async def test_others_hear_of_it_with_the_commit_or_after_it(store: PostgresStore) -> None:
    told: list[str] = []
    async with session(store._settings) as listening:
        await listening.add_listener("ai_hub_changes", lambda *heard: told.append(heard[3]))
        await store.append(batch(1.0, "a").table, seen)
        await store.append(batch(2.0, "a").table, unseen)
        await listening.fetchval("SELECT 1")
    marks = [json.loads(text)[0].split(" ")[2:] for text in told]
    assert marks == [["6dde38ea6fc9"], []]
