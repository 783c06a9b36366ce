"""The contract of a cache, for each cache there is."""

from __future__ import annotations

from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ai_hub.definitions.values import Entity, id_fault
from ai_hub.serving.cache import Cache, cache_key
from ai_hub.stores.base import Change
from serving.kinds import Kind, reads

A = Entity("t", "a")
AT = "2025-10-09T14:30:00Z"
LATER = "2025-10-09T14:31:00Z"
FIELD = "forecast_basic@1:abc:mean"
OTHER = "anomaly_detection@1:def:mean"

VALUE = b'{"features":{}}'


def vector(n: int) -> bytes:
    """One of many vectors."""
    return b'{"features":{"n":%d}}' % n


async def put(
    cache: Cache,
    asset: str,
    value: bytes = VALUE,
    at: str = AT,
    field: str = FIELD,
    tenant: str = "t",
) -> int:
    ((_, token),) = await reads(cache, tenant, [asset], at, field)
    return await cache.keep(tenant, at, field, [(asset, token, value)])


async def look(
    cache: Cache, asset: str, at: str = AT, field: str = FIELD, tenant: str = "t"
) -> bytes | None:
    ((value, token),) = await reads(cache, tenant, [asset], at, field)
    if value is None:  # Nobody need wait for what this look-up will not compute.
        await cache.keep(tenant, at, field, [(asset, token, None)])
    return value


async def test_what_was_kept_is_found_under_its_own_key_and_field(kind: Kind) -> None:
    async with kind.opened() as cache:
        assert await look(cache, "a") is None
        assert await put(cache, "a", vector(1)) == 1
        assert await look(cache, "a") == vector(1)
        for elsewhere in ({"at": LATER}, {"field": OTHER}, {"tenant": "u"}):
            assert await look(cache, "a", **elsewhere) is None
        assert await look(cache, "b") is None
        found = await reads(cache, "t", ["b", "a", "c"], AT, FIELD)
        assert [value for value, _ in found] == [None, vector(1), None]
        assert await reads(cache, "t", [], AT, FIELD) == []


async def test_a_large_batch_keeps_its_order(kind: Kind) -> None:
    assets = [f"asset-{i}" for i in range(1_000)]
    async with kind.opened() as cache:
        found = await reads(cache, "t", assets, AT, FIELD)
        tokens = [token for _, token in found]
        values = [(f"asset-{i}", token, vector(i)) for i, token in enumerate(tokens)]
        assert await cache.keep("t", AT, FIELD, values[::2]) == 500
        again = await reads(cache, "t", assets, AT, FIELD)
        expected = [None if i % 2 else vector(i) for i in range(1_000)]
        assert [value for value, _ in again] == expected
        assert await cache.drop(Entity("t", asset) for asset in assets) == 500


async def test_the_time_to_live_counts_from_the_first_write(kind: Kind) -> None:
    async with kind.opened(ttl=300) as cache:
        await put(cache, "a", vector(1))
        kind.wait(200)
        await put(cache, "a", vector(2), field=OTHER)
        await put(cache, "a", vector(3))
        kind.wait(90)
        assert await look(cache, "a") == vector(3)
        kind.wait(10)
        assert await look(cache, "a") is None
        assert await look(cache, "a", field=OTHER) is None
        # The next write is a first one again.
        await put(cache, "a", vector(4))
        kind.wait(290)
        assert await look(cache, "a") == vector(4)


async def test_a_value_is_kept_only_under_the_token_it_was_read_with(kind: Kind) -> None:
    async with kind.opened() as cache:
        (a, token_a), (b, token_b) = await reads(cache, "t", ["a", "b"], AT, FIELD)
        await cache.drop([Entity("t", "a")])
        values = [("a", token_a, vector(1)), ("b", token_b, vector(2))]
        assert await cache.keep("t", AT, FIELD, values) == 1
        assert (a, b) == (None, None)
        assert await look(cache, "a") is None
        assert await look(cache, "b") == vector(2)
        assert await put(cache, "a", vector(3)) == 1
        assert await cache.keep("t", AT, FIELD, values) == 1
        assert await look(cache, "a") == vector(3)


async def test_the_token_of_a_hit_keeps_too(kind: Kind) -> None:
    async with kind.opened() as cache:
        await put(cache, "a", vector(1))
        assert await put(cache, "a", vector(2)) == 1
        assert await look(cache, "a") == vector(2)


async def test_what_could_not_be_computed_is_not_kept(kind: Kind) -> None:
    async with kind.opened() as cache:
        ((_, token),) = await reads(cache, "t", ["a"], AT, FIELD)
        assert await cache.keep("t", AT, FIELD, [("a", token, None)]) == 0
        assert await look(cache, "a") is None


