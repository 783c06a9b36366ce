"""Every store answers and exports what the reference gives for the rows it acknowledged."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ai_hub import FeatureStore
from ai_hub.definitions.builtin import FEATURES
from ai_hub.definitions.feature_set import FeatureSet
from ai_hub.definitions.kinds import Attribute, Calendar
from ai_hub.definitions.periods import ASSET_ZONE
from ai_hub.definitions.values import DAY, HOUR, MINUTE, parse_time, to_datetime
from ai_hub.definitions.vocabulary import WEATHER_COLUMNS, Missing
from ai_hub.testing import AttributeValue, WeatherRow, feature_sets, policies
from conformance.kit import (
    MEMORY,
    ON_STORES,
    Deployment,
    Row,
    folder,
    history_of,
    observation,
    plain,
    read_export,
    row_differences,
    run,
    weather_row,
    wrong,
)
from conformance.worlds import TENANT, World, batches, worlds, write

pytestmark = pytest.mark.versions

ALL = FeatureSet("every_feature", 1, FEATURES)
T = parse_time("2025-10-09T14:30:00Z")
ANYTHING = dict.fromkeys(WEATHER_COLUMNS, 777.0)
sets = st.one_of(st.just(ALL), feature_sets(asset_zone=True))


async def check_answers(
    store: FeatureStore, feature_set: FeatureSet, world: World, missing: Missing | None
) -> None:
    """`get` exactly and truncated, alone and in a batch, at every instant of every asset."""
    label = feature_set.label
    for t in sorted({t for times in world.instants.values() for t in times}):
        batch = await store.get_batch(
            tenant_id=TENANT, asset_ids=world.assets, feature_set=label,
            timestamp=to_datetime(t), missing=missing, exact=True,
        )  # fmt: skip
        for asset_id in world.assets:
            history = world.history(asset_id)
            assert not wrong(feature_set, t, history, plain(batch[asset_id]), missing)
            if t not in world.instants[asset_id]:
                continue
            for exact in (True, False):
                at = t if exact else t - t % MINUTE
                answer = await store.get(
                    tenant_id=TENANT, asset_id=asset_id, feature_set=label,
                    timestamp=to_datetime(t), missing=missing, exact=exact,
                )  # fmt: skip
                assert answer.timestamp == to_datetime(at)
                assert not wrong(feature_set, at, history, plain(answer), missing)


async def check_export(
    store: FeatureStore,
    feature_set: FeatureSet,
    world: World,
    missing: Missing | None,
    path: Path,
) -> None:
    """Each row is the reference's for its time, and what `get` returns for it."""
    series = feature_set.series
    expected = {
        (asset_id, o.timestamp): o.value
        for asset_id in world.assets
        for o in world.history(asset_id).series.get(series, ())
    }
    first = min((t for _, t in expected), default=T)
    last = max(first + 1, *(t for _, t in expected), first)
    record = await store.export_features_to_parquet(
        TENANT, feature_set.label, to_datetime(first), to_datetime(last),
        output_path=path, missing=missing, indicators=True,
    )  # fmt: skip
    assert record["row_count"] == len(expected)
    assert (path.name in os.listdir(path.parent)) == bool(expected)
    rows = read_export(path, feature_set) if expected else []
    assert [(row.asset_id, row.timestamp) for row in rows] == sorted(expected)
    for row in rows:
        assert row.value == expected[row.asset_id, row.timestamp]
        history = world.history(row.asset_id)
        assert not wrong(feature_set, row.timestamp, history, row.vector, missing)
    for row in rows[:4]:
        online = plain(
            await store.get(
                tenant_id=TENANT, asset_id=row.asset_id, feature_set=feature_set.label,
                timestamp=to_datetime(row.timestamp), missing=missing, exact=True,
            )
        )  # fmt: skip
        history = world.history(row.asset_id)
        assert not row_differences(feature_set, row.timestamp, history, online, row.vector, missing)


