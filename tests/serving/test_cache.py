"""The contract of a cache, for each cache there is."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ai_hub.definitions.values import Entity
from ai_hub.serving.cache import Cache, MemoryCache, cache_key

AT = "2025-10-09T14:30:00Z"
LATER = "2025-10-09T14:31:00Z"
FIELD = "forecast_basic@1:abc:mean"
OTHER = "anomaly_detection@1:def:mean"


class Clock:
    """Seconds that pass when told."""

    def __init__(self) -> None:
        self.now = 1_000.0

    def __call__(self) -> float:
        return self.now


Open = Callable[..., Cache]


def open_memory(
    clock: Clock, ttl: int = 300, max_bytes: int = 1 << 20, max_tokens: int = 1_000
) -> Cache:
    return MemoryCache(ttl, max_bytes, clock, max_tokens)


@pytest.fixture(params=[open_memory], ids=["memory"], scope="session")
def opened(request: pytest.FixtureRequest) -> Open:
    chosen: Open = request.param
    return chosen


@pytest.fixture
def clock() -> Clock:
    return Clock()


async def put(
    cache: Cache, asset: str, value: bytes = b"{}", at: str = AT, field: str = FIELD, tenant="t"
) -> int:
    ((_, token),) = await cache.read(tenant, [asset], at, field)
    return await cache.keep(tenant, at, field, [(asset, token, value)])


async def look(
    cache: Cache, asset: str, at: str = AT, field: str = FIELD, tenant: str = "t"
) -> bytes | None:
    ((value, _),) = await cache.read(tenant, [asset], at, field)
    return value


async def test_what_was_kept_is_found_under_its_own_key_and_field(
    opened: Open, clock: Clock
) -> None:
    cache = opened(clock)
    assert await look(cache, "a") is None
    assert await put(cache, "a", b"1") == 1
    assert await look(cache, "a") == b"1"
    for elsewhere in ({"at": LATER}, {"field": OTHER}, {"tenant": "u"}):
        assert await look(cache, "a", **elsewhere) is None
    assert await look(cache, "b") is None
    found = await cache.read("t", ["b", "a", "c"], AT, FIELD)
    assert [value for value, _ in found] == [None, b"1", None]


async def test_the_time_to_live_counts_from_the_first_write(opened: Open, clock: Clock) -> None:
    cache = opened(clock)
    await put(cache, "a", b"1")
    clock.now += 200
    await put(cache, "a", b"2", field=OTHER)
    await put(cache, "a", b"3")
    clock.now += 99.9
    assert await look(cache, "a") == b"3"
    clock.now += 0.1
    assert await look(cache, "a") is None
    assert await look(cache, "a", field=OTHER) is None
    assert (await cache.stats()).entries == 0
    assert (await cache.stats()).bytes == 0


async def test_the_bound_holds_and_the_oldest_leave_first(opened: Open, clock: Clock) -> None:
    cache = opened(clock, max_bytes=100_000)
    for i in range(300):
        await put(cache, f"a{i}", b"x" * 1_000)
        assert (await cache.stats()).bytes <= 100_000
    assert await look(cache, "a0") is None
    assert await look(cache, "a299") is not None
    stats = await cache.stats()
    assert stats.evicted == 300 - stats.entries > 0
    await put(cache, "huge", b"x" * 200_000)
    assert (await cache.stats()).bytes <= 100_000


async def test_a_value_is_kept_only_under_the_token_it_was_read_with(
    opened: Open, clock: Clock
) -> None:
    cache = opened(clock)
    (a, token_a), (b, token_b) = await cache.read("t", ["a", "b"], AT, FIELD)
    await cache.drop([Entity("t", "a")])
    assert await cache.keep("t", AT, FIELD, [("a", token_a, b"old"), ("b", token_b, b"new")]) == 1
    assert (a, b) == (None, None)
    assert await look(cache, "a") is None
    assert await look(cache, "b") == b"new"
    assert await put(cache, "a", b"fresh") == 1


async def test_dropping_forgets_every_time_and_field_of_an_entity_and_no_other(
    opened: Open, clock: Clock
) -> None:
    cache = opened(clock)
    for asset, at, field in (("a", AT, FIELD), ("a", AT, OTHER), ("a", LATER, FIELD)):
        await put(cache, asset, at=at, field=field)
    await put(cache, "b")
    await put(cache, "a", tenant="u")
    assert await cache.drop([Entity("t", "a"), Entity("t", "unknown")]) == 3
    assert await look(cache, "a") is None
    assert await look(cache, "b") is not None
    assert await look(cache, "a", tenant="u") is not None


async def test_dropping_by_prefix_forgets_the_fields_that_begin_with_it(
    opened: Open, clock: Clock
) -> None:
    cache = opened(clock)
    ((_, token),) = await cache.read("t", ["a"], AT, FIELD)
    for field in (FIELD, OTHER, "forecast_basic@10:abc:mean"):
        await put(cache, "a", field=field)
    assert await cache.drop([Entity("t", "a")], "forecast_basic@1:") == 1
    assert await look(cache, "a") is None
    assert await look(cache, "a", field=OTHER) is not None
    assert await look(cache, "a", field="forecast_basic@10:abc:mean") is not None
    assert await cache.keep("t", AT, FIELD, [("a", token, b"old")]) == 0


@given(st.lists(st.tuples(st.sampled_from("abcdef"), st.booleans()), min_size=1, max_size=40))
async def test_with_few_tokens_a_stale_value_is_still_never_kept(
    opened: Open, steps: list[tuple[str, bool]]
) -> None:
    cache = opened(Clock(), max_tokens=2)
    begun = dict(
        zip("abcdef", [t for _, t in await cache.read("t", list("abcdef"), AT, FIELD)], strict=True)
    )
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


async def test_hits_and_misses_are_counted(opened: Open, clock: Clock) -> None:
    cache = opened(clock)
    assert (await cache.stats()).hit_rate == 0
    await put(cache, "a")
    await cache.read("t", ["a", "b", "a", "a"], AT, FIELD)
    stats = await cache.stats()
    assert (stats.hits, stats.misses) == (3, 2)
    assert stats.hit_rate == 0.6


async def test_bytes_come_back_to_nothing(opened: Open, clock: Clock) -> None:
    cache = opened(clock)
    for i in range(20):
        await put(cache, f"a{i % 7}", b"x" * i, field=FIELD if i % 2 else OTHER)
    await cache.drop([Entity("t", f"a{i}") for i in range(7)])
    stats = await cache.stats()
    assert (stats.bytes, stats.entries) == (0, 0)
    await put(cache, "a")
    await cache.close()
    assert await look(cache, "a") is None


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
