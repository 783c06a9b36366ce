"""The built-in features."""

from __future__ import annotations

from collections.abc import Mapping

from ai_hub.definitions.kinds import Bucket, Calendar, Feature, Lag, Latest, Rolling
from ai_hub.definitions.values import Duration
from ai_hub.definitions.vocabulary import WEATHER_COLUMNS, Part, Stat

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
BY_NAME: Mapping[str, Feature] = {feature.name: feature for feature in FEATURES}
"""Each by its name, which a set may say in its place."""
