"""Which assets a tenant has data of, from the days that ai_hub_series has of each series, and how
many rows there may be."""

from __future__ import annotations

from ai_hub.stores.base import ScanRequest
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
_DAYS = """
SELECT s.asset_id, bool_or(s.last_day >= $2 AND NOT s.shrunk) FROM ai_hub_series s
WHERE s.tenant_id = $1 AND s.last_day > $2::timestamptz - INTERVAL '1 day'
GROUP BY s.asset_id
ORDER BY s.asset_id
LIMIT $3
"""
_SEEN = f"""
SELECT DISTINCT s.asset_id FROM ai_hub_series s
WHERE s.tenant_id = $1 AND {HAS_SINCE % (2, 2, 2)}
ORDER BY s.asset_id
LIMIT $3
"""

# A row takes 60 bytes at least; of those in the columnstore it is known how many they are.
_SIZE = {
    "plain": "SELECT pg_relation_size('ai_features') / 60",
    "timescaledb": """
SELECT hypertable_approximate_size('ai_features') / 60 + (
    SELECT coalesce(sum(numrows_pre_compression), 0)::bigint
    FROM _timescaledb_catalog.compression_chunk_size
)""",
}
_COUNT = """
SELECT count(*) FROM (
    SELECT FROM ai_features
    WHERE tenant_id = $1 AND feature_type = $2 AND timestamp BETWEEN $3 AND $4
      AND ($5::text[] IS NULL OR asset_id = ANY($5))
    LIMIT $6
) AS found
"""


async def most_rows(
    sessions: Sessions, request: ScanRequest, series: str, enough: int, exact: bool = False
) -> int:
    """No fewer than the observations of a series in the range; counted, if more than `enough`."""
    if not exact:
        mode = "plain" if sessions.facts.mode == "plain" else "timescaledb"
        ((most,),) = await sessions.fetch(_SIZE[mode], [])
        if most <= enough:
            return int(most)
    ids = None if request.asset_ids is None else list(request.asset_ids)
    arguments = [request.tenant_id, series, request.start, request.end, ids, enough + 1]
    ((counted,),) = await sessions.fetch(_COUNT, arguments)
    return int(counted)


async def assets_seen(
    sessions: Sessions, tenant_id: str, since: int, limit: int | None
) -> list[str]:
    """The assets with a usable observation at or after `since`, sorted. Raises StoreError."""
    arguments = [tenant_id, since, limit]
    found = await sessions.fetch(_DAYS, arguments)
    if not all(sure for _, sure in found):
        # Only now: however little of it is read, thousands of chunks take a while.
        found = await sessions.fetch(_SEEN, arguments)
    return [asset_id for asset_id, *_ in found]
