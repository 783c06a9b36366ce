"""Keeps ai_hub_series true where rows went without a trigger, or took the last of a series."""

from __future__ import annotations

import asyncpg

from ai_hub.stores.postgres.session import Connection

_MOST = 1_000
"""Series of which the rows are asked in one run: writers wait meanwhile."""
_WAIT = "5s"

_OLDEST_CHUNK = """
SELECT min(range_start) FROM timescaledb_information.chunks
WHERE hypertable_schema = current_schema() AND hypertable_name = 'ai_features'
"""
# Of series whose last rows were in a chunk that was dropped.
_DROPPED = "UPDATE ai_hub_series SET shrunk = true WHERE NOT shrunk AND last_day < $1"
_FIRST = "UPDATE ai_hub_series SET first_day = $1 WHERE first_day < $1 AND last_day >= $1"
_IN_SPAN = """
INSERT INTO ai_hub_series AS s (tenant_id, asset_id, feature_type, first_day, last_day)
SELECT tenant_id, asset_id, feature_type,
  date_bin(INTERVAL '1 day', min(timestamp), TIMESTAMPTZ '2000-01-03 00:00+00'),
  date_bin(INTERVAL '1 day', max(timestamp), TIMESTAMPTZ '2000-01-03 00:00+00')
FROM ai_features WHERE timestamp >= $1 AND timestamp < $2
GROUP BY tenant_id, asset_id, feature_type
ORDER BY tenant_id, asset_id, feature_type
ON CONFLICT (tenant_id, asset_id, feature_type) DO UPDATE
SET first_day = least(s.first_day, excluded.first_day),
  last_day = greatest(s.last_day, excluded.last_day)
"""
_LAST_IN_SPAN = """
UPDATE ai_hub_series SET shrunk = true WHERE NOT shrunk AND last_day >= $1 AND last_day < $2
"""
_SHRUNK = """
WITH asked AS (
  SELECT tenant_id, asset_id, feature_type FROM ai_hub_series WHERE shrunk LIMIT $1
), found AS (
  SELECT a.*, (
    SELECT date_bin(INTERVAL '1 day', f.timestamp, TIMESTAMPTZ '2000-01-03 00:00+00')
    FROM ai_features AS f
    WHERE f.tenant_id = a.tenant_id AND f.asset_id = a.asset_id
      AND f.feature_type = a.feature_type
    ORDER BY f.timestamp DESC LIMIT 1) AS last_day
  FROM asked AS a
), gone AS (
  DELETE FROM ai_hub_series AS s USING found AS f
  WHERE f.last_day IS NULL AND s.tenant_id = f.tenant_id AND s.asset_id = f.asset_id
    AND s.feature_type = f.feature_type
)
UPDATE ai_hub_series AS s
SET last_day = f.last_day, first_day = least(s.first_day, f.last_day), shrunk = false
FROM found AS f
WHERE s.tenant_id = f.tenant_id AND s.asset_id = f.asset_id AND s.feature_type = f.feature_type
  AND f.last_day IS NOT NULL
"""


async def tidy(on: Connection, has_chunks: bool, span: tuple[int, int] | None) -> None:
    """Ask the rows of series that lost some; in `span`, whose rows nobody noted, of all series."""
    if span is not None:
        await on.execute(_IN_SPAN, *span)
        await on.execute(_LAST_IN_SPAN, *span)
    oldest = await on.fetchval(_OLDEST_CHUNK) if has_chunks else None
    if oldest is not None:
        await on.execute(_DROPPED, oldest)
        await on.execute(_FIRST, oldest)
    if not await on.fetchval("SELECT EXISTS (SELECT FROM ai_hub_series WHERE shrunk)"):
        return
    try:
        async with on.transaction():
            await on.execute(f"SET LOCAL lock_timeout = '{_WAIT}'")
            # Who adds a row now would not note it in a row that goes.
            await on.execute("LOCK TABLE ai_features IN SHARE MODE")
            await on.execute(_SHRUNK, _MOST)
    except (asyncpg.LockNotAvailableError, asyncpg.DeadlockDetectedError):
        return  # Somebody writes: they are asked next time, and by who reads until then.
