"""What a chart shows is what there is: readings, gaps, and a feature as `get` answers it."""

from __future__ import annotations

import math
from datetime import timedelta
from pathlib import Path

import pytest

from ai_hub.definitions.values import DAY, HOUR, SECOND, parse_time, to_datetime
from ai_hub.errors import InvalidInput, UnknownFeature
from conformance.kit import Deployment, observation

T = parse_time("2025-10-09T14:00:00Z")
LOST = range(30, 41)


async def test_a_chart_is_of_the_readings_and_of_answers(
    deployment: Deployment, tmp_path: Path
) -> None:
    hours = [n for n in range(200) if n not in LOST]
    rows = [observation("a", T - n * HOUR, 10 + math.sin(n)) for n in hours]
    async with deployment.open(tmp_path) as store:
        store.now = lambda: T
        await store.ingest([*rows, observation("b", T, 1.0)], "t")
        start, end = to_datetime(T - 5 * DAY), to_datetime(T)
        chart = await store.chart(
            "t", "a", start, end, feature_set="forecast_basic", feature="lag_24h"
        )
        inside = [n for n in reversed(hours) if n <= 120]
        assert chart["count"] == len(inside)
        assert chart["cadence_seconds"] == 3600
        assert chart["readings"]["time"] == [(T - n * HOUR) / SECOND for n in inside]
        values = [10 + math.sin(n) for n in inside]
        assert chart["readings"]["value"] == pytest.approx(values, rel=1e-5)
        assert chart["gap_count"] == 1
        assert chart["gaps"] == [[(T - 41 * HOUR) / SECOND, (T - 29 * HOUR) / SECOND]]
        assert sum(part["readings"] for part in chart["parts"]) == len(inside)
        feature = chart["feature"]
        assert 100 < len(feature["time"]) <= 400
        assert 0 < sum(feature["missing"]) < len(feature["time"])
        for place in range(0, len(feature["time"]), 37):
            answer = await store.get(
                tenant_id="t", asset_id="a", feature_set="forecast_basic",
                timestamp=to_datetime(feature["time"][place] * SECOND),
            )  # fmt: skip
            assert feature["value"][place] == pytest.approx(answer.features["lag_24h"], rel=1e-5)
            assert bool(feature["missing"][place]) == ("lag_24h" in answer.missing)
        few = await store.chart("t", "a", start, end, feature_set="forecast_basic", points=10)
        assert few["feature"] is None
        assert len(few["readings"]["time"]) <= 20
        assert max(few["readings"]["value"]) == max(chart["readings"]["value"])
        empty = await store.chart(
            "t", "nothing", start, end, feature_set="forecast_basic", feature="hour_of_day"
        )
        assert (empty["count"], empty["gaps"], empty["readings"]["time"]) == (0, [], [])
        with pytest.raises(UnknownFeature, match="lag_25h"):
            await store.chart("t", "a", start, end, feature_set="forecast_basic", feature="lag_25h")
        for first in (end, end + timedelta(hours=1), end - timedelta(days=5_000)):
            with pytest.raises(InvalidInput, match="start_time"):
                await store.chart("t", "a", first, end, feature_set="forecast_basic")
