from __future__ import annotations

import re

import pytest

from ai_hub.definitions.builtin import FEATURE_SETS, FEATURES
from ai_hub.definitions.feature_set import definition_of
from ai_hub.definitions.registry import Registry

WINDOWS = {
    "rolling_avg_24h": ("mean", "24h"),
    "rolling_std_24h": ("std", "24h"),
    "rolling_min_24h": ("min", "24h"),
    "rolling_max_24h": ("max", "24h"),
    "rolling_avg_168h": ("mean", "168h"),
    "rolling_std_168h": ("std", "168h"),
    "historical_avg_24h": ("mean", "24h"),
    "historical_std_24h": ("std", "24h"),
    "max_24h": ("max", "24h"),
    "min_24h": ("min", "24h"),
    "range_24h": ("range", "24h"),
}
BUCKETS = {"avg": "mean", "min": "min", "max": "max", "stddev": "std", "count": "count"}
SAID = ("unit", "description", "valid")
DEFINITIONS = {
    f.name: {k: v for k, v in definition_of(f).items() if k not in SAID} for f in FEATURES
}


@pytest.mark.parametrize(
    "part",
    ["hour_of_day", "day_of_week", "day_of_month", "month", "is_weekend", "is_business_hours"],
)
def test_calendar_features_are_of_utc(part: str) -> None:
    assert DEFINITIONS[part] == {"kind": "Calendar", "name": part, "part": part, "tz": "UTC"}


@pytest.mark.parametrize(("prefix", "every"), [("hourly", "1h"), ("daily", "24h")])
@pytest.mark.parametrize(("suffix", "stat"), BUCKETS.items())
def test_hourly_and_daily_features_are_buckets(
    prefix: str, every: str, suffix: str, stat: str
) -> None:
    name = f"{prefix}_{suffix}"
    assert DEFINITIONS[name] == {
        "kind": "Bucket",
        "name": name,
        "stat": stat,
        "every": every,
        "series": "value",
    }


@pytest.mark.parametrize("hours", [1, 24, 168])
def test_lags_have_a_tolerance_of_an_hour(hours: int) -> None:
    assert DEFINITIONS[f"lag_{hours}h"] == {
        "kind": "Lag",
        "name": f"lag_{hours}h",
        "by": f"{hours}h",
        "tolerance": "1h",
        "series": "value",
    }


@pytest.mark.parametrize(("name", "stat", "window"), [(n, *w) for n, w in WINDOWS.items()])
def test_rolling_features_are_closed_on_both_sides(name: str, stat: str, window: str) -> None:
    assert DEFINITIONS[name] == {
        "kind": "Rolling",
        "name": name,
        "stat": stat,
        "window": window,
        "closed": "both",
        "series": "value",
    }


@pytest.mark.parametrize(
    "column",
    [
        "temperature",
        "humidity",
        "solar_irradiance",
        "wind_speed",
        "cloud_cover",
        "precipitation",
    ],
)
def test_weather_features_are_the_latest_of_a_day(column: str) -> None:
    assert DEFINITIONS[column] == {
        "kind": "Latest",
        "name": column,
        "column": column,
        "max_age": "24h",
        "measured_within": "1h",
    }


def test_what_is_said_of_them() -> None:
    assert all(f.description for f in FEATURES)
    limits = {f.name: str(f.valid) for f in FEATURES if f.valid is not None}
    not_negative = [name for name in DEFINITIONS if re.search("std|count|range", name)]
    assert limits == {
        "hour_of_day": "0:23",
        "day_of_week": "0:6",
        "day_of_month": "1:31",
        "month": "1:12",
        "is_weekend": "{0, 1}",
        "is_business_hours": "{0, 1}",
        "temperature": "-90:60",
        "humidity": "0:100",
        "solar_irradiance": "-20:1600",
        "wind_speed": "0:120",
        "cloud_cover": "0:100",
        "precipitation": "0:500",
        **dict.fromkeys(not_negative, "0:"),
    }
    assert {f.name: f.unit for f in FEATURES if f.unit} == {
        "hour_of_day": "h",
        "temperature": "°C",
        "humidity": "%",
        "solar_irradiance": "W/m²",
        "wind_speed": "m/s",
        "cloud_cover": "%",
        "precipitation": "mm",
    }


def test_there_are_no_other_features() -> None:
    assert len(FEATURES) == len(DEFINITIONS) == 6 + 10 + 3 + 11 + 6


BASIC = ("hour_of_day", "day_of_week", "is_weekend", "lag_1h", "lag_24h", "rolling_avg_24h")


@pytest.mark.parametrize(
    ("name", "features"),
    [
        ("forecast_basic", BASIC),
        (
            "forecast_advanced",
            (
                *BASIC,
                "day_of_month",
                "month",
                "is_business_hours",
                "lag_168h",
                "rolling_std_24h",
                "temperature",
                "humidity",
            ),
        ),
        (
            "anomaly_detection",
            (
                "hour_of_day",
                "day_of_week",
                "historical_avg_24h",
                "historical_std_24h",
                "max_24h",
                "min_24h",
                "range_24h",
            ),
        ),
    ],
)
def test_the_built_in_sets_hold_their_features_in_order(
    name: str, features: tuple[str, ...]
) -> None:
    built_in = Registry().get(name)
    assert built_in.label == f"{name}@1"
    assert built_in.feature_names == features
    assert built_in.missing == "mean"


def test_no_feature_of_a_built_in_set_differs_from_the_feature_of_its_name() -> None:
    assert [s.name for s in FEATURE_SETS] == [
        "forecast_basic",
        "forecast_advanced",
        "anomaly_detection",
    ]
    for built_in in FEATURE_SETS:
        assert set(built_in.features) <= set(FEATURES)


def test_published_fingerprints_are_those_of_semantics_2() -> None:
    assert {s.label: s.fingerprint for s in FEATURE_SETS} == {
        "forecast_basic@1": "f9b641de6d91f9fa",
        "forecast_advanced@1": "9834ae42430d83cb",
        "anomaly_detection@1": "0c0066c23f3830d6",
    }
