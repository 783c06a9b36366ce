"""The table of late rows: which series were written behind the refreshed hours, and when."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ai_hub.stores.postgres.pieces import Span
from ai_hub.stores.postgres.session import Connection

# As if all rows of a time had been written late.
_ALL_LATE = """
INSERT INTO ai_hub_late AS l (tenant_id, asset_id, feature_type, first, last)
SELECT tenant_id, asset_id, feature_type, $1::timestamptz, $2::timestamptz FROM (
  SELECT tenant_id, asset_id, feature_type FROM ai_features
  WHERE timestamp >= $1 AND timestamp <= $2
  UNION
  SELECT tenant_id, asset_id, feature_type FROM {hourly}
  WHERE bucket > $1::timestamptz - INTERVAL '1 hour' AND bucket <= $2
  UNION
  SELECT tenant_id, asset_id, feature_type FROM {daily}
  WHERE bucket > $1::timestamptz - INTERVAL '24 hours' AND bucket <= $2
) AS s
ORDER BY tenant_id, asset_id, feature_type
ON CONFLICT (tenant_id, asset_id, feature_type) DO UPDATE
  SET first = least(l.first, excluded.first), last = greatest(l.last, excluded.last),
    stamp = excluded.stamp
"""
_LATE = """
SELECT tenant_id, asset_id, feature_type, first, last, stamp FROM ai_hub_late
ORDER BY tenant_id, asset_id, feature_type
"""
_SETTLED = """
WITH noted AS (
  SELECT * FROM unnest($1::text[], $2::text[], $3::text[], $4::bigint[])
    AS n(tenant_id, asset_id, feature_type, stamp)
), gone AS (
  DELETE FROM ai_hub_late AS l USING noted AS n
  WHERE l.tenant_id = n.tenant_id AND l.asset_id = n.asset_id
    AND l.feature_type = n.feature_type AND l.stamp = n.stamp AND l.first >= $5
)
UPDATE ai_hub_late AS l SET last = $5::timestamptz - INTERVAL '1 microsecond'
FROM noted AS n
WHERE l.tenant_id = n.tenant_id AND l.asset_id = n.asset_id
  AND l.feature_type = n.feature_type AND l.stamp = n.stamp AND l.first < $5 AND l.last >= $5
"""


@dataclass(frozen=True, slots=True)
class Late:
    """The first and last time at which a series was written late, and the stamp of that."""

    tenant_id: str
    asset_id: str
    feature_type: str
    first: int
    last: int
    stamp: int


async def noted(on: Connection) -> list[Late]:
    """All of them, in the order of their series."""
    return [Late(*row) for row in await on.fetch(_LATE)]


async def note_all(on: Connection, stored: Sequence[str], span: Span) -> None:
    """Take all series of a time for late; `stored` are the tables of the aggregates."""
    hourly, daily = stored
    await on.execute(_ALL_LATE.format(hourly=hourly, daily=daily), span[0], span[1] - 1)


async def settle(on: Connection, late: Sequence[Late], cut: int) -> None:
    """Note that what was late from `cut` on is refreshed, of series that were not written since."""
    names = ("tenant_id", "asset_id", "feature_type", "stamp")
    columns = ([getattr(one, name) for one in late] for name in names)
    await on.execute(_SETTLED, *columns, cut)
