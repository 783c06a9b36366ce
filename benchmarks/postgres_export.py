"""Exporting ten million rows from PostgreSQL, beside a bare ADBC read of the same rows.

The bare read keeps the rows as Arrow, in no order. Both run in processes of their own, in turn.
`BENCHMARK_TIMESCALEDB` and `BENCHMARK_POSTGRESQL` may name empty databases on servers of yours;
without, private servers are started by the harness of the tests.
"""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from statistics import median
from typing import Literal

import asyncpg
from adbc_driver_postgresql import dbapi

from ai_hub import FeatureStore
from benchmarks.data import HOUR, START, TENANT
from benchmarks.measure import Check, Table, Topic, median_ratio, peak

# Its modules are imported where servers are wanted: the processes that are measured have none.
sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

_SET = "forecast_basic"
_ROUNDS = 3
_TARGET, _MOST_MEMORY = 2.5, 1000.0
_FIRST = datetime.fromtimestamp(START / 1e6, UTC)
_NAMES = {"timescaledb": "TimescaleDB", "plain": "PostgreSQL"}
_Kind = Literal["timescaledb", "plain"]
_KINDS: tuple[_Kind, ...] = ("timescaledb", "plain")
_SQL = Callable[[str], object]


@dataclass(frozen=True, slots=True)
class _Case:
    """How many rows, in which order they came in, and what happened to them since."""

    kind: _Kind
    assets: int
    hours: int
    order: Literal["time", "asset"]
    layout: str
    recent_hours: int | None = None

    @property
    def rows(self) -> tuple[object, ...]:
        """What tells the rows from those of another case."""
        return self.assets, self.hours, self.order

    def fill(self, sql: _SQL) -> None:
        """These rows alone, in their order."""
        hours = f"generate_series(0, {self.hours - 1})"
        assets = f"generate_series(0, {self.assets - 1})"
        # A look that depends on the outer one stays inside.
        inside = (
            f"{hours} AS h, LATERAL (SELECT i FROM {assets} AS i OFFSET 0 * h) AS a"
            if self.order == "time"
            else f"{assets} AS i, LATERAL (SELECT h FROM {hours} AS h OFFSET 0 * i) AS b"
        )
        sql("TRUNCATE ai_features")
        sql(
            "INSERT INTO ai_features (timestamp, tenant_id, asset_id, value) "
            f"SELECT timestamptz '{_FIRST.isoformat()}' + h * interval '1 hour', '{TENANT}', "
            "'meter-' || lpad(i::text, 6, '0'), "
            f"round((20 + 10 * sin(h / 3.8) + i % 40 + random())::numeric, 3) FROM {inside}"
        )

    def compress(self, sql: _SQL) -> None:
        """Move to the columnstore what is not recent."""
        if self.recent_hours is not None:
            until = _FIRST + timedelta(hours=self.hours - self.recent_hours)
            sql(
                "SELECT compress_chunk(chunk, true) FROM "
                f"show_chunks('ai_features', older_than => timestamptz '{until.isoformat()}') chunk"
            )


_CASES = (
    _Case("timescaledb", 1000, 10_000, "time", "two weeks of it in rows", 14 * 24),
    _Case("timescaledb", 1000, 10_000, "time", "all in the columnstore", -8 * 24),
    _Case("timescaledb", 20_000, 500, "time", "all in the columnstore", -8 * 24),
    _Case("plain", 1000, 10_000, "time", "in order of time"),
    _Case("plain", 1000, 10_000, "asset", "in order of asset"),
    _Case("plain", 20_000, 500, "time", "in order of time"),
)


def run() -> Topic:
    import servers

    topic = Topic("postgres_export")
    lines: list[tuple[str, ...]] = []
    for kind in _KINDS:
        if reason := None if _given(kind) else servers.absent(kind):
            topic.tables.append(Table(f"No figures of {_NAMES[kind]}: {reason}", (), []))
            continue
        with _database(kind) as url, _statements(url) as sql:
            held = None
            for case in (case for case in _CASES if case.kind == kind):
                if case.rows != held:
                    case.fill(sql)
                case.compress(sql)
                sql("VACUUM ANALYZE ai_features")
                held = case.rows
                lines.append(_measured(case, url, topic))
    topic.tables.append(
        Table(
            f"Export of {_SET} from PostgreSQL to snappy Parquet, beside a bare read",
            ("server", "rows", "assets", "layout", "bare s", "ours s", "rows/s", "ours / bare",
             "peak MB"),
            lines,
            "Bare: ADBC reads asset, time and value of the same rows into Arrow in memory, in no "
            "order. Peak: the most resident memory of the process that exports. The server runs "
            "on the same cores.",
        )
    )  # fmt: skip
    return topic


