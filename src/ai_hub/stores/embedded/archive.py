"""The archive of a database file. Rows are taken out by the one writer, who compares them first."""

from __future__ import annotations

from collections.abc import AsyncIterator, Collection, Mapping
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import TYPE_CHECKING

from ai_hub.archive.layer import COLUMNS, INSTANTS, KINDS, Kind, Layer, layer_of, row_of
from ai_hub.archive.past import Past
from ai_hub.archive.rows import SCHEMAS, VALUES, differences, plain, table_of
from ai_hub.errors import Busy
from ai_hub.stores.archive_table import Archived, spans_of, steps_of
from ai_hub.stores.audit_log import AuditRecord
from ai_hub.stores.embedded.audit_log import EmbeddedAuditLog
from ai_hub.stores.embedded.session import Cursor, Sessions, registered, transaction
from ai_hub.stores.removal import Removal

if TYPE_CHECKING:
    import pyarrow as pa

TABLES: Mapping[Kind, str] = {"observations": "timeseries_data", "weather": "weather_features"}
_READ = ", ".join(f"epoch_us({name})" if name in INSTANTS else name for name in COLUMNS)
_MARKS = ", ".join("make_timestamptz(?::BIGINT)" if name in INSTANTS else "?" for name in COLUMNS)
_INSERT = f"INSERT INTO ai_hub_archive_layers ({', '.join(COLUMNS)}) VALUES ({_MARKS})"
_ABOUT = (
    "tenant_id = ? AND timestamp >= make_timestamptz(?::BIGINT) "
    "AND timestamp < make_timestamptz(?::BIGINT)"
)
_BEFORE = "timestamp < make_timestamptz(?::BIGINT)"


class EmbeddedArchiveTable:
    """The archive of one database file, which only this process writes."""

    def __init__(self, sessions: Sessions, audit_log: EmbeddedAuditLog) -> None:
        self._sessions = sessions
        self._audit_log = audit_log
        self._busy = False

    @asynccontextmanager
    async def alone(self) -> AsyncIterator[None]:
        """While nobody else changes the archive."""
        if self._busy:
            raise Busy("the archive of this database is being changed: try again when that ended")
        self._busy = True
        try:
            yield
        finally:
            self._busy = False

    async def layers(self, tenant_id: str | None = None) -> list[Layer]:
        """The layers of a tenant, by number."""
        return await self._sessions.read(lambda cursor: layers_of(cursor, tenant_id))

    async def dropped(self) -> Mapping[Kind, int]:
        """Before when rows were taken out, by kind."""
        return await self._sessions.read(dropped_before)

    async def tenants(self, kind: Kind, before: int) -> list[str]:
        """Whose rows there are before a time."""
        text = f"SELECT DISTINCT tenant_id FROM {TABLES[kind]} WHERE {_BEFORE} ORDER BY 1"
        rows = await self._sessions.read(lambda cursor: cursor.execute(text, [before]).fetchall())
        return [tenant_id for (tenant_id,) in rows]

    async def spans(
        self, kind: Kind, tenant_id: str, start: int, end: int, rows: int
    ) -> list[tuple[int, int]]:
        """Spans of the days with rows of a tenant."""
        text = (
            f"SELECT epoch_us(date_trunc('day', timestamp)) AS day, count(*) FROM {TABLES[kind]} "
            f"WHERE {_ABOUT} GROUP BY day ORDER BY day"
        )
        asked = [tenant_id, start, end]
        days = await self._sessions.read(lambda cursor: cursor.execute(text, asked).fetchall())
        return spans_of(days, rows)

    async def rows(
        self, kind: Kind, tenant_id: str, start: int, end: int, most: int | None = None
    ) -> pa.Table | None:
        """The rows of a tenant about a span."""
        found = await self._sessions.read(lambda cursor: _rows(cursor, kind, tenant_id, start, end))
        return None if most is not None and len(found) > most else found

    async def begin(self, layer: Layer) -> Layer:
        """Keep that a layer is under way."""

        def insert(cursor: Cursor) -> Layer:
            with transaction(cursor):
                ((last,),) = cursor.execute(
                    "SELECT max(number) FROM ai_hub_archive_layers"
                ).fetchall()
                numbered = replace(layer, number=(last or 0) + 1)
                _keep(cursor, numbered)
            return numbered

        return await self._sessions.write(insert)

    async def keep(self, layers: list[Layer], audit: AuditRecord | None = None) -> None:
        """Keep what is known of layers by their ids."""

        def keep(cursor: Cursor) -> None:
            with transaction(cursor):
                for layer in layers:
                    _forget(cursor, layer)
                    _keep(cursor, layer)
                self._audit_log.write(cursor, [audit] if audit else [])

        await self._sessions.write(keep)

    async def forget(self, layers: list[Layer], audit: AuditRecord | None = None) -> None:
        """Keep nothing of layers any more."""

        def forget(cursor: Cursor) -> None:
            with transaction(cursor):
                for layer in layers:
                    _forget(cursor, layer)
                self._audit_log.write(cursor, [audit] if audit else [])

        await self._sessions.write(forget)

    async def bring_back(
        self, kind: Kind, tenant_id: str, rows: pa.Table, audit: AuditRecord
    ) -> int:
        """Put rows that were taken out where they were."""
        names = SCHEMAS[kind].names
        match = " AND ".join(f"t.{one} = r.{one}" for one in names if one not in VALUES[kind])
        columns = ", ".join(names)
        text = (
            f"INSERT INTO {TABLES[kind]} (tenant_id, {columns}) SELECT $1, {columns} FROM back r "
            f"WHERE NOT EXISTS (SELECT 1 FROM {TABLES[kind]} t WHERE t.tenant_id = $1 AND {match})"
        )

        def insert(cursor: Cursor) -> int:
            with registered(cursor, back=plain(rows)), transaction(cursor):
                ((count,),) = cursor.execute(text, [tenant_id]).fetchall()
                self._audit_log.write(cursor, [replace(audit, count=count)] if count else [])
            return int(count)

        return await self._sessions.write(insert)

    async def end(self, left: list[Layer], audit: AuditRecord | None) -> None:
        """Keep nothing of the archive but some layers."""

        def end(cursor: Cursor) -> None:
            with transaction(cursor):
                cursor.execute("DELETE FROM ai_hub_archive_layers")
                cursor.execute("DELETE FROM ai_hub_archive")
                for layer in left:
                    _keep(cursor, layer)
                self._audit_log.write(cursor, [audit] if audit else [])

        await self._sessions.write(end)

    async def forget_gone(self, removal: Removal) -> None:
        """They are rows of their own, and removed as such."""

    async def steps(self, kind: Kind, before: int) -> list[int]:
        """The ends of the steps in which rows before a time are taken out."""
        text = (
            f"SELECT epoch_us(date_trunc('day', timestamp)) AS day, count(*) FROM {TABLES[kind]} "
            f"WHERE {_BEFORE} GROUP BY day ORDER BY day"
        )
        days = await self._sessions.read(lambda cursor: cursor.execute(text, [before]).fetchall())
        return steps_of(days, before)

    async def drop(
        self,
        kind: Kind,
        start: int,
        end: int,
        tenants: Collection[str],
        archived: Archived,
        audit: AuditRecord,
    ) -> bool:
        """Take the rows about a span out, if the archive has just these."""
        about = f"{_BEFORE} AND timestamp >= make_timestamptz(?::BIGINT)"
        whose = f"SELECT DISTINCT tenant_id FROM {TABLES[kind]} WHERE {about}"

        def drop(cursor: Cursor) -> bool:
            with transaction(cursor):
                live = {one for (one,) in cursor.execute(whose, [end, start]).fetchall()}
                for tenant_id in sorted(live | {*tenants}):
                    rows = _rows(cursor, kind, tenant_id, start, end)
                    if len(differences(kind, rows, archived(tenant_id, start, end))):
                        return False
                text = f"DELETE FROM {TABLES[kind]} WHERE {about}"
                ((count,),) = cursor.execute(text, [end, start]).fetchall()
                cursor.execute("DELETE FROM ai_hub_archive WHERE kind = ?", [kind])
                cursor.execute(
                    "INSERT INTO ai_hub_archive VALUES (?, make_timestamptz(?::BIGINT))",
                    [kind, end],
                )
                self._audit_log.write(cursor, [replace(audit, count=count)] if count else [])
            return True

        return await self._sessions.write(drop)

    async def drop_late(
        self, kind: Kind, tenant_id: str, rows: pa.Table, audit: AuditRecord
    ) -> int:
        """Take late rows out that are these."""
        table = TABLES[kind]
        keys = [name for name in SCHEMAS[kind].names if name not in VALUES[kind]]
        match = " AND ".join(f"t.{name} = r.{name}" for name in keys)
        same = " AND ".join(f"t.{name} IS NOT DISTINCT FROM r.{name}" for name in VALUES[kind])
        text = (
            f"DELETE FROM {table} WHERE rowid IN (SELECT t.rowid FROM {table} t JOIN late r "
            f"ON {match} AND {same} WHERE t.tenant_id = ?)"
        )

        def drop(cursor: Cursor) -> int:
            with registered(cursor, late=plain(rows)), transaction(cursor):
                ((count,),) = cursor.execute(text, [tenant_id]).fetchall()
                self._audit_log.write(cursor, [replace(audit, count=count)] if count else [])
            return int(count)

        return await self._sessions.write(drop)


