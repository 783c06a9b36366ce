"""What PostgreSQL can say of one asset beside its features: each statement has the keys of an index
and the ends of some time, and is over at the time limit of every statement."""

from __future__ import annotations

from collections.abc import Sequence

import asyncpg

from ai_hub.definitions.kinds import FromView
from ai_hub.engines.extents import Extent
from ai_hub.engines.sql_views import has_number, number, quoted
from ai_hub.stores.attributes import Changes
from ai_hub.stores.evidence import (
    LOOKED_AT,
    MOST_NAMES,
    MOST_STATIONS,
    SHOWN_ROWS,
    Around,
    AssetRecord,
    Found,
    Kept,
    ReadRow,
    Wanted,
)
from ai_hub.stores.postgres.assets import SERIES, series_facts
from ai_hub.stores.postgres.declared import declared
from ai_hub.stores.postgres.session import LOST, Connection, Row, Sessions
from ai_hub.stores.postgres.views import facts_of

_MAPPINGS = """
SELECT valid_from, source_id FROM asset_weather_source
WHERE tenant_id = $1 AND asset_id = $2 ORDER BY valid_from
"""
_ATTRIBUTES = """
SELECT key, valid_from, number, text FROM asset_attributes
WHERE tenant_id = $1 AND asset_id = $2 ORDER BY key, valid_from
"""
_HAS_ANY = """
SELECT EXISTS (SELECT FROM {} WHERE tenant_id = $1 AND asset_id = $2)
"""
_NAMES = """
SELECT DISTINCT asset_id FROM (
    (SELECT asset_id FROM ai_hub_series WHERE tenant_id = $1 LIMIT $2)
    UNION ALL
    (SELECT asset_id FROM asset_attributes WHERE tenant_id = $1 LIMIT $2)
) AS named ORDER BY asset_id LIMIT $2
"""
# A step for each station, and no more of them than are named.
_STATIONS = """
WITH RECURSIVE station AS (
    (SELECT asset_id FROM weather_features
     WHERE tenant_id = $1 AND timestamp BETWEEN $2 AND $3 ORDER BY asset_id LIMIT 1)
    UNION ALL
    SELECT (SELECT w.asset_id FROM weather_features w
            WHERE w.tenant_id = $1 AND w.asset_id > station.asset_id
              AND w.timestamp BETWEEN $2 AND $3 ORDER BY w.asset_id LIMIT 1)
    FROM station WHERE station.asset_id IS NOT NULL
)
SELECT asset_id FROM station WHERE asset_id IS NOT NULL LIMIT $4
"""

# $1 tenant, $2 asset, $3 series; $4 and $5 the ends of spans.
_OF_SERIES = "tenant_id = $1 AND asset_id = $2 AND feature_type = $3"
_SPANS = "unnest($4::timestamptz[], $5::timestamptz[]) AS span(first, last)"
# The ends of all spans are constants, by which whole chunks are left out.
_INSIDE = "o.timestamp BETWEEN span.first AND span.last AND o.timestamp BETWEEN $6 AND $7"
_COUNT = f"""
SELECT count(*), min(timestamp), max(timestamp) FROM ai_features
WHERE {_OF_SERIES} AND timestamp BETWEEN $4 AND $5
"""
_NEWEST = f"""
SELECT timestamp, value FROM ai_features
WHERE {_OF_SERIES} AND timestamp BETWEEN $4 AND $5 ORDER BY timestamp DESC LIMIT {SHOWN_ROWS}
"""
_LATEST = f"""
SELECT latest.* FROM {_SPANS}
CROSS JOIN LATERAL (SELECT o.timestamp, o.value FROM ai_features o
    WHERE {_OF_SERIES} AND {_INSIDE} ORDER BY o.timestamp DESC LIMIT 1) AS latest
ORDER BY latest.timestamp DESC
"""
_QUALITY = f"""
SELECT timestamp, quality FROM timeseries_data
WHERE {_OF_SERIES} AND timestamp = ANY($4::timestamptz[])
"""
_UNUSABLE = f"""
SELECT count(*) FROM {_SPANS}
CROSS JOIN LATERAL (SELECT FROM timeseries_data o
    WHERE {_OF_SERIES} AND {_INSIDE} AND o.quality < 1) AS unusable
"""
_BEFORE = f"""
SELECT timestamp FROM ai_features WHERE {_OF_SERIES} AND timestamp < $4
ORDER BY timestamp DESC LIMIT 1
"""
_AFTER = f"""
SELECT timestamp FROM ai_features WHERE {_OF_SERIES} AND timestamp > $4
ORDER BY timestamp LIMIT 1
"""

