"""A database on TimescaleDB with a long history: so many rows, chunks and assets."""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from ai_hub.administration import set_retention
from ai_hub.config import Settings

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))
import servers

TENANT = "acme"
RELATIONS = (
    "timeseries_data", "ai_features", "weather_features", "hourly_features", "daily_features"
)  # fmt: skip
_MOST_WEEKS = 1_000
"""With more chunks than that each is of a day."""
_RECENT_HOURS = 14 * 24
_RECENT_SHARE = 0.3

# Reading n of all goes to the next asset, and after the last one a step further.
_CHUNK = """
INSERT INTO ai_features (timestamp, tenant_id, asset_id, value)
SELECT TIMESTAMPTZ '{start}' + ((n - {first}) / {assets}) * INTERVAL '{step} seconds',
       '{tenant}', 'meter-' || lpad((n % {assets})::text, 6, '0'), 50 + 10 * sin(n) + random()
FROM generate_series({first}::bigint, {last}::bigint) AS n;
"""
_HOURS = """
INSERT INTO ai_features (timestamp, tenant_id, asset_id, value)
SELECT at, '{tenant}', 'meter-' || lpad(n::text, 6, '0'), 50 + 10 * sin(n) + random()
FROM generate_series(TIMESTAMPTZ '{since}', TIMESTAMPTZ '{end}', INTERVAL '1 hour') AS at,
     generate_series(0, {assets} - 1) AS n;
"""


@dataclass(frozen=True, slots=True)
class History:
    """`rows` of `assets` in about `chunks` chunks: hourly at the end, thinner before."""

    rows: int
    chunks: int
    assets: int

    @property
    def width(self) -> timedelta:
        """The time that a chunk holds."""
        return timedelta(days=7 if self.chunks <= _MOST_WEEKS else 1)

    @property
    def recent_hours(self) -> int:
        """How many hours at the end have a reading of every asset."""
        return max(1, min(_RECENT_HOURS, int(_RECENT_SHARE * self.rows / self.assets)))

    def script(self, end: datetime) -> Iterator[str]:
        """The statements that insert it, up to a full hour."""
        yield f"SELECT set_chunk_time_interval('ai_features', INTERVAL '{self.width.days} days');"
        recent = self.recent_hours
        since = end - timedelta(hours=recent - 1)
        left, n = self.rows - recent * self.assets, 0
        for place in range(self.chunks):
            start = since - (self.chunks - place) * self.width
            mine = left * (place + 1) // self.chunks - n
            steps = -(-mine // self.assets)
            if mine:
                yield _CHUNK.format(
                    start=start.isoformat(), first=n, last=n + mine - 1, assets=self.assets,
                    step=int(self.width.total_seconds()) // steps, tenant=TENANT,
                )  # fmt: skip
            n += mine
        yield _HOURS.format(since=since.isoformat(), end=end.isoformat(), tenant=TENANT,
                            assets=self.assets)  # fmt: skip


def last_hour() -> datetime:
    """The full hour that is over."""
    return datetime.now(UTC).replace(minute=0, second=0, microsecond=0)


def filled(
    server: servers.Server, history: History, say: Callable[[str], None], end: datetime
) -> str:
    """The URL of a new database with a history, which is kept for ever."""
    url = server.fresh()
    settings = Settings(database_url=url)
    for relation in RELATIONS:
        asyncio.run(set_retention(settings, relation, None))
    name = url.rpartition("/")[2]
    statements = [*history.script(end)]
    part, begin = -(-len(statements) // 10), time.perf_counter()
    for first in range(0, len(statements), part):
        server.psql(name, script="\n".join(statements[first : first + part]))
        done = min(len(statements), first + part)
        say(f"filling: {done} of {len(statements)} after {time.perf_counter() - begin:.0f} s")
    return url


def compress(server: servers.Server, name: str) -> None:
    """Move chunks older than two weeks to the columnstore, one after the other."""
    chunks = server.sql(
        "SELECT c::text FROM show_chunks('ai_features', older_than => INTERVAL '14 days') AS c",
        name,
    )
    server.psql(name, script="".join(f"SELECT compress_chunk('{c}');\n" for (c,) in chunks))
    server.sql("VACUUM ANALYZE", name)
