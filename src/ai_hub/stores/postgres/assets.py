"""The assets of a tenant on PostgreSQL, page by page, by stepping through the keys."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ai_hub.definitions.values import FIRST_INSTANT
from ai_hub.stores.asset_facts import CADENCE_READINGS, AssetFacts, Freshness, SeriesFacts
from ai_hub.stores.attributes import Value
from ai_hub.stores.postgres.seen import HAS_SINCE
from ai_hub.stores.postgres.session import Connection, Sessions

_NEXT_TENANT = """least(
    (SELECT s.tenant_id FROM ai_hub_series s WHERE s.tenant_id > {0} ORDER BY s.tenant_id LIMIT 1),
    (SELECT a.tenant_id FROM asset_attributes a WHERE a.tenant_id > {0}
     ORDER BY a.tenant_id LIMIT 1))"""
_TENANTS = f"""
WITH RECURSIVE tenant AS (
    SELECT {_NEXT_TENANT.format("''::text")} AS tenant_id
    UNION ALL
    SELECT {_NEXT_TENANT.format("tenant.tenant_id")} FROM tenant WHERE tenant.tenant_id IS NOT NULL
)
SELECT tenant_id FROM tenant WHERE tenant_id IS NOT NULL LIMIT $1
"""
_NEXT = """least(
    (SELECT s.asset_id FROM ai_hub_series s WHERE s.tenant_id = $1 AND s.asset_id > {0}
     ORDER BY s.asset_id LIMIT 1),
    (SELECT a.asset_id FROM asset_attributes a WHERE a.tenant_id = $1 AND a.asset_id > {0}
     ORDER BY a.asset_id LIMIT 1))"""
# One row a step: no more steps are taken than rows are asked for. A series that lost its last rows
# may be gone.
_STEPS = f"""
WITH RECURSIVE asset AS (
    SELECT {_NEXT.format("$2::text")} AS asset_id
    UNION ALL
    SELECT {_NEXT.format("asset.asset_id")} FROM asset WHERE asset.asset_id IS NOT NULL
)
"""
# A text in an id leads nowhere in an index: all ids of the tenant are looked at, and nothing else.
_SEARCH = """
WITH asset AS (
    SELECT asset_id FROM ai_hub_series s
    WHERE s.tenant_id = $1 AND s.asset_id > $2 AND strpos(s.asset_id, $6) > 0
    UNION
    SELECT asset_id FROM asset_attributes a
    WHERE a.tenant_id = $1 AND a.asset_id > $2 AND strpos(a.asset_id, $6) > 0
    ORDER BY asset_id
)
"""
_PAGE = f"""
SELECT asset_id FROM asset
WHERE asset_id IS NOT NULL AND (
    $3::timestamptz IS NULL AND EXISTS (
        SELECT FROM asset_attributes a WHERE a.tenant_id = $1 AND a.asset_id = asset.asset_id)
    OR EXISTS (
        SELECT FROM ai_hub_series s
        WHERE s.tenant_id = $1 AND s.asset_id = asset.asset_id AND {HAS_SINCE % (5, 5, 5)}))
LIMIT $4
"""
# Of the days that each series has: no reading is looked at.
_NEWEST = """
WITH newest AS (
    SELECT asset_id, max(last_day) AS day FROM ai_hub_series WHERE tenant_id = $1 GROUP BY asset_id
)
"""
_NEWER = f"""
{_NEWEST}
SELECT (SELECT count(*) FROM newest), ARRAY(
    SELECT (SELECT count(*) FROM newest WHERE day >= s.at)
    FROM unnest($2::timestamptz[]) WITH ORDINALITY AS s(at, place) ORDER BY place)
"""
_STALEST = f"{_NEWEST} SELECT asset_id FROM newest ORDER BY day, asset_id LIMIT $2"
_MINE = """f.tenant_id = $1 AND f.asset_id = s.asset_id AND f.feature_type = s.feature_type
    AND f.timestamp >= s.first_day AND f.timestamp < s.last_day + INTERVAL '1 day'"""
SERIES = f"""
SELECT s.asset_id, s.feature_type, first.timestamp, newest.times, newest.read
FROM ai_hub_series s
CROSS JOIN LATERAL (SELECT f.timestamp FROM ai_features f
    WHERE {_MINE} ORDER BY f.timestamp LIMIT 1) AS first
