"""The cache in the process: what it holds is bounded, and so is what it remembers of drops."""

from __future__ import annotations

import asyncio
import gc

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ai_hub.definitions.values import Entity
from ai_hub.serving.cache import Token
from ai_hub.serving.memory import MemoryCache
from ai_hub.stores.base import Change
from serving.kinds import reads
from serving.test_cache import AT, FIELD, OTHER, look, put


async def test_the_bound_holds_and_the_oldest_leave_first() -> None:
    cache = MemoryCache(max_bytes=100_000)
    for i in range(300):
        await put(cache, f"a{i}", b"x" * 1_000)
        stats = await cache.stats()
        assert stats.bytes is not None
        assert stats.bytes <= 100_000
    assert await look(cache, "a0") is None
    assert await look(cache, "a299") is not None
    stats = await cache.stats()
    assert stats.entries is not None
    assert stats.evicted == 300 - stats.entries
    assert stats.evicted > 0
    await put(cache, "huge", b"x" * 200_000)
    stats = await cache.stats()
    assert stats.bytes is not None
    assert stats.bytes <= 100_000


async def test_what_expires_takes_no_room() -> None:
    now = [1_000.0]
    cache = MemoryCache(ttl_seconds=300, clock=lambda: now[0])
    await put(cache, "a")
    await put(cache, "a", field=OTHER)
    now[0] += 299.9
    assert (await cache.stats()).entries == 2
    now[0] += 0.1
    stats = await cache.stats()
    assert (stats.bytes, stats.entries) == (0, 0)


@given(st.lists(st.tuples(st.sampled_from("abcdef"), st.booleans()), min_size=1, max_size=40))
async def test_with_few_tokens_a_stale_value_is_still_never_kept(
    steps: list[tuple[str, bool]],
) -> None:
    cache = MemoryCache(max_tokens=2)
    found = await reads(cache, "t", list("abcdef"), AT, FIELD)
    begun = dict(zip("abcdef", [token for _, token in found], strict=True))
    stale: set[str] = set()
    for asset, dropping in steps:
        if dropping:
            await cache.drop([Entity("t", asset)])
            stale.add(asset)
        else:
            kept = await cache.keep("t", AT, FIELD, [(asset, begun[asset], b"of the start")])
            if asset in stale:
                assert kept == 0
                assert await look(cache, asset) is None


async def still_kept(cache: MemoryCache, token: Token) -> bool:
    return await cache.keep("t", AT, FIELD, [("z", token, b"{}")]) == 1


async def test_so_many_entities_have_a_token_of_their_own_and_then_all_change() -> None:
    cache = MemoryCache(max_tokens=3)
    ((_, token),) = await reads(cache, "t", ["z"], AT, FIELD)
    # The same ones again and again are no more of them.
    for asset in "aaaababcabc":
        await cache.drop([Entity("t", asset)])
        assert await still_kept(cache, token)
    await cache.drop([Entity("t", "d")])
    assert not await still_kept(cache, token)
    ((_, token),) = await reads(cache, "t", ["z"], AT, FIELD)
    for asset in "ef":
        await cache.drop([Entity("t", asset)])
        assert await still_kept(cache, token)
    await cache.drop([Entity("t", "g")])
    assert not await still_kept(cache, token)


async def test_a_missed_notice_is_one_for_the_vectors_in_flight_too() -> None:
    cache = MemoryCache()
    await cache.drop([Entity("t", "dropped")])
    assets = ["dropped", "fresh"]
    found = await reads(cache, "t", assets, AT, FIELD)
    await cache.changed(None)
    values = [(a, token, b"{}") for a, (_, token) in zip(assets, found, strict=True)]
    assert await cache.keep("t", AT, FIELD, values) == 0
    assert [value for value, _ in await reads(cache, "t", assets, AT, FIELD)] == [None, None]


async def test_bytes_come_back_to_nothing() -> None:
    cache = MemoryCache()
    for i in range(20):
        await put(cache, f"a{i % 7}", b"x" * i, field=FIELD if i % 2 else OTHER)
    await cache.drop([Entity("t", f"a{i}") for i in range(7)])
    stats = await cache.stats()
    assert (stats.bytes, stats.entries) == (0, 0)


