"""Interleavings of requests and writes, forced one by one."""

from __future__ import annotations

import asyncio
import contextlib
import json
from types import SimpleNamespace
from typing import Any

import pytest

from ai_hub.definitions.values import iso
from ai_hub.errors import StoreSlow, StoreUnavailable
from ai_hub.serving.memory import MemoryCache
from ai_hub.serving.reader import Reader
from ai_hub.serving.writer import Writer
from serving.doubles import AT, SPEC, TENANT, HeldStore, batch
from serving.kinds import reads
from serving.timeless import timeless


class Service:
    """Reader and writer over one held store and one cache."""

    def __init__(self, holding: bool = True, patience: float = 60.0) -> None:
        self.store = HeldStore(holding)
        self.cache = MemoryCache()
        self.reader = Reader(self.store, self.cache, lambda: AT, patience)
        self.writer = Writer(self.store, self.cache)

    async def get(self, *asset_ids: str) -> list[tuple[dict[str, Any], bool]]:
        found = await self.reader.vectors(SPEC, TENANT, asset_ids, AT)
        return [(json.loads(value), hit) for value, hit in found]

    async def lag(self, asset_id: str) -> float:
        ((vector, _),) = await self.get(asset_id)
        return vector["features"]["lag_1h"]

    async def ingest(self, value: float, *asset_ids: str) -> None:
        await self.writer.land(batch(value, *asset_ids), "observations")

    async def cached(self, asset_id: str) -> bool:
        ((value, _),) = await reads(self.cache, TENANT, [asset_id], iso(AT), SPEC.field)
        return value is not None


def begin(work: Any) -> asyncio.Task[Any]:
    return asyncio.create_task(work)


async def test_a_miss_is_computed_kept_and_then_a_hit() -> None:
    service = Service(holding=False)
    ((first, hit_first),) = await service.get("a")
    ((second, hit_second),) = await service.get("a")
    assert (hit_first, hit_second) == (False, True)
    assert first == second
    assert len(service.store.computations) == 1


async def test_a_vector_computed_from_data_before_an_ingest_is_not_kept() -> None:
    service = Service()
    early = begin(service.lag("a"))
    computation = await service.store.begun(1)
    await service.ingest(5.0, "a")
    computation.go.set()
    assert await early == 0.0
    assert not await service.cached("a")


async def test_a_request_after_the_ingest_does_not_join_the_computation_before_it() -> None:
    service = Service()
    early = begin(service.lag("a"))
    first = await service.store.begun(1)
    await service.ingest(5.0, "a")
    late = begin(service.lag("a"))
    second = await service.store.begun(2)
    second.go.set()
    assert await late == 5.0
    first.go.set()
    assert await early == 0.0
    # The older one, which ended last, has not replaced what was kept.
    assert await service.lag("a") == 5.0
    assert len(service.store.computations) == 2


async def test_an_ingest_of_another_asset_disturbs_nobody() -> None:
    service = Service()
    early = begin(service.lag("a"))
    computation = await service.store.begun(1)
    await service.ingest(5.0, "b")
    late = begin(service.lag("a"))
    await asyncio.sleep(0)
    computation.go.set()
    assert await asyncio.gather(early, late) == [0.0, 0.0]
    assert len(service.store.computations) == 1
    assert await service.cached("a")


async def test_a_request_while_an_ingest_is_not_acknowledged_yet_leaves_nothing_stale() -> None:
    service = Service(holding=False)
    assert await service.lag("a") == 0.0
    service.store.appending = asyncio.Event()
    ingest = begin(service.ingest(5.0, "a"))
    await asyncio.sleep(0)
    assert await service.lag("a") in (0.0, 5.0)
    service.store.appending.set()
    await ingest
    assert await service.lag("a") == 5.0


async def test_concurrent_misses_of_one_key_compute_once() -> None:
    service = Service()
    requests = [begin(service.lag("a")) for _ in range(20)]
    computation = await service.store.begun(1)
    computation.go.set()
    assert await asyncio.gather(*requests) == [0.0] * 20
    assert len(service.store.computations) == 1