CROSS JOIN LATERAL (
    SELECT array_agg((extract(epoch FROM timestamp) * 1000000)::bigint ORDER BY timestamp) AS times,
        array_agg(value ORDER BY timestamp) AS read
    FROM (SELECT f.timestamp, f.value FROM ai_features f
        WHERE {_MINE}
        ORDER BY f.timestamp DESC LIMIT {CADENCE_READINGS}) AS readings
) AS newest
WHERE s.tenant_id = $1 AND s.asset_id = ANY($2::text[])
ORDER BY s.asset_id, s.feature_type
"""
_STATIONS = """
SELECT DISTINCT ON (asset_id) asset_id, source_id FROM asset_weather_source
WHERE tenant_id = $1 AND asset_id = ANY($2::text[]) AND valid_from <= $3
ORDER BY asset_id, valid_from DESC
"""
_ATTRIBUTES = """
SELECT DISTINCT ON (asset_id, key) asset_id, key, number, text FROM asset_attributes
WHERE tenant_id = $1 AND asset_id = ANY($2::text[]) AND valid_from <= $3
ORDER BY asset_id, key, valid_from DESC
"""


async def tenants(sessions: Sessions, limit: int) -> list[str]:
    """The tenants that have an asset, sorted. Raises StoreError."""
    return [tenant_id for (tenant_id,) in await sessions.fetch(_TENANTS, [limit])]


async def freshness(
    sessions: Sessions, tenant_id: str, since: Sequence[int], limit: int
) -> Freshness:
    """How new the data of a tenant is; see `Store.freshness`."""

    async def read(on: Connection) -> Freshness:
        ((assets, newer),) = await on.fetch(_NEWER, tenant_id, list(since))
        stalest = await on.fetch(_STALEST, tenant_id, limit)
        return Freshness(assets, tuple(newer), tuple(asset_id for (asset_id,) in stalest))

    return await sessions.in_snapshot(read, [])


async def describe_assets(
    sessions: Sessions,
    tenant_id: str,
    since: int | None,
    after: str,
    limit: int,
    at: int,
    containing: str,
    asset_ids: Sequence[str] | None,
) -> list[AssetFacts]:
    """A page of assets; see `Store.describe_assets`."""

    async def read(on: Connection) -> list[AssetFacts]:
        oldest = FIRST_INSTANT if since is None else since
        asked = [tenant_id, after, since, limit, oldest]
        if asset_ids is not None:
            page = [(asset_id,) for asset_id in asset_ids]
        elif containing:
            page = await on.fetch(_SEARCH + _PAGE, *asked, containing)
        else:
            page = await on.fetch(_STEPS + _PAGE, *asked)
        ids = [asset_id for (asset_id,) in page]
        series: dict[str, list[SeriesFacts]] = {asset_id: [] for asset_id in ids}
        for asset_id, *facts in await on.fetch(SERIES, tenant_id, ids):
            series[asset_id].append(series_facts(*facts))
        stations = dict(await on.fetch(_STATIONS, tenant_id, ids, at))
        attributes: dict[str, dict[str, Value]] = {asset_id: {} for asset_id in ids}
        for asset_id, key, number, text in await on.fetch(_ATTRIBUTES, tenant_id, ids, at):
            value = text if number is None else number
            if value is not None:
                attributes[asset_id][key] = value
        return [
            AssetFacts(one, tuple(series[one]), _other(stations.get(one), one), attributes[one])
            for one in ids
        ]

    return await sessions.in_snapshot(read, ["ai_features"])


def series_facts(name: str, first: int, times: list[int], values: list[float]) -> SeriesFacts:
    """A row of SERIES but for its asset."""
    return SeriesFacts.of(name, first, np.asarray(times, np.int64), np.asarray(values))


def _other(source_id: str | None, asset_id: str) -> str | None:
    """A station; an asset's own name is none."""
    return None if source_id == asset_id else source_id
