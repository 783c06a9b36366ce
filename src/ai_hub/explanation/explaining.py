"""Explaining features: the answer as it is given, and what a store says of the rows behind it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import msgspec

from ai_hub.definitions.feature_set import FeatureSet
from ai_hub.definitions.kinds import Feature, FromView, Lag, Latest, Seasonal
from ai_hub.definitions.values import DAY, FIRST_INSTANT, iso
from ai_hub.engines.plan import Plan
from ai_hub.engines.views import Fault
from ai_hub.explanation.asked import Asked, Known
from ai_hub.explanation.documents import Document
from ai_hub.explanation.features import (
    Gathered,
    Values,
    behind,
    degraded,
    explained,
    fills_of,
    shown,
    wanted_by,
)
from ai_hub.explanation.near import nearest
from ai_hub.serving.reader import Reader
from ai_hub.serving.spec import Spec, spec_of
from ai_hub.stores.base import OfflineStore

_TRIES = 3
"""Answers and rows are read one after the other: again, if something changed in between."""


class _Vector(msgspec.Struct):
    features: dict[str, Any]
    missing: tuple[str, ...]
    violations: tuple[str, ...]
    degraded: bool
    computed_at: str
    error: str | None = None
    reason: str | None = None


_decode = msgspec.json.Decoder(_Vector).decode


@dataclass(frozen=True)
class Explainer:
    """What explains features: the reader that answers, and its store. `now` is microseconds."""

    reader: Reader
    store: OfflineStore
    now: Callable[[], int]

    async def explain(self, spec: Spec, asked: Asked) -> Document:
        """The answer for an asset with each feature explained, past the cache. Raises StoreError.

        The values are those that `get` answers. While the store gives no answer, it says that.
        """
        for left in range(_TRIES - 1, -1, -1):
            answer = await self._vector(spec, asked)
            plain = answer if answer.degraded else await self._plain(spec, asked)
            if plain.degraded:
                # Also where the store gave one answer and not the next.
                values = Values(
                    plain.features, frozenset(plain.missing), frozenset(plain.violations)
                )
                return _document(spec, asked, plain, degraded(spec, asked, values, plain.reason))
            values = _values(spec, answer, plain)
            known = await self._known(spec, asked, values)
            gathered = await self._gathered(spec, asked, known, values)
            if not left or _agree(behind(spec, asked), values, gathered):
                break
        return _document(spec, asked, answer, explained(spec, asked, known, values, gathered))

    async def _vector(self, spec: Spec, asked: Asked) -> _Vector:
        of, ids = asked.tenant_id, [asked.asset_id]
        ((value, _),) = await self.reader.exact(spec, of, ids, asked.at, served=False)
        return _decode(value)

    async def _plain(self, spec: Spec, asked: Asked) -> _Vector:
        """The values before filling, of what derived features read too."""
        every = spec_of(FeatureSet.unnamed(spec.feature_set.computed), "keep")
        return await self._vector(every, asked)

    async def _known(self, spec: Spec, asked: Asked, values: Values) -> Known:
        """What the asset is, and where something is missing, what is like it."""
        evidence, of = self.store.evidence, (asked.tenant_id, asked.asset_id)
        known = Known(await evidence.asset(*of), self.now())
        lacking = [f for f in behind(spec, asked) if values.plain[f.name] is None]
        if not lacking:
            return known
        if known.record.is_unknown:
            names = await evidence.names(asked.tenant_id)
            near = await asyncio.to_thread(nearest, asked.asset_id, names)
            known = replace(known, near=tuple(near))
        if any(_reads_weather(feature) for feature in lacking):
            first = max(FIRST_INSTANT, asked.at - DAY)
            stations = await evidence.stations(asked.tenant_id, first, asked.at)
            known = replace(known, stations=tuple(stations))
        views = tuple(feature for feature in lacking if isinstance(feature, FromView))
        if views:
            known = replace(known, faults=await self._faults(asked, views))
        return known

    async def _faults(self, asked: Asked, views: Sequence[Feature]) -> dict[str, Fault]:
        plan = Plan.of(FeatureSet.unnamed(tuple(views)))
        found = await self.store.compute(plan, "keep", asked.tenant_id, [asked.asset_id], asked.at)
        return {name: fault for (name, fault), mask in found.faults.items() if mask[0]}

    async def _gathered(self, spec: Spec, asked: Asked, known: Known, values: Values) -> Gathered:
        """The rows behind each feature, read at once."""
        evidence, of = self.store.evidence, (asked.tenant_id, asked.asset_id)
        zone = known.zone(asked.at)
        features = behind(spec, asked)
        reads = [(f.name, one) for f in features for one, _ in wanted_by(f, asked.at, zone)]
        missing = [f.name for f in shown(spec, asked) if f.name in values.missing]
        fills = [*fills_of(spec, missing, asked.at).items()]
        wanted = [*dict.fromkeys(one for _, one in (*reads, *fills))]
        source = known.source(asked.asset_id, asked.at)
        found = await evidence.rows(*of, source, asked.at, wanted) if wanted else []
        by_wanted = dict(zip(wanted, found, strict=True))
        rows = {
            f.name: tuple(by_wanted[one] for name, one in reads if name == f.name) for f in features
        }
        views = {
            feature.name: await evidence.view_rows(*of, feature, asked.at)
            for feature in features
            if isinstance(feature, FromView)
        }
        return Gathered(rows, {name: by_wanted[one] for name, one in fills}, views)


def _values(spec: Spec, answer: _Vector, plain: _Vector) -> Values:
    """The values of an answer, and those before filling."""
    if answer.error is None:
        missing = answer.missing
    else:
        missing = tuple(n for n in plain.missing if n in spec.feature_set.feature_names)
    return Values(
        answer.features,
        frozenset(missing),
        frozenset(answer.violations),
        plain.features,
        answer.error,
    )


def _reads_weather(feature: Feature) -> bool:
    return isinstance(feature, Latest) or getattr(feature, "source", "") == "weather"


def _agree(features: Sequence[Feature], values: Values, gathered: Gathered) -> bool:
    """Whether the rows that were read are those that the values are of."""
    for feature in features:
        found = gathered.rows[feature.name]
        if not found or not isinstance(feature, Lag | Latest | Seasonal):
            continue
        if isinstance(feature, Seasonal) and feature.stat == "count":
            continue
        least = 1 if not isinstance(feature, Seasonal) else max(1, feature.min_count)
        if any(one.count >= least for one in found) is (values.plain[feature.name] is None):
            return False
    return True


def _document(spec: Spec, asked: Asked, answer: _Vector, features: list[Document]) -> Document:
    chosen = spec.feature_set
    names = [feature["name"] for feature in features]
    document: Document = {
        "tenant_id": asked.tenant_id,
        "asset_id": asked.asset_id,
        "timestamp": iso(asked.at),
        "feature_set": chosen.name,
        "version": chosen.version,
        "fingerprint": chosen.fingerprint,
        "policy": spec.policy,
        "features": features,
        "missing": [feature["name"] for feature in features if feature["missing"]],
        "violations": [name for name in answer.violations if name in names],
        "degraded": answer.degraded,
        "computed_at": answer.computed_at,
    }
    if answer.error is not None:
        document["error"] = answer.error
    if answer.reason is not None:
        document["reason"] = answer.reason
    return document
