"""What is said of changes and of removal, as JSON Schema."""

from __future__ import annotations

from ai_hub.definitions.values import MAX_ASSETS, MAX_SERIES_LENGTH
from ai_hub.http.schemas import (
    COUNT,
    FLAG,
    ID,
    TEXT,
    TIME,
    Schema,
    fields,
    listed,
    nullable,
    table,
)

_STEPS = listed(
    fields(
        {"action": TEXT, "kind": TEXT, "tenant_id": nullable(ID), "start_time": TIME,
         "end_time": TIME, "rows": COUNT, "bytes": COUNT}
    ), 0,
)  # fmt: skip

CHANGES: Schema = {
    "Audit": fields(
        {"records": listed({"$ref": "#/components/schemas/AuditRecord"}, 0),
         "next": nullable(COUNT)}
    ),
    "AuditRecord": fields(
        {"id": COUNT, "done_at": TIME, "who": TEXT, "who_id": TEXT, "what": TEXT,
         "tenant_id": nullable(ID), "count": COUNT, "details": table({})}
    ),
    "DeleteRequest": {
        **fields(
            {"tenant_id": ID},
            {
                "asset_ids": nullable(listed(ID, 1, MAX_ASSETS)),
                "series": nullable(ID | {"maxLength": MAX_SERIES_LENGTH}),
                "start_time": nullable(TIME), "end_time": nullable(TIME), "weather": FLAG,
                "dry_run": FLAG,
            },
            closed=True,
        ),
        # A series goes alone.
        "not": {
            "required": ["series", "weather"],
            "properties": {"series": TEXT, "weather": {"const": True}},
        },
    },
    "ArchiveRequest": {
        **fields(
            {
                "before": TIME | {"description": "Not in the future; with `drop` 30 days ago"},
                "to": {
                    "type": "string", "minLength": 1, "maxLength": 1_000,
                    "description": "A folder in that of exports, or a URL that the server allows",
                },
            },
            {"tenant_id": nullable(ID), "drop": FLAG},
            closed=True,
        ),
        # Days are dropped for all tenants at once.
        "not": {
            "required": ["tenant_id", "drop"],
            "properties": {"tenant_id": TEXT, "drop": {"const": True}},
        },
    },
    "UnarchiveRequest": fields(
        {},
        {"lost": nullable(
            ID | {"description": "Why files cannot be read: what is in them alone is given up"})},
        closed=True,
    ),
    "Archived": fields({"before": TIME, "to": TEXT, "steps": _STEPS}),
    "Unarchived": fields({"steps": _STEPS}),
    "Archives": fields(
        {"dropped_before": table(TIME),
         "layers": listed(
             fields({"layer_id": TEXT, "number": {"type": "integer"}, "kind": TEXT,
                     "tenant_id": ID, "start_time": TIME, "end_time": TIME, "state": TEXT,
                     "rows": COUNT, "bytes": COUNT, "files": COUNT, "url": TEXT,
                     "created_at": TIME}), 0)}
    ),
    "Removed": fields(
        {"tenant_id": ID, "dry_run": FLAG, "removed": table(COUNT),
         "series": listed(
             fields({"asset_id": ID, "series": nullable(TEXT), "rows": COUNT,
                     "first": nullable(TIME), "last": nullable(TIME)}), 0),
         "series_count": COUNT, "exports": COUNT}
    ),
}  # fmt: skip
