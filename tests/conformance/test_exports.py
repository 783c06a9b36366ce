"""An export is the same however a store cuts its history, and its rows are what `get` gives."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings

from ai_hub import FeatureStore
from ai_hub.definitions.builtin import FEATURES
from ai_hub.definitions.feature_set import FeatureSet
from ai_hub.definitions.values import DAY, HOUR, MINUTE, parse_time, to_datetime, to_micros
from ai_hub.definitions.vocabulary import Missing
from ai_hub.stores import chunks
from ai_hub.stores.embedded import scan as embedded_scan
from ai_hub.testing import (
    Target,
    WeatherRow,
    feature_sets,
    frequency_times,
    policies,
    target_value,
)
from conformance.kit import (
    MEMORY,
    Deployment,
    Row,
    folder,
    observation,
    plain,
    read_export,
    row_differences,
    run,
    weather_row,
    wrong,
)
from conformance.worlds import TENANT, Mapping, World, worlds, write

ALL = FeatureSet("every_feature", 1, FEATURES)
T = parse_time("2024-02-27T14:30:00Z")


@pytest.fixture
def small_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(chunks, "CHUNK_ROWS", 3)
    monkeypatch.setattr(embedded_scan, "_READ_ROWS", 7)


def same(
    feature_set: FeatureSet, world: World, whole: Path, cut: Path, missing: Missing | None
) -> None:
    one, other = read_export(whole, feature_set), read_export(cut, feature_set)
    assert [(r.asset_id, r.timestamp, r.value, r.rest) for r in one] == [
        (r.asset_id, r.timestamp, r.value, r.rest) for r in other
    ]
    for a, b in zip(one, other, strict=True):
        history = world.history(a.asset_id)
        assert not row_differences(feature_set, a.timestamp, history, a.vector, b.vector, missing)


@settings(max_examples=settings.default.max_examples // 2)
@given(feature_set=feature_sets(asset_zone=True), missing=policies(), world=worlds(max_size=25))
def test_a_history_in_small_parts_exports_the_same(
    feature_set: FeatureSet, missing: Missing | None, world: World
) -> None:
    async def example(place: Path) -> None:
        times = [to_micros(row["timestamp"]) for row in world.observations] or [T]
        middle = sorted(times)[len(times) // 3]
        async with MEMORY.open(place, feature_set) as store:
            await write(store, world)

            async def export(name: str, **how: Any) -> dict[str, Any]:
                return await store.export_features_to_parquet(
                    TENANT, feature_set.label, to_datetime(middle), to_datetime(max(times) + 1),
                    output_path=place / name, missing=missing, indicators=True,
                    horizons=["1h", "24h"], **how,
                )  # fmt: skip

            whole = await export("whole")
            with pytest.MonkeyPatch.context() as patch:
                patch.setattr(chunks, "CHUNK_ROWS", 2)
                patch.setattr(embedded_scan, "_READ_ROWS", 5)
                cut = await export("cut")
            assert whole["row_count"] == cut["row_count"]
            if whole["row_count"]:
                same(feature_set, world, place / "whole", place / "cut", missing)

    with folder() as place:
        run(example(Path(place)))


def two_years_of_an_asset_and_some_of_others() -> World:
    random = np.random.default_rng(2)
    observations: list[Row] = []
    for asset, n in (("b-long", 60), ("a", 5), ("c", 9)):
        gaps = random.choice([HOUR, HOUR, 30 * MINUTE, 26 * HOUR, 200 * HOUR], n)
        for at in T + np.cumsum(gaps):
            observations.append(observation(asset, int(at), float(random.normal(50, 9))))
    weather = [
        weather_row(
            "station", WeatherRow(T + h * HOUR, T + (h - 6) * HOUR, {"temperature": h / 20})
        )
        for h in range(0, 900, 5)
    ]
    mappings = (Mapping("a", "station"), Mapping("b-long", "station"),
                Mapping("b-long", None, T + 20 * DAY), Mapping("b-long", "a", T + 40 * DAY),
                Mapping("b-long", "station", T + 60 * DAY))  # fmt: skip
    return World(tuple(observations), tuple(weather), mappings, {"a": (), "b-long": (), "c": ()})


async def exported(store: FeatureStore, path: Path, **how: Any) -> dict[str, Any]:
    return await store.export_features_to_parquet(
        TENANT, "every_feature", to_datetime(T), to_datetime(T + 400 * DAY),
        output_path=path, indicators=True, **how,
    )  # fmt: skip


@pytest.mark.usefixtures("small_parts")
async def test_one_long_asset_cut_by_time_is_what_get_answers(
    deployment: Deployment, tmp_path: Path
) -> None:
    world = two_years_of_an_asset_and_some_of_others()
    async with deployment.open(tmp_path, ALL) as store:
        await write(store, world)
        await exported(store, tmp_path / "rows", horizons=["1h", "24h"])
        rows = read_export(tmp_path / "rows", ALL)
        assert len(rows) == len(world.observations)
        known = {(row["asset_id"], to_micros(row["timestamp"])): row["value"]
                 for row in world.observations}  # fmt: skip
        assert [(row.asset_id, row.timestamp) for row in rows] == sorted(known)
        for row in rows:
            key = row.asset_id
            assert not wrong(ALL, row.timestamp, world.history(key), row.vector)
            series = world.history(key).series["value"]
            assert row.rest == {
                target.name: target_value(target, row.timestamp, series)
                for target in (Target.of("1h"), Target.of("24h"))
            }
        for row in rows[::9]:
            online = await store.get(
                tenant_id=TENANT, asset_id=row.asset_id, feature_set="every_feature",
                timestamp=to_datetime(row.timestamp), exact=True,
            )  # fmt: skip
            assert not row_differences(
                ALL, row.timestamp, world.history(row.asset_id), row.vector, plain(online)
            )


@pytest.mark.parametrize("parts", ["whole", "small"])
@pytest.mark.parametrize("frequency", ["7h", "1d", "33m"])
async def test_steps_of_a_frequency_begin_at_the_start(
    deployment: Deployment,
    tmp_path: Path,
    request: pytest.FixtureRequest,
    parts: str,
    frequency: str,
) -> None:
    if parts == "small":
        request.getfixturevalue("small_parts")
    world = two_years_of_an_asset_and_some_of_others()
    step = {"7h": 7 * HOUR, "1d": DAY, "33m": 33 * MINUTE}[frequency]
    start, end = T + 5 * DAY, T + 9 * DAY
    async with deployment.open(tmp_path, ALL) as store:
        await write(store, world)
        await store.export_features_to_parquet(
            TENANT, "every_feature", to_datetime(start), to_datetime(end),
            output_path=tmp_path / "rows", indicators=True, frequency=frequency,
            asset_ids=["c", "b-long"],
        )  # fmt: skip
    rows = read_export(tmp_path / "rows", ALL)
    assert [(r.asset_id, r.timestamp) for r in rows] == [
        (asset, t)
        for asset in ("b-long", "c")
        for t in frequency_times(ALL, world.history(asset), start, end, step)
    ]
    for row in rows[:: max(len(rows) // 20, 1)]:
        assert not wrong(ALL, row.timestamp, world.history(row.asset_id), row.vector)


@pytest.mark.parametrize("parts", ["whole", "small"])
async def test_a_spine_has_its_own_rows_known_or_not(
    deployment: Deployment, tmp_path: Path, request: pytest.FixtureRequest, parts: str
) -> None:
    if parts == "small":
        request.getfixturevalue("small_parts")
    world = two_years_of_an_asset_and_some_of_others()
    pairs = [("c", T + 3 * DAY), ("nobody", T), ("a", T + DAY), ("a", T - DAY), ("c", T + 3 * DAY)]
    pairs += [("b-long", T + i * 17 * HOUR + 1) for i in range(90)]
    async with deployment.open(tmp_path, ALL) as store:
        await write(store, world)
        record = await store.export_features_to_parquet(
            TENANT, "every_feature", output_path=tmp_path / "rows", indicators=True,
            spine=[{"asset_id": a, "timestamp": to_datetime(t)} for a, t in pairs],
        )  # fmt: skip
    assert record["row_count"] == len(pairs)
    rows = read_export(tmp_path / "rows", ALL)
    assert [(row.asset_id, row.timestamp) for row in rows] == pairs
    for row in rows:
        assert not wrong(ALL, row.timestamp, world.history(row.asset_id), row.vector)


async def test_the_range_is_closed_at_both_ends_and_assets_can_be_chosen(
    deployment: Deployment, tmp_path: Path
) -> None:
    async with deployment.open(tmp_path) as store:
        await store.ingest(
            [observation(a, T + i * HOUR, 1.0) for a in ("x", "y", "z") for i in range(5)], "t"
        )
        await store.export_features_to_parquet(
            "t", "forecast_basic", to_datetime(T + HOUR), to_datetime(T + 3 * HOUR),
            asset_ids=["z", "x", "nobody"], output_path=tmp_path / "rows",
        )  # fmt: skip
    table = pq.read_table(tmp_path / "rows")
    assert table["asset_id"].to_pylist() == ["x"] * 3 + ["z"] * 3
    times = [to_micros(t) for t in table["timestamp"].to_pylist()]
    assert times == [T + i * HOUR for i in (1, 2, 3)] * 2
    # The first row already sees the history before the start.
    assert table["lag_1h"].to_pylist()[0] == 1.0
