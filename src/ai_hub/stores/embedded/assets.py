"""The assets of a tenant on the embedded store, page by page."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ai_hub.stores.asset_facts import CADENCE_READINGS, AssetFacts, SeriesFacts
from ai_hub.stores.attributes import value_at
from ai_hub.stores.embedded.attributes import AttributeMap
from ai_hub.stores.embedded.session import Cursor
from ai_hub.stores.embedded.sources import SourceMap
from ai_hub.stores.weather_sources import source_at

_PAGE = """
SELECT asset_id FROM (
    SELECT asset_id, max(timestamp) AS last FROM ai_features
    WHERE tenant_id = $tenant AND asset_id > $after GROUP BY asset_id
    UNION ALL
    SELECT asset_id, NULL FROM asset_attributes WHERE tenant_id = $tenant AND asset_id > $after
)
GROUP BY asset_id
HAVING $since IS NULL OR max(last) >= make_timestamptz($since::BIGINT)
ORDER BY asset_id LIMIT $limit
"""
_SERIES = """
SELECT asset_id, feature_type, epoch_us(min(timestamp)), max(epoch_us(timestamp), $newest)
FROM ai_features
WHERE tenant_id = $tenant AND asset_id IN (SELECT unnest($ids::VARCHAR[]))
GROUP BY asset_id, feature_type ORDER BY asset_id, feature_type
"""


def describe_assets(
    cursor: Cursor,
    sources: SourceMap,
    attributes: AttributeMap,
    tenant_id: str,
    since: int | None,
    after: str,
    limit: int,
    at: int,
) -> list[AssetFacts]:
    """A page of assets; see `Store.describe_assets`."""
    page = {"tenant": tenant_id, "after": after, "since": since, "limit": limit}
    ids = [asset_id for (asset_id,) in cursor.execute(_PAGE, page).fetchall()]
    series = series_of(cursor, tenant_id, ids)
    held = attributes.of_assets(cursor, tenant_id, ids)
    facts = []
    for asset_id in ids:
        source = source_at(asset_id, sources.of(tenant_id, asset_id), at)
        now = {key: value_at(changes, at) for key, changes in held[asset_id].items()}
        facts.append(
            AssetFacts(
                asset_id,
                tuple(series[asset_id]),
                None if source == asset_id else source,
                {key: now[key] for key in sorted(now) if now[key] is not None},
            )
        )
    return facts


def series_of(
    cursor: Cursor, tenant_id: str, asset_ids: Sequence[str]
) -> dict[str, list[SeriesFacts]]:
    """The series of some assets, by name."""
    series: dict[str, list[SeriesFacts]] = {asset_id: [] for asset_id in asset_ids}
    asked = {"tenant": tenant_id, "ids": list(asset_ids), "newest": CADENCE_READINGS}
    for asset_id, name, first, newest in cursor.execute(_SERIES, asked).fetchall():
        steps = np.sort(-np.diff(newest))
        cadence = int(steps[(len(steps) - 1) // 2]) if len(steps) else None
        series[asset_id].append(SeriesFacts(name, first, newest[0], cadence))
    return series
