"""The next step is warm before its turn: with what was asked for, and with what came in since."""

from __future__ import annotations

import asyncio
import time
from datetime import UTC, datetime

from ai_hub import FeatureStore
from ai_hub.definitions.values import SECOND, Granularity
from ai_hub.serving.ahead import AskedFor
from serving.doubles import SPEC, TENANT

STEP = 4


class Clock:
    """A minute that passes when told."""

    def __init__(self) -> None:
        self.now = 600 * SECOND

    def __call__(self) -> int:
        return self.now


def keys(asked: AskedFor) -> list[str]:
    return [f"{tenant}:{one}" for _, tenant, assets in asked.parts() for one in assets]


def test_the_keys_of_this_step_and_the_one_before_are_remembered() -> None:
    clock = Clock()
    asked = AskedFor(Granularity.of("1m"), clock)
    asked.note(SPEC, TENANT, ["a", "b"], 600 * SECOND)
    asked.note(SPEC, "u", ["a"], 600 * SECOND)
    # Another time than now is not what the next step will be asked for.
    for other in (0, 540, 660):
        asked.note(SPEC, TENANT, ["old"], other * SECOND)
    clock.now = 661 * SECOND
    asked.note(SPEC, TENANT, ("b", "c"), 660 * SECOND)
    assert sorted(keys(asked)) == ["t:a", "t:b", "t:c", "u:a"]
    clock.now = 725 * SECOND
    assert keys(asked) == ["t:b", "t:c"]
    clock.now = 785 * SECOND
    assert keys(asked) == []
    asked.note(SPEC, TENANT, ["d"], 780 * SECOND)
    # After a time in which nobody asked, the last step is empty.
    clock.now = 1_000 * SECOND
    assert keys(asked) == []


def test_no_more_keys_are_remembered_than_there_is_room_for() -> None:
    clock = Clock()
    asked = AskedFor(Granularity.of("1m"), clock, most=1_000)
    for n in range(5_000):
        asked.note(SPEC, f"tenant-{n % 3}", [f"asset-{n}"], clock.now)
    assert 1_000 <= len(keys(asked)) <= 1_010
    assert max(len(assets) for _, _, assets in asked.parts()) <= 200


async def test_the_first_request_of_a_step_is_a_hit_and_reflects_a_late_ingest() -> None:
    assets = [f"m{n}" for n in range(30)]

    async def ingest(store: FeatureStore, value: float) -> None:
        # Of the last hour and the one before: one of them is an hour ago at any time.
        now = datetime.fromtimestamp(time.time() - 1_800, UTC)
        rows = [{"timestamp": now, "asset_id": one, "value": value} for one in assets]
        await store.ingest(rows, tenant_id="t")

    async def get(store: FeatureStore) -> list[tuple[bool, float]]:
        found = await store.get_batch(tenant_id="t", asset_ids=assets, feature_set="forecast_basic")
        return [(one.cache_hit, one.features["rolling_avg_24h"]) for one in found.values()]

    async with FeatureStore.open(
        "duckdb:///:memory:", granularity=f"{STEP}s", warm_ahead=True, cache_url="memory://"
    ) as store:
        served = store.metrics.served
        clean = False
        for round_ in range(5):
            await ingest(store, round_)
            await get(store)
            counted = dict(served)
            # It begins between a quarter of a step before the turn and half as much earlier.
            await asyncio.sleep(STEP - 0.5 - time.time() % STEP)
            await ingest(store, round_ + 0.5)
            stored = (await store.get(
                tenant_id="t", asset_id="m0", feature_set="forecast_basic", exact=True
            )).features["rolling_avg_24h"]  # fmt: skip
            await asyncio.sleep(STEP - time.time() % STEP + 0.02)
            answers = await get(store)
            assert {value for _, value in answers} == {stored}
            # What is warmed is no answer, and not counted as one.
            assert sum(served.values()) - sum(counted.values()) == len(assets) + 1
            clean = clean or all(hit for hit, _ in answers)
            if clean:
                break
        assert clean
