"""What the embedded store can say of one asset beside its features."""

from __future__ import annotations

from collections.abc import Sequence

from ai_hub.definitions.kinds import FromView
from ai_hub.engines.extents import Extent
from ai_hub.engines.sql_views import has_number, number, quoted
from ai_hub.stores.embedded.assets import series_of
from ai_hub.stores.embedded.attributes import AttributeMap
from ai_hub.stores.embedded.names import NameMap
from ai_hub.stores.embedded.session import Cursor, Sessions, transaction
from ai_hub.stores.embedded.sources import SourceMap
from ai_hub.stores.embedded.views import facts_of, limited
from ai_hub.stores.evidence import (
    LOOKED_AT,
    MOST_NAMES,
    MOST_STATIONS,
    SHOWN_ROWS,
    Around,
    AssetRecord,
    Found,
    ReadRow,
    Wanted,
)
from ai_hub.stores.views import ViewFault

_HAS_ANY = "SELECT 1 FROM {} WHERE tenant_id = ? AND asset_id = ? LIMIT 1"
_NAMES = """
SELECT DISTINCT asset_id FROM (
    SELECT asset_id FROM ai_features WHERE tenant_id = $tenant
    UNION ALL
    SELECT asset_id FROM asset_attributes WHERE tenant_id = $tenant
) ORDER BY asset_id LIMIT $most
"""
_STATIONS = """
SELECT DISTINCT asset_id FROM weather_features
WHERE tenant_id = $tenant AND timestamp BETWEEN make_timestamptz($first::BIGINT)
  AND make_timestamptz($last::BIGINT)
ORDER BY asset_id LIMIT $most
"""
_BETWEEN = "timestamp BETWEEN make_timestamptz($first::BIGINT) AND make_timestamptz($last::BIGINT)"
_OF_SERIES = "tenant_id = $tenant AND asset_id = $asset AND feature_type = $series"
_COUNT = f"""
SELECT count(*), epoch_us(min(timestamp)), epoch_us(max(timestamp)) FROM ai_features
WHERE {_OF_SERIES} AND {_BETWEEN}
"""
_NEWEST = f"""
SELECT epoch_us(timestamp), value, quality FROM timeseries_data
WHERE {_OF_SERIES} AND {_BETWEEN} AND quality >= 1 ORDER BY timestamp DESC LIMIT $most
"""
_UNUSABLE = f"""
SELECT count(*) FROM timeseries_data WHERE {_OF_SERIES} AND {_BETWEEN} AND quality < 1
"""
_NEXT = f"""
SELECT epoch_us(max(timestamp) FILTER (WHERE timestamp < make_timestamptz($first::BIGINT))),
    epoch_us(min(timestamp) FILTER (WHERE timestamp > make_timestamptz($last::BIGINT)))
FROM ai_features WHERE {_OF_SERIES}
"""
_OF_SOURCE = "tenant_id = $tenant AND asset_id = $asset"
_ISSUED = "issued_at <= make_timestamptz($at::BIGINT)"
_WEATHER_COUNT = f"""
SELECT count(DISTINCT timestamp), epoch_us(min(timestamp)), epoch_us(max(timestamp))
FROM weather_features
WHERE {_OF_SOURCE} AND {_BETWEEN} AND {{column}} IS NOT NULL AND {_ISSUED}{{measured}}
"""
_WEATHER_NEWEST = f"""
SELECT epoch_us(timestamp), {{column}}, NULL, epoch_us(issued_at) FROM weather_features
WHERE {_OF_SOURCE} AND {_BETWEEN} AND {{column}} IS NOT NULL AND {_ISSUED}{{measured}}
QUALIFY row_number() OVER (PARTITION BY timestamp ORDER BY issued_at DESC) = 1
ORDER BY timestamp DESC LIMIT $most
"""
_WEATHER_REST = f"""
SELECT count(*) FILTER (WHERE {{column}} IS NULL AND {_ISSUED}),
    count(*) FILTER (WHERE {{column}} IS NOT NULL AND {_ISSUED} AND issued_at < timestamp),
    count(*) FILTER (WHERE {{later}}),
    epoch_us(min(issued_at) FILTER (WHERE {{later}})),
    epoch_us(first(timestamp ORDER BY issued_at, timestamp DESC) FILTER (WHERE {{later}}))
FROM weather_features WHERE {_OF_SOURCE} AND {_BETWEEN}
"""
_LATER = "{column} IS NOT NULL AND issued_at > make_timestamptz($at::BIGINT){measured}"
_WEATHER_BEFORE = f"""
SELECT epoch_us(timestamp) FROM (SELECT * FROM weather_features
    WHERE {_OF_SOURCE} AND timestamp < make_timestamptz($first::BIGINT)
    ORDER BY timestamp DESC LIMIT {LOOKED_AT})
WHERE {{column}} IS NOT NULL AND {_ISSUED}{{measured}} ORDER BY timestamp DESC LIMIT 1
"""
_WEATHER_AFTER = f"""
SELECT epoch_us(timestamp) FROM (SELECT * FROM weather_features
    WHERE {_OF_SOURCE} AND timestamp > make_timestamptz($last::BIGINT)
    ORDER BY timestamp LIMIT {LOOKED_AT})
WHERE {{column}} IS NOT NULL ORDER BY timestamp LIMIT 1
"""

