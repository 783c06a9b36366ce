"""Users' own views on PostgreSQL: what they are, and their newest rows.

A view is read by a statement of its own, on the snapshot of the answer and with a time limit of its
own, behind a savepoint: whatever is wrong with it, the other features are whole. What it says is
looked at afterwards, outside that snapshot. A view that was replaced before it was read is then
seen to be another one, and one that was replaced later is another one soon enough.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import asyncpg

from ai_hub.engines.plan import ViewReads
from ai_hub.engines.sql_rows import Point
from ai_hub.engines.sql_views import newest_of_points, quoted
from ai_hub.engines.views import Fault
from ai_hub.stores.postgres.session import Connection, Row, Sessions
from ai_hub.stores.views import Column, ColumnKind, ViewFacts, digest_of, fault_of

Cell = float | Fault | None
"""What a feature of a view is at a point: a number, none, or why there is none."""

# The text of a view names what is on the path as it was found there: with an empty path all of it
# is named in full, whoever asks. The name itself is looked up before that.
FACTS = """
WITH RECURSIVE looked_up AS MATERIALIZED (
    SELECT name, to_regclass(name)::oid AS oid FROM unnest({}::text[]) AS name
), path AS MATERIALIZED (
    SELECT set_config('search_path', 'pg_catalog', true) FROM (SELECT count(*) FROM looked_up) AS n
), named AS MATERIALIZED (
    SELECT looked_up.* FROM path, looked_up
), part AS (
    SELECT named.name, named.oid FROM named WHERE oid IS NOT NULL
    UNION
    SELECT part.name, depend.refobjid
    FROM part
    JOIN pg_rewrite AS rule ON rule.ev_class = part.oid
    JOIN pg_depend AS depend
        ON depend.classid = 'pg_rewrite'::regclass AND depend.objid = rule.oid
        AND depend.refclassid = 'pg_class'::regclass
    JOIN pg_class AS class ON class.oid = depend.refobjid AND class.relkind IN ('v', 'm')
), columns AS (
    SELECT named.oid,
           array_agg(attname::text ORDER BY attnum) AS names,
           array_agg(format_type(atttypid, NULL) ORDER BY attnum) AS types
    FROM named JOIN pg_attribute ON attrelid = named.oid
    WHERE attnum > 0 AND NOT attisdropped
    GROUP BY named.oid
)
SELECT part.name, part.oid = named.oid AS itself, nspname::text, relname::text, relkind::text,
       CASE WHEN relkind IN ('v', 'm') THEN pg_get_viewdef(part.oid) END AS text,
       columns.names, columns.types, has_table_privilege(part.oid, 'SELECT') AS readable