@ON_STORES
@given(feature_set=sets, missing=policies(), world=worlds(), data=st.data())
def test_drawn_worlds_written_in_any_order_and_batching(
    deployment: Deployment,
    feature_set: FeatureSet,
    missing: Missing | None,
    world: World,
    data: st.DataObject,
) -> None:
    observed = data.draw(batches(world.observations))
    weather = data.draw(batches(world.weather))
    mapped_first = data.draw(st.booleans())

    async def example(place: Path) -> None:
        async with deployment.open(place, feature_set) as store:
            if mapped_first:
                await write(store, world.mapped_alone())
            for batch in weather:
                await store.ingest_weather(batch, TENANT)
            for batch in observed:
                await store.ingest(batch, TENANT)
            if not mapped_first:
                await write(store, world.mapped_alone())
            await check_answers(store, feature_set, world, missing)
            await check_export(store, feature_set, world, missing, place / "rows.parquet")
        if deployment.lasts:
            async with deployment.open(place, feature_set) as again:
                await check_answers(again, feature_set, world, missing)

    with folder() as place:
        run(example(Path(place)))


@ON_STORES
@given(feature_set=sets, missing=policies(), world=worlds(most_assets=2), data=st.data())
def test_nothing_after_t_changes_an_answer_at_t(
    feature_set: FeatureSet, missing: Missing | None, world: World, data: st.DataObject
) -> None:
    asset = data.draw(st.sampled_from(world.assets))
    t = data.draw(st.sampled_from(world.instants[asset]))
    ahead = st.sampled_from((1, 2, MINUTE, HOUR, DAY, 400 * DAY))
    later = [
        observation(asset, t + gap, data.draw(st.floats(-1e6, 1e6)), series)
        for gap in data.draw(st.lists(ahead, min_size=1, max_size=3))
        for series in ("value", "generation")
    ]
    source = world.source_of(asset, t)
    known_later: list[Row] = []
    for gap in data.draw(st.lists(ahead, min_size=1, max_size=3)):
        late_time, late_issue = data.draw(st.sampled_from(((1, 0), (0, 1), (1, 1), (1, -1))))
        known = WeatherRow(t + late_time * gap, t + late_issue * gap, ANYTHING)
        known_later.append(weather_row(source, known))
    rewritten = [row | {"value": -5.0} for row in world.observations
                 if row["timestamp"] > to_datetime(t)]  # fmt: skip
    removed = [row | {"quality": 0} for row in rewritten[:2]]

    async def example(place: Path) -> None:
        async with MEMORY.open(place, feature_set) as store:
            await write(store, world)
            asked: dict[str, Any] = {
                "tenant_id": TENANT,
                "asset_id": asset,
                "feature_set": feature_set.label,
                "timestamp": to_datetime(t),
                "missing": missing,
                "exact": True,
            }
            before = plain(await store.get(**asked))
            for rows in filter(None, (later, rewritten, removed)):
                await store.ingest(rows, TENANT)
            await store.ingest_weather(known_later, TENANT)
            assert plain(await store.get(**asked)) == before

    with folder() as place:
        run(example(Path(place)))


async def test_a_row_of_no_quality_takes_its_observation_away_and_a_good_one_brings_it_back(
    deployment: Deployment, tmp_path: Path
) -> None:
    async with deployment.open(tmp_path) as store:

        async def lag() -> object:
            at = to_datetime(T + HOUR)
            found = await store.get_features("t", "a", at, ["lag_1h"], missing="keep")
            return found["lag_1h"]

        for quality, value, expected in ((1, 1.0, 1.0), (0, 2.0, None), (3, 4.0, 4.0)):
            await store.ingest([observation("a", T, value, quality=quality)], "t")
            assert await lag() == expected
            # Cached by now, under another granularity step too.
            assert await lag() == expected


@pytest.mark.parametrize("rows", [[], ()])
async def test_nothing_sent_is_nothing_done(
    deployment: Deployment, tmp_path: Path, rows: object
) -> None:
    async with deployment.open(tmp_path) as store:
        result = await store.ingest(rows, "t")
        assert (result.accepted, result.rejected) == (0, 0)


