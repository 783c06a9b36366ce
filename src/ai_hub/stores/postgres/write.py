"""Writes to PostgreSQL: a batch by COPY, into the tables where no row can be in the way, else first
into a temporary one.

One transaction a batch. Rows come sorted by their key, so two writers of the same keys lock them in
one order.
"""

from __future__ import annotations

import asyncio
import struct
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

import asyncpg
import numpy as np

from ai_hub.definitions.values import FIRST_INSTANT, Duration, Entity
from ai_hub.definitions.vocabulary import WEATHER_COLUMNS
from ai_hub.stores.audit_log import AuditRecord, landed
from ai_hub.stores.base import Landed
from ai_hub.stores.postgres.audit_log import write_audit
from ai_hub.stores.postgres.fresh import fresh_rows
from ai_hub.stores.postgres.session import POSTGRES_EPOCH, Connection
from ai_hub.stores.touched import pairs_of, touched

if TYPE_CHECKING:
    import pyarrow as pa
    from numpy.typing import NDArray

    from ai_hub.engines.arrays import Mask

WRITERS_LOCK = 7_248_003_001
"""The advisory lock that writers share, in a trigger, and maintenance takes alone for a moment."""
EXPORTS_LOCK = 7_248_003_004
"""The advisory lock that exports share; maintenance puts late rows in order while none has it."""
_COPY_HEAD = b"PGCOPY\n\xff\r\n\0" + bytes(8)
_COPY_END = b"\xff\xff"
_COPY_ROWS = 50_000
"""Rows made ready at once: that takes several times their memory."""
_PIECE = 1 << 18
_FEW_ROWS = 1_000
"""Rows of which what is made, or given to a statement, takes the event loop a few milliseconds."""
_T = TypeVar("_T")
Before = Callable[[Collection[Entity]], Awaitable[None]]
"""Called as the last thing before a commit, with the entities that it touches."""

_KEY = "tenant_id, asset_id, feature_type, timestamp"
_WEATHER_KEY = "tenant_id, asset_id, timestamp, issued_at"
_WEATHER = ", ".join(WEATHER_COLUMNS)

