"""The bulk read in PostgreSQL's words.

With bound parameters the driver would not use COPY, and would hold the whole result before it gives
the first row. With literals each export would be statements of its own to `pg_stat_statements`. So
values are settings of the transaction, which functions read as it is planned: to the planner they
are constants.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from ai_hub.archive.layer import COLUMNS, Kind
from ai_hub.definitions.values import FIRST_INSTANT, LAST_INSTANT, SECOND, to_datetime
from ai_hub.definitions.vocabulary import WEATHER_COLUMNS
from ai_hub.engines.plan import ViewReads
from ai_hub.engines.sql_views import has_number, number, quoted

TimeSpan = tuple[int, int]
"""Two instants, the first of them earlier."""

BEGIN = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY"
"""One snapshot for every query of a scan."""
_SET = {
    "application_name": "ai-hub",
    "client_encoding": "UTF8",
    "timezone": "UTC",
    "standard_conforming_strings": "on",
    "jit": "off",
    # A stream lasts as long as its reader, which writes a file between two streams.
    "statement_timeout": "0",
    "idle_in_transaction_session_timeout": "0",
}
# For the transaction alone: behind a pooler the next one may be another session's.
SET = "SELECT " + ", ".join(f"set_config('{name}', '{text}', true)" for name, text in _SET.items())


@dataclass(frozen=True, slots=True)
class Query:
    """A statement, or a part of one, and the values that it is given, by name."""

    text: str
    given: Mapping[str, str] = field(default_factory=dict)

    @property
    def giving(self) -> str:
        """The statement that gives it its values until the end of the transaction."""
        names, values = [*self.given], [*self.given.values()]
        return (
            "SELECT count(set_config('ai_hub.' || name, value, true)) "
            f"FROM unnest({literals(names)}, {literals(values)}) AS given(name, value)"
        )


EVERYTHING = Query("")
"""The condition that all rows meet."""


def literal(value: str) -> str:
    """A text, however the server reads backslashes."""
    escaped = value.replace("\\", "\\\\").replace("'", "''")
    return f"E'{escaped}'"


def literals(values: Sequence[str]) -> str:
    """An array of texts, as one literal: many of them are parsed at once."""
    return f"{literal(_array(values))}::text[]"


def instant(micros: int) -> str:
    """A time; what is before the first instant or after the last one becomes that one."""
    return to_datetime(min(max(micros, FIRST_INSTANT), LAST_INSTANT)).isoformat()


def among(ids: Sequence[str]) -> Query:
    """The condition that a row is about one of some assets."""
    return Query(f" AND asset_id = ANY({_texts('assets')})", {"assets": _array(ids)})


def between(first: str, last: str) -> Query:
    """The condition that a row is about an asset from the first to the last, by code point."""
    return Query(
        f" AND asset_id BETWEEN {_text('first_asset')} AND {_text('last_asset')}",
        {"first_asset": first, "last_asset": last},
    )


def series(tenant_id: str, name: str, which: Query, first: int, last: int) -> Query:
    """The usable observations of one series in [first, last], in no order."""
    rows = _observations(tenant_id, [name], which, first, last)
    return Query(f"SELECT asset_id, timestamp, value {rows.text}", rows.given)


def weather(tenant_id: str, columns: Sequence[str], which: Query, first: int, last: int) -> Query:
    """Weather about [first, last] that was known by `last`, in no order."""
    wanted = ", ".join(("asset_id", "timestamp", "issued_at", *columns))
    rows = _weather(tenant_id, which, first, last)
    return Query(f"SELECT {wanted} {rows.text}", rows.given)


def gone(tenant_id: str, name: str, which: Query, first: int, last: int) -> Query:
    """The archived observations of one series in [first, last] that were taken back since."""
    rows = _observations(tenant_id, [name], which, first, last, "ai_hub_archive_gone")
    return Query(f"SELECT asset_id, timestamp, 'NaN'::float8 AS value {rows.text}", rows.given)


def having_gone(tenant_id: str, name: str) -> Query:
    """The assets with such observations."""
    return Query(
        "SELECT DISTINCT asset_id FROM ai_hub_archive_gone "
        f"WHERE tenant_id = {_text('tenant')} AND feature_type = {_text('series_0')}",
        {"tenant": tenant_id, "series_0": name},
    )


DROPPED = Query("SELECT kind, dropped_before FROM ai_hub_archive")
"""Before when rows are in the archive alone."""


def layers(tenant_id: str) -> Query:
    """The layers of a tenant's archive."""
    return Query(
        f"SELECT {', '.join(COLUMNS)} FROM ai_hub_archive_layers "
        f"WHERE tenant_id = {_text('tenant')} ORDER BY number",
        {"tenant": tenant_id},
    )