def past_of(cursor: Cursor, tenant_id: str) -> Past | None:
    """What was taken out of the database of a tenant, as of the transaction under way."""
    dropped = dropped_before(cursor)
    if not dropped:
        return None
    layers = layers_of(cursor, tenant_id)
    return Past(layers, dropped) if layers else None


def layers_of(cursor: Cursor, tenant_id: str | None) -> list[Layer]:
    """The layers of a tenant, by number."""
    rows = cursor.execute(
        f"SELECT {_READ} FROM ai_hub_archive_layers WHERE $1 IS NULL OR tenant_id = $1 "
        "ORDER BY number",
        [tenant_id],
    ).fetchall()
    return [layer_of(row) for row in rows]


def dropped_before(cursor: Cursor) -> Mapping[Kind, int]:
    """Before when rows were taken out, by kind."""
    found = cursor.execute("SELECT kind, epoch_us(dropped_before) FROM ai_hub_archive").fetchall()
    known = dict(found)
    return {kind: known[kind] for kind in KINDS if kind in known}


def _rows(cursor: Cursor, kind: Kind, tenant_id: str, start: int, end: int) -> pa.Table:
    columns = ", ".join(SCHEMAS[kind].names)
    text = f"SELECT {columns} FROM {TABLES[kind]} WHERE {_ABOUT}"
    found = cursor.sql(text, params=[tenant_id, start, end]).to_arrow_table()
    return table_of(kind, [found])


def _keep(cursor: Cursor, layer: Layer) -> None:
    row = row_of(layer)
    cursor.execute(_INSERT, [row[name] for name in COLUMNS])


def _forget(cursor: Cursor, layer: Layer) -> None:
    cursor.execute("DELETE FROM ai_hub_archive_layers WHERE layer_id = ?", [layer.id])