_OBSERVATIONS_IN = """
CREATE TEMPORARY TABLE IF NOT EXISTS ai_hub_observations_in (
    timestamp timestamptz, tenant_id text COLLATE "C", asset_id text COLLATE "C",
    feature_type text COLLATE "C", value float8, quality int4
) ON COMMIT DELETE ROWS
"""
_WEATHER_IN = f"""
CREATE TEMPORARY TABLE IF NOT EXISTS ai_hub_weather_in (
    timestamp timestamptz, issued_at timestamptz, tenant_id text COLLATE "C",
    asset_id text COLLATE "C", {", ".join(f"{column} float8" for column in WEATHER_COLUMNS)}
) ON COMMIT DELETE ROWS
"""
# Each counts the rows it wrote and those of them that replaced one (a new row has no xmax yet), and
# both again for rows before $2.
_COUNTED = """
SELECT count(*), count(*) FILTER (WHERE old), count(*) FILTER (WHERE timestamp < $2),
       count(*) FILTER (WHERE old AND timestamp < $2)
FROM written
"""
_RAW = f"""
WITH written AS (
    INSERT INTO timeseries_data AS t (timestamp, tenant_id, asset_id, feature_type, value, quality)
    SELECT timestamp, tenant_id, asset_id, feature_type, value, quality
    FROM ai_hub_observations_in WHERE timestamp >= $1
    ON CONFLICT ({_KEY}) DO UPDATE
    SET value = excluded.value, quality = excluded.quality, ingested_at = now()
    WHERE t.value <> excluded.value OR t.quality <> excluded.quality
    RETURNING timestamp, xmax <> 0 AS old
) {_COUNTED}
"""
_USABLE = f"""
WITH written AS (
    INSERT INTO ai_features AS t (timestamp, tenant_id, asset_id, feature_type, value)
    SELECT timestamp, tenant_id, asset_id, feature_type, value
    FROM ai_hub_observations_in WHERE quality >= $1
    ON CONFLICT ({_KEY}) DO UPDATE SET value = excluded.value, ingested_at = now()
    WHERE t.value <> excluded.value
    RETURNING timestamp, xmax <> 0 AS old
) {_COUNTED}
"""
_GONE = """
WITH written AS (
    DELETE FROM ai_features t USING ai_hub_observations_in i
    WHERE i.quality < 1 AND t.tenant_id = i.tenant_id AND t.asset_id = i.asset_id
      AND t.feature_type = i.feature_type AND t.timestamp = i.timestamp
      AND t.timestamp >= $1 AND t.timestamp <= $3
    RETURNING t.timestamp, true AS old
) SELECT count(*), count(*) FILTER (WHERE timestamp < $2) FROM written
"""
# Of what is in the archive alone there is no row to delete.
_GONE_FROM_ARCHIVE = """
INSERT INTO ai_hub_archive_gone (timestamp, tenant_id, asset_id, feature_type)
SELECT timestamp, tenant_id, asset_id, feature_type FROM ai_hub_observations_in
WHERE quality < 1 AND timestamp <
  (SELECT dropped_before FROM ai_hub_archive WHERE kind = 'observations')
ON CONFLICT DO NOTHING
"""
_WEATHER_ROWS = f"""
WITH written AS (
    INSERT INTO weather_features AS t (timestamp, issued_at, tenant_id, asset_id, {_WEATHER})
    SELECT timestamp, issued_at, tenant_id, asset_id, {_WEATHER} FROM ai_hub_weather_in
    ON CONFLICT ({_WEATHER_KEY}) DO UPDATE
    SET {", ".join(f"{column} = excluded.{column}" for column in WEATHER_COLUMNS)},
        ingested_at = now()
    WHERE ({", ".join(f"t.{column}" for column in WEATHER_COLUMNS)})
       IS DISTINCT FROM ({", ".join(f"excluded.{column}" for column in WEATHER_COLUMNS)})
    RETURNING xmax <> 0 AS old
) SELECT count(*), count(*) FILTER (WHERE old) FROM written
"""
_MAPPED = """
SELECT m.tenant_id, m.asset_id FROM asset_weather_source m
JOIN unnest($1::text[], $2::text[]) AS s(tenant_id, source_id)
  ON m.tenant_id = s.tenant_id AND m.source_id = s.source_id
"""
# An asset that is mapped to a station while it gets weather must see both: until the commit nobody
# maps any. Writers of weather do not wait for each other.
_UNMAPPED = "LOCK TABLE asset_weather_source IN ROW EXCLUSIVE MODE"


@dataclass(frozen=True, slots=True)
class RetentionPeriods:
    """How long rows are kept in the raw table, and in the one that features are read from."""

    raw: Duration | None
    features: Duration | None

    def raw_since(self, now: int) -> int:
        """The earliest time that timeseries_data keeps."""
        return FIRST_INSTANT if self.raw is None else now - self.raw.micros

    def features_since(self, now: int) -> int:
        """The earliest time that the table of the features keeps."""
        return FIRST_INSTANT if self.features is None else now - self.features.micros


async def append_observations(
    connection: Connection,
    batch: pa.Table,
    periods: RetentionPeriods,
    before: Before,
    audit: Sequence[AuditRecord] = (),
) -> Landed:
    """Land one batch (schema OBSERVATIONS, one row a key).

    Triggers of migration 015 note its series, and what is behind the refreshed hours.
    """
    if not batch.num_rows:
        return Landed(0, 0, frozenset())
    now = time.time_ns() // 1_000
    since = periods.raw_since(now)
    entities = await _computed(_touched, batch)
    fresh = np.zeros(batch.num_rows, bool)
    if batch.num_rows > _FEW_ROWS:
        fresh = await fresh_rows(connection, batch, since)
    try:
        async with connection.transaction():
            replaced, unchanged = await _write(connection, batch, fresh, since)
            await write_audit(connection, landed(audit, replaced, unchanged))
            await before(entities)
    except asyncpg.UniqueViolationError:
        # Another writer brought some of these rows since we looked.
        async with connection.transaction():
            replaced, unchanged = await _write(
                connection, batch, np.zeros(batch.num_rows, bool), since
            )
            await write_audit(connection, landed(audit, replaced, unchanged))
            await before(entities)
    times = np.asarray(batch["timestamp"].cast("int64"))
    aged = int((times < periods.features_since(now)).sum())
    return Landed(replaced, unchanged, entities, aged)


