"""The assets of a tenant on the embedded store, page by page."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from itertools import islice

import numpy as np

from ai_hub.definitions.values import DAY, FIRST_INSTANT
from ai_hub.engines.arrays import Floats, Ints
from ai_hub.stores.asset_facts import CADENCE_READINGS, AssetFacts, SeriesFacts
from ai_hub.stores.attributes import value_at
from ai_hub.stores.embedded.attributes import AttributeMap
from ai_hub.stores.embedded.names import Extent, NameMap
from ai_hub.stores.embedded.session import Cursor
from ai_hub.stores.embedded.sources import SourceMap
from ai_hub.stores.weather_sources import source_at

_SINCE = """
SELECT DISTINCT asset_id FROM ai_features
WHERE tenant_id = $tenant AND asset_id > $after AND contains(asset_id, $containing)
  AND timestamp >= make_timestamptz($since::BIGINT)
ORDER BY asset_id LIMIT $limit
"""
_NEWEST = """
SELECT asset_id, feature_type, epoch_us(min(timestamp)), max(epoch_us(timestamp), $newest),
  max_by(value, timestamp, $newest)
FROM ai_features
WHERE tenant_id = $tenant AND asset_id IN (SELECT unnest($ids::VARCHAR[]))
  AND asset_id BETWEEN $first AND $last AND timestamp >= make_timestamptz($since::BIGINT)
GROUP BY asset_id, feature_type
"""
_WIDTHS = (10 * DAY, 100 * DAY)
"""In how much time before the last reading of some assets their newest ones are looked for: rows
that came in by their time lie by it, and what is older is not read. Then all of them are."""
_APART = 4
"""Assets whose last readings are as many widths apart are looked for together."""


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
        return [*_described(cursor, names, sources, attributes, tenant_id, asset_ids, at)]
    if since is not None:
        page = {"tenant": tenant_id, "after": after, "since": since, "limit": limit}
        found = cursor.execute(_SINCE, page | {"containing": containing}).fetchall()
        ids = [asset_id for (asset_id,) in found]
        return [*_described(cursor, names, sources, attributes, tenant_id, ids, at)]
    known = names.of_tenant(cursor, tenant_id, after, containing)
    facts: list[AssetFacts] = []
    # Some that are known may have lost their last row.
    while len(facts) < limit and (ids := [*islice(known, limit - len(facts))]):
        facts += _described(cursor, names, sources, attributes, tenant_id, ids, at)
    return facts


def _described(
    cursor: Cursor,
    names: NameMap,
    sources: SourceMap,
    attributes: AttributeMap,
    tenant_id: str,
    ids: Sequence[str],
    at: int,
) -> Iterator[AssetFacts]:
    """Those of some assets that there is something of."""
    series = series_of(cursor, tenant_id, ids, names.extents(cursor, tenant_id, ids))
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
    cursor: Cursor,
    tenant_id: str,
    asset_ids: Sequence[str],
    known: Mapping[str, Sequence[Extent]] | None = None,
) -> dict[str, list[SeriesFacts]]:
    """The series of some assets, by name. Of those whose series are `known` no more is read than
    what is asked for needs."""
    found: dict[str, dict[str, SeriesFacts]] = {asset_id: {} for asset_id in asset_ids}
    known = known or {}
    wanted = {(one, extent.name): extent for one, extents in known.items() for extent in extents}
    for width in _WIDTHS:
        for since, keys in _groups(wanted, width):
            ids = {asset_id for asset_id, _ in keys}
            for asset_id, name, _, time, value in _newest(cursor, tenant_id, ids, since):
                extent = wanted.get((asset_id, name))
                if extent is None or (len(time) < CADENCE_READINGS and since > extent.first):
                    continue
                del wanted[asset_id, name]
                found[asset_id][name] = SeriesFacts.of(name, extent.first, time, value)
    others = {one for one, _ in wanted} | {one for one in asset_ids if one not in known}
    for asset_id, name, first, time, value in _newest(cursor, tenant_id, others, FIRST_INSTANT):
        found[asset_id][name] = SeriesFacts.of(name, first, time, value)
    return {one: [series[name] for name in sorted(series)] for one, series in found.items()}


def _groups(
    wanted: Mapping[tuple[str, str], Extent], width: int
) -> Iterator[tuple[int, list[tuple[str, str]]]]:
    """Series whose last readings are near each other, and since when they are looked for."""
    ordered = sorted(wanted, key=lambda key: -wanted[key].last)
    group: list[tuple[str, str]] = []
    for key in ordered:
        if group and wanted[group[0]].last - wanted[key].last > _APART * width:
            yield wanted[group[-1]].last - width, group
            group = []
        group.append(key)
    if group:
        yield wanted[group[-1]].last - width, group


def _newest(
    cursor: Cursor, tenant_id: str, asset_ids: Collection[str], since: int
) -> Iterator[tuple[str, str, int, Ints, Floats]]:
    """The newest readings of each series since a time, in their order, and the first since then."""
    if not asset_ids:
        return
    ids = sorted(asset_ids)
    asked = {"tenant": tenant_id, "ids": ids, "first": ids[0], "last": ids[-1],
             "since": max(since, FIRST_INSTANT), "newest": CADENCE_READINGS}  # fmt: skip
    for asset_id, name, first, time, value in cursor.execute(_NEWEST, asked).fetchall():
        times, values = np.asarray(time[::-1], np.int64), np.asarray(value[::-1], np.float64)
        yield asset_id, name, first, times, values
