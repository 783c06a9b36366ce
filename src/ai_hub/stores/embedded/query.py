"""A person's query on the embedded store, and views of one's own. Blocking.

What a statement is, DuckDB's parser says; what it did, its catalog: a statement that makes or drops
something is undone unless views of one's own are all that changed.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing, contextmanager

import duckdb
import pyarrow as pa

from ai_hub.errors import InvalidInput
from ai_hub.stores.embedded.session import MEMORY, Cursor, Sessions, transaction
from ai_hub.stores.query import Found, plain, refused

# A query reads no file and no variable of this process, nor does a view that it makes.
_CONFINED = "SET enable_external_access = false; SET lock_configuration = true"
_VIEWS = (
    "SELECT schema_name, view_name, sql FROM duckdb_views() WHERE NOT internal AND NOT temporary"
)
_EVERYTHING = (
    "SELECT 'table', schema_name, table_name, sql FROM duckdb_tables() WHERE NOT internal",
    "SELECT 'temporary view', schema_name, view_name, sql FROM duckdb_views() WHERE temporary",
    "SELECT 'schema', database_name, schema_name, '' FROM duckdb_schemas() WHERE NOT internal",
    "SELECT 'index', schema_name, index_name, sql FROM duckdb_indexes()",
    "SELECT 'sequence', schema_name, sequence_name, sql FROM duckdb_sequences()",
    "SELECT 'type', schema_name, type_name, '' FROM duckdb_types() WHERE NOT internal",
    "SELECT 'macro', schema_name, function_name, macro_definition FROM duckdb_functions() "
    "WHERE NOT internal",
    "SELECT 'database', database_name, '', '' FROM duckdb_databases() WHERE NOT internal",
)
_EXPECTED = (
    "one statement that reads (SELECT, WITH, DESCRIBE, SHOW), or that makes or drops a view of "
    "your own (CREATE VIEW, CREATE OR REPLACE VIEW, DROP VIEW)"
)

_Views = dict[tuple[str, str], str]


def run_query(path: str, text: str, most: int | None = None) -> Found:
    """What a statement gives, at most so many rows. Raises InvalidInput and StoreError."""
    sessions = Sessions(path)
    try:
        with closing(sessions.cursor()) as cursor, _told(text):
            cursor.execute(_CONFINED)
            statements = cursor.extract_statements(text)
            if len(statements) != 1:
                raise refused(text, _EXPECTED)
            match statements[0].type:
                case duckdb.StatementType.SELECT:
                    return _read(cursor, text, most)
                case duckdb.StatementType.CREATE | duckdb.StatementType.DROP:
                    return _make(cursor, text)
                case _:
                    raise refused(text, _EXPECTED)
    finally:
        sessions.abandon()


def _read(cursor: Cursor, text: str, most: int | None) -> Found:
    cursor.execute("BEGIN TRANSACTION READ ONLY")
    try:
        found = cursor.sql(text)
        # By way of Arrow: of times with a zone DuckDB makes objects of a library that is not here.
        table = (found if most is None else found.limit(most)).to_arrow_table()
    finally:
        cursor.execute("ROLLBACK")
    columns = [_shown(column).to_pylist() for column in table.columns]
    rows = zip(*columns, strict=True)
    return Found(tuple(table.column_names), tuple(tuple(map(plain, row)) for row in rows))


def _shown(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """A column whose times Python can say: to the microsecond."""
    if pa.types.is_timestamp(column.type) and column.type.unit == "ns":
        return column.cast(pa.timestamp("us", column.type.tz), safe=False)
    return column


def _make(cursor: Cursor, text: str) -> Found:
    ours = _views_of_ours()
    with transaction(cursor):
        views, rest = _views(cursor), _rest(cursor)
        cursor.execute(text)
        after = _views(cursor)
        if _rest(cursor) != rest or any(after.get(one) != views.get(one) for one in ours):
            raise refused(text, _EXPECTED, "Tables, and views that are ours, stay as they are.")
    return Found((), ())


def _views(cursor: Cursor) -> _Views:
    found = cursor.execute(_VIEWS).fetchall()
    return {(schema, name): sql for schema, name, sql in found}


def _rest(cursor: Cursor) -> list[list[tuple[object, ...]]]:
    return [sorted(cursor.execute(one).fetchall(), key=repr) for one in _EVERYTHING]


def _views_of_ours() -> _Views:
    """The views that every database file has."""
    sessions = Sessions(MEMORY)
    try:
        with closing(sessions.cursor()) as cursor:
            return _views(cursor)
    finally:
        sessions.abandon()


@contextmanager
def _told(text: str) -> Iterator[None]:
    """What DuckDB says is wrong with a query, as InvalidInput."""
    try:
        yield
    except duckdb.Error as error:
        said = str(error).partition("\n")[0].strip()
        raise InvalidInput("query", text, f"SQL that this database runs ({said})") from error