async def test_a_batch_is_one_computation_of_what_nobody_computes_already() -> None:
    service = Service()
    single = begin(service.get("b"))
    first = await service.store.begun(1)
    whole = begin(service.get("a", "b", "c"))
    second = await service.store.begun(2)
    assert second.asset_ids == ("a", "c")
    first.go.set()
    second.go.set()
    answers, _ = await asyncio.gather(whole, single)
    assert len(answers) == 3
    assert len(service.store.computations) == 2
    assert all(hit for _, hit in await service.get("c", "b", "a"))


async def test_a_caller_that_gives_up_takes_nobody_elses_answer_away() -> None:
    service = Service()
    first, second = begin(service.lag("a")), begin(service.lag("a"))
    computation = await service.store.begun(1)
    first.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await first
    computation.go.set()
    assert await second == 0.0
    assert await service.cached("a")


async def test_a_cancelled_ingest_still_drops_the_cache() -> None:
    service = Service(holding=False)
    await service.lag("a")
    service.store.appending = asyncio.Event()
    ingest = begin(service.ingest(5.0, "a"))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    ingest.cancel()
    with pytest.raises(asyncio.CancelledError):
        await ingest
    service.store.appending.set()
    await service.writer.close()
    assert not await service.cached("a")
    assert await service.lag("a") == 5.0


async def test_a_change_of_weather_source_drops_the_cache() -> None:
    service = Service(holding=False)
    await service.lag("a")
    await service.lag("b")
    assert await service.writer.assign_weather_source(TENANT, "station", ["a"], None, 0) == 1
    assert not await service.cached("a")
    assert await service.cached("b")


def check_degraded(vector: dict[str, Any]) -> None:
    assert vector["degraded"] is True
    assert vector["features"] == {"hour_of_day": 14, "day_of_week": 3, "is_weekend": 0}
    assert vector["feature_count"] == 3
    assert vector["missing"] == ["lag_1h", "lag_24h", "rolling_avg_24h"]


async def test_a_failing_store_is_answered_for_by_the_calendar_and_not_remembered() -> None:
    service = Service(holding=False)
    await service.ingest(7.0, "a", "b")
    assert await service.lag("b") == 7.0
    service.store.error = StoreUnavailable("away")
    (a, hit_a), (b, hit_b) = await service.get("a", "b")
    check_degraded(a)
    assert (hit_a, hit_b) == (False, True)
    assert b["features"]["lag_1h"] == 7.0
    assert not await service.cached("a")
    ((exact, _),) = await service.reader.exact(SPEC, TENANT, ["a"], AT)
    check_degraded(json.loads(exact))
    service.store.error = None
    assert await service.lag("a") == 7.0
    assert await service.cached("a")


@timeless
async def test_a_slow_store_is_answered_for_within_the_patience() -> None:
    service = Service(patience=0.05)
    async with asyncio.timeout(2):
        (a, _), (b, _) = await service.get("a", "b")
        ((exact, _),) = await service.reader.exact(SPEC, TENANT, ["a"], AT)
    for vector in (a, b, json.loads(exact)):
        check_degraded(vector)
    assert not await service.cached("a")
    # What was slow still ends, and is kept.
    service.store.computations[0].go.set()
    await service.reader.close()
    assert await service.lag("a") == 0.0
    assert await service.cached("a")


@pytest.mark.parametrize(
    ("assets", "patiences"), [(1, 1), (2, 1), (99, 1), (100, 2), (199, 2), (200, 3)]
)
@timeless
async def test_each_hundred_assets_wait_for_the_patience_once_more(
    assets: int, patiences: int
) -> None:
    service = Service(patience=0.2)
    asked = begin(service.get(*(f"a{i}" for i in range(assets))))
    await asyncio.sleep(0.2 * patiences - 0.1)
    assert not asked.done()
    await asyncio.sleep(0.15)
    assert asked.done()
    check_degraded((await asked)[0][0])
    for computation in service.store.computations:
        computation.go.set()
    await service.reader.close()