def archived(kind: Kind, tenant_id: str, first: int, last: int) -> Query:
    """What an archive has of a tenant's rows about [first, last]."""
    given = {"tenant": tenant_id, "first": instant(first), "last": instant(last)}
    where = (
        f"WHERE tenant_id = {_text('tenant')} "
        f"AND timestamp BETWEEN {_time('first')} AND {_time('last')}"
    )
    if kind == "weather":
        wanted = ", ".join(("timestamp", "issued_at", "asset_id", *WEATHER_COLUMNS))
        return Query(f"SELECT {wanted} FROM weather_features {where}", given)
    key = "timestamp, asset_id, feature_type"
    return Query(
        f"SELECT {key}, value, 1 AS quality FROM ai_features {where} UNION ALL "
        f"SELECT {key}, NULL, 0 FROM ai_hub_archive_gone g {where} AND NOT EXISTS ("
        "SELECT FROM ai_features f WHERE f.tenant_id = g.tenant_id AND f.asset_id = g.asset_id "
        "AND f.feature_type = g.feature_type AND f.timestamp = g.timestamp)",
        given,
    )


def view(
    reads: ViewReads, column: str, is_boolean: bool, tenant_id: str, which: Query, span: TimeSpan
) -> Query:
    """The numbers of a column of a user's own view later than a time, up to another one, in no
    order."""
    first, last = span
    value = number(column, is_boolean)
    return Query(
        f"SELECT asset_id, timestamp, {value} AS value FROM {quoted(reads.view)} "
        f"WHERE tenant_id = {_text('tenant')}{which.text} AND timestamp > {_time('first')} "
        f"AND timestamp <= {_time('last')} AND {has_number(value)}",
        {"tenant": tenant_id, "first": instant(first), "last": instant(last), **which.given},
    )


def sources(tenant_id: str, which: Query) -> Query:
    """The mappings of assets to weather sources, those of an asset by time."""
    return Query(
        "SELECT asset_id, valid_from, source_id FROM asset_weather_source "
        f"WHERE tenant_id = {_text('tenant')}{which.text} ORDER BY asset_id, valid_from",
        {"tenant": tenant_id, **which.given},
    )


def attributes(tenant_id: str, keys: Sequence[str], which: Query) -> Query:
    """The stored rows of some attributes of assets."""
    return Query(
        "SELECT asset_id, key, valid_from, number, text FROM asset_attributes "
        f"WHERE tenant_id = {_text('tenant')} AND key = ANY({_texts('keys')}){which.text}",
        {"tenant": tenant_id, "keys": _array(keys), **which.given},
    )


