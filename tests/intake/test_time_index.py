"""Pandas frames and series whose index is the times."""

from __future__ import annotations

from typing import Any

import pandas as pd
import pytest

from ai_hub import FeatureStore
from ai_hub.errors import InvalidInput
from ai_hub.intake.result import IngestResult

TIMES = pd.date_range("2025-01-01", periods=3, freq="h", tz="UTC")
WIDE = pd.DataFrame({"m1": [1.0, 2.0, 3.0], "m2": [4, 5, 6]}, index=TIMES)
ONE = pd.DataFrame({"value": [1.0, 2.0, 3.0]}, index=TIMES)


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
        (WIDE.tz_localize(None), {"timezone": "UTC"}, [("m1", "value"), ("m2", "value")]),
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


@pytest.mark.parametrize(
    ("frame", "why"),
    [
        (WIDE.assign(meter="a"), "^asset_id: "),
        (WIDE.reset_index(drop=True), "^timestamp: "),
        (WIDE.tz_localize(None), "^timestamp: .* expected aware datetimes"),
        (ONE, "^asset_id: "),
    ],
)
async def test_what_does_not_say_enough_is_refused(frame: Any, why: str) -> None:
    with pytest.raises(InvalidInput, match=why):
        await landed(frame)


async def test_weather_has_its_times_in_the_index_too() -> None:
    frame = pd.DataFrame({"asset_id": "a", "temperature": [1.0, 2.0, 3.0]}, index=TIMES)
    async with FeatureStore.open("duckdb:///:memory:") as store:
        assert (await store.ingest_weather(frame, "t")).accepted == 3
