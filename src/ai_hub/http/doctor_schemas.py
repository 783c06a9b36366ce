"""What the doctor says, as JSON Schema."""

from __future__ import annotations

from typing import get_args

from ai_hub.doctor.line import State
from ai_hub.http.schemas import NUMBER, TEXT, Schema, fields, listed, nullable

_LINE = fields(
    {
        "line": TEXT,
        "state": {"type": "string", "enum": [*get_args(State)]},
        "said": TEXT,
        "figure": nullable(NUMBER),
        "command": nullable(TEXT),
        "tenant_id": nullable(TEXT),
    }
)
DOCTOR: Schema = {"Doctor": fields({"lines": listed(_LINE, 0), "process": TEXT})}
