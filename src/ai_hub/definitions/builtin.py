"""The built-in features and feature sets."""

from __future__ import annotations

from ai_hub.definitions.feature_set import FeatureSet
from ai_hub.definitions.kinds import (
    WEATHER_COLUMNS,
    Bucket,
    Calendar,
    Feature,
    Lag,
    Latest,
    Part,
    Rolling,
    Stat,
)
from ai_hub.definitions.values import Duration

_PARTS: tuple[Part, ...] = (
    "hour_of_day",
    "day_of_week",
    "day_of_month",
    "month",
    "is_weekend",
    "is_business_hours",
)
_BUCKET_STATS: tuple[tuple[str, Stat], ...] = (
    ("avg", "mean"),
    ("min", "min"),
    ("max", "max"),
    ("stddev", "std"),
    ("count", "count"),
)
_ROLLING: tuple[tuple[str, Stat, str], ...] = (
    ("rolling_avg_24h", "mean", "24h"),
    ("rolling_std_24h", "std", "24h"),
    ("rolling_min_24h", "min", "24h"),
    ("rolling_max_24h", "max", "24h"),
    ("rolling_avg_168h", "mean", "168h"),
    ("rolling_std_168h", "std", "168h"),
    ("historical_avg_24h", "mean", "24h"),
    ("historical_std_24h", "std", "24h"),
    ("max_24h", "max", "24h"),
    ("min_24h", "min", "24h"),
    ("range_24h", "range", "24h"),
)

FEATURES: tuple[Feature, ...] = (
    *(Calendar(part, part) for part in _PARTS),
    *(Bucket(f"hourly_{name}", stat, Duration.of("1h")) for name, stat in _BUCKET_STATS),
    *(Bucket(f"daily_{name}", stat, Duration.of("1d")) for name, stat in _BUCKET_STATS),
    *(Lag(f"lag_{hours}h", Duration.of(f"{hours}h")) for hours in (1, 24, 168)),
    *(Rolling(name, stat, Duration.of(window)) for name, stat, window in _ROLLING),
    *(Latest(column, column) for column in WEATHER_COLUMNS),
)
_BY_NAME = {feature.name: feature for feature in FEATURES}


def _pick(*names: str) -> tuple[Feature, ...]:
    return tuple(_BY_NAME[name] for name in names)


_BASIC = ("hour_of_day", "day_of_week", "is_weekend", "lag_1h", "lag_24h", "rolling_avg_24h")

FORECAST_BASIC = FeatureSet(
    "forecast_basic",
    1,
    _pick(*_BASIC),
    description="Basic load and generation forecasting",
    use_cases=(
        "Short-term load forecasting (1-24 hours)",
        "Generation forecasting (solar, wind)",
        "Basic demand prediction",
    ),
)
FORECAST_ADVANCED = FeatureSet(
    "forecast_advanced",
    1,
    _pick(
        *_BASIC,
        "day_of_month",
        "month",
        "is_business_hours",
        "lag_168h",
        "rolling_std_24h",
        "temperature",
        "humidity",
    ),
    description="Advanced forecasting with weather and market data",
    use_cases=(
        "Long-term forecasting (1-7 days)",
        "Price prediction (electricity markets)",
        "Weather-dependent load forecasting",
        "Renewable energy forecasting",
    ),
)
ANOMALY_DETECTION = FeatureSet(
    "anomaly_detection",
    1,
    _pick(
        "hour_of_day",
        "day_of_week",
        "historical_avg_24h",
        "historical_std_24h",
        "max_24h",
        "min_24h",
        "range_24h",
    ),
    description="Identify outliers and anomalies in time series",
    use_cases=(
        "Real-time anomaly detection",
        "Outlier identification",
        "Data quality monitoring",
        "Fraud detection",
    ),
)
FEATURE_SETS: tuple[FeatureSet, ...] = (FORECAST_BASIC, FORECAST_ADVANCED, ANOMALY_DETECTION)
