"""Parquet: typed columns, read batch by batch."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, BinaryIO

import pyarrow as pa
import pyarrow.parquet as pq

from ai_hub.errors import InvalidInput
from ai_hub.intake.arrow_faults import UNREADABLE, check_schema
from ai_hub.intake.arrow_sizes import as_table, memory_for
from ai_hub.intake.batch import BATCH_ROWS, Part
from ai_hub.intake.csv_text import Lines
from ai_hub.intake.dialect.dialect import Dialect
from ai_hub.intake.dialect.layout import Layout, Wanted
from ai_hub.intake.dialect.numbers import Point
from ai_hub.intake.parquet_sizes import check_footer, check_pages, check_texts, flat
from ai_hub.intake.source import Source

MAGIC = b"PAR1"

_SAMPLE_ROWS = 1_000


class ParquetReader:
    """A Parquet file; see `Reader`. Raises InvalidInput for bytes that are no Parquet, and where a
    column is missing."""

    point = Point.SURE
    letters = True
    lines: Lines | None = None

    def __init__(self, source: Source, wanted: Wanted) -> None:
        self._source = source
        self.found = Dialect()
        try:
            if source.field == "body":
                with source.open() as stream:
                    check_footer(stream)
            with source.open() as stream, pq.ParquetFile(stream) as file:
                # Only a column by itself can keep what its rows share.
                self._shared: list[str] | None = None
                if source.field == "body":
                    self._shared = flat(file.metadata)
                    with source.open() as pages:
                        check_pages(pages, file.metadata, source.size, memory_for(source.size))
                schema = file.schema_arrow
                check_schema(schema)
                names = tuple(schema.names)
                self.rows: int | None = file.metadata.num_rows
        except InvalidInput:
            raise
        except UNREADABLE:
            raise self._damaged() from None
        columns, time = wanted.match(names)
        self.layout = Layout(names, columns, time, before=0, anchor=wanted.anchor)

    def sample(self, places: Sequence[int]) -> pa.Table:
        """The first 1,000 rows at most."""
        return next(self._batches(places, _SAMPLE_ROWS))

    def tables(self, places: Sequence[int]) -> Iterator[Part]:
        """All rows."""
        done = 0
        for table in self._batches(places, BATCH_ROWS):
            done += len(table)
            yield table, done / max(self.rows or 0, 1)

    def _batches(self, places: Sequence[int], rows: int) -> Iterator[pa.Table]:
        names = [self.layout.names[place] for place in places]
        try:
            with self._source.open() as stream, self._opened(stream) as file:
                if self._shared is not None:
                    size = self._source.size
                    with self._source.open() as pages:
                        check_texts(pages, file.metadata, names, size, memory_for(size))
                empty = file.schema_arrow.empty_table()
                yielded = False
                for table in _gathered(file, rows, list(dict.fromkeys(names))):
                    yielded = True
                    yield _placed(table, names, places)
                if not yielded:
                    yield _placed(empty, names, places)
        except InvalidInput:
            raise
        except UNREADABLE:
            raise self._damaged() from None

    def _opened(self, stream: BinaryIO) -> Any:
        # Texts that rows share stay shared: a few bytes may say a long one many times.
        return pq.ParquetFile(stream, read_dictionary=self._shared)

    def _damaged(self) -> InvalidInput:
        return self._source.wrong(self._source.name, "a whole Parquet file")


def _gathered(file: Any, rows: int, columns: list[str]) -> Iterator[pa.Table]:
    """All rows in tables of at most `rows`; a batch ends with its row group, and there may be very
    many of those."""
    waiting: list[pa.RecordBatch] = []
    size = 0
    for batch in file.iter_batches(rows, columns=columns):
        batch.validate(full=True)
        if waiting and size + len(batch) > rows:
            yield as_table(waiting, waiting[0].schema)
            waiting, size = [], 0
        waiting.append(batch)
        size += len(batch)
    if waiting:
        yield as_table(waiting, waiting[0].schema)


def _placed(table: pa.Table, names: Sequence[str], places: Sequence[int]) -> pa.Table:
    columns = [table.column(name) for name in names]
    return pa.table(columns, names=[str(place) for place in places])