async def test_counts_say_what_became_of_each_row(deployment: Deployment, tmp_path: Path) -> None:
    async with deployment.open(tmp_path) as store:
        good = [observation("a", T + i, float(i)) for i in range(5)]
        bad = observation("a", T + 9, float("nan"))

        async def counts(*rows: Row) -> tuple[int, int, int, int]:
            r = await store.ingest(list(rows), "t")
            return r.accepted, r.replaced, r.unchanged, r.rejected

        assert await counts(*good, bad) == (5, 0, 0, 1)
        assert await counts(*good, bad, bad) == (5, 0, 5, 2)
        assert await counts(good[0] | {"value": 9.0}, good[1]) == (2, 1, 1, 0)
        # Inside a batch the last row of a key wins, and all of them count as accepted.
        assert await counts(good[2] | {"value": 1.5}, good[2]) == (2, 0, 1, 0)
        assert await counts(good[2] | {"quality": 0}) == (1, 1, 0, 0)
        assert await counts(observation("a", T + 99, 1.0), bad) == (1, 0, 0, 1)
        weather = {"timestamp": to_datetime(T), "asset_id": "a", "temperature": 1.0}
        result = await store.ingest_weather([weather], "t")
        assert (result.accepted, result.replaced, result.unchanged) == (1, 0, 0)
        result = await store.ingest_weather([weather, weather | {"humidity": 5.0}], "t")
        assert (result.accepted, result.replaced, result.unchanged) == (2, 1, 0)


async def test_a_larger_batch_than_one_lands_in_parts_and_says_how_far_it_is(
    deployment: Deployment, tmp_path: Path
) -> None:
    times = pa.array(T + np.arange(250_000) * MINUTE).cast(pa.timestamp("us", "UTC"))
    table = pa.table({"timestamp": times, "value": np.arange(250_000.0),
                      "asset_id": pa.array(["a"] * 250_000)})  # fmt: skip
    told: list[int] = []
    async with deployment.open(tmp_path) as store:
        result = await store.ingest(table, "t", progress=told.append)
        assert (result.accepted, result.rejected) == (250_000, 0)
        assert told == [100_000, 200_000, 250_000]
        last = to_datetime(T + 249_999 * MINUTE)
        answer = await store.get_features("t", "a", last, ["rolling_max_24h", "daily_count"])
        assert answer["rolling_max_24h"] == 249_999.0


async def test_what_is_of_exactly_t_is_read_and_what_is_one_microsecond_later_is_not(
    deployment: Deployment, tmp_path: Path
) -> None:
    async with deployment.open(tmp_path, ALL) as store:
        observed = [observation("a", T - DAY + shift, 10.0 + shift) for shift in (-1, 0, 1)]
        observed += [observation("a", T, 1.0), observation("a", T + 1, 99.0)]
        await store.ingest(observed, "t")
        forecasts = [WeatherRow(T, T - HOUR, {"temperature": 1.0})]
        forecasts += [WeatherRow(T, T, {"temperature": 2.0})]
        forecasts += [WeatherRow(T, T + 1, {"temperature": 3.0})]
        weather = [weather_row("a", row) for row in forecasts]
        await store.ingest_weather(weather, "t")
        history = history_of(observed, weather, "a")
        for shift in (-1, 0, 1):
            answer = await store.get(
                tenant_id="t",
                asset_id="a",
                feature_set="every_feature",
                timestamp=to_datetime(T + shift),
                exact=True,
            )
            assert not wrong(ALL, T + shift, history, plain(answer))
            expected = {-1: 0.0, 0: 2.0, 1: 3.0}[shift]
            assert answer.features["temperature"] == expected
        path = tmp_path / "rows"
        await store.export_features_to_parquet(
            "t",
            "every_feature",
            to_datetime(T - 1),
            to_datetime(T),
            output_path=path,
            indicators=True,
        )
    (row,) = read_export(path, ALL)
    assert not wrong(ALL, T, history, row.vector)
    assert row.vector.features["temperature"] == 2.0


def test_a_set_of_attributes_alone_reads_no_rows(deployment: Deployment, tmp_path: Path) -> None:
    held = FeatureSet(
        "held", 1, (Attribute("capacity", "capacity"), Calendar("hour", "hour_of_day", ASSET_ZONE))
    )
    berlin = AttributeValue("timezone", "Europe/Berlin")
    values = {"a": (AttributeValue("capacity", 12.5), berlin), "b": ()}
    world = World((), (), (), {"a": (T,), "b": (T,)}, values)

    async def example() -> None:
        async with deployment.open(tmp_path, held) as store:
            await write(store, world)
            await check_answers(store, held, world, None)

    run(example())