@timeless
async def test_nobody_waits_for_longer_than_a_moment_while_the_store_is_away() -> None:
    service = Service(patience=3.0)
    service.store.error = StoreUnavailable("away")
    service.store.holding = False
    await service.get("a")
    service.store.holding, service.store.error = True, None
    for ask in (
        service.get("b"),
        service.get(*(f"c{i}" for i in range(250))),
        service.reader.exact(SPEC, TENANT, ["d"], AT),
    ):
        asked = begin(ask)
        await asyncio.sleep(0.03)
        assert not asked.done()
        await asyncio.sleep(0.4)
        assert asked.done()
    # A few go on trying, so that the first answer within a moment is no degraded one.
    found = begin(service.get("e"))
    computation = await service.store.begun(5)
    computation.go.set()
    assert (await found)[0][0]["degraded"] is False
    for computation in service.store.computations:
        computation.go.set()
    await service.reader.close()


@timeless
async def test_a_few_computations_at_a_time_go_on_trying_while_the_store_is_away() -> None:
    service = Service(patience=3.0)
    service.store.error = StoreUnavailable("away")
    service.store.holding = False
    await service.get("a")
    service.store.holding = True
    asked = [begin(service.get(f"b{i}")) for i in range(9)]
    await asyncio.gather(*asked)
    assert len(service.store.computations) == 1 + 4
    for computation in service.store.computations:
        computation.go.set()
    await service.reader.close()


@pytest.mark.parametrize("why", ["another answered", "nobody else asked", "it was stopped"])
@timeless
async def test_one_slow_asset_does_not_make_the_store_away_for_others(why: str) -> None:
    service = Service(patience=0.5)
    slow = begin(service.get("slow"))
    computation = await service.store.begun(1)
    if why == "another answered":
        # Nothing has to be asked to find that out.
        service.store.silent = True
        quick = begin(service.lag("quick"))
        (await service.store.begun(2)).go.set()
        assert await quick == 0.0
    elif why == "it was stopped":
        computation.error = StoreSlow("stopped a statement that took too long")
        computation.go.set()
    ((vector, _),) = await slow
    check_degraded(vector)
    await asyncio.sleep(0.1)
    # While it is away, no more than four would be let through, and none waited for this long.
    begun = len(service.store.computations)
    others = [begin(service.get(f"other-{n}")) for n in range(9)]
    await service.store.begun(begun + 9)
    await asyncio.sleep(0.1)
    for one in service.store.computations:
        one.go.set()
    for ((vector, _),) in await asyncio.gather(*others):
        assert not vector["degraded"]
    await service.reader.close()


@timeless
async def test_a_store_that_answers_nothing_is_away_a_moment_after_the_first_is_late() -> None:
    service = Service(patience=0.3)
    service.store.silent = True
    check_degraded((await service.get("a"))[0][0])
    await asyncio.sleep(0.15)
    asked = begin(service.get("b"))
    await asyncio.sleep(0.15)
    assert asked.done()
    for computation in service.store.computations:
        computation.go.set()
    await service.reader.close()


async def test_a_fault_in_the_code_is_no_degraded_answer() -> None:
    service = Service(holding=False)
    service.store.error = ZeroDivisionError("a fault")
    with pytest.raises(ZeroDivisionError):
        await service.get("a")
    service.store.error = None
    assert await service.lag("a") == 0.0


async def test_many_batches_that_do_not_land_are_one_line(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    service = Service(holding=False)
    clock = 100.0
    # Of that module alone: the event loop has its own.
    monkeypatch.setattr("ai_hub.serving.writer.time", SimpleNamespace(monotonic=lambda: clock))

    async def away(*_: object) -> None:
        raise StoreUnavailable("away")

    service.store.append = away
    for clock in (100.0, 101.0, 109.0, 111.0):  # noqa: B007
        with pytest.raises(StoreUnavailable):
            await service.ingest(1.0, "a")
    lines = [record for record in caplog.records if record.message == "ingest failed"]
    assert [line.batches for line in lines] == [1, 3]


async def test_a_store_that_is_away_is_one_line_and_its_return_another(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level("WARNING")
    service = Service(holding=False)
    service.store.error = StoreUnavailable("away")
    for asset in ("a", "b", "c"):
        ((vector, _),) = await service.get(asset)
        assert vector["degraded"]
    service.store.error = None
    for asset in ("a", "b"):
        ((vector, _),) = await service.get(asset)
        assert not vector["degraded"]
    assert [record.message for record in caplog.records] == ["store unavailable", "store recovered"]
