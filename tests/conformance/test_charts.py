"""What a chart shows is what there is: readings, gaps, and a feature as `get` answers it."""

from __future__ import annotations

import math
from datetime import timedelta
from pathlib import Path

import pytest

from ai_hub.definitions.feature_set import FeatureSet
from ai_hub.definitions.kinds import Latest
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
        assert chart["weather"] is None
        few = await store.chart("t", "a", start, end, feature_set="forecast_basic", points=10)
        assert few["feature"] is None
        assert len(few["readings"]["time"]) <= 20
        assert max(few["readings"]["value"]) == max(chart["readings"]["value"])
        empty = await store.chart(
            "t", "nothing", start, end, feature_set="forecast_basic", feature="hour_of_day"
        )
        assert (empty["count"], empty["gaps"], empty["readings"]["time"]) == (0, [], [])
        with pytest.raises(InvalidInput, match="weather: got 'heat'"):
            await store.chart("t", "a", start, end, feature_set="forecast_basic", weather="heat")  # type: ignore[arg-type]
        with pytest.raises(UnknownFeature, match="lag_25h"):
            await store.chart("t", "a", start, end, feature_set="forecast_basic", feature="lag_25h")
        for first in (end, end + timedelta(hours=1), end - timedelta(days=5_000)):
            with pytest.raises(InvalidInput, match="start_time"):
                await store.chart("t", "a", first, end, feature_set="forecast_basic")


async def test_weather_is_drawn_as_it_was_known(deployment: Deployment, tmp_path: Path) -> None:
    """Each value is what a feature of the weather had then; none where it had none."""
    weather = []
    for n in range(60):
        about = T - n * HOUR
        # Two issues ahead, and later a measurement: none of them for a day and a half.
        for ahead, value in ((18, 1.0), (6, 2.0), (-2, 3.0)):
            if not 5 <= n < 41:
                weather.append(
                    {"tenant_id": "t", "asset_id": "station", "timestamp": to_datetime(about),
                     "issued_at": to_datetime(about - ahead * HOUR), "temperature": n + value / 10}
                )  # fmt: skip
    async with deployment.open(tmp_path) as store:
        store.now = lambda: T
        await store.ingest([observation("a", T - n * HOUR, 1.0) for n in range(60)], "t")
        await store.ingest_weather(weather)
        await store.assign_weather_source(tenant_id="t", source_id="station", asset_ids=["a"])
        chart = await store.chart(
            "t", "a", to_datetime(T - 2 * DAY), to_datetime(T), feature_set="forecast_basic",
            weather="temperature",
        )  # fmt: skip
        drawn = chart["weather"]
        assert drawn["column"] == "temperature"
        times = [to_datetime(at * SECOND) for at in drawn["time"]]
        assert 100 < len(times) <= 400
        features = FeatureSet("of_weather", 1, (Latest("temperature", "temperature"),))
        await store.apply([features])
        for place in range(0, len(times), 23):
            answer = await store.get(
                tenant_id="t", asset_id="a", feature_set="of_weather@1", timestamp=times[place]
            )
            value = drawn["value"][place]
            assert (value is None) == ("temperature" in answer.missing)
            row = drawn["about"][place], drawn["issued"][place]
            if value is None:
                assert row == (None, None)
                continue
            assert value == pytest.approx(answer.features["temperature"])
            about, issued = (round(one * SECOND) for one in row)
            # Which issue it is is what its value says.
            ahead = {1: 18, 2: 6, 3: -2}[round((value % 1) * 10)]
            assert (about, issued) == (T - int(value) * HOUR, about - ahead * HOUR)
        assert None in drawn["value"]
