"""The bulk read in PostgreSQL's words.

Values are literals in the text. With bound parameters the driver would not use COPY, and would
hold the whole result before it gives the first row.
"""

from __future__ import annotations

from collections.abc import Sequence

from ai_hub.definitions.values import FIRST_INSTANT, LAST_INSTANT, SECOND, to_datetime
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


def literal(value: str) -> str:
    """A text, however the server reads backslashes."""
    escaped = value.replace("\\", "\\\\").replace("'", "''")
    return f"E'{escaped}'"


def literals(values: Sequence[str]) -> str:
    """An array of texts, as one literal: many of them are parsed at once."""
    quoted = (value.replace("\\", "\\\\").replace('"', '\\"') for value in values)
    inside = ",".join(f'"{value}"' for value in quoted)
    return f"{literal(f'{{{inside}}}')}::text[]"


def instant(micros: int) -> str:
    """A time; what is before the first instant or after the last one becomes that one."""
    return (
        f"'{to_datetime(min(max(micros, FIRST_INSTANT), LAST_INSTANT)).isoformat()}'::timestamptz"
    )


def among(ids: Sequence[str]) -> str:
    """The condition that a row is about one of some assets."""
    return f" AND asset_id = ANY({literals(ids)})"


def between(first: str, last: str) -> str:
    """The condition that a row is about an asset from the first to the last, by code point."""
    return f" AND asset_id BETWEEN {literal(first)} AND {literal(last)}"


def series(tenant_id: str, name: str, which: str, first: int, last: int) -> str:
    """The usable observations of one series in [first, last], in no order."""
    rows = _observations(tenant_id, [name], which, first, last)
    return f"SELECT asset_id, timestamp, value {rows}"


def weather(tenant_id: str, columns: Sequence[str], which: str, first: int, last: int) -> str:
    """Weather about [first, last] that was known by `last`, in no order."""
    wanted = ", ".join(("asset_id", "timestamp", "issued_at", *columns))
    return f"SELECT {wanted} {_weather(tenant_id, which, first, last)}"


def view(
    reads: ViewReads, column: str, is_boolean: bool, tenant_id: str, which: str, span: TimeSpan
) -> str:
    """The numbers of a column of a user's own view later than a time, up to another one, in no
    order."""
    first, last = span
    value = number(column, is_boolean)
    return (
        f"SELECT asset_id, timestamp, {value} AS value FROM {quoted(reads.view)} "
        f"WHERE tenant_id = {literal(tenant_id)}{which} AND timestamp > {instant(first)} "
        f"AND timestamp <= {instant(last)} AND {has_number(value)}"
    )


def sources(tenant_id: str, which: str) -> str:
    """The mappings of assets to weather sources, those of an asset by time."""
    return (
        "SELECT asset_id, valid_from, source_id FROM asset_weather_source "
        f"WHERE tenant_id = {literal(tenant_id)}{which} ORDER BY asset_id, valid_from"
    )


def attributes(tenant_id: str, keys: Sequence[str], which: str) -> str:
    """The stored rows of some attributes of assets."""
    return (
        "SELECT asset_id, key, valid_from, number, text FROM asset_attributes "
        f"WHERE tenant_id = {literal(tenant_id)} AND key = ANY({literals(keys)}){which}"
    )


def edges(tenant_id: str, name: str, asset_ids: Sequence[str] | None) -> str:
    """The times of the first and the last observation of a series, of some assets or all.

    Two steps into the key for each asset; where they are not given, one more to find the next.
    """
    mine = f"FROM ai_features f WHERE f.tenant_id = {literal(tenant_id)}"
    if asset_ids is None:
        key = "f.asset_id, f.feature_type"
        assets = (
            f"RECURSIVE pair AS ((SELECT {key} {mine} ORDER BY {key} LIMIT 1) UNION ALL "
            f"SELECT following.* FROM pair CROSS JOIN LATERAL (SELECT {key} {mine} "
            f"AND ({key}) > (pair.asset_id, pair.feature_type) ORDER BY {key} LIMIT 1) following"
            f"), asset AS (SELECT asset_id FROM pair WHERE feature_type = {literal(name)})"
        )
    else:
        assets = f"asset AS (SELECT unnest({literals(asset_ids)}) AS asset_id)"
    this = f"f.asset_id = asset.asset_id AND f.feature_type = {literal(name)}"
    edge = f"(SELECT f.timestamp {mine} AND {this} ORDER BY f.timestamp"
    return (
        f"WITH {assets} SELECT asset.asset_id, first.timestamp, last.timestamp "
        f"FROM asset CROSS JOIN LATERAL {edge} LIMIT 1) first "
        f"CROSS JOIN LATERAL {edge} DESC LIMIT 1) last"
    )


def series_sizes(tenant_id: str, names: Sequence[str], which: str, first: int, last: int) -> str:
    """How many observations of some series each asset has."""
    rows = _observations(tenant_id, names, which, first, last)
    return f"SELECT asset_id, count(*) {rows} GROUP BY asset_id"


def weather_sizes(tenant_id: str, which: str, first: int, last: int) -> str:
    """How many rows of weather each source has."""
    return f"SELECT asset_id, count(*) {_weather(tenant_id, which, first, last)} GROUP BY asset_id"


def series_by_time(
    names: Sequence[str], tenant_id: str, which: str, first: int, last: int, width: int
) -> str:
    """How many observations lie in each step of `width` from `first` on."""
    rows = _observations(tenant_id, names, which, first, last)
    return f"SELECT {_step(first, width)}, count(*) {rows} GROUP BY 1"


def weather_by_time(tenant_id: str, which: str, first: int, last: int, width: int) -> str:
    """How many rows of weather lie in each step of `width` from `first` on."""
    rows = _weather(tenant_id, which, first, last)
    return f"SELECT {_step(first, width)}, count(*) {rows} GROUP BY 1"


def _observations(tenant_id: str, names: Sequence[str], which: str, first: int, last: int) -> str:
    found = " OR ".join(f"feature_type = {literal(name)}" for name in names) or "false"
    return (
        f"FROM ai_features WHERE tenant_id = {literal(tenant_id)} AND ({found}){which} "
        f"AND timestamp BETWEEN {instant(first)} AND {instant(last)}"
    )


def _weather(tenant_id: str, which: str, first: int, last: int) -> str:
    return (
        f"FROM weather_features WHERE tenant_id = {literal(tenant_id)}{which} "
        f"AND timestamp BETWEEN {instant(first)} AND {instant(last)} "
        f"AND issued_at <= {instant(last)}"
    )


def _step(first: int, width: int) -> str:
    seconds, micros = divmod(width, SECOND)
    return f"date_bin('{seconds}.{micros:06d} seconds', timestamp, {instant(first)})"
