"""Ids made to confuse: two entities never share, drop or read each other's data or vectors."""

from __future__ import annotations

from itertools import product
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from ai_hub.definitions.values import parse_time, to_datetime
from ai_hub.errors import InvalidInput
from conformance.caches import entries
from conformance.kit import Deployment, observation

T = parse_time("2025-10-09T14:30:00Z")
HOSTILE = (
    "a", "b", "a:b", "a:", ":", "*", "?", "[x]", "x", "%", "%25", "%3A", "a%3Ab", "\\", "'", '"',
    "'; DROP TABLE timeseries_data; --", "_", "A", "a b", "a\u00a0b", "a\u3000b", "a\u200bb",
    "\U0001f600", "\ue000", "é", "e\u0301", "ß", "SS", "İ", "i", "null", "NULL", "None", "nan",
    "0", "00", "1e3", "$1", "{a}", "../a", "a/b", "ж" * 256, "ж" * 255,
)  # fmt: skip
TENANTS = ("a", "a:b", "*", "%", "t'", "A")


async def fill(store, tenants: tuple[str, ...], assets: tuple[str, ...]) -> dict[object, float]:
    values = {pair: float(i) for i, pair in enumerate(product(tenants, assets))}
    rows = [
        observation(asset, T, value) | {"tenant_id": tenant}
        for (tenant, asset), value in values.items()
    ]
    result = await store.ingest(rows)
    assert (result.accepted, result.rejected, result.replaced) == (len(rows), 0, 0)
    return values


async def own_values(store, tenant: str, assets: tuple[str, ...]) -> dict[str, float]:
    found = await store.get_batch_features(
        tenant, assets, timestamp=to_datetime(T), feature_names=["rolling_max_24h"], missing="keep"
    )
    return {asset: features["rolling_max_24h"] for asset, features in found.items()}


async def test_each_reads_its_own(any_cache: Deployment, tmp_path: Path) -> None:
    async with any_cache.open(tmp_path) as store:
        values = await fill(store, TENANTS, HOSTILE)
        for tenant in TENANTS:
            expected = {asset: values[tenant, asset] for asset in HOSTILE}
            assert await own_values(store, tenant, HOSTILE) == expected
            # Out of the cache too, and one by one.
            assert await own_values(store, tenant, HOSTILE) == expected
            for asset in HOSTILE[::5]:
                assert await own_values(store, tenant, (asset,)) == {asset: expected[asset]}


async def test_a_write_or_an_invalidation_drops_its_own_entity_alone(
    any_cache: Deployment, tmp_path: Path
) -> None:
    async with any_cache.open(tmp_path) as store:
        values = await fill(store, TENANTS[:3], HOSTILE)
        for tenant in TENANTS[:3]:
            await own_values(store, tenant, HOSTILE)
        before = await entries(store)
        assert before == len(values)
        for dropped, asset in enumerate(HOSTILE, start=1):
            if dropped % 2:
                done = await store.invalidate_feature_cache("a", asset)
                assert done["invalidated"] == 1
            else:
                await store.ingest([observation(asset, T, -1.0)], "a")
            assert await entries(store) == before - dropped
        assert await own_values(store, "a:b", HOSTILE) == {a: values["a:b", a] for a in HOSTILE}


async def test_weather_sources_are_a_tenants_own(any_cache: Deployment, tmp_path: Path) -> None:
    async with any_cache.open(tmp_path) as store:
        for i, (tenant, source) in enumerate(product(TENANTS, HOSTILE[:12])):
            row = {"timestamp": to_datetime(T), "asset_id": source, "temperature": i - 60.0}
            await store.ingest_weather([row], tenant)
        for tenant in TENANTS:
            await store.assign_weather_source(
                tenant_id=tenant, source_id="[x]", asset_ids=["%", "'"]
            )
        names = ["temperature"]
        for i, tenant in enumerate(TENANTS):
            for asset, source in (("%", "[x]"), ("'", "[x]"), ("*", "*"), ("[x]", "[x]")):
                found = await store.get_features(tenant, asset, to_datetime(T), names)
                assert found["temperature"] == 12 * i + HOSTILE.index(source) - 60


async def test_exports_hold_one_tenants_assets_by_code_point(
    any_cache: Deployment, tmp_path: Path
) -> None:
    async with any_cache.open(tmp_path) as store:
        values = await fill(store, TENANTS, HOSTILE)
        await store.export_features_to_parquet(
            "a:b", "forecast_basic", to_datetime(T - 1), to_datetime(T), output_path=tmp_path / "x"
        )
    table = pq.read_table(tmp_path / "x")
    assert table["asset_id"].to_pylist() == sorted(HOSTILE)
    assert set(table["tenant_id"].to_pylist()) == {"a:b"}
    assert table["value"].to_pylist() == [values["a:b", asset] for asset in sorted(HOSTILE)]


@pytest.mark.parametrize("bad", ["", "x" * 257, "a\nb", "\x00", "\u2028", "\ud800", None])
async def test_an_illegal_id_is_refused_by_name(
    any_cache: Deployment, tmp_path: Path, bad: object
) -> None:
    async with any_cache.open(tmp_path) as store:
        with pytest.raises(InvalidInput, match="asset_id"):
            await store.get_features("t", bad)
        with pytest.raises(InvalidInput, match="tenant_id"):
            await store.get_features(bad, "a")
        result = await store.ingest([{"timestamp": to_datetime(T), "asset_id": bad, "value": 1},
                                     observation("good", T, 1.0)], "t")  # fmt: skip
        assert (result.accepted, result.rejected) == (1, 1)
        assert result.reasons[0].field == "asset_id"
