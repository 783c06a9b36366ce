"""Which assets a tenant has data of, from the days that ai_hub_series has of each series."""

from __future__ import annotations

from ai_hub.stores.postgres.session import Sessions

HAS_SINCE = """
    s.last_day > $%d::timestamptz - INTERVAL '1 day'
    AND (s.last_day >= $%d AND NOT s.shrunk OR (
        SELECT true FROM ai_features f
        WHERE f.tenant_id = s.tenant_id AND f.asset_id = s.asset_id
          AND f.feature_type = s.feature_type AND f.timestamp >= $%d
        LIMIT 1))
"""
"""Whether a series `s` has a row at or after a parameter: its rows are looked at only where the
days do not say it."""
_SEEN = f"""
SELECT DISTINCT s.asset_id FROM ai_hub_series s
WHERE s.tenant_id = $1 AND {HAS_SINCE % (2, 2, 2)}
ORDER BY s.asset_id
"""


async def assets_seen(sessions: Sessions, tenant_id: str, since: int) -> list[str]:
    """The assets with a usable observation at or after `since`, sorted. Raises StoreError."""
    return [asset_id for (asset_id,) in await sessions.fetch(_SEEN, [tenant_id, since])]
