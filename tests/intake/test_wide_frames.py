"""Frames with a column for each asset, and those of pandas whose index is times and assets."""

from __future__ import annotations

from typing import Any

import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

from ai_hub import FeatureStore
from ai_hub.errors import InvalidInput
from ai_hub.intake.result import IngestResult

TIMES = pd.date_range("2025-01-01", periods=3, freq="h", tz="UTC")
WIDE = pd.DataFrame({"m1": [1.0, 2.0, 3.0], "m2": [4, 5, 6]}, index=TIMES)
ONE = pd.DataFrame({"value": [1.0, 2.0, 3.0]}, index=TIMES)
PLAIN = WIDE.rename_axis("time").reset_index()
BOTH = [("m1", "value"), ("m2", "value")]
DAYS = pd.date_range("2025-01-01", periods=3).date
LONG = WIDE.rename_axis("time").rename_axis(columns="meter").stack().rename("kwh")
"""A series by time and meter."""


async def landed(data: Any, **options: Any) -> tuple[IngestResult, list[tuple[str, str]]]:
    """The result, and the assets with their series."""
    async with FeatureStore.open("duckdb:///:memory:") as store:
        result = await store.ingest(data, "t", **options)
        found = (await store.assets("t"))["assets"]
        return result, [(one["asset_id"], own["name"]) for one in found for own in one["series"]]


@pytest.mark.parametrize(
    ("frame", "options", "expected"),
    [
        (WIDE, {}, [("m1", "value"), ("m2", "value")]),
        (WIDE.rename_axis("time"), {}, [("m1", "value"), ("m2", "value")]),
        (WIDE.rename_axis(columns="meter"), {}, [("m1", "value"), ("m2", "value")]),
        (WIDE, {"asset_id": "a"}, [("a", "m1"), ("a", "m2")]),
        (WIDE["m1"], {}, [("m1", "value")]),
        (WIDE["m1"], {"asset_id": "a"}, [("a", "value")]),
        (ONE, {"asset_id": "a"}, [("a", "value")]),
        (ONE.assign(asset_id="a"), {}, [("a", "value")]),
        (ONE.assign(asset_id="a").rename_axis("timestamp"), {}, [("a", "value")]),
        (
            ONE.assign(asset_id="a").rename_axis("Zeit"),
            {"timestamp_column": "Zeit"},
            [("a", "value")],
        ),
        (WIDE.tz_localize(None), {"timezone": "UTC"}, BOTH),
        (WIDE.set_axis([1, 2], axis=1), {}, [("1", "value"), ("2", "value")]),
        (WIDE.set_axis(DAYS, axis=0), {"timezone": "UTC"}, BOTH),
        (PLAIN, {}, BOTH),
        (PLAIN.rename(columns={"time": "Zeit"}), {"timestamp_column": "Zeit"}, BOTH),
        (pl.from_pandas(PLAIN), {}, BOTH),
        (pl.from_pandas(PLAIN).lazy(), {}, BOTH),
        (pa.Table.from_pandas(WIDE), {}, BOTH),
        (pa.Table.from_pandas(PLAIN).to_reader(), {}, BOTH),
        (LONG, {}, BOTH),
        (LONG.swaplevel().rename_axis([None, None]), {}, BOTH),
        (LONG.rename("value").to_frame(), {}, BOTH),
        (LONG.to_frame(), {"value_column": "kwh"}, BOTH),
        (LONG.rename_axis(["timestamp", "asset_id"]), {}, BOTH),
        (LONG.xs("m1", level="meter"), {"asset_id": "a"}, [("a", "value")]),
    ],
)
async def test_it_is_ingested_as_it_is(
    frame: Any, options: dict[str, Any], expected: list[tuple[str, str]]
) -> None:
    result, found = await landed(frame, **options)
    assert (result.accepted, result.rejected) == (3 * len(expected), 0)
    assert found == expected


async def test_what_was_taken_for_what_is_told() -> None:
    assert (await landed(WIDE))[0].warnings == (
        "The columns of the frame were taken as assets: m1, m2.",
    )
    assert (await landed(ONE, asset_id="a"))[0].warnings == ()
    assert (await landed(LONG))[0].warnings == (
        "The level 'meter' of the index was taken as asset ids.",
    )


@pytest.mark.parametrize(
    ("frame", "why"),
    [
        (WIDE.assign(meter="a"), "^asset_id: "),
        (WIDE.reset_index(drop=True), "^timestamp: "),
        (WIDE.tz_localize(None), "^timestamp: .* expected aware datetimes"),
        (ONE, "^asset_id: "),
        (WIDE.set_axis(TIMES.tz_localize(None).to_period("h"), axis=0), "^timestamp: .*periods"),
        (pd.concat({"load": WIDE, "sun": WIDE}, axis=1), "^rows: .* columns of one level"),
        # An id and a reading are two numbers as well.
        (pd.concat([PLAIN, PLAIN]).rename(columns={"m1": "id", "m2": "kwh"}), "^timestamp: "),
        (PLAIN[["time", "m1"]], "^timestamp: "),
        (PLAIN.assign(meter="a"), "^timestamp: "),
        (LONG.to_frame(), "^value: "),
    ],
)
async def test_what_does_not_say_enough_is_refused(frame: Any, why: str) -> None:
    with pytest.raises(InvalidInput, match=why):
        await landed(frame)


async def test_weather_has_its_times_in_the_index_too() -> None:
    frame = pd.DataFrame({"asset_id": "a", "temperature": [1.0, 2.0, 3.0]}, index=TIMES)
    async with FeatureStore.open("duckdb:///:memory:") as store:
        assert (await store.ingest_weather(frame, "t")).accepted == 3


async def test_attributes_have_their_assets_in_the_index() -> None:
    capacity = pd.Series([1.0, 2.0], pd.Index(["a", "b"], name="asset_id"), name="capacity")
    async with FeatureStore.open("duckdb:///:memory:") as store:
        assert (await store.ingest_attributes(capacity, "t")).accepted == 2
        assert (await store.asset("t", "b"))["attributes"] == {"capacity": 2.0}


async def test_a_spine_has_its_times_and_assets_in_the_index() -> None:
    async with FeatureStore.open("duckdb:///:memory:") as store:
        await store.ingest(WIDE, "t")
        for spine in (ONE.assign(asset_id="m1"), LONG.to_frame("target")):
            found = await store.get_training_set(spine, "forecast_basic", tenant_id="t")
            assert [*found.to_pandas()["timestamp"]] == [*spine.index.get_level_values(0)]


async def test_a_spine_of_naive_times_says_what_to_do() -> None:
    naive = ONE.assign(asset_id="m1").tz_localize(None)
    async with FeatureStore.open("duckdb:///:memory:") as store:
        with pytest.raises(InvalidInput, match=r"spine timestamp: got '2025-01-01 .*tz_localize"):
            await store.get_training_set(naive, "forecast_basic", tenant_id="t")
