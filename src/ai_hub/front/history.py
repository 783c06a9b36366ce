"""What a feature store shows of its past: the part of the front that reads ranges of times."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from ai_hub.definitions.values import MAX_NAMES, Time, check_list
from ai_hub.definitions.vocabulary import Missing
from ai_hub.errors import UnknownFeature
from ai_hub.front.feature_sets import FeatureSets

if TYPE_CHECKING:
    from ai_hub.export.history import History


class Histories(FeatureSets):
    """Feature sets, and what was of assets over time."""

    async def history(
        self,
        tenant_id: str,
        asset_ids: Sequence[str],
        start_time: Time,
        end_time: Time,
        *,
        series: Sequence[str] | None = None,
        feature_set: str | None = None,
        features: Sequence[str] | None = None,
        weather: bool | Sequence[str] = False,
        missing: Missing | None = None,
        indicators: bool = False,
        frequency: str | None = None,
        limit: int = 1_000_000,
        model: str | None = None,
    ) -> History:
        """Series, features and weather of some assets over [start_time, end_time], as a frame.

        `series` are by default the one that the feature set is about, else `value`; `features` all
        of a `feature_set` (or of the one that a `model` is bound to), or those named, without a set
        too; `weather` all its columns, or those named, as they were known at the time of each row.
        A row for every observation time of the series, or for every step of `frequency` from an
        asset's first observation on: features are what a training set has there, but for a set
        that rejects what is outside its range, which is here to be looked at. `indicators` say
        where a feature was missing. Assets without data have no rows. Raises InvalidInput, also for
        more rows than `limit` (up to 10,000,000), UnknownFeature, UnknownFeatureSet and StoreError.
        """
        from ai_hub.export.history import history_job

        spec = None
        if feature_set is not None or model is not None:
            spec = self.specs.one_set(feature_set, missing, model)
        elif features is not None:
            names = tuple(dict.fromkeys(check_list("features", features, "names", MAX_NAMES)))
            for name in names:
                if name not in self.registry.feature_names:
                    raise UnknownFeature(name, self.registry.feature_names, "features")
            spec = self.specs.of(None, names, missing) if names else None
        job = history_job(
            tenant_id, asset_ids, start_time, end_time, spec, series=series, features=features,
            weather=weather, indicators=indicators, frequency=frequency, limit=limit,
        )  # fmt: skip
        return await self._open.exports.history(job)
