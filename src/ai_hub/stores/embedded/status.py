"""What an embedded database is like: its size and its data."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ai_hub.config import Settings
from ai_hub.definitions.values import iso
from ai_hub.errors import NoDatabase
from ai_hub.stores.embedded.session import MEMORY, Cursor, connect, translated

_TABLES = ("timeseries_data", "weather_features", "feature_exports")
_SERIES = """
SELECT tenant_id, feature_type, count(DISTINCT asset_id), count(*),
       epoch_us(min(timestamp)), epoch_us(max(timestamp))
FROM ai_features GROUP BY tenant_id, feature_type ORDER BY tenant_id, feature_type LIMIT 1000
"""
_COLUMNS = ("tenant_id", "feature_type", "assets", "rows", "oldest", "newest")


def status(settings: Settings) -> dict[str, Any]:
    """What is known of the file, as the members of a JSON document.

    Raises StoreLocked while another process has it open, NoDatabase if it is not there.
    """
    path = settings.database_path
    if path is None or not path.exists():
        raise NoDatabase.at(settings.database_name)
    root = connect(str(path))
    try:
        with translated():
            return status_of(root, str(path))
    finally:
        root.close()


def status_of(cursor: Cursor, path: str) -> dict[str, Any]:
    """What is known of an open database, as the members of a JSON document."""
    counts = [
        (table, *cursor.execute(f"SELECT count(*) FROM {table}").fetchall()[0]) for table in _TABLES
    ]
    series = cursor.execute(_SERIES).fetchall()
    return {
        "database": path,
        "mode": "embedded",
        "bytes": None if path == MEMORY else Path(path).stat().st_size,
        "relations": [{"relation": table, "rows": rows} for table, rows in counts],
        "series": [
            dict(zip(_COLUMNS, (*row[:4], iso(row[4]), iso(row[5])), strict=True)) for row in series
        ],
    }
