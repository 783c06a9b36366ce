"""What is said of exports, as JSON Schema."""

from __future__ import annotations

from itertools import permutations
from typing import get_args

from ai_hub.definitions.registry import Registry
from ai_hub.definitions.values import MAX_ASSETS, MAX_HORIZONS
from ai_hub.definitions.vocabulary import STATS
from ai_hub.export.job import Compression
from ai_hub.export.layout import MOST_BUCKETS, By
from ai_hub.http.schemas import (
    COUNT,
    FLAG,
    ID,
    MODEL,
    NAME,
    NUMBER,
    POLICY,
    TEXT,
    TIME,
    WIDTH,
    Schema,
    fields,
    listed,
    nullable,
    set_name,
    table,
)
from ai_hub.stores.export_log import ExportStatus

_URL: Schema = {
    "required": ["output_path"],
    "properties": {"output_path": {"type": "string", "pattern": "^(s3|gs|az|file)://"}},
}
_VALUE = fields(
    {"name": NAME, "horizon": WIDTH},
    {"tolerance": {"anyOf": [WIDTH, {"const": "0"}]}},
    closed=True,
)
_STATISTIC = fields(
    {
        "name": NAME,
        "horizon": WIDTH,
        "stat": {"type": "string", "enum": [*STATS]},
        "window": WIDTH,
    },
    {"min_count": {"type": "integer", "minimum": 1}},
    closed=True,
)
_EXPORT = fields(
    {"export_id": TEXT, "tenant_id": ID, "feature_set": TEXT,
     "status": {"enum": [*get_args(ExportStatus)]}, "storage_path": nullable(TEXT),
     "row_count": nullable(COUNT), "file_size_bytes": nullable(COUNT),
     "file_size_mb": nullable(NUMBER), "started_at": TIME, "completed_at": nullable(TIME),
     "checksum": nullable({"type": "string", "pattern": "^[0-9a-f]{64}$"}),
     "replaced_by": nullable(TEXT), "violations": table(COUNT)},
    # Of one that failed or was cancelled, and of one under way.
    {"error": TEXT, "cancelled_by": TEXT, "progress": fields(
        {"rows": COUNT, "rows_expected": nullable(COUNT),
         "share": nullable({"type": "number", "minimum": 0, "maximum": 1}),
         "rows_per_second": NUMBER, "seconds_left": nullable(NUMBER),
         "heartbeat_at": nullable(TIME)})},
)  # fmt: skip


def export_components(registry: Registry) -> Schema:
    """The named schemas of exports; names of sets are those of the registry."""
    request = fields(
        {"tenant_id": ID, "start_time": TIME, "end_time": TIME},
        {
            "feature_set": nullable(set_name(registry)),
            "asset_ids": nullable(listed(ID, 1, MAX_ASSETS)),
            "output_path": nullable({"type": "string", "minLength": 1, "maxLength": 1_000}),
            "missing": nullable(POLICY),
            "compression": {"type": "string", "enum": [*get_args(Compression)]},
            "horizons": listed({"anyOf": [WIDTH, _VALUE, _STATISTIC]}, 0, MAX_HORIZONS),
            "indicators": FLAG,
            "frequency": nullable(WIDTH),
            "model": nullable(MODEL),
            "parts": FLAG,
            "partition_by": nullable(
                listed({"type": "string", "enum": [*get_args(By)]}, 0, len(get_args(By)))
                | {"uniqueItems": True}
            ),
            "buckets": nullable({"type": "integer", "minimum": 1, "maximum": MOST_BUCKETS}),
            "format": {"type": "string", "enum": ["parquet", "delta"]},
            "wait_seconds": {"type": "number", "minimum": 0, "maximum": 3_600},
        },
        closed=True,
    )
    return {
        "ExportRequest": {
            **request,
            "oneOf": [
                {"required": [one], "properties": {one: TEXT, other: {"type": "null"}}}
                for one, other in permutations(("feature_set", "model"))
            ],
            "allOf": [
                # Folders are of parts, as below every URL.
                {"anyOf": [
                    {"properties": {"partition_by": nullable({"type": "array", "maxItems": 0})}},
                    {"required": ["parts"], "properties": {"parts": {"const": True}}},
                    _URL,
                ]},
                {"anyOf": [
                    {"properties": {"buckets": {"type": "null"}}},
                    {"required": ["partition_by"], "properties": {"partition_by": {
                        "type": "array", "contains": {"const": "asset_bucket"}
                    }}},
                ]},
                # A Delta table has a URL.
                {"anyOf": [{"properties": {"format": {"const": "parquet"}}}, _URL]},
            ],
        },
        "Export": _EXPORT,
        "Exports": fields({"exports": listed({"$ref": "#/components/schemas/Export"}, 0)}),
    }  # fmt: skip
