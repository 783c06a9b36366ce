"""What a chart takes and looks like, as JSON Schema."""

from __future__ import annotations

from ai_hub.definitions.registry import Registry
from ai_hub.definitions.vocabulary import WEATHER_COLUMNS
from ai_hub.export.chart import MOST_POINTS
from ai_hub.http.schemas import (
    COUNT,
    ID,
    NUMBER,
    TEXT,
    TIME,
    Schema,
    fields,
    listed,
    nullable,
    set_name,
)

_LINE = {"time": listed(NUMBER, 0), "value": listed(nullable(NUMBER), 0)}
_MAYBE = listed(nullable(NUMBER), 0)
_COLUMN: Schema = {"type": "string", "enum": list(WEATHER_COLUMNS)}
_FLAGS = listed({"type": "integer", "minimum": 0, "maximum": 1}, 0)
_PART = {
    "start": TIME, "end": TIME, "readings": COUNT,
    **dict.fromkeys(("low", "mean", "high"), nullable(NUMBER)),
}  # fmt: skip


def chart_components(registry: Registry) -> Schema:
    """The schemas of the route of charts."""
    asked = {
        "tenant_id": ID, "asset_id": ID, "feature_set": set_name(registry), "start_time": TIME,
        "end_time": TIME,
    }  # fmt: skip
    points = {"type": "integer", "minimum": 1, "maximum": MOST_POINTS, "default": 800}
    return {
        "ChartRequest": fields(
            asked,
            {"feature": nullable(TEXT), "weather": nullable(_COLUMN), "points": points},
            closed=True,
        ),
        "Chart": fields(
            {
                "tenant_id": ID,
                "asset_id": ID,
                "feature_set": nullable(TEXT),
                "version": nullable(COUNT),
                "series": TEXT,
                "start_time": TIME,
                "end_time": TIME,
                "count": COUNT,
                "cadence_seconds": nullable(NUMBER),
                "readings": fields(_LINE),
                "gap_count": COUNT,
                "gaps": listed(listed(NUMBER, 2, 2), 0),
                "parts": listed(fields(_PART), 0),
                "feature": nullable(fields({"name": TEXT, **_LINE, "missing": _FLAGS})),
                "weather": nullable(
                    fields({"column": _COLUMN, **_LINE, "about": _MAYBE, "issued": _MAYBE})
                ),
            }
        ),
    }
