"""The assets of a tenant on the embedded store, page by page."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import islice

import numpy as np

from ai_hub.stores.asset_facts import CADENCE_READINGS, AssetFacts, SeriesFacts
from ai_hub.stores.attributes import value_at
from ai_hub.stores.embedded.attributes import AttributeMap
from ai_hub.stores.embedded.names import NameMap
from ai_hub.stores.embedded.session import Cursor
from ai_hub.stores.embedded.sources import SourceMap
from ai_hub.stores.weather_sources import source_at

_SINCE = """
SELECT DISTINCT asset_id FROM ai_features
WHERE tenant_id = $tenant AND asset_id > $after AND contains(asset_id, $containing)
  AND timestamp >= make_timestamptz($since::BIGINT)
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
    names: NameMap,
    sources: SourceMap,
    attributes: AttributeMap,
    tenant_id: str,
    since: int | None,
    after: str,
    limit: int,
    at: int,
    containing: str,
    asset_ids: Sequence[str] | None,
) -> list[AssetFacts]:
    """A page of assets; see `Store.describe_assets`."""
    if asset_ids is not None:
        return [*_described(cursor, sources, attributes, tenant_id, asset_ids, at)]
    if since is not None:
        page = {"tenant": tenant_id, "after": after, "since": since, "limit": limit}
        found = cursor.execute(_SINCE, page | {"containing": containing}).fetchall()
        ids = [asset_id for (asset_id,) in found]
        return [*_described(cursor, sources, attributes, tenant_id, ids, at)]
    known = names.of_tenant(cursor, tenant_id, after, containing)
    facts: list[AssetFacts] = []
    # Some that are known may have lost their last row.
    while len(facts) < limit and (ids := [*islice(known, limit - len(facts))]):
        facts += _described(cursor, sources, attributes, tenant_id, ids, at)
    return facts


def _described(
    cursor: Cursor,
    sources: SourceMap,
    attributes: AttributeMap,
    tenant_id: str,
    ids: Sequence[str],
    at: int,
) -> Iterator[AssetFacts]:
    """Those of some assets that there is something of."""
    series = series_of(cursor, tenant_id, ids)
    held = attributes.of_assets(cursor, tenant_id, ids)
    for asset_id in ids:
        if not (series[asset_id] or held[asset_id]):
            continue
        source = source_at(asset_id, sources.of(tenant_id, asset_id), at)
        now = {key: value_at(changes, at) for key, changes in held[asset_id].items()}
        yield AssetFacts(
            asset_id,
            tuple(series[asset_id]),
            None if source == asset_id else source,
            {key: now[key] for key in sorted(now) if now[key] is not None},
        )


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
