"""Connections and transactions of the embedded store, and DuckDB's errors in our words."""

from __future__ import annotations

import asyncio
import os
import re
import threading
from collections.abc import Callable, Collection, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import duckdb

from ai_hub.definitions.values import Entity
from ai_hub.errors import StoreError, StoreLocked, StoreUnavailable

if TYPE_CHECKING:
    import pyarrow as pa

Cursor = duckdb.DuckDBPyConnection
MEMORY = ":memory:"
_READERS = 4
# One thread for a query: readers run side by side, and a small read needs no hand-over.
_SETTINGS = (
    "SET TimeZone = 'UTC'; SET threads = 1; "
    "SET memory_limit = '{}'; SET checkpoint_threshold = '{}B';"
)
# The file takes up the log when it is this long, or would be by DuckDB's own count of changes.
_LOG_BYTES, _NEVER_BYTES = 16_000_000, 1 << 40
# With the cache, and a request at its largest, a server stays below a gigabyte. More makes reading
# a file no faster; what is in memory alone has to fit.
_FILE_BYTES, _MEMORY_BYTES = "192MB", "400MB"

_T = TypeVar("_T")
Before = Callable[[Collection[Entity]], None]
"""Called as the last thing before a commit, with the entities that it touches."""
Note = Callable[[Cursor, int, int], None]
"""Called before that, with how many stored rows changed, and how many were there already."""
_open_files: set[str] = set()
_opening = threading.Lock()


def unnoted(cursor: Cursor, replaced: int, unchanged: int) -> None:
    """Nothing is kept of who wrote."""


class Sessions:
    """A database file (or memory) and the threads that use it: some readers, one writer.

    Raises StoreLocked when another process, or another store of this one, holds the file.
    """

    def __init__(self, path: str = MEMORY) -> None:
        self._path = path
        self._file = None if path == MEMORY else os.path.realpath(path)
        schema = resources.files("ai_hub.stores.embedded").joinpath("schema.sql").read_text("utf-8")
        with ExitStack() as failing:
            if self._file is not None:
                _claim(self._file, path)
                failing.callback(_open_files.discard, self._file)
            self._root = connect(path)
            failing.callback(self._root.close)
            with translated():
                self._root.execute(schema)
            failing.pop_all()
        self._local = threading.local()
        self._cursors: list[Cursor] = []
        self._readers = ThreadPoolExecutor(_READERS, "ai-hub-read")
        self._helpers = ThreadPoolExecutor(_READERS, "ai-hub-read-beside")
        self._writer = ThreadPoolExecutor(1, "ai-hub-write")
        self._closed = False

    def cursor(self) -> Cursor:
        """A new connection, which the caller closes."""
        if self._closed:
            raise StoreUnavailable(f"{self._path} is closed")
        return self._root.cursor()

    async def read(self, work: Callable[[Cursor], _T]) -> _T:
        """Do a read in a reader's thread."""
        return await self._run(self._readers, work)

    async def write(self, work: Callable[[Cursor], _T]) -> _T:
        """Do a write in the one writer's thread, after those that came before."""
        return await self._run(self._writer, work)

    def beside(self, work: Callable[[Cursor], _T]) -> Future[_T]:
        """Do a read in another thread while the calling one reads something else."""
        return self._helpers.submit(lambda: work(self._thread_cursor()))

    async def close(self) -> None:
        """Finish what is being written, close the file and give it up."""
        if not self._closed:
            self._closed = True
            await asyncio.to_thread(self._close)

    def abandon(self) -> None:
        """Give the file up at once, nothing having been asked of it yet."""
        self._closed = True
        self._close()

    def _close(self) -> None:
        # In this order from the last: a part that fails to close keeps no other from it.
        with ExitStack() as closing:
            closing.callback(_open_files.discard, self._file or "")
            closing.callback(self._root.close)
            closing.callback(self._close_cursors)
            for pool in (self._helpers, self._readers, self._writer):
                closing.callback(pool.shutdown)

    def _close_cursors(self) -> None:
        for cursor in self._cursors:
            cursor.close()

    def _thread_cursor(self) -> Cursor:
        """This thread's own connection to the one database."""
        cursor: Cursor | None = getattr(self._local, "cursor", None)
        if cursor is None:
            cursor = self._local.cursor = self.cursor()
            self._cursors.append(cursor)
        return cursor

    async def _run(self, pool: ThreadPoolExecutor, work: Callable[[Cursor], _T]) -> _T:
        def run() -> _T:
            with translated():
                return work(self._thread_cursor())

        if self._closed:
            raise StoreUnavailable(f"{self._path} is closed")
        return await asyncio.get_running_loop().run_in_executor(pool, run)


def _claim(file: str, path: str) -> None:
    """Note a file as open. Raises StoreLocked if another store of this process has it."""
    with _opening:
        if file in _open_files:
            raise StoreLocked(path)
        _open_files.add(file)


def connect(path: str, read_only: bool = False) -> Cursor:
    """Open a database file (or `:memory:`). Raises StoreLocked or StoreError."""
    _refuse_other_files(path)
    try:
        root = duckdb.connect(path, read_only=read_only)
    except duckdb.Error as error:
        # The word alone: what is damaged is often said to be a block.
        if re.search(r"\block\b", str(error)):
            raise StoreLocked(path) from error
        raise StoreError(
            f"{path} cannot be opened as an embedded database: {_first_line(error)}"
        ) from error
    # In a notebook it is on where it can be drawn; where it cannot, even `false` is refused.
    if root.execute("SELECT current_setting('enable_progress_bar')").fetchone() == (True,):
        root.execute("SET enable_progress_bar = false")
    root.execute(_SETTINGS.format(_MEMORY_BYTES if path == MEMORY else _FILE_BYTES, _LOG_BYTES))
    return root


def _refuse_other_files(path: str) -> None:
    """DuckDB opens a CSV file as a database in memory: what is ingested there would be lost."""
    try:
        with open(path, "rb") as file:
            head = file.read(12)
    except OSError:
        return  # No such file, or it cannot be read: DuckDB says so itself.
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
def changes_logged(cursor: Cursor) -> Iterator[None]:
    """A commit of changed values leaves them in the log until that is long.

    DuckDB counts each block that is touched as if it were changed whole, and would write whole
    columns anew for some hundred values.
    """
    (path,) = cursor.execute("SELECT path FROM duckdb_databases() WHERE NOT internal").fetchall()[0]
    log = Path(f"{path}.wal")
    if log.exists() and log.stat().st_size >= _LOG_BYTES:
        yield
        return
    cursor.execute(f"SET checkpoint_threshold = '{_NEVER_BYTES}B'")
    try:
        yield
    finally:
        cursor.execute(f"SET checkpoint_threshold = '{_LOG_BYTES}B'")


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
