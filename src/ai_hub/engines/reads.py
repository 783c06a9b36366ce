"""What answering for a feature set reads: of which series and weather columns, and how far back."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from ai_hub.definitions.feature_set import FeatureSet
from ai_hub.definitions.kinds import Derived, Feature
from ai_hub.definitions.values import Duration
from ai_hub.engines.plan import Plan


@dataclass(frozen=True, slots=True)
class Reads:
    """The width that is read of each series and each weather column, in microseconds, and the keys
    of attributes."""

    series: dict[str, int]
    weather: dict[str, int]
    attributes: tuple[str, ...] = ()

    def document(self) -> dict[str, object]:
        """The same as plain values: `{"series": {"value": "168h"}, "weather": {}, "attributes":
        []}`."""
        return {
            "series": _texts(self.series),
            "weather": _texts(self.weather),
            "attributes": list(self.attributes),
        }

    def __str__(self) -> str:
        """In words: `168h of value, 24h of the weather's temperature`."""
        parts = [f"{width} of {name}" for name, width in _texts(self.series).items()]
        weather = _texts(self.weather).items()
        parts += [f"{width} of the weather's {name}" for name, width in weather]
        parts += [f"the attribute {key}" for key in self.attributes]
        return ", ".join(parts) or "the time alone"


def reads_of(features: Iterable[Feature]) -> Reads:
    """What some features read; a derived one reads what its inputs do."""
    series: dict[str, int] = {}
    weather: dict[str, int] = {}
    attributes: dict[str, None] = {}
    for feature in features:
        if isinstance(feature, Derived):
            continue
        plan = Plan.of(FeatureSet.unnamed((feature,)))
        for name in plan.series:
            series[name] = max(plan.lookback, series.get(name, 0))
        for name in plan.weather:
            weather[name] = max(plan.weather_lookback, weather.get(name, 0))
        attributes |= dict.fromkeys(plan.attributes)
    return Reads(series, weather, tuple(attributes))


def _texts(widths: Mapping[str, int]) -> dict[str, str]:
    return {name: str(Duration(width)) for name, width in widths.items()}
