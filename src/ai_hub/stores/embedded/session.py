"""Connections and transactions of the embedded store, and DuckDB's errors in our words."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import duckdb

from ai_hub.errors import StoreError, StoreLocked, StoreUnavailable

if TYPE_CHECKING:
    import pyarrow as pa

Cursor = duckdb.DuckDBPyConnection
# One thread a query: readers run side by side, and a point read pays no hand-over to a second.
_SETTINGS = (
    "SET TimeZone = 'UTC'; SET threads = 1; SET memory_limit = '400MB'; "
    "SET enable_progress_bar = false;"
)


def connect(path: str) -> Cursor:
    """Open a database file (or `:memory:`). Raises StoreLocked or StoreError."""
    _refuse_other_files(path)
    try:
        root = duckdb.connect(path)
    except duckdb.Error as error:
        if "lock" in str(error).lower():
            raise StoreLocked(path) from error
        raise StoreError(
            f"{path} cannot be opened as an embedded database: {_first_line(error)}"
        ) from error
    root.execute(_SETTINGS)
    return root


def _refuse_other_files(path: str) -> None:
    """DuckDB reads a CSV file as a database in memory: what was ingested there would be lost."""
    try:
        with open(path, "rb") as file:
            head = file.read(12)
    except OSError:
        return  # No such file, or none that can be read: DuckDB says so itself.
    if head and head[8:] != b"DUCK":
        raise StoreError(f"{path} is not an embedded database: name another file, or a new one")


@contextmanager
def transaction(cursor: Cursor) -> Iterator[Cursor]:
    """One transaction: committed whole, or rolled back by whatever stops it."""
    cursor.execute("BEGIN")
    try:
        yield cursor
    except BaseException:
        cursor.execute("ROLLBACK")
        raise
    cursor.execute("COMMIT")


@contextmanager
def registered(cursor: Cursor, **tables: pa.Table) -> Iterator[None]:
    """Arrow tables that queries can name, for a while."""
    for name, table in tables.items():
        cursor.register(name, table)
    try:
        yield
    finally:
        for name in tables:
            cursor.unregister(name)


@contextmanager
def translated() -> Iterator[None]:
    """DuckDB's errors as StoreUnavailable, the cause kept."""
    try:
        yield
    except duckdb.Error as error:
        raise StoreUnavailable(f"the embedded database failed: {_first_line(error)}") from error


def _first_line(error: Exception) -> str:
    return str(error).partition("\n")[0]
