"""Which assets a tenant has data of, found by stepping through the key, not through the rows."""

from __future__ import annotations

from ai_hub.definitions.values import FIRST_INSTANT
from ai_hub.stores.postgres.session import Sessions

# From each (asset, series) straight to the next; then one look whether it has a late enough row.
# `floor` is before every row of the chunks that may have one: it excludes the other chunks, and no
# row of these.
_SEEN = """
WITH RECURSIVE pair AS (
    (SELECT asset_id, feature_type FROM ai_features
     WHERE tenant_id = $1 AND timestamp >= $3
     ORDER BY asset_id, feature_type LIMIT 1)
    UNION ALL
    SELECT following.asset_id, following.feature_type
    FROM pair CROSS JOIN LATERAL (
        SELECT f.asset_id, f.feature_type FROM ai_features f
        WHERE f.tenant_id = $1 AND f.timestamp >= $3
          AND (f.asset_id, f.feature_type) > (pair.asset_id, pair.feature_type)
        ORDER BY f.asset_id, f.feature_type LIMIT 1
    ) AS following
)
SELECT DISTINCT asset_id FROM pair
WHERE EXISTS (
    SELECT FROM ai_features f
    WHERE f.tenant_id = $1 AND f.asset_id = pair.asset_id AND f.feature_type = pair.feature_type
      AND f.timestamp >= $2)
ORDER BY asset_id
"""
_FLOOR = """
SELECT min(range_start) FROM timescaledb_information.chunks
WHERE hypertable_name = 'ai_features' AND range_end > $1
"""


async def assets_seen(sessions: Sessions, tenant_id: str, since: int) -> list[str]:
    """The assets with a usable observation at or after `since`, sorted. Raises StoreError."""
    floor = FIRST_INSTANT
    if sessions.facts.mode != "plain":
        ((found,),) = await sessions.fetch(_FLOOR, [since])
        if found is None:
            return []
        floor = found
    rows = await sessions.fetch(_SEEN, [tenant_id, since, floor])
    return [asset_id for (asset_id,) in rows]
