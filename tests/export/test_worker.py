"""What a worker is handed as tables gives the rows that the reference has."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ai_hub import FeatureSet, FromView, InvalidInput, Lag
from ai_hub.definitions.freezing import frozen
from ai_hub.definitions.target import Target
from ai_hub.definitions.values import HOUR, to_datetime, to_micros
from ai_hub.definitions.vocabulary import Missing
from ai_hub.errors import UnknownFeatureSet
from ai_hub.export.worker import training_batches
from ai_hub.stores import chunks
from ai_hub.testing import feature_sets, frequency_times, observed_times, policies
from conformance.rows import (
    OBSERVATIONS,
    Pair,
    check_row,
    chosen_targets,
    pairs,
    tables_of,
)
from conformance.worlds import TENANT, World, worlds

T = to_datetime(1_760_020_200_000_000)


def rows_of(tables: dict[str, pa.Table], feature_set: FeatureSet, **how: Any) -> list[dict]:  # type: ignore[type-arg]
    found = training_batches(
        feature_set=feature_set, tenant_id=TENANT, indicators=True, **tables, **how
    )
    return [row for batch in found for row in batch.to_pylist()]


@given(
    feature_set=feature_sets(asset_zone=True),
    wanted=chosen_targets(),
    missing=policies(),
    world=worlds(),
    most=st.sampled_from((2, 7, 131_072)),
)
def test_a_row_for_every_observation(
    feature_set: FeatureSet,
    wanted: tuple[Target, ...],
    missing: Missing | None,
    world: World,
    most: int,
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(chunks, "CHUNK_ROWS", most)
        found = rows_of(tables_of(world), feature_set, horizons=wanted, missing=missing)
    expected = [
        (asset, t)
        for asset in world.assets
        for t in observed_times(feature_set, world.history(asset), -(1 << 62), 1 << 62)
    ]
    check(found, expected, frozen(feature_set), wanted, missing, world)


@given(
    feature_set=feature_sets(asset_zone=True),
    wanted=chosen_targets(),
    missing=policies(),
    world=worlds(),
    data=st.data(),
)
def test_the_rows_of_a_spine_and_the_steps_of_a_frequency(
    feature_set: FeatureSet,
    wanted: tuple[Target, ...],
    missing: Missing | None,
    world: World,
    data: st.DataObject,
) -> None:
    feature_set, tables = frozen(feature_set), tables_of(world)
    how = {"horizons": wanted, "missing": missing}
    spine = data.draw(pairs(world))
    held = {"asset_id": [a for a, _ in spine], "timestamp": [to_datetime(t) for _, t in spine]}
    found = rows_of(tables, feature_set, spine=pa.table(held | {"label": range(len(spine))}), **how)
    assert [row["label"] for row in found] == [*range(len(spine))]
    check(found, spine, feature_set, wanted, missing, world)

    t = spine[0][1]
    start, end = t - 3 * HOUR, t + 2 * HOUR
    steps = [
        (asset, at)
        for asset in world.assets
        for at in frequency_times(feature_set, world.history(asset), start, end, HOUR)
    ]
    times = {"start_time": to_datetime(start), "end_time": to_datetime(end)}
    found = rows_of(tables, feature_set, frequency="1h", **times, **how)
    check(found, steps, feature_set, wanted, missing, world)


def check(
    found: Sequence[dict[str, Any]],
    expected: Sequence[Pair],
    feature_set: FeatureSet,
    wanted: tuple[Target, ...],
    missing: Missing | None,
    world: World,
) -> None:
    assert [(row["asset_id"], to_micros(row["timestamp"])) for row in found] == [*expected]
    for pair, row in zip(expected, found, strict=True):
        check_row(feature_set, wanted, missing, world, pair, row)


def observations(*values: float | None, **columns: object) -> pa.Table:
    rows = [
        {"timestamp": to_datetime(to_micros(T) + i * HOUR), "asset_id": "m", "value": value,
         "feature_type": "value"}
        for i, value in enumerate(values)
    ]  # fmt: skip
    table = pa.Table.from_pylist(rows, OBSERVATIONS)
    for name, column in columns.items():
        table = table.append_column(name, pa.array(column))
    return table


def values_of(table: pa.Table, **how: Any) -> list[float]:
    batches = training_batches(table, "forecast_basic", tenant_id=TENANT, **how)
    return [value for batch in batches for value in batch["value"].to_pylist()]


def test_what_is_no_usable_reading_is_left_out() -> None:
    assert values_of(observations(1.0, None, float("nan"), float("inf"), 2.0)) == [1.0, 2.0]
    assert values_of(observations(1.0, 2.0, 3.0, quality=[1, 0, None])) == [1.0, 3.0]
    assert values_of(observations(1.0).drop_columns("feature_type")) == [1.0]
    assert values_of(observations()) == []


def test_a_row_that_comes_again_counts_once_and_another_value_is_refused() -> None:
    one = observations(1.0, 2.0)
    assert values_of(pa.concat_tables([one, one])) == [1.0, 2.0]
    with pytest.raises(InvalidInput, match=r"observations.*one value of m at 2025-10-09T14:30:00Z"):
        values_of(pa.concat_tables([one, observations(7.0)]))


def test_the_weather_of_others_is_nobodys() -> None:
    table = observations(1.0)
    weather = pa.table(
        {
            "asset_id": ["other", "m", "another"],
            "timestamp": [T, T, T],
            "temperature": [1.0, 2.0, 3.0],
            "humidity": [50.0, 51.0, 52.0],
        }
    )
    (batch,) = training_batches(table, "forecast_advanced", tenant_id=TENANT, weather=weather)
    assert batch["temperature"].to_pylist() == [2.0]


def test_a_window_of_a_slice_leaves_out_its_context() -> None:
    table = observations(*map(float, range(30)))
    whole = pa.Table.from_batches(
        training_batches(table, "forecast_basic", tenant_id=TENANT, horizons=["2h"])
    )
    first, last = table["timestamp"][25].as_py(), table["timestamp"][27].as_py()
    edges = pa.table({"asset_id": ["m"], "first": [T], "last": table["timestamp"][29:]})
    cut = pa.Table.from_batches(
        training_batches(
            table, "forecast_basic", tenant_id=TENANT, horizons=["2h"],
            window=(first, last), edges=edges,
        )
    )  # fmt: skip
    assert cut.equals(whole.slice(25, 3))
    assert cut["target_2h"].to_pylist() == [27.0, 28.0, 29.0]


def test_what_cannot_be_computed_is_refused() -> None:
    table = observations(1.0)
    with pytest.raises(InvalidInput, match="without features of views"):
        values_of_set(table, FeatureSet("v", 1, (FromView("f", "plans", "load", "24h"),)))
    other = FeatureSet("s", 1, (Lag("f", "1h", series="load"),))
    with pytest.raises(InvalidInput, match=r"a column feature_type, since the set reads .* load"):
        values_of_set(table.drop_columns("feature_type"), other)
    with pytest.raises(UnknownFeatureSet):
        values_of_set(table, "forecast_basics")
    naive = table.set_column(0, "timestamp", table["timestamp"].cast(pa.timestamp("us")))
    with pytest.raises(InvalidInput, match=r"observations\.timestamp.*time zone"):
        values_of_set(naive, "forecast_basic")
    with pytest.raises(InvalidInput, match="a column named temperature"):
        values_of_set(table, "forecast_advanced", weather=table)
    with pytest.raises(InvalidInput, match="frequency begin and end there"):
        values_of_set(table, "forecast_basic", frequency="1h")
    with pytest.raises(InvalidInput, match="labels whose names no feature"):
        values_of_set(table, "forecast_basic", spine=table.append_column("lag_1h", table["value"]))


def values_of_set(table: pa.Table, feature_set: FeatureSet | str, **how: Any) -> None:
    for _ in training_batches(table, feature_set, tenant_id=TENANT, **how):
        pass
