"""The built-in feature sets."""

from __future__ import annotations

from ai_hub.definitions.builtin_features import BY_NAME
from ai_hub.definitions.builtin_features import FEATURES as FEATURES
from ai_hub.definitions.feature_set import FeatureSet
from ai_hub.definitions.kinds import Feature


def _pick(*names: str) -> tuple[Feature, ...]:
    return tuple(BY_NAME[name] for name in names)


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
