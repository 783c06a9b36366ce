"""What is said of histories, as JSON Schema."""

from __future__ import annotations

from ai_hub.definitions.registry import Registry
from ai_hub.definitions.values import MAX_ASSETS, MAX_NAMES, MAX_SERIES_LENGTH
from ai_hub.definitions.vocabulary import WEATHER_COLUMNS
from ai_hub.http.schemas import (
    COUNT,
    FLAG,
    ID,
    MODEL,
    POLICY,
    TEXT,
    TIME,
    WIDTH,
    Schema,
    fields,
    listed,
    nullable,
    set_name,
)

_MOST_ROWS = 1_000_000


def history_components(registry: Registry) -> Schema:
    """The named schemas of histories, with the names of a registry's sets and features."""
    names: Schema = {"type": "string", "enum": [*registry.feature_names]}
    columns: Schema = {"type": "string", "enum": [*WEATHER_COLUMNS]}
    asked = fields(
        {
            "tenant_id": ID,
            "asset_ids": listed(ID, 1, MAX_ASSETS),
            "start_time": TIME,
            "end_time": TIME,
        },
        {
            "series": nullable(listed(ID | {"maxLength": MAX_SERIES_LENGTH}, 0, MAX_NAMES)),
            "feature_set": nullable(set_name(registry)),
            "features": nullable(listed(names, 0, MAX_NAMES)),
            "weather": {"anyOf": [FLAG, listed(columns, 0, len(WEATHER_COLUMNS))]},
            "missing": nullable(POLICY),
            "indicators": FLAG,
            "frequency": nullable(WIDTH),
            "limit": {"type": "integer", "minimum": 1, "maximum": _MOST_ROWS},
            "model": nullable(MODEL),
        },
        closed=True,
    )
    columns_of = listed(TEXT, 0)
    row = fields({"timestamp": TIME, "asset_id": ID})
    # A series, a feature or weather, and where a feature was missing.
    row["additionalProperties"] = {"type": ["number", "boolean", "null"]}
    return {
        "HistoryRequest": {**asked, "not": {"required": ["feature_set", "model"]}},
        "History": fields(
            {
                "tenant_id": ID,
                "start_time": TIME,
                "end_time": TIME,
                "feature_set": nullable(TEXT),
                "version": nullable(COUNT),
                "series": columns_of,
                "features": columns_of,
                "weather": columns_of,
                "rows": listed(row, 0),
            }
        ),
    }
