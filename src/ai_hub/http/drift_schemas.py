"""What is said of drift, as JSON Schema."""

from __future__ import annotations

from itertools import permutations
from typing import get_args

from ai_hub.definitions.registry import Registry
from ai_hub.drift.drift import EFFECTS, Direction
from ai_hub.http.schemas import (
    COUNT,
    FLAG,
    ID,
    MODEL,
    NUMBER,
    TEXT,
    TIME,
    Schema,
    fields,
    listed,
    nullable,
    set_name,
)

_OF = {"tenant_id": ID, "feature_set": TEXT, "version": COUNT, "fingerprint": TEXT}
_BASELINE = {
    "baseline_id": TEXT, "of_export": FLAG, "start_time": TIME, "end_time": TIME, "made_at": TIME,
    "rows": COUNT,
}  # fmt: skip
_EFFECT = fields({"value": nullable(NUMBER), "threshold": nullable(NUMBER), "alarm": FLAG})
_QUANTILES = listed(NUMBER, 0)
_FEATURE = fields(
    {
        "name": TEXT,
        "rows": COUNT,
        "alarm": FLAG,
        "direction": nullable({"type": "string", "enum": [*get_args(Direction)]}),
        "sentence": TEXT,
        "effects": fields(dict.fromkeys(EFFECTS, _EFFECT)),
        "quantiles": fields({"baseline": _QUANTILES, "now": _QUANTILES}),
    }
)
_ANSWERS: Schema = {
    "Baseline": fields({**_OF, **_BASELINE}),
    "Drift": fields(
        {
            **_OF,
            "start_time": TIME,
            "end_time": TIME,
            "source": {"type": "string", "enum": ["served", "history"]},
            "rows": COUNT,
            "baseline": fields(_BASELINE),
            "alarm": FLAG,
            "weeks": COUNT,
            "enough": FLAG,
            "seasonal": FLAG,
            "reference": TEXT,
            "features": listed(_FEATURE, 0),
        }
    ),
}


def drift_components(registry: Registry) -> Schema:
    """The named schemas of drift, with the names of a registry's sets."""
    times = {"start_time": nullable(TIME), "end_time": nullable(TIME)}
    over = {
        "tenant_id": nullable(ID),
        "feature_set": nullable(set_name(registry)),
        **times,
        "model": nullable(MODEL),
    }
    seen = {"source": {"enum": ["served", "history", None]}, "baseline_id": nullable(ID)}
    one_of = [
        {"required": [one], "properties": {one: TEXT, other: {"type": "null"}}}
        for one, other in permutations(("feature_set", "model"))
    ]
    return _ANSWERS | {
        "BaselineRequest": {**fields({}, over, closed=True), "oneOf": one_of},
        "DriftRequest": {**fields({}, over | seen, closed=True), "oneOf": one_of},
    }