_Given = dict[str, object]


class EmbeddedEvidence:
    """What there is of an asset in one database file. A view is waited for `limit` seconds."""

    def __init__(
        self,
        sessions: Sessions,
        names: NameMap,
        sources: SourceMap,
        attributes: AttributeMap,
        limit: float,
    ) -> None:
        self._sessions = sessions
        self._names = names
        self._sources = sources
        self._attributes = attributes
        self._limit = limit

    async def asset(self, tenant_id: str, asset_id: str) -> AssetRecord:
        """What there is of an asset."""

        def read(cursor: Cursor) -> AssetRecord:
            known = self._names.extents(cursor, tenant_id, [asset_id])
            series = series_of(cursor, tenant_id, [asset_id], known)[asset_id]
            has_readings, has_weather = [
                cursor.execute(_HAS_ANY.format(table), [tenant_id, asset_id]).fetchone() is not None
                for table in ("timeseries_data", "weather_features")
            ]
            attributes = self._attributes.of_assets(cursor, tenant_id, [asset_id])[asset_id]
            mappings = self._sources.of(tenant_id, asset_id)
            return AssetRecord(tuple(series), mappings, attributes, has_readings, has_weather, {})

        return await self._sessions.read(read)

    async def rows(
        self, tenant_id: str, asset_id: str, source_id: str, at: int, wanted: Sequence[Wanted]
    ) -> list[Found]:
        """The rows that are read, and what is around them."""

        def read(cursor: Cursor) -> list[Found]:
            with transaction(cursor):
                return [
                    _observations(cursor, tenant_id, asset_id, one)
                    if one.input.kind == "series"
                    else _weather(cursor, tenant_id, source_id, at, one)
                    for one in wanted
                ]

        return await self._sessions.read(read)

    async def view_rows(
        self, tenant_id: str, asset_id: str, feature: FromView, at: int
    ) -> tuple[ReadRow, ...]:
        """The newest rows of a view."""
        value = number(feature.column, is_boolean=False)
        query = f"""
            SELECT epoch_us(timestamp), {value} FROM {quoted(feature.view)}
            WHERE tenant_id = ? AND asset_id = ? AND timestamp <= make_timestamptz(?::BIGINT)
              AND {has_number(value)} ORDER BY timestamp DESC LIMIT {SHOWN_ROWS}
        """

        def read(cursor: Cursor) -> tuple[ReadRow, ...]:
            try:
                with limited(cursor, feature.view, self._limit):
                    facts = facts_of(cursor, feature.view)
                    if facts is None or feature.column not in facts.columns:
                        return ()
                    found = cursor.execute(query, [tenant_id, asset_id, at]).fetchall()
            except ViewFault:
                return ()  # why it has no value is found by the answer
            return tuple(ReadRow(*row) for row in found)

        return await self._sessions.read(read)

    async def names(self, tenant_id: str) -> list[str]:
        """The assets of a tenant."""
        given = {"tenant": tenant_id, "most": MOST_NAMES}
        return await self._sessions.read(
            lambda cursor: [one for (one,) in cursor.execute(_NAMES, given).fetchall()]
        )

    async def stations(self, tenant_id: str, first: int, last: int) -> list[str]:
        """Whose weather there is about some time."""
        given = {"tenant": tenant_id, "first": first, "last": last, "most": MOST_STATIONS}
        return await self._sessions.read(
            lambda cursor: [one for (one,) in cursor.execute(_STATIONS, given).fetchall()]
        )


