"""Tables that others made and filled: what one holds, and its rows in the order of writing.

A table is read block by block, which is the order of writing where rows were never changed, and
where reading goes on after a stop. A chunk in the columnstore and a view have no such blocks and
are read as a whole.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from typing import Any, Literal, assert_never

import pyarrow as pa

from ai_hub.config import Settings
from ai_hub.definitions.vocabulary import WEATHER_COLUMNS
from ai_hub.engines.sql_views import identifier
from ai_hub.errors import InvalidInput
from ai_hub.stores.postgres.errors import Address
from ai_hub.stores.postgres.session import Connection
from ai_hub.stores.postgres.snapshot import Stream

Held = Literal["observations", "weather", "attributes", "mappings", "records"]
"""What rows are about; mappings are weather sources, records are of exports and the registry."""

PIECE_BLOCKS = 4_096
"""Blocks that are read at a time: some 300,000 rows."""
_MOST_ROWS = 300_000

_MAPPINGS = "asset_weather_source"
_REGISTRY = (
    "feature_sets", "feature_set_defaults", "feature_models", "feature_rollouts", "access_keys",
)  # fmt: skip
_RECORDS = ("feature_exports", *_REGISTRY)
_OURS = (
    *_RECORDS, _MAPPINGS, "timeseries_data", "ai_features", "weather_features", "asset_attributes",
    "hourly_features", "daily_features", "forecast_basic_features", "forecast_advanced_features",
    "anomaly_detection_features",
)  # fmt: skip
_FACTS = """
SELECT c.oid, c.relkind::text AS kind, n.nspname::text AS schema, c.relname::text AS name,
  n.nspname = current_schema() AS here,
  array_agg(a.attname::text ORDER BY a.attnum) AS columns,
  array_agg(format_type(a.atttypid, NULL) ORDER BY a.attnum) AS types
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
WHERE c.oid = to_regclass($1) AND c.relkind IN ('r', 'p', 'v', 'm', 'f')
GROUP BY c.oid, n.oid
"""
_CHUNKS = """
SELECT format('%I.%I', chunk_schema, chunk_name) AS name, NOT is_compressed AS in_blocks
FROM timescaledb_information.chunks
WHERE hypertable_schema = $1 AND hypertable_name = $2 ORDER BY range_start, chunk_name
"""
_LEAVES = """
SELECT relid::regclass::text AS name, relkind = 'r' AS in_blocks
FROM pg_partition_tree($1::oid) JOIN pg_class ON pg_class.oid = relid
WHERE isleaf ORDER BY pg_get_expr(relpartbound, relid), name
"""
_SIZE = "SELECT pg_relation_size(to_regclass($1)) / current_setting('block_size')::int"
_COLUMNS = """
SELECT attname::text FROM pg_attribute
WHERE attrelid = to_regclass($1) AND attnum > 0 AND NOT attisdropped
"""
# Every process reads the registry anew.
_REVISE = """
UPDATE registry_revision
SET revision = greatest(revision, (SELECT coalesce(max(revision), 0) FROM feature_sets)) + 1
"""
_POLICIES = """
SELECT remove_retention_policy($1::text::regclass) FROM timescaledb_information.jobs
WHERE proc_name = 'policy_retention'
  AND format('%I.%I', hypertable_schema, hypertable_name)::regclass = $1::text::regclass
