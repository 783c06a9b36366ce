"""The attributes of assets written to PostgreSQL."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from ai_hub.definitions.values import Entity
from ai_hub.stores.attributes import Changes, Key, Settled, keys_of, parts_of, settled
from ai_hub.stores.audit_log import AuditRecord, landed
from ai_hub.stores.base import Landed
from ai_hub.stores.postgres.audit_log import write_audit
from ai_hub.stores.postgres.session import Connection
from ai_hub.stores.postgres.write import Before

if TYPE_CHECKING:
    import pyarrow as pa

_AT_ONCE = 1_000
"""Rows given to a statement, which the event loop makes ready."""
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


async def append_attributes(
    connection: Connection,
    batch: pa.Table,
    changed_at: int,
    before: Before,
    audit: Sequence[AuditRecord] = (),
) -> Landed:
    """Land one batch in one transaction, part by part: as objects rows take much memory."""
    replaced = unchanged = 0
    changed: set[Entity] = set()
    async with connection.transaction():
        await connection.execute(_ALONE)
        parts = parts_of(batch)
        while (part := await asyncio.to_thread(next, parts, None)) is not None:
            stored = await _stored(connection, await asyncio.to_thread(keys_of, part))
            done, touched = await asyncio.to_thread(_settled, part, stored, changed_at)
            replaced, unchanged = replaced + done.replaced, unchanged + done.unchanged
            changed |= touched
            for first in range(0, len(done.rows), _AT_ONCE):
                some = done.rows[first : first + _AT_ONCE]
                await connection.execute(_WRITE, *map(list, zip(*some, strict=True)))
        await write_audit(connection, landed(audit, replaced, unchanged))
        await before(changed)
    return Landed(replaced, unchanged, frozenset(changed))


def _settled(
    part: pa.Table, stored: Mapping[Key, Changes], changed_at: int
) -> tuple[Settled, frozenset[Entity]]:
    done = settled(part, stored, changed_at)
    return done, done.touched


async def _stored(connection: Connection, keys: Sequence[Key]) -> dict[Key, Changes]:
    found: dict[Key, Changes] = {}
    for first in range(0, len(keys), _AT_ONCE):
        columns = map(list, zip(*keys[first : first + _AT_ONCE], strict=True))
        for tenant_id, asset_id, key, *change in await connection.fetch(_STORED, *columns):
            since, number, text = change
            place = Key(tenant_id, asset_id, key)
            found[place] = (*found.get(place, ()), (since, text if number is None else number))
    return found
