"""Which weather source an asset reads since when, as it is written to PostgreSQL."""

from __future__ import annotations

from collections.abc import Sequence

from ai_hub.definitions.values import FIRST_INSTANT, Entity
from ai_hub.stores.audit_log import AuditRecord, counting
from ai_hub.stores.postgres.audit_log import write_audit
from ai_hub.stores.postgres.session import Connection
from ai_hub.stores.postgres.write import Before

_AT_ONCE = 1_000
# What an asset's first mapping is depends on those before it: one change at a time.
_ALONE = "LOCK TABLE asset_weather_source IN SHARE ROW EXCLUSIVE MODE"
_ASSIGN = """
INSERT INTO asset_weather_source AS m (tenant_id, asset_id, valid_from, source_id)
SELECT $1, a.id, a.since, $2
FROM (
    SELECT id, coalesce($4::timestamptz, CASE WHEN EXISTS (
        SELECT FROM asset_weather_source o WHERE o.tenant_id = $1 AND o.asset_id = id
    ) THEN $5::timestamptz ELSE $6::timestamptz END) AS since
    FROM unnest($3::text[]) AS given(id)
) AS a
WHERE $4 IS NOT NULL OR coalesce($2, a.id) <> coalesce((
    SELECT o.source_id FROM asset_weather_source o
    WHERE o.tenant_id = $1 AND o.asset_id = a.id AND o.valid_from <= a.since
    ORDER BY o.valid_from DESC LIMIT 1), a.id)
ON CONFLICT (tenant_id, asset_id, valid_from) DO UPDATE SET source_id = excluded.source_id
WHERE m.source_id IS DISTINCT FROM excluded.source_id
RETURNING m.asset_id
"""


async def assign_sources(
    connection: Connection,
    tenant_id: str,
    source_id: str | None,
    asset_ids: Sequence[str],
    valid_from: int | None,
    changed_at: int,
    before: Before,
    audit: Sequence[AuditRecord] = (),
) -> frozenset[Entity]:
    """Store a mapping of some assets; the entities with a mapping that was not there before."""
    ids = sorted(set(asset_ids))
    entities: set[Entity] = set()
    async with connection.transaction():
        await connection.execute(_ALONE)
        for first in range(0, len(ids), _AT_ONCE):
            some = ids[first : first + _AT_ONCE]
            rows = await connection.fetch(
                _ASSIGN, tenant_id, source_id, some, valid_from, changed_at, FIRST_INSTANT
            )
            entities.update(Entity(tenant_id, asset_id) for (asset_id,) in rows)
        await write_audit(connection, counting(audit, len(entities)))
        await before(entities)
    return frozenset(entities)
