"""The assets that a tenant was seen with, and warming them."""

from __future__ import annotations

import random
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from ai_hub import FeatureStore
from ai_hub.definitions.builtin import FEATURE_SETS
from ai_hub.definitions.values import DAY, HOUR, MINUTE, to_datetime
from ai_hub.errors import InvalidInput
from conformance.kit import Deployment, observation
from conformance.test_entities import HOSTILE, TENANTS

SERIES = ("value", "load", "'", "zz")
T = 1_760_000_400_000_000


def rows(seed: int, now: int) -> list[dict[str, object]]:
    """Readings of the last weeks, some just at the edge of the last day, some unusable."""
    dice = random.Random(seed)
    ages = (0, 1, DAY - 1, DAY, DAY + 1, 2 * DAY, 9 * DAY, 40 * DAY, -3 * MINUTE)
    return [
        observation(asset, now - age, 1.0, dice.choice(SERIES), dice.choice((0, 1, 1)))
        | {"tenant_id": tenant}
        for tenant in TENANTS
        for asset in dice.sample(HOSTILE, 25)
        for age in dice.sample(ages, dice.randint(0, 3))
    ]


async def test_assets_with_a_usable_reading_since_then_are_seen(
    deployment: Deployment, tmp_path: Path
) -> None:
    now = 1_760_020_200_000_000
    async with deployment.open(tmp_path) as store:
        store.now = lambda: now
        assert await store.seen_assets("a") == []
        sent = rows(1, now)
        await store.ingest(sent)
        # The last of what was sent for one key counts.
        kept = {
            (row["tenant_id"], row["asset_id"], row["feature_type"], row["timestamp"]): row
            for row in sent
        }
        for since in (None, 0, now - 2 * DAY, now - DAY + 1, now + MINUTE, now + DAY):
            first = now - DAY if since is None else since
            moment = None if since is None else to_datetime(since)
            for tenant in (*TENANTS, "nobody"):
                expected = {
                    row["asset_id"]
                    for row in kept.values()
                    if row["tenant_id"] == tenant
                    and row["quality"] >= 1
                    and row["timestamp"] >= to_datetime(first)
                }
                assert await store.seen_assets(tenant, moment) == sorted(expected)
                some = await store._open.store.seen(tenant, first, 2)
                assert some == sorted(expected)[:2]
        with pytest.raises(InvalidInput, match="tenant_id"):
            await store.seen_assets("")
        with pytest.raises(InvalidInput, match="since"):
            await store.seen_assets("a", datetime(2025, 1, 1))


async def test_warming_a_tenant_is_warming_what_was_seen(
    deployment: Deployment, tmp_path: Path
) -> None:
    now = datetime.now(UTC)
    async with deployment.open(tmp_path) as store:
        assert await store.warm_feature_cache("t") == {"assets": 0, "warmed": 0, "computed": 0}
        ids = [f"m{number}" for number in range(450)]
        await store.ingest(
            [{"timestamp": now - timedelta(hours=2), "asset_id": one, "value": 1.0} for one in ids],
            tenant_id="t",
        )
        old = [{"timestamp": now - timedelta(days=3), "asset_id": "old", "value": 1.0}]
        await store.ingest(old, tenant_id="t")
        told: list[tuple[int, int]] = []
        total = len(ids) * len(FEATURE_SETS)
        counts = await store.warm_feature_cache(
            "t", timestamp=now, abreast=3, progress=lambda *some: told.append(some)
        )
        assert counts == {"assets": len(ids), "warmed": total, "computed": total}
        assert told == sorted(told)
        assert told[-1] == (total, total)
        assert len(told) == 3 * len(FEATURE_SETS)
        counts = await store.warm_feature_cache("t", feature_set="forecast_basic", timestamp=now)
        assert counts == {"assets": len(ids), "warmed": len(ids), "computed": 0}
        assert await _hit(store, "m7", now)
        assert not await _hit(store, "old", now)


async def _hit(store: FeatureStore, asset_id: str, now: datetime) -> bool:
    answer = await store.get(
        tenant_id="t", asset_id=asset_id, feature_set="forecast_basic", timestamp=now
    )
    return answer.cache_hit


async def test_an_export_of_too_many_observations_is_refused_before_it_begins(
    deployment: Deployment, tmp_path: Path
) -> None:
    """Those of the range, the assets and the series count, and no others."""
    sent = [
        {**observation(asset, T + hour * HOUR, 1.0, series), "tenant_id": tenant}
        for hour in range(30)
        for tenant in ("a", "b")
        for asset in ("x", "y")
        for series in ("value", "load")
    ]
    async with deployment.open(tmp_path, export_rows=50) as store:
        await store.ingest(sent)
        for assets, hours, refused in ((None, 30, True), (None, 25, False), (["x"], 30, False)):
            work = store.export_features_to_parquet(
                "a",
                "forecast_basic",
                to_datetime(T),
                to_datetime(T + (hours - 1) * HOUR),
                tmp_path / "few.parquet",
                assets,
            )
            if refused:
                with pytest.raises(InvalidInput, match=r"end_time: got 'more than 50 rows'"):
                    await work
                assert await store.exports("a") == []
            else:
                assert (await work)["row_count"] == hours * (2 if assets is None else 1)
