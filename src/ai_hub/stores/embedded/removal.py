"""The removal of data in DuckDB."""

from __future__ import annotations

from collections.abc import Callable

from ai_hub.definitions.values import Entity
from ai_hub.stores.audit_log import AuditRecord
from ai_hub.stores.embedded.attributes import AttributeMap
from ai_hub.stores.embedded.session import Before, Cursor, transaction
from ai_hub.stores.embedded.sources import SourceMap
from ai_hub.stores.removal import Found, Removal, Removed, Step, Survey, told

Keep = Callable[[Cursor, AuditRecord], None]
_OF_ASSETS = ("asset_attributes", "asset_weather_source")
_OF_TENANTS = ("ai_hub_baselines", "ai_hub_served")

_SERIES = """
SELECT asset_id, feature_type, count(*), count(*) FILTER (quality >= 1),
    epoch_us(min(timestamp)), epoch_us(max(timestamp))
FROM timeseries_data WHERE {where} GROUP BY asset_id, feature_type
"""
_WEATHER = """
SELECT asset_id, NULL, count(*), 0, epoch_us(min(timestamp)), epoch_us(max(timestamp))
FROM weather_features WHERE {where} GROUP BY asset_id
"""


def survey(cursor: Cursor, removal: Removal) -> Survey:
    """What there is to remove."""
    where, given = _where(removal, removal.start, removal.end)
    one_series = "" if removal.series is None else " AND feature_type = $series"
    named = given if removal.series is None else given | {"series": removal.series}
    rows = cursor.execute(_SERIES.format(where=where + one_series), named).fetchall()
    if removal.with_weather:
        rows += cursor.execute(_WEATHER.format(where=where), given).fetchall()
    others = {}
    if removal.whole:
        where, given = _where(removal, None, None)
        for table in _whole(removal):
            counted = cursor.execute(f"SELECT count(*) FROM {table} WHERE {where}", given)
            ((others[table],),) = counted.fetchall()
    return Survey(tuple(Found(*row) for row in rows), others)


def remove_step(
    cursor: Cursor,
    removal: Removal,
    step: Step,
    sources: SourceMap,
    audit: AuditRecord,
    keep: Keep,
    before: Before,
) -> Removed:
    """Remove one step of readings or of weather, in one transaction."""
    ids = sorted({one.asset_id for one in step.found})
    part = Removal(removal.tenant_id, tuple(ids))
    where, given = _where(part, step.start, step.end)
    entities = {Entity(removal.tenant_id, asset_id) for asset_id in ids}
    with transaction(cursor):
        if step.found[0].series is None:
            for source_id in ids:
                readers = sources.assets_of(removal.tenant_id, source_id)
                entities |= {Entity(removal.tenant_id, one) for one in readers}
            rows = {"weather_features": _deleted(cursor, "weather_features", where, given)}
        else:
            # Of each asset those series that were found of it.
            where += (
                " AND (asset_id, feature_type) IN "
                "(SELECT unnest($pair_ids::VARCHAR[]), unnest($pair_names::VARCHAR[]))"
            )
            given |= {
                "pair_ids": [one.asset_id for one in step.found],
                "pair_names": [one.series for one in step.found],
            }
            usable = _counted(cursor, "timeseries_data", f"{where} AND quality >= 1", given)
            gone = _deleted(cursor, "timeseries_data", where, given)
            rows = {"timeseries_data": gone, "ai_features": usable}
        if any(rows.values()):
            keep(cursor, told(audit, ids, rows))
        before(entities)
    return Removed(rows, entities)


def remove_others(
    cursor: Cursor,
    removal: Removal,
    sources: SourceMap,
    attributes: AttributeMap,
    audit: AuditRecord,
    keep: Keep,
    before: Before,
) -> Removed:
    """Remove what else is known of assets that go as a whole, in one transaction."""
    where, given = _where(removal, None, None)
    with attributes.lock:
        with transaction(cursor):
            ids = {
                asset_id
                for table in _OF_ASSETS
                for (asset_id,) in cursor.execute(
                    f"SELECT DISTINCT asset_id FROM {table} WHERE {where}", given
                ).fetchall()
            }
            entities = {Entity(removal.tenant_id, asset_id) for asset_id in ids}
            rows = {table: _deleted(cursor, table, where, given) for table in _whole(removal)}
            if any(rows.values()):
                keep(cursor, told(audit, ids, rows))
            if entities:
                before(entities)
        attributes.forget(removal.tenant_id)
        sources.forget(entities)
    return Removed(rows, entities)


def _whole(removal: Removal) -> tuple[str, ...]:
    """The relations beside readings and weather."""
    return (*_OF_ASSETS, *_OF_TENANTS) if removal.asset_ids is None else _OF_ASSETS


def _where(removal: Removal, start: int | None, end: int | None) -> tuple[str, dict[str, object]]:
    """A condition and its parameters."""
    found: list[tuple[str, str, object]] = [("tenant_id = $tenant", "tenant", removal.tenant_id)]
    if removal.asset_ids is not None:
        ids = list(removal.asset_ids)
        found.append(("asset_id IN (SELECT unnest($ids::VARCHAR[]))", "ids", ids))
    if start is not None:
        found.append(("timestamp >= make_timestamptz($start::BIGINT)", "start", start))
    if end is not None:
        found.append(("timestamp < make_timestamptz($end::BIGINT)", "end", end))
    return " AND ".join(text for text, *_ in found), {name: value for _, name, value in found}


def _counted(cursor: Cursor, table: str, where: str, given: dict[str, object]) -> int:
    ((count,),) = cursor.execute(f"SELECT count(*) FROM {table} WHERE {where}", given).fetchall()
    return int(count)


def _deleted(cursor: Cursor, table: str, where: str, given: dict[str, object]) -> int:
    ((count,),) = cursor.execute(f"DELETE FROM {table} WHERE {where}", given).fetchall()
    return int(count)
