"""The built-in features, each with its unit, what it means, and what its values may be."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from ai_hub.definitions.kinds import Bucket, Calendar, Feature, Lag, Latest, Rolling
from ai_hub.definitions.valid_range import WEATHER_LIMITS, Valid, ValidRange, ValidValues
from ai_hub.definitions.values import Duration
from ai_hub.definitions.vocabulary import Part, Stat, WeatherColumn

_BINARY = ValidValues((0, 1))
_NOT_NEGATIVE = ValidRange(low=0)
_PARTS: tuple[tuple[Part, Valid, str], ...] = (
    ("hour_of_day", ValidRange(0, 23), "Hour of the day"),
    ("day_of_week", ValidRange(0, 6), "Day of the week, Monday is 0"),
    ("day_of_month", ValidRange(1, 31), "Day of the month"),
    ("month", ValidRange(1, 12), "Month"),
    ("is_weekend", _BINARY, "1 on Saturday and Sunday"),
    ("is_business_hours", _BINARY, "1 from Monday to Friday, 09:00 to 17:00"),
)
# The unit of a series is not known here, and neither is what its values may be.
_STATS: Mapping[Stat, tuple[str, Valid | None]] = {
    "mean": ("Mean", None),
    "min": ("Least value", None),
    "max": ("Greatest value", None),
    "std": ("Standard deviation", _NOT_NEGATIVE),
    "range": ("Greatest value less the least", _NOT_NEGATIVE),
    "count": ("Number of values", _NOT_NEGATIVE),
}
_BUCKETS = (("hourly", "1h", "hour"), ("daily", "1d", "day"))
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
_WEATHER: tuple[tuple[WeatherColumn, str, str], ...] = (
    ("temperature", "°C", "Temperature"),
    ("humidity", "%", "Relative humidity"),
    ("solar_irradiance", "W/m²", "Solar irradiance"),
    ("wind_speed", "m/s", "Wind speed"),
    ("cloud_cover", "%", "Cloud cover"),
    ("precipitation", "mm", "Precipitation"),
)


def _bucket(name: str, stat: Stat, every: str, period: str) -> Bucket:
    meaning, valid = _STATS[stat]
    meaning = f"{meaning} of the {period} so far"
    return Bucket(name, stat, Duration.of(every), description=meaning, valid=valid)


def _rolling(name: str, stat: Stat, window: str) -> Rolling:
    meaning, valid = _STATS[stat]
    meaning = f"{meaning} of the last {window.removesuffix('h')} hours"
    return Rolling(name, stat, Duration.of(window), description=meaning, valid=valid)


FEATURES: tuple[Feature, ...] = (
    *(
        Calendar(
            part,
            part,
            unit="h" if part == "hour_of_day" else "",
            description=f"{meaning}, UTC",
            valid=valid,
        )
        for part, valid, meaning in _PARTS
    ),
    *(
        _bucket(f"{prefix}_{name}", stat, every, period)
        for prefix, every, period in _BUCKETS
        for name, stat in _BUCKET_STATS
    ),
    *(
        Lag(f"lag_{hours}h", Duration.of(f"{hours}h"), description=f"The value {ago} before")
        for hours, ago in ((1, "an hour"), (24, "24 hours"), (168, "168 hours"))
    ),
    *(_rolling(name, stat, window) for name, stat, window in _ROLLING),
    *(
        Latest(
            column,
            column,
            unit=unit,
            description=f"{meaning}, the latest known of the last 24 hours",
            valid=WEATHER_LIMITS[column],
        )
        for column, unit, meaning in _WEATHER
    ),
)
BY_NAME: Mapping[str, Feature] = {feature.name: feature for feature in FEATURES}
"""Each by its name, which a set may say in its place."""


def builtin_of(feature: Feature) -> Feature | None:
    """The built-in feature that is defined like this one, whatever else is said of it."""
    known = BY_NAME.get(feature.name)
    if known is None:
        return None
    same = replace(feature, unit=known.unit, description=known.description, valid=known.valid)
    return known if same == known else None


def completed(feature: Feature) -> Feature:
    """A feature that is defined like a built-in one has its unit, its description and its range
    where it says nothing else."""
    known = builtin_of(feature)
    if known is None:
        return feature
    return replace(
        feature,
        unit=feature.unit or known.unit,
        description=feature.description or known.description,
        valid=known.valid if feature.valid is None else feature.valid,
    )