async def test_a_full_cache_is_nothing_to_look_at_for_the_collector() -> None:
    cache = MemoryCache()
    assets = [f"a-{n}" for n in range(1_000)]
    gc.collect()
    before = len(gc.get_objects())
    for minute in range(10):
        at = f"2025-01-01T00:{minute:02}:00Z"
        for name in ("f1", "f2"):
            found = await cache.read("t", assets, at, name)
            values = [(asset, token, b"x") for asset, (_, token) in zip(assets, found, strict=True)]
            assert await cache.keep("t", at, name, values) == 1_000
    assert (await cache.stats()).entries == 20_000
    del found, values
    gc.collect()
    gc.collect()
    assert len(gc.get_objects()) - before < 500


async def filled(cache: MemoryCache, assets: int, fields: int = 3) -> list[Entity]:
    ids = [f"asset-{n}" for n in range(assets)]
    found = await cache.read("t", ids, AT, FIELD)
    kept = [(a, token, b"{}") for a, (_, token) in zip(ids, found, strict=True)]
    for n in range(fields):
        await cache.keep("t", AT, f"{FIELD}{n}", kept)
    return [Entity("t", asset_id) for asset_id in ids]


@pytest.mark.parametrize("how", ["entities", "all", "close"])
async def test_others_have_their_turn_while_very_many_are_dropped(how: str) -> None:
    cache = MemoryCache()
    entities = await filled(cache, 10_000)
    turns = 0

    async def others() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    beside = asyncio.create_task(others())
    if how == "entities":
        assert await cache.drop(entities) == 30_000
    elif how == "all":
        await cache.changed(None)
    else:
        await cache.close()
    beside.cancel()
    assert turns > 10_000 / 500
    stats = await cache.stats()
    assert (stats.entries, stats.bytes) == (0, 0)


async def test_what_is_forgotten_as_a_whole_is_so_at_once() -> None:
    cache = MemoryCache()
    await filled(cache, 1_000)
    dropping = asyncio.create_task(cache.changed(None))
    await asyncio.sleep(0)
    assert not dropping.done()
    ((value, token),) = await cache.read("t", ["asset-999"], AT, f"{FIELD}0")
    assert value is None
    await cache.keep("t", AT, f"{FIELD}0", [("asset-999", token, b"new")])
    await dropping
    ((value, _),) = await cache.read("t", ["asset-999"], AT, f"{FIELD}0")
    assert value == b"new"


async def test_many_that_expire_together_are_no_answer_before_they_are_forgotten() -> None:
    now = 0.0
    cache = MemoryCache(300, clock=lambda: now)
    await filled(cache, 1_000)
    now = 299.0
    ((value, _),) = await cache.read("t", ["asset-999"], AT, f"{FIELD}0")
    assert value == b"{}"
    now = 300.0
    ((value, token),) = await cache.read("t", ["asset-999"], AT, f"{FIELD}0")
    assert value is None
    await cache.keep("t", AT, f"{FIELD}0", [("asset-999", token, b"new")])
    found = await cache.read("t", ["asset-999", "asset-998"], AT, f"{FIELD}0")
    assert [value for value, _ in found] == [b"new", None]
    assert (await cache.stats()).entries == 1


@pytest.mark.parametrize("known", [True, False], ids=["known", "first of its tenant"])
@pytest.mark.parametrize("any_of_them", [True, False], ids=["any", "one"])
async def test_what_is_dropped_while_others_are_kept_is_not_kept(
    known: bool, any_of_them: bool
) -> None:
    cache = MemoryCache()
    if known:
        await cache.drop([Entity("t", "other")])
    assets = [f"asset-{i}" for i in range(600)]
    found = await cache.read("t", assets, AT, FIELD)
    values = [(a, token, b"{}") for a, (_, token) in zip(assets, found, strict=True)]
    keeping = asyncio.create_task(cache.keep("t", AT, FIELD, values))
    await asyncio.sleep(0)
    await cache.changed([Change("1", None if any_of_them else (Entity("t", assets[-1]),))])
    await keeping
    assert (await cache.read("t", assets[-1:], AT, FIELD))[0][0] is None