FROM part
JOIN named ON named.name = part.name
JOIN pg_class ON pg_class.oid = part.oid
JOIN pg_namespace ON pg_namespace.oid = relnamespace
JOIN columns ON columns.oid = named.oid
ORDER BY part.name, nspname, relname
"""
_CANCELLED = "57014"
_ANY_ASSET = "SELECT tenant_id, asset_id, timestamp FROM ai_features LIMIT 1"
_FAULTS: dict[str, Fault] = {
    **dict.fromkeys(("42P01", "42703", "3F000"), "gone"),
    "42501": "refused",
    **dict.fromkeys((_CANCELLED, "55P03"), "slow"),
}
"""What is wrong with a view, by the code of the error."""
_ENDS = ("08", "57")
"""Errors of the connection or the server, which are not about a view."""
_NUMBERS = ("smallint", "integer", "bigint", "real", "double precision", "numeric")
_KINDS: dict[str, ColumnKind] = {
    "timestamp with time zone": "time",
    "text": "text",
    "character varying": "text",
    "boolean": "boolean",
    **dict.fromkeys(_NUMBERS, "number"),
}


class PostgresViews:
    """The views of a database, as this process sees them."""

    def __init__(self, sessions: Sessions) -> None:
        self._sessions = sessions
        self._limit = max(1, sessions.settings.view_timeout.micros // 1_000)
        # How a column is read depends on its type, which is known before a view is read.
        self._known: dict[str, ViewFacts] = {}

    async def facts(self, names: Iterable[str]) -> dict[str, ViewFacts]:
        """Those of some views and tables that are there. Raises StoreError."""
        return await self._sessions.again(lambda on: facts_of(on, tuple(names)))

    async def probe(self, reads: ViewReads) -> Fault | None:
        """Read it as an answer does, of an asset that there is: why it has no value, if so."""
        found = await self._sessions.fetch(_ANY_ASSET)
        point: Point = tuple(found[0]) if found else ("", "", 0)

        async def look(on: Connection) -> list[list[Cell]]:
            await self.learn(on, [reads])
            async with on.transaction(isolation="repeatable_read", readonly=True):
                return await self.read(on, [reads], [point])

        faults = [cell for cell in (await self._sessions.again(look))[0] if isinstance(cell, str)]
        return next((one for one in faults if one != "several"), None)

    async def learn(self, on: Connection, wanted: Sequence[ViewReads]) -> None:
        """Have seen each view once."""
        names = [reads.view for reads in wanted if reads.view not in self._known]
        if names:
            self._known |= await facts_of(on, names)

    async def read(
        self, on: Connection, wanted: Sequence[ViewReads], points: Sequence[Point]
    ) -> list[list[Cell]]:
        """Of each point a cell for each feature of some views, inside a transaction."""
        rows: list[list[Cell]] = [[] for _ in points]
        for reads in wanted:
            for row, cells in zip(rows, await self._read(on, reads, points), strict=True):
                row += cells
        return rows

    async def check(
        self, on: Connection, wanted: Sequence[ViewReads], rows: Sequence[list[Cell]]
    ) -> None:
        """Take out of some rows what was read of views that are another by now."""
        now = await facts_of(on, [reads.view for reads in wanted])
        first = 0
        for reads in wanted:
            facts, last = now.get(reads.view), first + len(reads.features)
            fault = fault_of(reads, facts)
            if fault is None and facts != self._known.get(reads.view):
                # It was read by the types that it had before.
                fault = "failed"
            if facts is None:
                self._known.pop(reads.view, None)
            else:
                self._known[reads.view] = facts
            if fault is not None:
                for row in rows:
                    row[first:last] = [fault] * (last - first)
            first = last

    async def _read(
        self, on: Connection, reads: ViewReads, points: Sequence[Point]
    ) -> list[list[Cell]]:
        facts = self._known.get(reads.view)
        fault = fault_of(reads, facts)
        if facts is None or fault is not None:
            return [[fault] * len(reads.features) for _ in points]
        tenants, assets, times = (list(one) for one in zip(*points, strict=True))
        text = newest_of_points(reads, facts.booleans)
        try:
            async with on.transaction():
                await on.execute(f"SET LOCAL statement_timeout = {self._limit}")
                found = await on.fetch(text, tenants, assets, times)
        except asyncpg.PostgresError as error:
            code = str(error.sqlstate)
            if code != _CANCELLED and code[:2] in _ENDS:
                raise
            wrong = _FAULTS.get(code, "failed")
            return [[wrong] * len(reads.features) for _ in points]
        return [[_cell(*counted) for counted in row] for row in found]


def _cell(count: float, value: float | None) -> Cell:
    return value if count <= 1 else "several"


async def facts_of(on: Connection, names: Sequence[str]) -> dict[str, ViewFacts]:
    """Those of some views and tables that are there, by their names."""
    given = {quoted(name): name for name in names}
    return view_facts(await on.fetch(FACTS.format("$1"), list(given)), given)


def view_facts(rows: Iterable[Row], given: dict[str, str]) -> dict[str, ViewFacts]:
    """What the rows of FACTS say; `given` are the names by what was asked for."""
    found: dict[str, ViewFacts] = {}
    texts: dict[str, list[object]] = {}
    for quoted_name, itself, schema, name, kind, text, names, types, readable in rows:
        asked = given[quoted_name]
        said = text if text is not None else [list(names), list(types)]
        texts.setdefault(asked, []).append([schema, name, kind, said])
        if itself:
            pairs = zip(names, types, strict=True)
            columns = {one: Column(_KINDS.get(of, "other"), of) for one, of in pairs}
            found[asked] = ViewFacts("", columns, bool(readable))
    return {
        name: ViewFacts(digest_of(texts[name]), facts.columns, facts.readable)
        for name, facts in found.items()
    }
