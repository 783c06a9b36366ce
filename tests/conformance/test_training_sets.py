"""Rows of spines and of frequencies, and targets: what the reference says, on every deployment."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ai_hub import FeatureStore
from ai_hub.definitions.feature_set import FeatureSet
from ai_hub.definitions.kinds import Lag, Latest
from ai_hub.definitions.target import Target
from ai_hub.definitions.values import (
    DAY,
    HOUR,
    MINUTE,
    Duration,
    parse_time,
    to_datetime,
    to_micros,
)
from ai_hub.definitions.vocabulary import Missing
from ai_hub.export.job import spine_job
from ai_hub.stores import chunks
from ai_hub.stores.embedded import scan as embedded_scan
from ai_hub.testing import (
    WeatherRow,
    feature_sets,
    frequency_times,
    observed_times,
    policies,
)
from conformance.kit import (
    MEMORY,
    ON_STORES,
    Deployment,
    Row,
    folder,
    observation,
    plain,
    row_differences,
    run,
    weather_row,
)
from conformance.rows import Pair, check_row, chosen_targets, pairs, vector_of
from conformance.worlds import TENANT, World, worlds, write

T = parse_time("2025-10-09T14:30:00Z")


def spine_rows(rows: Sequence[Pair]) -> list[Row]:
    return [
        {"label": i, "asset_id": asset, "timestamp": to_datetime(t), "name": f"row {i}"}
        for i, (asset, t) in enumerate(rows)
    ]


@ON_STORES
@given(
    feature_set=feature_sets(asset_zone=True),
    wanted=chosen_targets(),
    missing=policies(),
    world=worlds(),
    data=st.data(),
)
def test_rows_of_a_spine_are_the_references(
    deployment: Deployment,
    feature_set: FeatureSet,
    wanted: tuple[Target, ...],
    missing: Missing | None,
    world: World,
    data: st.DataObject,
) -> None:
    rows = data.draw(pairs(world))

    async def example(place: Path) -> None:
        async with deployment.open(place, feature_set) as store:
            await write(store, world)
            found = await store.get_training_set(
                spine_rows(rows), feature_set.label, tenant_id=TENANT, horizons=wanted,
                missing=missing, indicators=True,
            )  # fmt: skip
            table = found.to_arrow().to_pylist()
            assert [(row["asset_id"], to_micros(row["timestamp"])) for row in table] == rows
            assert [(row["label"], row["name"]) for row in table] == [
                (i, f"row {i}") for i in range(len(rows))
            ]
            for pair, row in zip(rows, table, strict=True):
                check_row(feature_set, wanted, missing, world, pair, row)

    with folder() as place:
        run(example(Path(place)))


@given(
    feature_set=feature_sets(asset_zone=True),
    missing=policies(),
    world=worlds(max_size=25),
    data=st.data(),
)
def test_a_spine_in_another_order_has_the_same_rows_in_that_order(
    feature_set: FeatureSet, missing: Missing | None, world: World, data: st.DataObject
) -> None:
    rows = data.draw(pairs(world))
    order = data.draw(st.permutations(range(len(rows))))

    async def example(place: Path) -> None:
        async with MEMORY.open(place, feature_set) as store:
            await write(store, world)

            async def found(spine: object) -> pa.Table:
                how: dict[str, Any] = {"missing": missing, "indicators": True, "horizons": ["1h"]}
                one = await store.get_training_set(
                    spine, feature_set.label, tenant_id=TENANT, **how
                )
                return one.to_arrow().replace_schema_metadata()

            spine = spine_rows(rows)
            whole = await found(spine)
            assert (await found([spine[i] for i in order])).equals(whole.take(order))
            # In parts it is the same to the bit where no sum is, and by the reference elsewhere.
            with pytest.MonkeyPatch.context() as patch:
                patch.setattr(chunks, "CHUNK_ROWS", 2)
                patch.setattr(embedded_scan, "_READ_ROWS", 5)
                cut = await found(spine)
            for (asset, t), a, b in zip(rows, whole.to_pylist(), cut.to_pylist(), strict=True):
                assert (a["value"], a["target_1h"]) == (b["value"], b["target_1h"])
                both = vector_of(feature_set, a), vector_of(feature_set, b)
                assert not row_differences(feature_set, t, world.history(asset), *both, missing)

    with folder() as place:
        run(example(Path(place)))


async def exported(
    store: FeatureStore, feature_set: FeatureSet, path: Path, **how: Any
) -> list[Row]:
    record = await store.export_features_to_parquet(
        TENANT, feature_set.label, output_path=path, indicators=True, **how
    )
    rows: list[Row] = pq.read_table(path).to_pylist() if record["row_count"] else []
    assert len(rows) == record["row_count"]
    return rows


@ON_STORES
@given(
    feature_set=feature_sets(max_size=4, asset_zone=True),
    wanted=chosen_targets(),
    world=worlds(),
    data=st.data(),
)
def test_rows_of_a_range_are_the_references_whatever_the_policy(
    deployment: Deployment,
    feature_set: FeatureSet,
    wanted: tuple[Target, ...],
    world: World,
    data: st.DataObject,
) -> None:
    times = [to_micros(row["timestamp"]) for row in world.observations]
    times += [t for some in world.instants.values() for t in some]
    start = data.draw(st.sampled_from(times))
    # Also after all there is, where look-backs of fills alone reach the history.
    start += data.draw(st.sampled_from((0, 0, 1, -MINUTE, 30 * HOUR, 150 * HOUR, 40 * DAY)))
    step = data.draw(st.sampled_from((MINUTE, HOUR, 7 * HOUR, DAY + 1, 60 * DAY)))
    end = start + data.draw(st.sampled_from((0, 1, step - 1, step, 5 * step, 12 * step)))

    async def example(place: Path) -> None:
        async with deployment.open(place, feature_set) as store:
            await write(store, world)
            reach = {"start_time": to_datetime(start), "end_time": to_datetime(end)}
            ways = [{}, {"frequency": str(Duration(step))}]
            for way in ways:
                expected = [
                    (asset, t)
                    for asset in world.assets
                    for t in (
                        frequency_times(feature_set, world.history(asset), start, end, step)
                        if way
                        else observed_times(feature_set, world.history(asset), start, end)
                    )
                ]
                for missing in (None, "keep", 3.0):
                    rows = await exported(
                        store, feature_set, place / "rows", missing=missing, horizons=wanted,
                        **reach, **way,
                    )  # fmt: skip
                    found = [(row["asset_id"], to_micros(row["timestamp"])) for row in rows]
                    assert found == expected
                    for pair, row in zip(expected, rows, strict=True):
                        check_row(feature_set, wanted, missing, world, pair, row)
                for (asset, t), row in [*zip(expected, rows, strict=True)][:3]:
                    online = await store.get(
                        tenant_id=TENANT, asset_id=asset, feature_set=feature_set.label,
                        timestamp=to_datetime(t), missing=3.0, exact=True,
                    )  # fmt: skip
                    got = vector_of(feature_set, row)
                    history = world.history(asset)
                    assert not row_differences(feature_set, t, history, plain(online), got, 3.0)

    with folder() as place:
        run(example(Path(place)))


async def test_what_a_fill_reads_lies_before_the_range(
    deployment: Deployment, tmp_path: Path
) -> None:
    """A range and a spine that begin long after the last reading, at every edge of the fill."""
    lag = FeatureSet("one_lag", 1, (Lag("lag_1h", "1h"), Latest("t", "temperature")))
    rows = [observation("a", T, 5.0), observation("b", T, 7.0)]
    weather = [weather_row("a", WeatherRow(T, T, {"temperature": 3.0}))]
    week = 168 * HOUR
    async with deployment.open(tmp_path, lag) as store:
        await store.ingest(rows, TENANT)
        await store.ingest_weather(weather, TENANT)
        for start, held in ((30 * HOUR, True), (week, True), (week + 1, False)):
            reach = {"start_time": to_datetime(T + start), "end_time": to_datetime(T + start)}
            ranged = await exported(
                store, lag, tmp_path / "rows", frequency="1h", missing="mean", **reach
            )
            spine = [{"asset_id": one, "timestamp": to_datetime(T + start)} for one in "ab"]
            found = await store.get_training_set(spine, lag.label, tenant_id=TENANT)
            for made in (ranged, found.to_arrow().to_pylist()):
                assert [(row["asset_id"], row["lag_1h"], row["t"]) for row in made] == [
                    ("a", 5.0 * held, 3.0 * held), ("b", 7.0 * held, 0.0),
                ]  # fmt: skip


async def test_a_far_row_does_not_widen_what_is_read(tmp_path: Path) -> None:
    """Of a spine with one old row, and of a batch with one."""
    sets = FeatureSet("one_lag", 1, (Lag("lag_1h", "1h"),), missing="keep")
    async with MEMORY.open(tmp_path, sets) as store:
        await store.ingest([observation("a", T + i * HOUR, float(i)) for i in range(48)], TENANT)
        spine = [
            {"asset_id": "a", "timestamp": to_datetime(t)} for t in (T + HOUR, T - 9_999 * DAY)
        ]
        job = spine_job(store.specs.of(sets.label), TENANT, spine)
        parts = [*job.spine.parts(job.rows.reach)]
        assert parts == [(t, t, ("a",)) for t in (T - 9_999 * DAY, T + HOUR)]
        found = await store.get_training_set(spine, sets.label, tenant_id=TENANT)
        assert found.to_arrow()["lag_1h"].to_pylist() == [0.0, None]
        again = [observation("a", t, -1.0) for t in (T + HOUR, T - 9_999 * DAY)]
        result = await store.ingest(again, TENANT)
        assert (result.accepted, result.replaced) == (2, 1)
        found = await store.get_training_set(spine, sets.label, tenant_id=TENANT)
        assert found.to_arrow()["value"].to_pylist() == [-1.0, -1.0]
