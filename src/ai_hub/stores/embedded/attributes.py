"""The attributes of assets on the embedded store: a table, and a tenant's in memory beside."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING

from ai_hub.engines.arrays import AttributeTable
from ai_hub.stores.attributes import (
    ATTRIBUTE_COLUMNS,
    Changes,
    Key,
    Row,
    attribute_tables,
    keys_of,
    parts_of,
    settled,
)
from ai_hub.stores.base import Landed
from ai_hub.stores.embedded.session import (
    Before,
    Cursor,
    Note,
    registered,
    transaction,
    unnoted,
)
from ai_hub.stores.touched import pairs_of, touched

if TYPE_CHECKING:
    import pyarrow as pa

_COLUMNS = ", ".join(ATTRIBUTE_COLUMNS)
_READ = (
    "SELECT asset_id, key, epoch_us(valid_from), number, text FROM asset_attributes "
    "WHERE tenant_id = ?"
)
_STORED = (
    "SELECT s.tenant_id, s.asset_id, s.key, epoch_us(s.valid_from), s.number, s.text "
    "FROM asset_attributes s SEMI JOIN asked n ON s.tenant_id = n.tenant_id "
    "AND s.asset_id = n.asset_id AND s.key = n.key ORDER BY s.valid_from"
)
_SAME = "WHERE " + " AND ".join(f"s.{name} = n.{name}" for name in ATTRIBUTE_COLUMNS[:4])


class AttributeMap:
    """What the assets of a tenant have, read from the table when it is first asked for.

    The writer holds the lock from before its commit until the map has what it wrote, so that nobody
    reads an older table into the map meanwhile.
    """

    def __init__(self) -> None:
        self.lock = threading.RLock()
        self._tenants: dict[str, dict[tuple[str, str], Changes]] = {}

    def stored(self, cursor: Cursor, batch: pa.Table) -> dict[Key, Changes]:
        """What is stored of the attributes of a batch; for this no tenant is read as a whole."""
        found: dict[Key, Changes] = {}
        unread = False
        for key in keys_of(batch):
            mine = self._tenants.get(key.tenant_id)
            unread = unread or mine is None
            found[key] = () if mine is None else mine.get((key.asset_id, key.key), ())
        if unread:
            with registered(cursor, asked=batch):
                rows = cursor.execute(_STORED).fetchall()
            for tenant_id, asset_id, name, since, number, text in rows:
                if tenant_id not in self._tenants:
                    key = Key(tenant_id, asset_id, name)
                    found[key] = (*found[key], (since, text if number is None else number))
        return found

    def tables(
        self, cursor: Cursor, tenant_id: str, asset_ids: Sequence[str], keys: Sequence[str]
    ) -> dict[str, AttributeTable]:
        """Some attributes of some assets, these coded by their position."""
        if not keys:
            return {}
        mine = self._tenant(cursor, tenant_id)
        rows = (
            (asset_id, key, since, value)
            for asset_id in asset_ids
            for key in keys
            for since, value in mine.get((asset_id, key), ())
        )
        return attribute_tables(keys, asset_ids, rows)

    def of_assets(
        self, cursor: Cursor, tenant_id: str, asset_ids: Sequence[str]
    ) -> dict[str, dict[str, Changes]]:
        """All that is stored of some assets, by asset and key."""
        found: dict[str, dict[str, Changes]] = {asset_id: {} for asset_id in asset_ids}
        if asset_ids:
            # A copy, since a write may add to it meanwhile.
            for (asset_id, key), changes in [*self._tenant(cursor, tenant_id).items()]:
                if asset_id in found:
                    found[asset_id][key] = changes
        return found

    def put(self, rows: Iterable[Row]) -> None:
        """Take note of rows that were written."""
        for row in rows:
            mine = self._tenants.get(row.tenant_id)
            if mine is not None:
                place = (row.asset_id, row.key)
                changes = {**dict(mine.get(place, ())), row.valid_from: row.value}
                mine[place] = tuple(sorted(changes.items()))

    def forget(self, tenant_id: str) -> None:
        """Read a tenant's anew the next time."""
        self._tenants.pop(tenant_id, None)

    def _tenant(self, cursor: Cursor, tenant_id: str) -> dict[tuple[str, str], Changes]:
        found = self._tenants.get(tenant_id)
        if found is None:
            with self.lock:
                found = self._tenants.get(tenant_id) or self._read(cursor, tenant_id)
        return found

    def _read(self, cursor: Cursor, tenant_id: str) -> dict[tuple[str, str], Changes]:
        found: dict[tuple[str, str], Changes] = {}
        # Of each text one: the rows of an asset and those of a key have the same.
        same: dict[str, str] = {}
        query = f"{_READ} ORDER BY valid_from"
        for asset_id, key, since, number, text in cursor.execute(query, [tenant_id]).fetchall():
            place = (same.setdefault(asset_id, asset_id), same.setdefault(key, key))
            value = text if number is None else number
            found[place] = (*found.get(place, ()), (since, value))
        self._tenants[tenant_id] = found
        return found


def append_attributes(
    cursor: Cursor,
    held: AttributeMap,
    batch: pa.Table,
    changed_at: int,
    before: Before,
    note: Note = unnoted,
) -> Landed:
    """Land one batch in one transaction, part by part: as objects rows take much memory."""
    import pyarrow as pa

    replaced = unchanged = 0
    written: list[pa.Table] = []
    with held.lock:
        with transaction(cursor):
            for part in parts_of(batch):
                done = settled(part, held.stored(cursor, part), changed_at)
                replaced, unchanged = replaced + done.replaced, unchanged + done.unchanged
                if done.rows:
                    written.append(_table(done.rows))
                    with registered(cursor, changed=written[-1]):
                        cursor.execute(f"DELETE FROM asset_attributes s USING changed n {_SAME}")
                        cursor.execute(
                            f"INSERT INTO asset_attributes SELECT {_COLUMNS} FROM changed"
                        )
            found = touched(pairs_of(pa.concat_tables(written))) if written else frozenset()
            note(cursor, replaced, unchanged)
            if found:
                before(found)
        for rows in written:
            held.put(_rows(rows))
    return Landed(replaced, unchanged, found)


def _table(rows: Sequence[Row]) -> pa.Table:
    import pyarrow as pa

    columns = [pa.array(column) for column in zip(*rows, strict=True)]
    columns[4], columns[5] = columns[4].cast(pa.float64()), columns[5].cast(pa.string())
    columns[3] = columns[3].cast(pa.timestamp("us", "UTC"))
    return pa.table(columns, ATTRIBUTE_COLUMNS)


def _rows(table: pa.Table) -> Iterator[Row]:
    columns = [table[name] for name in ATTRIBUTE_COLUMNS]
    columns[3] = columns[3].cast("int64")
    return map(Row, *(column.to_pylist() for column in columns))


def read_attributes(
    cursor: Cursor, tenant_id: str, asset_ids: Sequence[str], keys: Sequence[str]
) -> dict[str, AttributeTable]:
    """Some attributes of some assets as the transaction of the cursor sees them."""
    if not keys:
        return {}
    rows = cursor.execute(
        f"{_READ} AND list_contains(?::VARCHAR[], key) "
        "AND asset_id IN (SELECT unnest(?::VARCHAR[]))",
        [tenant_id, list(keys), list(asset_ids)],
    ).fetchall()
    return attribute_tables(
        keys,
        asset_ids,
        (
            (asset_id, key, since, text if number is None else number)
            for asset_id, key, since, number, text in rows
        ),
    )