"""


Place = tuple[int, int]
"""A row of a table: its block and its number there."""
NOWHERE: Place = (0, 0)
"""Before the first row."""
_MOST = 65_535


@dataclass(frozen=True, slots=True)
class Part:
    """A table, or one of its chunks or partitions; `last` is None where rows have no places."""

    name: str
    last: Place | None

    def next(self, place: Place) -> Place:
        """Where a piece ends that begins behind a place."""
        assert self.last is not None
        return min((place[0] + PIECE_BLOCKS, _MOST), self.last)


@dataclass(frozen=True, slots=True)
class OldTable:
    """A table as its database describes it, and what its rows become here.

    `server` and `relation`, quoted, name it for good, whoever asks. `target` is the table of ours
    that rows go to as they are.
    """

    server: str
    relation: str
    held: Held
    columns: tuple[str, ...]
    parts: tuple[Part, ...]
    target: str | None = None

    @property
    def source(self) -> str:
        """What tells it from all others."""
        return f"{self.server} {self.relation}"

    def query(self, part: Part, behind: Place, last: Place) -> str:
        """The rows of a part behind a place and up to another, as the intake knows them."""
        outputs = ", ".join(_outputs(self.held, self.columns))
        if part.last is None:
            return f"SELECT {outputs} FROM {part.name}"
        return (
            f"SELECT {outputs} FROM ONLY {part.name} WHERE ctid > '({behind[0]},{behind[1]})'::tid "
            f"AND ctid <= '({last[0]},{last[1]})'::tid"
        )


def _outputs(held: Held, columns: Sequence[str]) -> Iterator[str]:
    match held:
        case "observations":
            yield from ("timestamp", "tenant_id::text", "asset_id::text", "value::float8")
            if "feature_type" in columns:
                yield "feature_type::text"
            if "quality" in columns:
                yield "coalesce(quality, 1)::int AS quality"
        case "weather":
            yield from ("timestamp", "tenant_id::text", "asset_id::text")
            if "issued_at" in columns:
                yield "issued_at"
            yield from (
                f"nullif({name}::float8, 'NaN') AS {name}"
                for name in WEATHER_COLUMNS
                if name in columns
            )
        case "attributes":
            yield from ("valid_from", "tenant_id::text", "asset_id::text", "key::text")
            yield "coalesce(text, number::float8::text) AS value"
        case "mappings" | "records":
            raise AssertionError(f"{held} are not read in pieces")
        case _:
            assert_never(held)


async def old_table(on: Connection, settings: Settings, name: str, elsewhere: bool) -> OldTable:
    """The table of a name. `elsewhere`: in another database than that which its rows go to.

    Raises InvalidInput for one that is not there, is ours, or holds nothing that is known.
    """
    facts = await on.fetchrow(_FACTS, name)
    if facts is None:
        raise InvalidInput("table", name, "a table or view of the database, with its schema if any")
    columns = dict(zip(facts["columns"], facts["types"], strict=True))
    if not elsewhere and facts["here"] and facts["name"] in _OURS:
        expected = "a table that is not one of ai-hub in the same database"
        raise InvalidInput("table", name, expected, _RENAME.format(facts["name"]))
    target, held = _held(name, facts["name"], columns)
    at = Address.of(settings.database_url)
    relation = f"{identifier(facts['schema'])}.{identifier(facts['name'])}"
    parts = () if target is not None else await _parts(on, facts)
    return OldTable(f"{at.server}/{at.database}", relation, held, tuple(columns), parts, target)


_RENAME = "Rename it first: ALTER TABLE {0} RENAME TO old_{0}, then ai-hub migrate."


def _held(asked: str, name: str, columns: dict[str, str]) -> tuple[str | None, Held]:
    plain = name.removeprefix("old_")
    if plain in _RECORDS:
        return plain, "records"
    if plain == _MAPPINGS:
        return plain, "mappings"
    entity = {"tenant_id", "asset_id"}
    held: Held | None = None
    if entity | {"key", "number", "text", "valid_from"} <= columns.keys():
        held = "attributes"
    elif entity | {"timestamp"} <= columns.keys():
        if "value" in columns:
            held = "observations"
        elif set(WEATHER_COLUMNS) & columns.keys():
            held = "weather"
    if held is None:
        expected = (
            "columns timestamp, tenant_id, asset_id and value, or those and one of "
            f"{', '.join(WEATHER_COLUMNS)}, or a table that is called "
            f"{', '.join((_MAPPINGS, *_RECORDS))}"
        )
        raise InvalidInput("table", asked, expected, _VIEW)
    time = "valid_from" if held == "attributes" else "timestamp"
    if columns[time] != "timestamp with time zone":
        expected = f"a column {time} of type timestamptz, not {columns[time]}"
        raise InvalidInput("table", asked, expected, _VIEW)
    return None, held


_VIEW = "A view may give it the names and types: CREATE VIEW old_rows AS SELECT ts AS timestamp ..."


async def _parts(on: Connection, facts: Any) -> tuple[Part, ...]:
    found: Sequence[Any] = ()
    if await on.fetchval("SELECT to_regclass('timescaledb_information.chunks') IS NOT NULL"):
        found = await on.fetch(_CHUNKS, facts["schema"], facts["name"])
    if not found and facts["kind"] == "p":
        found = await on.fetch(_LEAVES, facts["oid"])
    if not found:
        name = await on.fetchval("SELECT $1::oid::regclass::text", facts["oid"])
        found = [{"name": name, "in_blocks": facts["kind"] in ("r", "m")}]
    return tuple(
        [
            Part(one["name"], await _last(on, one["name"]) if one["in_blocks"] else None)
            for one in found
        ]
    )


async def _last(on: Connection, name: str) -> Place:
    """The last row of a table, or the beginning of its last block."""
    block = max(0, await on.fetchval(_SIZE, name) - 1)
    row = await on.fetchval(f"SELECT max(ctid) FROM ONLY {name} WHERE ctid >= '({block},0)'::tid")
    return (block, 0) if row is None else tuple(row)


async def drop_retention(on: Connection, table: OldTable) -> bool:
    """Take the retention policy from a table, whose rows are still to be read, if it has one."""
    if not await on.fetchval("SELECT to_regclass('timescaledb_information.jobs') IS NOT NULL"):
        return False
    return bool(await on.fetch(_POLICIES, table.relation))


def pieces(
    settings: Settings, table: OldTable, part: Part, behind: Place, last: Place
) -> Iterator[pa.Table]:
    """The rows of a part behind a place and up to another, some at a time. Blocking.

    Raises StoreError.
    """
    with closing(Stream(settings)) as stream:
        held: list[pa.RecordBatch] = []
        for batch in stream.batches(table.query(part, behind, last)):
            held.append(batch)
            # As a whole a part may be larger than memory.
            if sum(one.num_rows for one in held) >= _MOST_ROWS:
                yield pa.Table.from_batches(held)
                held = []
        if held:
            yield pa.Table.from_batches(held)


async def mappings(
    on: Connection, table: OldTable
) -> list[tuple[str, str, str | None, int | None]]:
    """Tenant, asset, source and since when (microseconds; None: always), in the order of time."""
    since = "valid_from" if "valid_from" in table.columns else "NULL::timestamptz"
    return [
        tuple(row)
        for row in await on.fetch(
            f"SELECT tenant_id::text, asset_id::text, source_id::text, {since} AS since "
            f"FROM {table.relation} ORDER BY since NULLS FIRST, tenant_id, asset_id"
        )
    ]


async def copy_records(source: Connection, target: Connection, table: OldTable) -> tuple[int, int]:
    """Copy the rows of a table of records: how many there are, and how many were there already.

    Nothing is copied where PostgreSQL refuses one of them.
    """
    rows = await source.fetchval(
        f"SELECT coalesce(json_agg(t), '[]')::text FROM {table.relation} AS t"
    )
    known = {name for (name,) in await target.fetch(_COLUMNS, table.target)}
    common = ", ".join(identifier(column) for column in table.columns if column in known)
    async with target.transaction():
        done = await target.execute(
            f"INSERT INTO {table.target} ({common}) "
            f"SELECT {common} FROM json_populate_recordset(NULL::{table.target}, $1::json) "
            "ON CONFLICT DO NOTHING",
            rows,
        )
        if table.target in _REGISTRY:
            await target.execute(_REVISE)
    count = len(json.loads(rows))
    return count, count - int(done.rpartition(" ")[2])