def edges(tenant_id: str, name: str, asset_ids: Sequence[str] | None) -> Query:
    """The times of the first and the last observation of a series, of some assets or all.

    Two steps into the key for each asset; where they are not given, one more to find the next.
    """
    mine = f"FROM ai_features f WHERE f.tenant_id = {_text('tenant')}"
    given = {"tenant": tenant_id, "series_0": name}
    if asset_ids is None:
        key = "f.asset_id, f.feature_type"
        assets = (
            f"RECURSIVE pair AS ((SELECT {key} {mine} ORDER BY {key} LIMIT 1) UNION ALL "
            f"SELECT following.* FROM pair CROSS JOIN LATERAL (SELECT {key} {mine} "
            f"AND ({key}) > (pair.asset_id, pair.feature_type) ORDER BY {key} LIMIT 1) following"
            f"), asset AS (SELECT asset_id FROM pair WHERE feature_type = {_text('series_0')})"
        )
    else:
        assets = f"asset AS (SELECT unnest({_texts('assets')}) AS asset_id)"
        given["assets"] = _array(asset_ids)
    this = f"f.asset_id = asset.asset_id AND f.feature_type = {_text('series_0')}"
    edge = f"(SELECT f.timestamp {mine} AND {this} ORDER BY f.timestamp"
    return Query(
        f"WITH {assets} SELECT asset.asset_id, first.timestamp, last.timestamp "
        f"FROM asset CROSS JOIN LATERAL {edge} LIMIT 1) first "
        f"CROSS JOIN LATERAL {edge} DESC LIMIT 1) last",
        given,
    )


def series_sizes(
    tenant_id: str, names: Sequence[str], which: Query, first: int, last: int
) -> Query:
    """How many observations of some series each asset has."""
    rows = _observations(tenant_id, names, which, first, last)
    return Query(f"SELECT asset_id, count(*) {rows.text} GROUP BY asset_id", rows.given)


def weather_sizes(tenant_id: str, which: Query, first: int, last: int) -> Query:
    """How many rows of weather each source has."""
    rows = _weather(tenant_id, which, first, last)
    return Query(f"SELECT asset_id, count(*) {rows.text} GROUP BY asset_id", rows.given)


def series_by_time(
    names: Sequence[str], tenant_id: str, which: Query, first: int, last: int, width: int
) -> Query:
    """How many observations lie in each step of `width` from `first` on."""
    return _by_time(_observations(tenant_id, names, which, first, last), width)


def weather_by_time(tenant_id: str, which: Query, first: int, last: int, width: int) -> Query:
    """How many rows of weather lie in each step of `width` from `first` on."""
    return _by_time(_weather(tenant_id, which, first, last), width)


def _observations(
    tenant_id: str,
    names: Sequence[str],
    which: Query,
    first: int,
    last: int,
    table: str = "ai_features",
) -> Query:
    places = {f"series_{place}": name for place, name in enumerate(names)}
    found = " OR ".join(f"feature_type = {_text(place)}" for place in places) or "false"
    return Query(
        f"FROM {table} WHERE tenant_id = {_text('tenant')} AND ({found}){which.text} "
        f"AND timestamp BETWEEN {_time('first')} AND {_time('last')}",
        {"tenant": tenant_id, **places, **which.given,
         "first": instant(first), "last": instant(last)},
    )  # fmt: skip


def _weather(tenant_id: str, which: Query, first: int, last: int) -> Query:
    return Query(
        f"FROM weather_features WHERE tenant_id = {_text('tenant')}{which.text} "
        f"AND timestamp BETWEEN {_time('first')} AND {_time('last')} "
        f"AND issued_at <= {_time('last')}",
        {"tenant": tenant_id, **which.given, "first": instant(first), "last": instant(last)},
    )


def _by_time(rows: Query, width: int) -> Query:
    seconds, micros = divmod(width, SECOND)
    step = f"make_interval(secs => {_text('width')}::float8)"
    return Query(
        f"SELECT date_bin({step}, timestamp, {_time('first')}), count(*) {rows.text} GROUP BY 1",
        {**rows.given, "width": f"{seconds}.{micros:06d}"},
    )


def _text(name: str) -> str:
    return f"ai_hub_given('{name}')"


def _texts(name: str) -> str:
    return f"ai_hub_given_texts('{name}')"


def _time(name: str) -> str:
    return f"ai_hub_given_time('{name}')"


def _array(values: Sequence[str]) -> str:
    quoted = (value.replace("\\", "\\\\").replace('"', '\\"') for value in values)
    inside = ",".join(f'"{value}"' for value in quoted)
    return f"{{{inside}}}"
