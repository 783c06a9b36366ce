"""The attributes of assets on PostgreSQL: written, and read beside a statement."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import TYPE_CHECKING

from ai_hub.engines.arrays import AttributeTable
from ai_hub.engines.sql_rows import Point
from ai_hub.stores.attributes import Changes, Key, coded_tables, keys_of, settled
from ai_hub.stores.base import Landed
from ai_hub.stores.postgres.session import Connection

if TYPE_CHECKING:
    import pyarrow as pa

# What a first value is depends on those before it: one change at a time.
_ALONE = "LOCK TABLE asset_attributes IN SHARE ROW EXCLUSIVE MODE"
_STORED = """
SELECT s.tenant_id, s.asset_id, s.key, s.valid_from, s.number, s.text
FROM unnest($1::text[], $2::text[], $3::text[]) AS n(tenant_id, asset_id, key)
JOIN asset_attributes s USING (tenant_id, asset_id, key)
ORDER BY s.valid_from
"""
_WRITE = """
INSERT INTO asset_attributes (tenant_id, asset_id, key, valid_from, number, text)
SELECT * FROM unnest($1::text[], $2::text[], $3::text[], $4::timestamptz[], $5::float8[],
                     $6::text[])
ON CONFLICT (tenant_id, asset_id, key, valid_from) DO UPDATE
SET number = excluded.number, text = excluded.text
"""
# Each as its point's time has it.
_AT = """
SELECT p.place, k.key, a.valid_from, a.number, a.text
FROM unnest($1::text[], $2::text[], $3::timestamptz[]) WITH ORDINALITY
  AS p(tenant_id, asset_id, t, place)
CROSS JOIN unnest($4::text[]) AS k(key)
CROSS JOIN LATERAL (
    SELECT s.valid_from, s.number, s.text FROM asset_attributes s
    WHERE s.tenant_id = p.tenant_id AND s.asset_id = p.asset_id AND s.key = k.key
      AND s.valid_from <= p.t
    ORDER BY s.valid_from DESC LIMIT 1
) AS a
"""


async def attributes_at(
    connection: Connection, points: Sequence[Point], keys: Sequence[str]
) -> dict[str, AttributeTable]:
    """What some attributes are at some points; entity i of a table is the i-th point."""
    columns = map(list, zip(*points, strict=True))
    rows = await connection.fetch(_AT, *columns, list(keys))
    return coded_tables(
        keys,
        (
            (place - 1, key, since, text if number is None else number)
            for place, key, since, number, text in rows
        ),
    )


async def append_attributes(connection: Connection, batch: pa.Table, changed_at: int) -> Landed:
    """Land one batch in one transaction."""
    keys = await asyncio.to_thread(keys_of, batch)
    async with connection.transaction():
        await connection.execute(_ALONE)
        stored = await _stored(connection, keys)
        done = await asyncio.to_thread(settled, batch, stored, changed_at)
        if done.rows:
            await connection.execute(_WRITE, *map(list, zip(*done.rows, strict=True)))
    return Landed(done.replaced, done.unchanged, done.touched)


async def _stored(connection: Connection, keys: Sequence[Key]) -> dict[Key, Changes]:
    found: dict[Key, Changes] = {}
    columns = [[key[place] for key in keys] for place in range(3)]
    for tenant_id, asset_id, key, since, number, text in await connection.fetch(_STORED, *columns):
        place = Key(tenant_id, asset_id, key)
        found[place] = (*found.get(place, ()), (since, text if number is None else number))
    return found