# $1 tenant, $2 source; `{column}` is one of the six, `{measured}` a condition or none.
_OF_SOURCE = "o.tenant_id = $1 AND o.asset_id = $2"
_WEATHER_SPANS = "unnest($3::timestamptz[], $4::timestamptz[]) AS span(first, last)"
_WEATHER_INSIDE = "o.timestamp BETWEEN span.first AND span.last AND o.timestamp BETWEEN $5 AND $6"
_KNOWN = "o.{column} IS NOT NULL AND o.issued_at <= {at}{measured}"
_WEATHER_COUNT = f"""
SELECT count(DISTINCT o.timestamp), min(o.timestamp), max(o.timestamp) FROM weather_features o
WHERE {_OF_SOURCE} AND o.timestamp BETWEEN $3 AND $4 AND {_KNOWN.replace("{at}", "$5")}
"""
_WEATHER_NEWEST = f"""
SELECT DISTINCT ON (o.timestamp) o.timestamp, o.{{column}}, o.issued_at FROM weather_features o
WHERE {_OF_SOURCE} AND o.timestamp BETWEEN $3 AND $4 AND {_KNOWN.replace("{at}", "$5")}
ORDER BY o.timestamp DESC, o.issued_at DESC LIMIT {SHOWN_ROWS}
"""
_WEATHER_LATEST = f"""
SELECT latest.* FROM {_WEATHER_SPANS}
CROSS JOIN LATERAL (SELECT o.timestamp, o.{{column}}, o.issued_at FROM weather_features o
    WHERE {_OF_SOURCE} AND {_WEATHER_INSIDE} AND {_KNOWN.replace("{at}", "$7")}
    ORDER BY o.timestamp DESC, o.issued_at DESC LIMIT 1) AS latest
ORDER BY latest.timestamp DESC
"""
_WEATHER_REST = f"""
SELECT count(*) FILTER (WHERE o.{{column}} IS NULL AND o.issued_at <= $7),
    count(*) FILTER (WHERE o.{{column}} IS NOT NULL AND o.issued_at <= $7
        AND o.issued_at < o.timestamp),
    count(*) FILTER (WHERE {{later}}),
    min(o.issued_at) FILTER (WHERE {{later}}),
    (array_agg(o.timestamp ORDER BY o.issued_at, o.timestamp DESC) FILTER (WHERE {{later}}))[1]
FROM {_WEATHER_SPANS}
JOIN weather_features o ON {_OF_SOURCE} AND {_WEATHER_INSIDE}
"""
_LATER = "o.{column} IS NOT NULL AND o.issued_at > $7{measured}"
_WEATHER_BEFORE = f"""
SELECT o.timestamp FROM (SELECT * FROM weather_features o
    WHERE {_OF_SOURCE} AND o.timestamp < $3 ORDER BY o.timestamp DESC LIMIT {LOOKED_AT}) AS o
WHERE {_KNOWN.replace("{at}", "$4")} ORDER BY o.timestamp DESC LIMIT 1
"""
_WEATHER_AFTER = f"""
SELECT o.timestamp FROM (SELECT * FROM weather_features o
    WHERE {_OF_SOURCE} AND o.timestamp > $3 ORDER BY o.timestamp LIMIT {LOOKED_AT}) AS o
WHERE o.{{column}} IS NOT NULL ORDER BY o.timestamp LIMIT 1
"""


