"""What answering for a feature set reads: of which series and weather columns, and how far back."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from ai_hub.definitions.feature_set import FeatureSet
from ai_hub.definitions.kinds import Derived, Feature
from ai_hub.definitions.values import Duration
from ai_hub.engines.plan import Plan


@dataclass(frozen=True, slots=True)
class Reads:
    """The width that is read of each series, each weather column and each column of a view
    (`view.column`), in microseconds, and the keys of attributes."""

    series: dict[str, int]
    weather: dict[str, int]
    attributes: tuple[str, ...] = ()
    views: dict[str, int] = field(default_factory=dict)

    def document(self) -> dict[str, object]:
        """The same as plain values: `{"series": {"value": "168h"}, "weather": {}, "attributes": [],
        "views": {}}`."""
        return {
            "series": _texts(self.series),
            "weather": _texts(self.weather),
            "attributes": list(self.attributes),
            "views": _texts(self.views),
        }

    def __str__(self) -> str:
        """In words: `168h of value, 24h of the weather's temperature`."""
        parts = [f"{width} of {name}" for name, width in _texts(self.series).items()]
        weather = _texts(self.weather).items()
        parts += [f"{width} of the weather's {name}" for name, width in weather]
        parts += [f"the attribute {key}" for key in self.attributes]
        parts += [f"{width} of the view {name}" for name, width in _texts(self.views).items()]
        return ", ".join(parts) or "the time alone"


def reads_of(features: Iterable[Feature]) -> Reads:
    """What some features read; a derived one reads what its inputs do."""
    series: dict[str, int] = {}
    weather: dict[str, int] = {}
    attributes: dict[str, None] = {}
    views: dict[str, int] = {}
    for feature in features:
        if isinstance(feature, Derived):
            continue
        plan = Plan.of(FeatureSet.unnamed((feature,)))
        for name in plan.series:
            series[name] = max(plan.lookback, series.get(name, 0))
        for name in plan.weather:
            weather[name] = max(plan.weather_lookback, weather.get(name, 0))
        attributes |= dict.fromkeys(plan.attributes)
        for one in plan.viewed:
            name = f"{one.view}.{one.column}"
            views[name] = max(one.max_age.micros, views.get(name, 0))
    return Reads(series, weather, tuple(attributes), views)


def reads_in_words(feature: Feature) -> str:
    """What one feature reads: what a derived one is made of, or data."""
    return ", ".join(feature.inputs) if isinstance(feature, Derived) else str(reads_of([feature]))


def _texts(widths: Mapping[str, int]) -> dict[str, str]:
    return {name: str(Duration(width)) for name, width in widths.items()}