async def test_dropping_forgets_every_time_and_field_of_an_entity_and_no_other(
    kind: Kind,
) -> None:
    async with kind.opened() as cache:
        for asset, at, field in (("a", AT, FIELD), ("a", AT, OTHER), ("a", LATER, FIELD)):
            await put(cache, asset, at=at, field=field)
        await put(cache, "b")
        await put(cache, "a", tenant="u")
        assert await cache.drop([Entity("t", "a"), Entity("t", "unknown")]) == 3
        assert await look(cache, "a") is None
        assert await look(cache, "b") is not None
        assert await look(cache, "a", tenant="u") is not None
        assert await cache.drop([]) == 0


async def test_dropping_by_prefix_forgets_the_fields_that_begin_with_it(kind: Kind) -> None:
    async with kind.opened() as cache:
        ((_, token),) = await reads(cache, "t", ["a"], AT, FIELD)
        for field in (FIELD, OTHER, "forecast_basic@10:abc:mean"):
            await put(cache, "a", field=field)
        for _ in range(2):
            assert await cache.drop([Entity("t", "a")], "forecast_basic@1:") == 1
            assert await look(cache, "a") is None
            assert await look(cache, "a", field=OTHER) is not None
            assert await look(cache, "a", field="forecast_basic@10:abc:mean") is not None
            assert await cache.keep("t", AT, FIELD, [("a", token, VALUE)]) == 0
            assert await put(cache, "a") == 1
        assert await cache.drop([Entity("t", "a")]) == 3


@pytest.mark.parametrize("entities", [(A,), None], ids=["some", "any"])
async def test_what_another_process_wrote_is_dropped(
    kind: Kind, entities: tuple[Entity] | None
) -> None:
    async with kind.opened() as cache:
        await put(cache, "a")
        ((_, token),) = await reads(cache, "t", ["a"], AT, FIELD)
        await cache.changed([Change("1", entities)])
        assert await look(cache, "a") is None
        assert await cache.keep("t", AT, FIELD, [("a", token, VALUE)]) == 0


async def test_what_another_process_marked_here_and_dropped_stays(kind: Kind) -> None:
    async with kind.opened() as cache:
        where = await cache.mark([A], "one")
        await cache.drop([A], mark="one")
        assert bool(where) == cache.shared
        await put(cache, "a")
        await cache.changed([Change("1", (A,), where or "elsewhere")])
        assert await look(cache, "a") == (VALUE if cache.shared else None)
        await put(cache, "a")
        await cache.changed([Change("2", (A,), "elsewhere")])
        assert await look(cache, "a") is None


async def test_while_an_entity_is_marked_nothing_of_it_is_served_kept_or_shared(kind: Kind) -> None:
    async with kind.opened() as cache:
        await put(cache, "a", vector(1))
        await put(cache, "b", vector(2))
        ((_, before),) = await reads(cache, "t", ["a"], AT, FIELD)
        await cache.mark([A], "one")
        await cache.mark([A], "other")
        await cache.drop([A], mark="one")
        for _ in range(3):
            (value, token), (other, _) = await reads(cache, "t", ["a", "b"], AT, FIELD)
            assert (value, token, other) == (None, None, vector(2))
            assert await cache.keep("t", AT, FIELD, [("a", before, vector(1))]) == 0
        await cache.drop([A], mark="other")
        assert await cache.keep("t", AT, FIELD, [("a", before, vector(1))]) == 0
        assert await put(cache, "a", vector(3)) == 1
        assert await look(cache, "a") == vector(3)


async def test_a_mark_that_nobody_takes_away_ends_after_every_vector(kind: Kind) -> None:
    async with kind.opened(ttl=300) as cache:
        await put(cache, "a")
        await cache.mark([A], "one")
        kind.wait(590)
        assert await put(cache, "a") == 0
        kind.wait(20)
        assert await put(cache, "a") == 1


async def test_very_many_entities_are_marked_as_all_of_their_tenant(kind: Kind) -> None:
    those = [Entity("t", f"asset-{i}") for i in range(10_001)] + [Entity("v", "last")]
    async with kind.opened() as cache:
        await put(cache, "asset-7")
        await put(cache, "last", tenant="v")
        await put(cache, "another", tenant="u")
        await cache.mark(those, "one")
        assert await look(cache, "asset-7") is await look(cache, "last", tenant="v") is None
        assert await put(cache, "asset-7") == await put(cache, "no-part") == 0
        assert await put(cache, "last", tenant="v") == 0
        assert await look(cache, "another", tenant="u") == VALUE
        await cache.drop(those, mark="one")
        assert await put(cache, "asset-7") == await put(cache, "no-part") == 1
        assert await put(cache, "last", tenant="v") == 1


