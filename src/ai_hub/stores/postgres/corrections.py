"""Makes the hours and days of single series true where late rows changed them.

TimescaleDB refreshes a time of all series, so that of the columnstore it takes out, deletes and
writes anew whatever is there. Here they are computed, compared with what is stored, and only what
differs is written.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ai_hub.definitions.values import DAY, HOUR
from ai_hub.stores.postgres.late import Late
from ai_hub.stores.postgres.session import Connection

# What the catalog calls direct view is the query of the aggregate as it was declared.
_AGGREGATES = """
SELECT a.user_view_name::text AS name,
  format('%I.%I', a.direct_view_schema, a.direct_view_name) AS declared,
  format('%I.%I', h.schema_name, h.table_name) AS stored
FROM _timescaledb_catalog.continuous_agg AS a
JOIN _timescaledb_catalog.hypertable AS h ON h.id = a.mat_hypertable_id
WHERE a.user_view_schema = current_schema() AND a.user_view_name = ANY($1)
"""
# Averages of the same values in another order may differ in the last digits: that is no change.
_FIND = """
INSERT INTO ai_hub_found
SELECT l.tenant_id, l.asset_id, l.feature_type, d.*
FROM unnest($1::text[], $2::text[], $3::text[], $4::timestamptz[], $5::timestamptz[])
  AS l(tenant_id, asset_id, feature_type, first, past)
CROSS JOIN LATERAL (
  SELECT coalesce(t.bucket, s.bucket), t.{unit}_avg, t.{unit}_min, t.{unit}_max,
    t.{unit}_stddev, t.{unit}_count, s.bucket IS NOT NULL
  FROM (
    SELECT * FROM {declared} AS v
    WHERE v.tenant_id = l.tenant_id AND v.asset_id = l.asset_id
      AND v.feature_type = l.feature_type AND v.bucket >= l.first AND v.bucket < l.past
      AND v.bucket >= $6 AND v.bucket < $7
  ) AS t
  FULL JOIN (
    SELECT * FROM {stored} AS v
    WHERE v.tenant_id = l.tenant_id AND v.asset_id = l.asset_id
      AND v.feature_type = l.feature_type AND v.bucket >= l.first AND v.bucket < l.past
      AND v.bucket >= $6 AND v.bucket < $7
  ) AS s USING (bucket)
  WHERE NOT coalesce(
    t.{unit}_count = s.{unit}_count AND t.{unit}_min = s.{unit}_min AND t.{unit}_max = s.{unit}_max
    AND (t.{unit}_avg IS NULL) = (s.{unit}_avg IS NULL)
    AND (t.{unit}_stddev IS NULL) = (s.{unit}_stddev IS NULL)
    AND greatest(abs(t.{unit}_avg - s.{unit}_avg), abs(t.{unit}_stddev - s.{unit}_stddev), 0)
      <= 1e-12 * greatest(abs(t.{unit}_min), abs(t.{unit}_max)), false)
) AS d
"""
_WRONG = """
SELECT tenant_id, asset_id, feature_type, array_agg(bucket) AS buckets,
  min(bucket) AS first, max(bucket) AS last
FROM ai_hub_found WHERE stored GROUP BY tenant_id, asset_id, feature_type
"""
# One series at a time: the columnstore finds its place by values that the statement names.
_DELETE = """
DELETE FROM {stored} WHERE tenant_id = $1 AND asset_id = $2 AND feature_type = $3
  AND bucket = ANY($4) AND bucket BETWEEN $5 AND $6
"""
_INSERT = """
INSERT INTO {stored} (tenant_id, asset_id, feature_type, bucket,
  {unit}_avg, {unit}_min, {unit}_max, {unit}_stddev, {unit}_count)
SELECT tenant_id, asset_id, feature_type, bucket, average, lowest, highest, deviation, n
FROM ai_hub_found WHERE n IS NOT NULL
"""
_FOUND = """
CREATE TEMPORARY TABLE IF NOT EXISTS ai_hub_found (
  tenant_id TEXT COLLATE "C", asset_id TEXT COLLATE "C", feature_type TEXT COLLATE "C",
  bucket TIMESTAMPTZ, average FLOAT8, lowest FLOAT8, highest FLOAT8, deviation FLOAT8, n BIGINT,
  stored BOOLEAN
) ON COMMIT DELETE ROWS
"""
_NO_LIMIT = "SET timescaledb.max_tuples_decompressed_per_dml_transaction = 0"


@dataclass(frozen=True, slots=True)
class Aggregate:
    """A continuous aggregate: the view that declares it, and the table that keeps it."""

    unit: str
    declared: str
    stored: str

    @property
    def width(self) -> int:
        """Of a bucket, in microseconds."""
        return HOUR if self.unit == "hourly" else DAY

    def worded(self, text: str) -> str:
        """A statement about this one."""
        return text.format(unit=self.unit, declared=self.declared, stored=self.stored)


async def aggregates(on: Connection) -> list[Aggregate]:
    """The hourly and the daily one, in this order."""
    names = [f"{unit}_features" for unit in ("hourly", "daily")]
    found = {row["name"]: row for row in await on.fetch(_AGGREGATES, names)}
    return [
        Aggregate(name.removesuffix("_features"), found[name]["declared"], found[name]["stored"])
        for name in names
    ]


async def correct(
    on: Connection,
    both: Sequence[Aggregate],
    late: Sequence[Late],
    end: int,
    since: Sequence[int],
) -> list[int]:
    """Make what these late rows changed before `end` true; how many hours, and days, were not.

    `since` is from where on there are rows to compute each aggregate of. One transaction, with its
    plans newer than its snapshot: a plan from before would not see what a write moves out of the
    columnstore.
    """
    await on.execute(_FOUND)
    await on.execute(_NO_LIMIT)
    async with on.transaction(isolation="repeatable_read"):
        tables = ", ".join(["ai_features", *(one.stored for one in both)])
        await on.execute(f"LOCK TABLE {tables} IN ACCESS SHARE MODE")
        return [
            await _correct(on, one, late, first, end)
            for one, first in zip(both, since, strict=True)
        ]


async def _correct(
    on: Connection, one: Aggregate, late: Sequence[Late], since: int, end: int
) -> int:
    width = one.width
    firsts = [max(since, row.first // width * width) for row in late]
    pasts = [min(-(-end // width) * width, (row.last // width + 1) * width) for row in late]
    await on.execute("DELETE FROM ai_hub_found")
    found = await on.execute(
        one.worded(_FIND),
        [row.tenant_id for row in late],
        [row.asset_id for row in late],
        [row.feature_type for row in late],
        firsts,
        pasts,
        min(firsts),
        max(pasts),
    )
    wrong = int(found.split()[-1])
    if wrong:
        for row in await on.fetch(_WRONG):
            await on.execute(one.worded(_DELETE), *row)
        await on.execute(one.worded(_INSERT))
    return wrong