def _observations(cursor: Cursor, tenant_id: str, asset_id: str, wanted: Wanted) -> Found:
    extent = wanted.extent
    of: _Given = {"tenant": tenant_id, "asset": asset_id, "series": wanted.input.name}
    found = _found(cursor, extent, of, _COUNT, _NEWEST)
    if found.count >= wanted.enough:
        return found
    ends = {"first": extent.first, "last": extent.last}
    before, after = _row(cursor, _NEXT, of | ends)
    unusable = sum(
        _row(cursor, _UNUSABLE, of | {"first": first, "last": last})[0]
        for first, last in extent.spans
    )
    return Found(
        found.count, found.first, found.last, found.newest, Around(before, after, unusable)
    )


def _weather(cursor: Cursor, tenant_id: str, source_id: str, at: int, wanted: Wanted) -> Found:
    extent, column = wanted.extent, wanted.input.name
    of: _Given = {"tenant": tenant_id, "asset": source_id, "at": at}
    measured = " AND issued_at >= timestamp" if wanted.input.measured else ""
    later = _LATER.format(column=column, measured=measured)

    def said(text: str) -> str:
        return text.format(column=column, measured=measured, later=later)

    found = _found(cursor, extent, of, said(_WEATHER_COUNT), said(_WEATHER_NEWEST))
    if found.count >= wanted.enough:
        return found
    rest = [
        _row(cursor, said(_WEATHER_REST), of | {"first": first, "last": last})
        for first, last in extent.spans
    ]
    issues = [(issue, -about) for _, _, _, issue, about in rest if issue is not None]
    issue, about = min(issues, default=(None, None))
    before = cursor.execute(said(_WEATHER_BEFORE), of | {"first": extent.first}).fetchone()
    given = {name: value for name, value in of.items() if name != "at"}
    after = cursor.execute(said(_WEATHER_AFTER), given | {"last": extent.last}).fetchone()
    around = Around(
        None if before is None else before[0],
        None if after is None else after[0],
        later=sum(row[2] for row in rest),
        later_issue=issue,
        later_about=None if about is None else -about,
        null=sum(row[0] for row in rest),
        forecasts=sum(row[1] for row in rest) if wanted.input.measured else 0,
    )
    return Found(found.count, found.first, found.last, found.newest, around)


def _found(cursor: Cursor, extent: Extent, of: _Given, count: str, newest: str) -> Found:
    """The rows of an extent, by a statement that counts and one for the newest."""

    def rows(first: int, last: int, most: int) -> list[ReadRow]:
        given = of | {"first": first, "last": last, "most": most}
        return [ReadRow(*row) for row in cursor.execute(newest, given).fetchall()]

    if extent.each:
        each = [row for first, last in extent.spans for row in rows(first, last, 1)]
        # Spans that overlap may have the same.
        held = sorted(set(each), key=lambda row: -row.time)
        if not held:
            return Found(0, None, None, ())
        return Found(len(each), held[-1].time, held[0].time, tuple(held[:SHOWN_ROWS]))
    counted, first, last = _row(cursor, count, of | {"first": extent.first, "last": extent.last})
    return Found(counted, first, last, tuple(rows(extent.first, extent.last, SHOWN_ROWS)))


def _row(cursor: Cursor, query: str, given: _Given) -> Sequence[int]:
    (row,) = cursor.execute(query, given).fetchall()
    return row