class PostgresEvidence:
    """What there is of an asset in a database on a server."""

    def __init__(self, sessions: Sessions) -> None:
        self._sessions = sessions

    async def asset(self, tenant_id: str, asset_id: str) -> AssetRecord:
        """What there is of an asset."""

        async def read(on: Connection) -> AssetRecord:
            series = await on.fetch(SERIES, tenant_id, [asset_id])
            attributes: dict[str, Changes] = {}
            for key, since, value, text in await on.fetch(_ATTRIBUTES, tenant_id, asset_id):
                change = (since, text if value is None else value)
                attributes[key] = (*attributes.get(key, ()), change)
            has_readings, has_weather = [
                await on.fetchval(_HAS_ANY.format(name), tenant_id, asset_id)
                for name in ("timeseries_data", "weather_features")
            ]
            mappings = await on.fetch(_MAPPINGS, tenant_id, asset_id)
            return AssetRecord(
                tuple(series_facts(*facts) for _, *facts in series),
                [(since, source) for since, source in mappings],
                attributes,
                has_readings,
                has_weather,
                {
                    one.relation: Kept(
                        None if one.keep is None else one.keep.micros, one.deleted_before
                    )
                    for one in await declared(on)
                },
            )

        return await self._sessions.in_snapshot(read, ["ai_features", "weather_features"])

    async def rows(
        self, tenant_id: str, asset_id: str, source_id: str, at: int, wanted: Sequence[Wanted]
    ) -> list[Found]:
        """The rows that are read, and what is around them."""

        async def read(on: Connection) -> list[Found]:
            return [
                await _observations(on, tenant_id, asset_id, one)
                if one.input.kind == "series"
                else await _weather(on, tenant_id, source_id, at, one)
                for one in wanted
            ]

        return await self._sessions.in_snapshot(read, ["ai_features", "weather_features"])

    async def view_rows(
        self, tenant_id: str, asset_id: str, feature: FromView, at: int
    ) -> tuple[ReadRow, ...]:
        """The newest rows of a view."""
        limit = max(1, self._sessions.settings.view_timeout.micros // 1_000)

        async def read(on: Connection) -> tuple[ReadRow, ...]:
            facts = (await facts_of(on, [feature.view])).get(feature.view)
            if facts is None or feature.column not in facts.columns:
                return ()
            value = number(feature.column, feature.column in facts.booleans)
            query = f"""
                SELECT v.timestamp, {value} FROM {quoted(feature.view)} AS v
                WHERE v.tenant_id = $1 AND v.asset_id = $2 AND v.timestamp <= $3
                  AND {has_number(value)} ORDER BY v.timestamp DESC LIMIT {SHOWN_ROWS}
            """
            try:
                async with on.transaction(readonly=True):
                    await on.execute(f"SET LOCAL statement_timeout = {limit}")
                    found = await on.fetch(query, tenant_id, asset_id, at)
            except asyncpg.PostgresError as error:
                if isinstance(error, LOST):
                    raise
                return ()  # why it has no value is found by the answer
            return tuple(ReadRow(*row) for row in found)

        return await self._sessions.again(read)

    async def names(self, tenant_id: str) -> list[str]:
        """The assets of a tenant."""
        found = await self._sessions.fetch(_NAMES, [tenant_id, MOST_NAMES])
        return [asset_id for (asset_id,) in found]

    async def stations(self, tenant_id: str, first: int, last: int) -> list[str]:
        """Whose weather there is about some time."""
        found = await self._sessions.fetch_in_snapshot(
            _STATIONS, [tenant_id, first, last, MOST_STATIONS], ["weather_features"]
        )
        return [asset_id for (asset_id,) in found]


def _ends(extent: Extent) -> tuple[list[int], list[int], int, int]:
    """The spans of an extent as statements take them."""
    firsts, lasts = ([span[i] for span in extent.spans] for i in (0, 1))
    return firsts, lasts, extent.first, extent.last


def _counted(latest: Sequence[Row]) -> tuple[int, int | None, int | None]:
    """Of how many spans there is a row, the first time of these and the last; spans that overlap
    may have the same."""
    return (len(latest), latest[-1][0], latest[0][0]) if latest else (0, None, None)


async def _observations(on: Connection, tenant_id: str, asset_id: str, wanted: Wanted) -> Found:
    extent, of = wanted.extent, (tenant_id, asset_id, wanted.input.name)
    if extent.each:
        latest = await on.fetch(_LATEST, *of, *_ends(extent))
        count, first, last = _counted(latest)
        newest = [*dict.fromkeys(latest)]
    else:
        count, first, last = await on.fetchrow(_COUNT, *of, extent.first, extent.last)
        newest = await on.fetch(_NEWEST, *of, extent.first, extent.last)
    newest = newest[:SHOWN_ROWS]
    qualities = dict(await on.fetch(_QUALITY, *of, [time for time, _ in newest]))
    rows = tuple(ReadRow(time, value, qualities.get(time)) for time, value in newest)
    around = None
    if count < wanted.enough:
        around = Around(
            await on.fetchval(_BEFORE, *of, extent.first),
            await on.fetchval(_AFTER, *of, extent.last),
            await on.fetchval(_UNUSABLE, *of, *_ends(extent)),
        )
    return Found(count, first, last, rows, around)


async def _weather(
    on: Connection, tenant_id: str, source_id: str, at: int, wanted: Wanted
) -> Found:
    extent, of = wanted.extent, (tenant_id, source_id)
    column = wanted.input.name
    measured = " AND o.issued_at >= o.timestamp" if wanted.input.measured else ""

    def said(text: str) -> str:
        later = _LATER.format(column=column, measured=measured)
        return text.format(column=column, measured=measured, later=later)

    if extent.each:
        latest = await on.fetch(said(_WEATHER_LATEST), *of, *_ends(extent), at)
        count, first, last = _counted(latest)
        newest = [*dict.fromkeys(latest)]
    else:
        window = (*of, extent.first, extent.last, at)
        count, first, last = await on.fetchrow(said(_WEATHER_COUNT), *window)
        newest = await on.fetch(said(_WEATHER_NEWEST), *window)
    rows = tuple(ReadRow(time, value, None, issued) for time, value, issued in newest[:SHOWN_ROWS])
    around = None
    if count < wanted.enough:
        null, forecasts, later, issue, about = await on.fetchrow(
            said(_WEATHER_REST), *of, *_ends(extent), at
        )
        around = Around(
            await on.fetchval(said(_WEATHER_BEFORE), *of, extent.first, at),
            await on.fetchval(said(_WEATHER_AFTER), *of, extent.last),
            later=later,
            later_issue=issue,
            later_about=about,
            null=null,
            forecasts=forecasts if wanted.input.measured else 0,
        )
    return Found(count, first, last, rows, around)
