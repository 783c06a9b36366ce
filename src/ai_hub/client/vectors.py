"""Feature vectors of a server, why they are what they are, and its cache."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

from ai_hub.client.base import Asking, said, texts, time_of
from ai_hub.definitions.values import Time, parse_time, to_datetime
from ai_hub.definitions.vocabulary import Missing
from ai_hub.serving.answer import Answer, Features

if TYPE_CHECKING:
    from ai_hub.serving.cache import CacheStats

_NAMES = "feature names"


class Vectors(Asking):
    """Feature vectors: of one asset, of several, as dicts; and what of them is cached."""

    async def get(
        self,
        *,
        tenant_id: str,
        asset_id: str,
        feature_set: str | None = None,
        feature_names: Sequence[str] | None = None,
        timestamp: Time | None = None,
        missing: Missing | None = None,
        model: str | None = None,
    ) -> Answer:
        """The features of an asset as of a time (now, when none is given)."""
        asked = said(
            tenant_id=tenant_id, asset_id=asset_id, feature_set=feature_set,
            feature_names=texts(feature_names, "feature_names", _NAMES),
            timestamp=time_of(timestamp, "timestamp"), missing=missing, model=model,
        )  # fmt: skip
        found = await self._ask("POST", "/get", asked, safe=True)
        return _answer(found, found, asset_id)

    async def get_batch(
        self,
        *,
        tenant_id: str,
        asset_ids: Sequence[str],
        feature_set: str | None = None,
        feature_names: Sequence[str] | None = None,
        timestamp: Time | None = None,
        missing: Missing | None = None,
        model: str | None = None,
    ) -> dict[str, Answer]:
        """The answers for up to 1,000 assets by id, in one request. They do not say when they were
        computed; where a set rejects values, an answer has an `error` instead."""
        asked = said(
            tenant_id=tenant_id, asset_ids=texts(asset_ids), feature_set=feature_set,
            feature_names=texts(feature_names, "feature_names", _NAMES),
            timestamp=time_of(timestamp, "timestamp"), missing=missing, model=model,
        )  # fmt: skip
        found = await self._ask("POST", "/batch", asked, safe=True)
        return {one: _answer(found, own, one) for one, own in found["results"].items()}

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

    async def explain(
        self,
        *,
        tenant_id: str,
        asset_id: str,
        feature_set: str | None = None,
        feature_names: Sequence[str] | None = None,
        timestamp: Time | None = None,
        missing: Missing | None = None,
        model: str | None = None,
    ) -> dict[str, Any]:
        """What `get` answers to the same request, with each feature explained, as plain values."""
        asked = said(
            tenant_id=tenant_id, asset_id=asset_id, feature_set=feature_set,
            feature_names=texts(feature_names, "feature_names", _NAMES),
            timestamp=time_of(timestamp, "timestamp"), missing=missing, model=model,
        )  # fmt: skip
        return await self._ask("POST", "/explain", asked, safe=True)

    async def warm_feature_cache(
        self,
        tenant_id: str,
        asset_ids: Sequence[str] | None = None,
        feature_set: str | None = None,
        timestamp: Time | None = None,
    ) -> dict[str, int]:
        """Have the vectors of some assets ready: of a set, or of every registered one."""
        asked = said(
            tenant_id=tenant_id, asset_ids=texts(asset_ids), feature_set=feature_set,
            timestamp=time_of(timestamp, "timestamp"),
        )  # fmt: skip
        return await self._ask("POST", "/cache/warm", asked, safe=True, work=True)

    async def invalidate_feature_cache(
        self,
        tenant_id: str,
        asset_id: str | None = None,
        asset_ids: Iterable[str] = (),
        feature_set: str | None = None,
    ) -> dict[str, int]:
        """Forget the cached vectors of some assets, of one set or all; counts what was dropped."""
        one = [] if asset_id is None else [asset_id]
        asked = said(
            tenant_id=tenant_id, asset_ids=[*(texts(asset_ids) or ()), *one],
            feature_set=feature_set,
        )  # fmt: skip
        return await self._ask("POST", "/cache/invalidate", asked, safe=True)

    async def cache_stats(self) -> CacheStats:
        """What the cache holds and how it did."""
        from ai_hub.serving.cache import CacheStats

        found = await self._ask("GET", "/cache/stats", safe=True)
        found.pop("hit_rate")  # which is of the others
        return CacheStats(**found)


def _answer(whole: Mapping[str, Any], own: Mapping[str, Any], asset_id: str) -> Answer:
    """The answer of an asset: what is its own, and what holds for all of a request."""
    found = {**whole, **own}
    computed = found.get("computed_at")
    return Answer(
        found["tenant_id"],
        asset_id,
        _time(found["timestamp"]),
        found["feature_set"],
        found["version"],
        found["fingerprint"],
        found["policy"],
        found["features"],
        tuple(found["missing"]),
        found["degraded"],
        found["cache_hit"],
        None if computed is None else _time(computed),
        tuple(found["violations"]),
        found.get("error"),
    )


def _time(text: str) -> datetime:
    return to_datetime(parse_time(text))
