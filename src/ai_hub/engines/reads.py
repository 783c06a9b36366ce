"""What answering for a feature set reads: of which series and weather columns, and how far back."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from ai_hub.definitions.feature_set import FeatureSet
from ai_hub.definitions.kinds import Derived, Feature
from ai_hub.definitions.values import Duration
from ai_hub.engines.plan import Plan


@dataclass(frozen=True, slots=True)
class Reads:
    """The width that is read of each series and each weather column, in microseconds."""

    series: dict[str, int]
    weather: dict[str, int]

    def document(self) -> dict[str, dict[str, str]]:
        """The same as plain values: `{"series": {"value": "168h"}, "weather": {}}`."""
        return {
            "series": {name: str(Duration(width)) for name, width in self.series.items()},
            "weather": {name: str(Duration(width)) for name, width in self.weather.items()},
        }

    def __str__(self) -> str:
        """In words: `168h of value, 24h of the weather's temperature`."""
        widths = self.document()
        parts = [f"{width} of {name}" for name, width in widths["series"].items()]
        parts += [f"{width} of the weather's {name}" for name, width in widths["weather"].items()]
        return ", ".join(parts) or "the time alone"


def reads_of(features: Iterable[Feature]) -> Reads:
    """What some features read; a derived one reads what its inputs do."""
    found = Reads({}, {})
    for feature in features:
        if isinstance(feature, Derived):
            continue
        plan = Plan.of(FeatureSet.unnamed((feature,)))
        for name in plan.series:
            found.series[name] = max(plan.lookback, found.series.get(name, 0))
        for name in plan.weather:
            found.weather[name] = max(plan.weather_lookback, found.weather.get(name, 0))
    return found