def _measured(case: _Case, url: str, topic: Topic) -> tuple[str, ...]:
    bare, ours, memory = [], [], 0.0
    rows = 0
    for _ in range(_ROUNDS + 1):
        _, seconds, _ = _apart("bare", url)
        bare.append(seconds)
        rows, seconds, most = _apart("ours", url)
        ours.append(seconds)
        memory = max(memory, most)
    # The first round warms up.
    bare, ours = bare[1:], ours[1:]
    ratio = median_ratio(ours, bare)
    what = f"{_NAMES[case.kind]}, {case.assets:,} assets, {case.layout}"
    topic.checks += [
        Check(f"export from {what}, x bare read", ratio, _TARGET),
        Check(f"memory of an export from {what}", memory, _MOST_MEMORY, "MB"),
    ]
    return (
        _NAMES[case.kind], f"{rows:,}", f"{case.assets:,}", case.layout, f"{median(bare):.2f}",
        f"{median(ours):.2f}", f"{rows / median(ours):,.0f}", f"{ratio:.2f}", f"{memory:.0f}",
    )  # fmt: skip


def _apart(what: str, url: str) -> tuple[int, float, float]:
    """Rows, seconds and peak memory of a read or an export in a process of its own."""
    with tempfile.TemporaryDirectory() as folder:
        out = subprocess.run(
            [sys.executable, "-m", "benchmarks.postgres_export", what, url, folder],
            check=True, stdout=subprocess.PIPE, text=True,
        ).stdout.split()  # fmt: skip
    return int(out[0]), float(out[1]), float(out[2])


def _bare(url: str) -> tuple[int, float]:
    begin = time.perf_counter()
    with dbapi.connect(url) as connection, connection.cursor() as cursor:
        cursor.execute("SET jit = off")
        cursor.execute(
            "SELECT asset_id, timestamp, value FROM ai_features "
            f"WHERE tenant_id = '{TENANT}' AND feature_type = 'value' "
            "AND timestamp BETWEEN '2000-01-01Z' AND '2100-01-01Z'"
        )
        with closing(cursor.fetch_record_batch()) as reader:
            kept = list(reader)
        seconds = time.perf_counter() - begin
        return sum(batch.num_rows for batch in kept), seconds


async def _ours(url: str, folder: Path) -> tuple[int, float]:
    async with FeatureStore.open(url) as store:
        begin = time.perf_counter()
        record = await store.export_features_to_parquet(
            TENANT,
            _SET,
            _FIRST,
            _FIRST + timedelta(microseconds=100_000 * HOUR),
            output_path=folder / "train.parquet",
        )
        return record["row_count"], time.perf_counter() - begin


def _given(kind: _Kind) -> str | None:
    return os.environ.get(f"BENCHMARK_{_NAMES[kind].upper()}")


@contextmanager
def _database(kind: _Kind) -> Iterator[str]:
    """A migrated database on the server that was named, or on a private one."""
    import servers

    if url := _given(kind):
        servers.migrate(url)
        yield url
        return
    try:
        yield servers.server(kind).fresh()
    finally:
        servers.stop_all()


@contextmanager
def _statements(url: str) -> Iterator[_SQL]:
    """One connection for statements that take as long as they take."""
    loop = asyncio.new_event_loop()
    connection = loop.run_until_complete(asyncpg.connect(url))
    try:
        yield lambda text: loop.run_until_complete(connection.execute(text))
    finally:
        loop.run_until_complete(connection.close())
        loop.close()


def _child(what: str, url: str, folder: str) -> None:
    rows, seconds = _bare(url) if what == "bare" else asyncio.run(_ours(url, Path(folder)))
    print(rows, seconds, peak())


if __name__ == "__main__":
    _child(*sys.argv[1:])
