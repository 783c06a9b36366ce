"""An answer as Python values: a feature vector and what else there is to know of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

import msgspec

from ai_hub.definitions.values import to_datetime
from ai_hub.definitions.vocabulary import Missing

if TYPE_CHECKING:
    from ai_hub.serving.reader import Found
    from ai_hub.serving.spec import Spec


@dataclass(frozen=True, slots=True)
class Answer:
    """The features of an entity as of `timestamp`, the effective (truncated) time.

    `missing` names the features that were filled, left null or, in a `degraded` answer, absent.
    `policy` is the missing policy of the request, else that of the set; features with one of their
    own say so in their definition.
    `feature_set` and `version` are None where features were asked for by name.
    """

    tenant_id: str
    asset_id: str
    timestamp: datetime
    feature_set: str | None
    version: int | None
    fingerprint: str
    policy: Missing
    features: dict[str, Any]
    missing: tuple[str, ...]
    degraded: bool
    cache_hit: bool
    computed_at: datetime

    @property
    def feature_count(self) -> int:
        """How many features there are: fewer than asked for when degraded."""
        return len(self.features)


class _Vector(msgspec.Struct):
    features: dict[str, Any]
    missing: tuple[str, ...]
    degraded: bool
    computed_at: datetime


_decode = msgspec.json.Decoder(_Vector).decode


def answers_of(
    spec: Spec, tenant_id: str, asset_ids: Sequence[str], at: int, found: Sequence[Found]
) -> list[Answer]:
    """The answers that kept or computed vectors give, one for each asset."""
    chosen = spec.feature_set
    timestamp = to_datetime(at)
    answers = []
    for asset_id, (value, hit) in zip(asset_ids, found, strict=True):
        vector = _decode(value)
        answers.append(
            Answer(
                tenant_id,
                asset_id,
                timestamp,
                chosen.name,
                chosen.version,
                chosen.fingerprint,
                spec.policy,
                vector.features,
                vector.missing,
                vector.degraded,
                hit,
                vector.computed_at,
            )
        )
    return answers
