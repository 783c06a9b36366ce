"""Removal on every store: what is left is as if the rest had never been."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from ai_hub import FeatureStore
from ai_hub.definitions.values import DAY, HOUR, to_datetime, to_micros
from ai_hub.errors import InvalidInput
from ai_hub.serving.answer import Answer
from ai_hub.stores import removal as removal_steps
from conformance.kit import Deployment, Row, observation

# Raw rows are kept for a week where nobody says otherwise.
LATER = time.time_ns() // 1_000 // HOUR * HOUR - HOUR
AT = LATER - 3 * DAY
ASSETS, SERIES = ("a", "b", "c"), ("value", "load")
T = "acme"


def readings() -> list[Row]:
    return [
        observation(asset, LATER - i * HOUR, float(i), series, quality=i % 7)
        for asset in ASSETS
        for series in SERIES
        for i in range(72)
    ]


def weather() -> list[Row]:
    return [
        {"timestamp": to_datetime(LATER - i * HOUR), "asset_id": source, "temperature": float(i)}
        for source in (*ASSETS, "station")
        for i in range(48)
    ]


ATTRIBUTES = [{"asset_id": asset, "capacity": 5.0, "timezone": "UTC"} for asset in ASSETS]
CASES: dict[str, dict[str, Any]] = {
    "tenant": {},
    "asset": {"asset_ids": ["a"]},
    "series": {"series": "load"},
    "series of assets": {"series": "load", "asset_ids": ["a", "c"]},
    "window": {"start_time": to_datetime(AT + 20 * HOUR), "end_time": to_datetime(AT + 30 * HOUR)},
    "until": {"end_time": to_datetime(AT + DAY), "asset_ids": ["b"]},
    "since, with weather": {"start_time": to_datetime(AT + 2 * DAY), "weather": True},
    "cut": {"start_time": to_datetime(AT + DAY + HOUR // 2),
            "end_time": to_datetime(AT + DAY + HOUR + 1)},
    "nobody": {"asset_ids": ["nobody"]},
    "no time": {"start_time": to_datetime(AT + DAY + HOUR // 2), "end_time": to_datetime(AT + DAY)},
}  # fmt: skip

# What the others show in part.
LONG = {"series", "until", "nobody", "no time"}
IN_STEPS = {"tenant", "series of assets", "window", "since, with weather"}
"""Removed in many steps: large series cut, small ones apart."""


def is_in(row: Row, case: dict[str, Any], is_weather: bool = False) -> bool:
    """Whether a removal is about a row, in plain Python."""
    whole = not {"series", "start_time", "end_time"} & {*case}
    if is_weather and not (whole or case.get("weather")):
        return False
    at = to_micros(row["timestamp"])
    return (
        row["asset_id"] in case.get("asset_ids", [row["asset_id"]])
        and (is_weather or row["feature_type"] == case.get("series", row["feature_type"]))
        and ("start_time" not in case or at >= to_micros(case["start_time"]))
        and ("end_time" not in case or at < to_micros(case["end_time"]))
    )


async def filled(store: FeatureStore, case: dict[str, Any] | None = None) -> None:
    """Everything, or all but what a removal is about."""
    rows, issued, attributes = readings(), weather(), ATTRIBUTES
    mapped = [*ASSETS]
    if case is not None:
        rows = [row for row in rows if not is_in(row, case)]
        issued = [row for row in issued if not is_in(row, case, is_weather=True)]
        if not {"series", "start_time", "end_time"} & {*case}:
            gone = case.get("asset_ids", ASSETS)
            attributes = [one for one in attributes if one["asset_id"] not in gone]
            mapped = [one for one in mapped if one not in gone]
    if rows:
        await store.ingest(rows, T)
    if issued:
        await store.ingest_weather(issued, T)
    if attributes:
        await store.ingest_attributes(attributes, T)
    for asset in {*mapped} - {"a"}:
        await store.assign_weather_source(tenant_id=T, source_id="station", asset_ids=[asset])


def without_exports(told: dict[str, Any]) -> dict[str, Any]:
    """What was told, but for what follows from exports and from serving."""
    rows = {name: n for name, n in told["removed"].items() if not name.startswith("ai_hub_")}
    return {**told, "removed": rows, "exports": 0, "dry_run": False}


async def seen(store: FeatureStore) -> dict[str, Any]:
    """What a store shows of the tenant."""
    at = to_datetime(LATER)
    answers = await store.get_batch(tenant_id=T, asset_ids=[*ASSETS], timestamp=at)
    assets = await store.assets(T, limit=100)
    export = await store.export_features_to_parquet(
        T, "forecast_basic", to_datetime(AT - DAY), at, force=True, output_path=None
    )
    return {
        "answers": {one: (found.features, found.missing) for one, found in answers.items()},
        "assets": assets["assets"],
        "seen": await store.seen_assets(T, to_datetime(AT)),
        "rows": export["row_count"],
    }


@pytest.mark.parametrize(
    "name",
    [pytest.param(one, marks=[pytest.mark.long] if one in LONG else []) for one in CASES],
)
async def test_what_is_left_is_as_if_the_rest_had_never_been(
    deployment: Deployment, name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    case = CASES[name]
    if name in IN_STEPS:
        monkeypatch.setattr(removal_steps, "STEP_ROWS", 20)
    without = tmp_path / "without"
    without.mkdir()
    async with deployment.open(tmp_path) as store:
        await filled(store)
        before = await seen(store)
        told = await store.delete(T, **case, dry_run=True)
        assert await seen(store) == before
        done = await store.delete(T, **case)
        # Between the two was an export, which keeps a baseline.
        assert without_exports(told) == without_exports(done)
        rows = [row for row in readings() if is_in(row, case)]
        assert done["removed"]["timeseries_data"] == len(rows)
        assert done["removed"]["ai_features"] == sum(row["quality"] >= 1 for row in rows)
        issued = [row for row in weather() if is_in(row, case, is_weather=True)]
        assert done["removed"]["weather_features"] == len(issued)
        after = await seen(store)
        records = (await store.audit(T, what="delete"))["records"]
        assert sum(one["count"] for one in records) == sum(done["removed"].values())
        again = await store.delete(T, **case)
        assert not any(again["removed"].values())
        assert not again["series"]
    async with deployment.open(without) as other:
        await filled(other, case)
        assert after == await seen(other)


async def until(get: Callable[[], Awaitable[Answer]]) -> None:
    """Wait for an answer of which something is missing."""
    async with asyncio.timeout(30):
        while not (await get()).missing:  # noqa: ASYNC110  # Nobody tells of it here.
            await asyncio.sleep(0.02)


async def test_cached_vectors_go_with_it(any_cache: Deployment, tmp_path: Path) -> None:
    at = to_datetime(LATER)
    async with any_cache.open(tmp_path) as store:
        await filled(store)
        asked: dict[str, Any] = {
            "tenant_id": T, "asset_id": "b", "feature_set": "forecast_advanced", "timestamp": at,
        }  # fmt: skip
        first = await store.get(**asked)
        assert (await store.get(**asked)).cache_hit
        assert first.features["temperature"] is not None
        # The weather that an asset reads is its station's.
        await store.delete(T, ["station"])
        second = await store.get(**asked)
        assert not second.cache_hit
        assert "temperature" in second.missing
        await store.delete(T, ["b"], start_time=to_datetime(LATER - 2 * HOUR))
        assert (await store.get(**asked)).features["lag_1h"] != first.features["lag_1h"]


async def test_other_processes_forget_too(on_server: Deployment, tmp_path: Path) -> None:
    at = to_datetime(LATER)
    async with on_server.open(tmp_path) as store, on_server.open(tmp_path) as other:
        await filled(store)
        asked: dict[str, Any] = {
            "tenant_id": T, "asset_id": "b", "feature_set": "forecast_basic", "timestamp": at,
        }  # fmt: skip
        assert (await other.get(**asked)).missing == ()
        await store.delete(T, ["b"])
        await until(lambda: other.get(**asked))


async def test_it_goes_beside_ingest(deployment: Deployment, tmp_path: Path) -> None:
    async with deployment.open(tmp_path) as store:
        await filled(store)

        async def land() -> None:
            for i in range(10):
                rows = [observation("d", LATER + i * HOUR + j, 1.0) for j in range(5)]
                await store.ingest([*rows, observation("a", LATER + i * HOUR, 2.0)], T)

        end = to_datetime(LATER + 1)
        gone, _ = await asyncio.gather(store.delete(T, end_time=end), land())
        assert gone["removed"]["timeseries_data"] >= len(readings())
        assert (await store.delete(T, ["a"], end_time=end))["removed"]["timeseries_data"] <= 1
        left = await store.delete(T, dry_run=True)
        assert left["removed"]["timeseries_data"] >= 50 + 8


async def test_files_of_exports_stay_and_are_counted(
    deployment: Deployment, tmp_path: Path
) -> None:
    async with deployment.open(tmp_path) as store:
        await filled(store)
        record = await store.export_features_to_parquet(
            T, "forecast_basic", to_datetime(AT), to_datetime(AT + DAY), asset_ids=["a"]
        )
        for asset_ids, count in ((["a"], 1), (["b"], 0), (None, 1)):
            told = await store.delete(T, asset_ids, dry_run=True)
            assert told["exports"] == count
        assert (await store.delete(T, start_time=to_datetime(LATER)))["exports"] == 0
        await store.delete(T)
        assert Path(record["storage_path"]).exists()  # noqa: ASYNC240
        assert (await store.export_record(record["export_id"]))["status"] == "completed"


async def test_an_export_under_way_is_counted_until_it_is_cancelled(
    deployment: Deployment, tmp_path: Path
) -> None:
    async with deployment.open(tmp_path) as store:
        await filled(store)
        begun = await store.export_features_to_parquet(
            T, "forecast_basic", to_datetime(AT), to_datetime(AT + DAY), detached=True
        )
        assert (await store.delete(T))["exports"] == 1
        await store.cancel_export(begun["export_id"])
        assert (await store.delete(T))["exports"] == 0


async def test_other_tenants_keep_theirs(deployment: Deployment, tmp_path: Path) -> None:
    async with deployment.open(tmp_path) as store:
        await filled(store)
        await store.ingest(readings(), "bravo")
        await store.delete(T)
        left = await store.delete("bravo", dry_run=True)
        assert left["removed"]["timeseries_data"] == len(readings())
        wrongs = ({"series": "x" * 65}, {"series": "load", "weather": True}, {"asset_ids": []})
        for wrong in wrongs:
            with pytest.raises(InvalidInput):
                await store.delete(T, **wrong)  # type: ignore[arg-type]


async def test_what_is_known_of_its_drift_goes_with_a_tenant(
    deployment: Deployment, tmp_path: Path
) -> None:
    async with deployment.open(tmp_path, drift_flush="1h") as store:
        for tenant in (T, "bravo"):
            await store.ingest(readings(), tenant)
            at = to_datetime(LATER)
            await store.get(
                tenant_id=tenant, asset_id="a", feature_set="forecast_basic", timestamp=at
            )
            await store.export_features_to_parquet(tenant, "forecast_basic", to_datetime(AT), at)
        removed = (await store.delete(T))["removed"]
        assert (removed["ai_hub_baselines"], removed["ai_hub_served"]) == (1, 1)
        assert [of.tenant_id for of in await store.drifting()] == ["bravo"]
