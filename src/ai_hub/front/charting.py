"""What a feature store shows of one asset over time: the part of the front that is for charts."""

from __future__ import annotations

import asyncio
from typing import Any

from ai_hub.definitions.kinds import Latest
from ai_hub.definitions.values import DAY, Time, TimeRange, check_count, check_id, iso, to_micros
from ai_hub.definitions.vocabulary import WEATHER_COLUMNS, WeatherColumn, check_choice
from ai_hub.errors import InvalidInput, NotFound, UnknownFeature, shown
from ai_hub.front.explaining import Explaining
from ai_hub.serving.assets import described
from ai_hub.stores.asset_facts import AssetFacts
from ai_hub.stores.attributes import value_at
from ai_hub.stores.weather_sources import source_at

LONGEST = 5 * 366 * DAY
"""Of a chart."""


class Charting(Explaining):
    """Vectors explained, and the history that they are made of."""

    async def asset(self, tenant_id: str, asset_id: str) -> dict[str, Any]:
        """What is known of an asset, as in a page of `assets`. Raises NotFound."""
        check_id("tenant_id", tenant_id)
        check_id("asset_id", asset_id)
        found, now = await self._open.store.evidence.asset(tenant_id, asset_id), self.now()
        if found.is_unknown:
            raise NotFound(f"asset_id: got {shown(asset_id)}, expected one that has data")
        station = source_at(asset_id, found.mappings, now)
        held = {key: value_at(found.attributes[key], now) for key in sorted(found.attributes)}
        facts = AssetFacts(
            asset_id,
            found.series,
            None if station == asset_id else station,
            {key: value for key, value in held.items() if value is not None},
        )
        return described(facts)

    async def chart(
        self,
        tenant_id: str,
        asset_id: str,
        start_time: Time,
        end_time: Time,
        *,
        feature_set: str,
        feature: str | None = None,
        weather: WeatherColumn | None = None,
        points: int = 800,
    ) -> dict[str, Any]:
        """The readings of an asset over [start_time, end_time] (of the set's series), one of the
        set's features and a column of weather, as plain values for a chart; times are seconds since
        the epoch.

        `readings` are at most two for each of `points` parts of the time, its lowest and its
        highest; `count` is how many there are, `gaps` where steps between them are much longer than
        usual, and `parts` what there is in each of 24 parts. `feature` has values at up to 400
        times, as `get` would have answered then, and where these were `missing` and filled. So has
        `weather`: the newest value that was known then, the time that it is `about`, and when it
        was `issued`. Raises InvalidInput, UnknownFeature, UnknownFeatureSet and StoreError.
        """
        from ai_hub.export.chart import MOST_POINTS, charted

        check_id("tenant_id", tenant_id)
        check_id("asset_id", asset_id)
        check_count("points", points, MOST_POINTS)
        start, end = to_micros(start_time, "start_time", "up"), to_micros(end_time, "end_time")
        if not start < end <= start + LONGEST:
            expected = "a time before end_time, by at most five years"
            raise InvalidInput("start_time", iso(start), expected)
        spec = self.specs.one_set(feature_set)
        chosen = spec.feature_set
        if feature is not None and feature not in chosen.feature_names:
            raise UnknownFeature(feature, chosen.feature_names)
        known = None
        if weather is not None:
            check_choice("weather", weather, WEATHER_COLUMNS)
            known = Latest(weather, weather)
        drawn = await asyncio.to_thread(
            charted, self._open.store, spec, tenant_id, asset_id, TimeRange(start, end), feature,
            known, points, self.settings.granularity,
        )  # fmt: skip
        return {
            "tenant_id": tenant_id,
            "asset_id": asset_id,
            "feature_set": chosen.name,
            "version": chosen.version,
            "series": chosen.series,
            "start_time": iso(start),
            "end_time": iso(end),
            **drawn,
        }
