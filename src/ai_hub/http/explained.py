"""What an explanation looks like, as JSON Schema."""

from __future__ import annotations

from typing import get_args

from ai_hub.definitions.vocabulary import CLOSED
from ai_hub.explanation.why import Cause
from ai_hub.http.schemas import (
    COUNT,
    FLAG,
    ID,
    NUMBER,
    TEXT,
    TIME,
    Schema,
    fields,
    listed,
    nullable,
    table,
)
from ai_hub.stores.evidence import SHOWN_ROWS

_POLICY: Schema = {"type": ["string", "number"]}
_WINDOW = fields({"start": TIME, "end": TIME, "closed": {"type": "string", "enum": [*CLOSED]}})
_ROW = fields(
    {"timestamp": TIME, "value": {"type": ["number", "string"]}},
    {"quality": {"type": "integer"}, "issued_at": TIME},
)
_ROWS = fields(
    {
        "count": COUNT,
        "first": nullable(TIME),
        "last": nullable(TIME),
        "newest": listed(_ROW, 0, SHOWN_ROWS),
    }
)
_FILLED = fields(
    {"policy": _POLICY}, {"number": NUMBER, "mean_of": TEXT, "window": _WINDOW, "rows": _ROWS}
)
EXPLAINED: Schema = {
    "Explanation": fields(
        {
            "tenant_id": ID,
            "asset_id": ID,
            "timestamp": TIME,
            "feature_set": nullable(TEXT),
            "version": nullable(COUNT),
            "fingerprint": TEXT,
            "policy": _POLICY,
            "features": listed({"$ref": "#/components/schemas/ExplainedFeature"}, 1),
            "missing": listed(TEXT, 0),
            "violations": listed(TEXT, 0),
            "degraded": FLAG,
            "computed_at": TIME,
        },
        {"error": TEXT, "reason": TEXT},
    ),
    "ExplainedFeature": fields(
        {
            "name": TEXT,
            "value": nullable(NUMBER),
            "missing": FLAG,
            "cause": nullable({"type": "string", "enum": [*get_args(Cause)]}),
            "why": nullable(TEXT),
            "command": nullable(TEXT),
            "window": nullable(_WINDOW),
            "rows": nullable(_ROWS),
            "coverage": nullable(NUMBER),
            "source": table({}),
            "violation": FLAG,
            "filled": nullable(_FILLED),
            "inputs": nullable(table(nullable(NUMBER))),
            "definition": table({}),
        }
    ),
}
"""The schemas of an answer that explains."""
