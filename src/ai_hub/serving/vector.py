"""Vectors as they are kept and computed, which are JSON, and the answers that they are."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

import msgspec

from ai_hub.definitions.values import to_datetime
from ai_hub.serving.answer import Answer

if TYPE_CHECKING:
    from ai_hub.serving.reader import Found
    from ai_hub.serving.spec import Spec


class _Vector(msgspec.Struct):
    features: dict[str, Any]
    missing: tuple[str, ...]
    degraded: bool
    computed_at: datetime
    violations: tuple[str, ...] = ()
    error: str | None = None
    reason: str | None = None


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
                vector.violations,
                vector.error,
                vector.reason,
            )
        )
    return answers
