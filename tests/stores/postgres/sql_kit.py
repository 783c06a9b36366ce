"""Databases for tests of what the migrations made: histories in, rows of any query out."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import asyncpg

from ai_hub.definitions.kinds import Rolling
from ai_hub.definitions.values import Duration, to_datetime, to_micros
from ai_hub.definitions.vocabulary import WEATHER_COLUMNS, Stat
from ai_hub.testing import History, Number, Observation, WeatherRow, close, value, window_values

SESSIONS: tuple[Mapping[str, str], ...] = (
    {},
    {"timezone": "Europe/Berlin", "standard_conforming_strings": "off"},
    {"timezone": "America/New_York", "datestyle": "SQL, DMY", "intervalstyle": "sql_standard"},
)
"""What sessions may be set to without any effect on a value."""
HOSTILE = ("meter-001", "it's", "a\\'b\\", '"; --', "$$", "100%_", "ä€😀", "A b", "$1")
WINDOW: tuple[Stat, ...] = ("count", "mean", "std", "min", "max", "sum")
"""What a window function gives, in its order."""

_OBSERVATIONS = """
INSERT INTO ai_features (timestamp, tenant_id, asset_id, feature_type, value)
SELECT t, $1, $2, $3, v FROM unnest($4::timestamptz[], $5::float8[]) AS rows (t, v)
ON CONFLICT (tenant_id, asset_id, feature_type, timestamp) DO UPDATE SET value = excluded.value
"""
_WEATHER = f"""
INSERT INTO weather_features (tenant_id, asset_id, timestamp, issued_at, {", ".join(WEATHER_COLUMNS)})
VALUES ({", ".join(f"${i}" for i in range(1, 5 + len(WEATHER_COLUMNS)))})
"""  # noqa: E501


class Database:
    """One connection to a database, used without `await`; instants are microseconds in and out."""

    def __init__(self, url: str) -> None:
        self._loop = asyncio.new_event_loop()
        self._connection = self._wait(asyncpg.connect(url))

    def close(self) -> None:
        self._wait(self._connection.close())
        self._loop.close()

    def rows(self, query: str, *arguments: Any) -> list[dict[str, Any]]:
        return [dict(row) for row in self._wait(self._connection.fetch(query, *arguments))]

    def one(self, query: str, *arguments: Any) -> Any:
        return self._wait(self._connection.fetchval(query, *arguments))

    @contextmanager
    def rolled_back(self, session: Mapping[str, str]) -> Iterator[None]:
        """A transaction of which nothing stays, in a session that is set like this."""
        transaction = self._connection.transaction()
        self._wait(transaction.start())
        try:
            for name, text in session.items():
                self.one("SELECT set_config($1, $2, true)", name, text)
            yield
        finally:
            self._wait(transaction.rollback())

    def observe(
        self, tenant: str, asset: str, series: str, observed: Sequence[Observation]
    ) -> None:
        """Write observations of a series, whose timestamps are all different."""
        if observed:
            times = [to_datetime(o.timestamp) for o in observed]
            values = [o.value for o in observed]
            self.rows(_OBSERVATIONS, tenant, asset, series, times, values)

    def know(self, tenant: str, source: str, rows: Sequence[WeatherRow]) -> None:
        """Write the weather of a source."""
        for row in rows:
            times = (to_datetime(row.timestamp), to_datetime(row.issued_at))
            columns = (row.values.get(column) for column in WEATHER_COLUMNS)
            self.rows(_WEATHER, tenant, source, *times, *columns)

    def write(self, tenant: str, asset: str, history: History) -> None:
        """Write all that is known of an asset."""
        for series, observed in history.series.items():
            self.observe(tenant, asset, series, observed)
        self.know(tenant, asset, history.weather)

    def window(
        self, name: str, tenant: str, asset: str, series: str, first: int, last: int
    ) -> list[Number]:
        """What a window function says of [first, last]."""
        times = (to_datetime(first), to_datetime(last))
        found: list[Number] = self.one(
            f"SELECT {name}($1, $2, $3, $4, $5)", tenant, asset, series, *times
        )
        return found

    def _wait(self, work: Any) -> Any:
        async def waited() -> Any:
            return await work

        return self._loop.run_until_complete(waited())


def wrong_window(
    got: Sequence[Number], series: str, t: int, width: int, history: History
) -> list[str]:
    """What is wrong with a window function's answer for [t - width, t], by the reference."""
    features = {s: Rolling("w", s, Duration(width), series=series) for s in WINDOW}
    values = window_values(features["mean"], t, history)
    largest = max(map(abs, values), default=0.0)
    expected = {stat: value(features[stat], t, history) for stat in WINDOW}
    return [
        f"{stat}: got {found!r}, expected {expected[stat]!r}"
        for stat, found in zip(WINDOW, got, strict=True)
        if not close(found, expected[stat], len(values), largest,
                     exact=stat in ("count", "min", "max"))
    ]  # fmt: skip


def micros(instant: Any) -> int | None:
    """A timestamp of the database in microseconds."""
    return None if instant is None else to_micros(instant)