async def _write(
    connection: Connection, batch: pa.Table, fresh: Mask, since: int
) -> tuple[int, int]:
    """Write the rows of a batch, the fresh ones as they are; how many replaced one that was stored,
    and how many were stored already."""
    if fresh.any():
        await _copy_fresh(connection, batch.filter(fresh) if not fresh.all() else batch, since)
    if fresh.all():
        return 0, 0
    return await _upsert(connection, batch.filter(~fresh) if fresh.any() else batch, since)


async def _copy_fresh(connection: Connection, batch: pa.Table, since: int) -> None:
    kept = np.asarray(batch["timestamp"].cast("int64")) >= since
    if kept.any():
        await _copy(connection, "timeseries_data", batch.filter(kept))
    await _copy(connection, "ai_features", batch.drop_columns(["quality"]))


async def _upsert(connection: Connection, batch: pa.Table, since: int) -> tuple[int, int]:
    times = np.asarray(batch["timestamp"].cast("int64"))
    first, last = int(times.min()), int(times.max())
    usable = np.asarray(batch["quality"]) >= 1
    await copy_observations(connection, batch)
    written = replaced = 0
    if last >= since:
        written, replaced, *_ = await connection.fetchrow(_RAW, since, since)
    if usable.any():
        _, _, fresh, changed = await connection.fetchrow(_USABLE, 1, since)
        written, replaced = written + fresh, replaced + changed
    if not usable.all():
        _, gone = await connection.fetchrow(_GONE, first, since, last)
        await connection.execute(_GONE_FROM_ARCHIVE)
        written, replaced = written + gone, replaced + gone
    return replaced, batch.num_rows - written


async def copy_observations(connection: Connection, batch: pa.Table) -> None:
    """Send a batch into a temporary table of the session, emptied when the transaction ends."""
    await connection.execute(_OBSERVATIONS_IN)
    await _copy(connection, "ai_hub_observations_in", batch)


async def copy_weather(connection: Connection, batch: pa.Table) -> None:
    """The same of weather."""
    await connection.execute(_WEATHER_IN)
    await _copy(connection, "ai_hub_weather_in", batch)