@given(st.lists(st.tuples(st.sampled_from("abcdef"), st.booleans()), min_size=1, max_size=40))
async def test_a_stale_value_is_never_kept(kind: Kind, steps: list[tuple[str, bool]]) -> None:
    async with kind.opened() as cache:
        found = await reads(cache, "t", list("abcdef"), AT, FIELD)
        begun = {asset: token for asset, (_, token) in zip("abcdef", found, strict=True)}
        stale: set[str] = set()
        for asset, dropping in steps:
            if dropping:
                await cache.drop([Entity("t", asset)])
                stale.add(asset)
            else:
                kept = await cache.keep("t", AT, FIELD, [(asset, begun[asset], VALUE)])
                assert kept == (asset not in stale)
                if asset in stale:
                    assert await look(cache, asset) is None


async def test_hits_and_misses_are_counted(kind: Kind) -> None:
    async with kind.opened() as cache:
        assert (await cache.stats()).hit_rate == 0
        await put(cache, "a")
        await reads(cache, "t", ["a", "b", "a", "a"], AT, FIELD)
        stats = await cache.stats()
        assert (stats.kind, stats.ttl_seconds) == (str(kind), 300)
        assert (stats.hits, stats.misses) == (3, 2)
        assert stats.hit_rate == 0.6


async def test_a_closed_cache_has_nothing(kind: Kind) -> None:
    async with kind.opened() as cache:
        await put(cache, "a")
        await cache.close()
        assert await look(cache, "a") is None


# Hostile ids

_PARTS = ("a", "a:b", ":", "*", "?", "[x]", "x", "%", "%3A", "\\", " ", "\u3000", "ж", "features")
legal = st.text(min_size=1, max_size=256).filter(lambda text: id_fault(text) is None)
hostile = st.one_of(
    st.lists(st.sampled_from(_PARTS), min_size=1, max_size=4).map("".join),
    st.sampled_from(("ж" * 256, "😀" * 255, "a" * 256)),
    legal,
)
entities = st.builds(Entity, hostile, hostile)


@given(st.lists(entities, min_size=2, max_size=8, unique=True), st.data())
async def test_hostile_ids_have_what_is_theirs_and_nothing_else(
    kind: Kind, those: list[Entity], data: st.DataObject
) -> None:
    async with kind.opened() as cache:
        for n, one in enumerate(those):
            assert await put(cache, one.asset_id, vector(n), tenant=one.tenant_id) == 1
        dropped = data.draw(st.sets(st.sampled_from(those)))
        assert await cache.drop(dropped) == len(dropped)
        for n, one in enumerate(those):
            expected = None if one in dropped else vector(n)
            assert await look(cache, one.asset_id, tenant=one.tenant_id) == expected


@given(st.lists(st.text(min_size=1, max_size=6), min_size=4, max_size=4))
def test_two_entities_never_share_a_key(parts: list[str]) -> None:
    a, b, c, d = parts
    same = (a, b) == (c, d)
    assert (cache_key(a, b, AT) == cache_key(c, d, AT)) == same


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (("a:b", "c"), ("a", "b:c")),
        (("a%3Ab", "c"), ("a:b", "c")),
        (("a", "b "), ("a", "b%20")),
        (("a", "\u3000"), ("a", "%E3%80%80")),
        (("a", "*"), ("a", "%2A")),
    ],
)
def test_keys_of_ids_made_to_meet_differ(one: tuple[str, str], other: tuple[str, str]) -> None:
    assert cache_key(*one, AT) != cache_key(*other, AT)
    assert not set(cache_key(*one, AT)[len("features:") :]) & set("*?[]\\ \u3000")


def test_a_key_is_as_the_guide_shows_it() -> None:
    expected = "features:tenant-123:meter-001:2025-10-09T14:00:00Z"
    assert cache_key("tenant-123", "meter-001", "2025-10-09T14:00:00Z") == expected


async def test_ids_of_one_pattern_are_dropped_one_by_one(kind: Kind) -> None:
    pairs = list(product(("a", "a*", "*", "a:"), ("b", "b*", "*", "[b]", "?", "")))[:-1]
    those = [Entity(tenant, asset) for tenant, asset in pairs if asset]
    async with kind.opened() as cache:
        for one in those:
            await put(cache, one.asset_id, tenant=one.tenant_id)
        for n, one in enumerate(those, start=1):
            assert await cache.drop([one]) == 1
            left = [await look(cache, o.asset_id, tenant=o.tenant_id) for o in those]
            assert left == [None] * n + [VALUE] * (len(those) - n)
