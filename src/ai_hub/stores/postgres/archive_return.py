"""Puts archived rows back into a PostgreSQL database."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

from ai_hub.archive.layer import Kind
from ai_hub.archive.rows import SCHEMAS, plain
from ai_hub.stores.audit_log import AuditRecord
from ai_hub.stores.postgres.audit_log import write_audit
from ai_hub.stores.postgres.session import Connection
from ai_hub.stores.postgres.write import copy_observations, copy_weather

if TYPE_CHECKING:
    import pyarrow as pa

END = """
DELETE FROM ai_hub_archive_layers; DELETE FROM ai_hub_archive; DELETE FROM ai_hub_archive_gone
"""
_WEATHER = ", ".join(SCHEMAS["weather"].names)
# Who says meanwhile that there is no such row either sees ours, or we see what was said.
_LOCK: Mapping[Kind, str] = {
    "observations": "LOCK TABLE ai_features IN SHARE ROW EXCLUSIVE MODE",
    "weather": "LOCK TABLE weather_features IN SHARE ROW EXCLUSIVE MODE",
}
_BACK: Mapping[Kind, str] = {
    "observations": """
INSERT INTO ai_features (timestamp, tenant_id, asset_id, feature_type, value)
SELECT timestamp, tenant_id, asset_id, feature_type, value FROM ai_hub_observations_in i
WHERE quality >= 1 AND NOT EXISTS (
  SELECT FROM ai_hub_archive_gone g
  WHERE g.tenant_id = i.tenant_id AND g.asset_id = i.asset_id
    AND g.feature_type = i.feature_type AND g.timestamp = i.timestamp)
ON CONFLICT DO NOTHING
""",
    "weather": f"""
INSERT INTO weather_features (tenant_id, {_WEATHER})
SELECT tenant_id, {_WEATHER} FROM ai_hub_weather_in
ON CONFLICT DO NOTHING
""",
}


async def bring_back(
    on: Connection, kind: Kind, tenant_id: str, rows: pa.Table, audit: AuditRecord
) -> int:
    """Put rows where they were, unless the database says anything of them; how many."""
    if not len(rows):
        return 0
    async with on.transaction():
        await copy_rows(on, kind, tenant_id, rows)
        await on.execute(_LOCK[kind])
        done = await on.execute(_BACK[kind])
        count = int(done.split()[-1])
        await write_audit(on, [replace(audit, count=count)] if count else [])
    return count


async def copy_rows(on: Connection, kind: Kind, tenant_id: str, rows: pa.Table) -> None:
    """Send rows into the temporary table of what comes in."""
    import pyarrow as pa

    texts = plain(rows)
    texts = texts.append_column("tenant_id", pa.array([tenant_id] * len(texts), pa.string()))
    copy = copy_observations if kind == "observations" else copy_weather
    await copy(on, texts)
