"""What a feature store answers: the part of the front that gives feature vectors."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from ai_hub.definitions.values import Time, iso, to_micros
from ai_hub.definitions.vocabulary import Missing
from ai_hub.errors import OutOfRange
from ai_hub.front.feature_sets import FeatureSets
from ai_hub.serving.answer import Answer, Features
from ai_hub.serving.assets import check_assets, check_batch
from ai_hub.serving.reader import Found
from ai_hub.serving.spec import Spec
from ai_hub.serving.vector import answers_of


class Vectors(FeatureSets):
    """Feature sets, and the vectors of assets as of a time."""

    async def get(
        self,
        *,
        tenant_id: str,
        asset_id: str,
        feature_set: str | None = None,
        feature_names: Sequence[str] | None = None,
        timestamp: Time | None = None,
        missing: Missing | None = None,
        exact: bool = False,
        model: str | None = None,
    ) -> Answer:
        """The features of an asset as of `timestamp` (now if None), and all there is to know.

        The time is truncated to the store's granularity; `exact` skips that and the cache.
        A `model` (`load-model@3`) stands for the version and policy that it is bound to. Without a
        set, names or model: every built-in feature. Raises OutOfRange for values outside their
        range where the set rejects such.
        """
        spec = self.specs.of(feature_set, feature_names, missing, model)
        spec, at = spec.of_asset(tenant_id, asset_id), self._at(timestamp)
        found = await self.found(spec, tenant_id, [asset_id], at, exact)
        answers = answers_of(spec, tenant_id, [asset_id], self._effective(at, exact), found)
        (answer,) = answers
        if answer.error is not None:
            raise OutOfRange(asset_id, iso(to_micros(answer.timestamp)), answer.error)
        if answer.missing:
            self._first_fills.note(answers, self.now())
        return answer

    async def get_batch(
        self,
        *,
        tenant_id: str,
        asset_ids: Sequence[str],
        feature_set: str | None = None,
        feature_names: Sequence[str] | None = None,
        timestamp: Time | None = None,
        missing: Missing | None = None,
        exact: bool = False,
        model: str | None = None,
    ) -> dict[str, Answer]:
        """The answers for up to 1,000 assets by id: one read and one computation for all, under a
        rollout for each version. Where a set rejects values, an answer has an `error` instead."""
        spec = self.specs.of(feature_set, feature_names, missing, model)
        ids, at = check_assets(tenant_id, asset_ids), self._at(timestamp)
        check_batch(tenant_id, ids)
        answers: dict[str, Answer] = {}
        parts = spec.of_assets(tenant_id, ids)
        reads = (self.found(one, tenant_id, some, at, exact) for one, some in parts)
        for (one, some), found in zip(parts, await asyncio.gather(*reads), strict=True):
            of_part = answers_of(one, tenant_id, some, self._effective(at, exact), found)
            answers |= zip(some, of_part, strict=True)
        self._first_fills.note(answers.values(), self.now())
        return {asset_id: answers[asset_id] for asset_id in ids}

    async def get_features(
        self,
        tenant_id: str,
        asset_id: str,
        timestamp: Time | None = None,
        feature_names: Sequence[str] | None = None,
        feature_set: str | None = None,
        missing: Missing | None = None,
        model: str | None = None,
    ) -> Features:
        """Feature name to value, every built-in feature or those named: a dict that also has
        `missing`, `degraded`, `violations`, `timestamp` and `policy`."""
        answer = await self.get(
            tenant_id=tenant_id, asset_id=asset_id, feature_set=feature_set,
            feature_names=feature_names, timestamp=timestamp, missing=missing, model=model,
        )  # fmt: skip
        return Features(answer.features, answer)

    async def compute_feature_set(
        self,
        tenant_id: str,
        asset_id: str,
        feature_set_name: str,
        timestamp: Time | None = None,
        missing: Missing | None = None,
    ) -> Features:
        """Feature name to value, for a feature set; see `get_features`."""
        get = self.get_features
        return await get(tenant_id, asset_id, timestamp, None, feature_set_name, missing)

    async def get_batch_features(
        self,
        tenant_id: str,
        asset_ids: Sequence[str],
        feature_set_name: str | None = None,
        timestamp: Time | None = None,
        feature_names: Sequence[str] | None = None,
        missing: Missing | None = None,
        model: str | None = None,
    ) -> dict[str, Features]:
        """Asset to (feature name to value), for up to 1,000 assets in one read; see `get_batch`."""
        answers = await self.get_batch(
            tenant_id=tenant_id, asset_ids=asset_ids, feature_set=feature_set_name,
            feature_names=feature_names, timestamp=timestamp, missing=missing, model=model,
        )  # fmt: skip
        return {one: Features(answer.features, answer) for one, answer in answers.items()}

    async def found(
        self,
        spec: Spec,
        tenant_id: str,
        asset_ids: Sequence[str],
        at: int,
        exact: bool = False,
        served: bool = True,
    ) -> list[Found]:
        """The vectors of distinct assets as JSON bytes, in their order (what the doors splice).

        `served` is whether a model gets them, where they are `exact`.
        """
        check_batch(tenant_id, asset_ids)
        if exact:
            return await self._open.reader.exact(spec, tenant_id, asset_ids, at, served)
        at = self._effective(at, exact)
        return await self._open.reader.vectors(spec, tenant_id, asset_ids, at)