async def append_weather(
    connection: Connection,
    batch: pa.Table,
    periods: RetentionPeriods,
    before: Before,
    audit: Sequence[AuditRecord] = (),
) -> Landed:
    """Land one batch of weather (schema WEATHER, one row a key)."""
    if not batch.num_rows:
        return Landed(0, 0, frozenset())
    times = np.asarray(batch["timestamp"].cast("int64"))
    pairs = await _computed(pairs_of, batch)
    async with connection.transaction():
        await copy_weather(connection, batch)
        written, replaced = await connection.fetchrow(_WEATHER_ROWS)
        await connection.execute(_UNMAPPED)
        mapped: set[Entity] = set()
        for first in range(0, pairs.num_rows, _FEW_ROWS):
            columns = pairs.slice(first, _FEW_ROWS).columns
            found = await connection.fetch(_MAPPED, *(column.to_pylist() for column in columns))
            mapped |= await asyncio.to_thread(_entities, found)
        entities = await asyncio.to_thread(touched, pairs, mapped)
        await write_audit(connection, landed(audit, replaced, batch.num_rows - written))
        await before(entities)
    aged = int((times < periods.features_since(time.time_ns() // 1_000)).sum())
    return Landed(replaced, batch.num_rows - written, entities, aged)


def _touched(batch: pa.Table) -> Collection[Entity]:
    return touched(pairs_of(batch))


def _entities(rows: Sequence[asyncpg.Record]) -> set[Entity]:
    return {Entity(*row) for row in rows}


async def _computed(work: Callable[[pa.Table], _T], batch: pa.Table) -> _T:
    """What is made of a batch; of a large one it is made beside the event loop."""
    if batch.num_rows <= _FEW_ROWS:
        return work(batch)
    return await asyncio.to_thread(work, batch)


async def _copy(connection: Connection, table: str, batch: pa.Table) -> None:
    async def parts() -> AsyncIterator[pa.Buffer]:
        for first in range(0, batch.num_rows, _COPY_ROWS):
            yield await _computed(copy_rows, batch.slice(first, _COPY_ROWS))

    await _copy_parts(connection, table, batch.column_names, parts())


async def copy_table(
    connection: Connection, table: str, columns: Sequence[str], rows: pa.Buffer
) -> None:
    """Send what `copy_rows` made into a table."""

    async def parts() -> AsyncIterator[pa.Buffer]:
        yield rows

    await _copy_parts(connection, table, columns, parts())


async def _copy_parts(
    connection: Connection, table: str, columns: Sequence[str], parts: AsyncIterator[pa.Buffer]
) -> None:
    async def pieces() -> AsyncIterator[bytes]:
        yield _COPY_HEAD
        async for rows in parts:
            data = memoryview(rows)
            for place in range(0, len(data), _PIECE):
                yield bytes(data[place : place + _PIECE])
        yield _COPY_END

    await connection.copy_to_table(table, source=pieces(), columns=columns, format="binary")


def copy_rows(batch: pa.Table) -> pa.Buffer:
    """The rows as PostgreSQL's binary COPY has them: a count of fields, then length and bytes.

    Source: PostgreSQL documentation, COPY, "Binary Format".
    """
    import pyarrow as pa
    import pyarrow.compute as pc

    def binary(data: bytes) -> pa.Scalar:
        return pa.scalar(data, pa.large_binary())

    fields = [_field(batch[name].combine_chunks()) for name in batch.column_names]
    count = binary(struct.pack(">h", len(fields)))
    rows = pc.binary_join_element_wise(count, *fields, binary(b""))
    # One value after the other, each a whole row: the values' buffer is the text of the COPY.
    _, offsets, data = rows.buffers()
    ends = np.frombuffer(offsets, np.int64)[rows.offset : rows.offset + len(rows) + 1]
    return data.slice(int(ends[0]), int(ends[-1] - ends[0]))


def _field(column: pa.Array) -> pa.Array:
    import pyarrow as pa

    kind = column.type
    if pa.types.is_string(kind):
        known = column.dictionary_encode()
        texts = [text.encode() for text in known.dictionary.to_pylist()]
        packed = pa.array([struct.pack(">i", len(text)) + text for text in texts],
                          pa.large_binary())  # fmt: skip
        return packed.take(known.indices)
    pack: Callable[[pa.Array], NDArray[np.generic]]
    if pa.types.is_timestamp(kind):
        width, pack = (
            8,
            lambda some: (np.asarray(some.cast("int64")) - POSTGRES_EPOCH).astype(">i8"),
        )
    elif pa.types.is_float64(kind):
        width, pack = 8, lambda some: np.asarray(some.fill_null(0.0), np.float64).astype(">f8")
    else:
        width, pack = 4, lambda some: np.asarray(some).astype(">i4")
    raw = np.empty((len(column), 4 + width), np.uint8)
    raw[:, :4] = np.frombuffer(struct.pack(">i", width), np.uint8)
    raw[:, 4:] = pack(column).view(np.uint8).reshape(len(column), width)
    fixed = pa.Array.from_buffers(
        pa.binary(4 + width), len(column), [None, pa.py_buffer(raw)]
    ).cast(pa.large_binary())
    if not column.null_count:
        return fixed
    null = pa.scalar(struct.pack(">i", -1), pa.large_binary())
    return pa.compute.if_else(column.is_null(), null, fixed)
