"""Chunks of history to one Parquet file: read, compute and write side by side."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing, contextmanager
from typing import Any, NamedTuple, TypeVar

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from ai_hub.engines.arrays import Ints, Points
from ai_hub.errors import ExportFailed
from ai_hub.export.job import ExportJob
from ai_hub.export.place import Draft
from ai_hub.export.rows import Counts, arrow_column
from ai_hub.export.threads import threads
from ai_hub.intake.labels import repeating
from ai_hub.stores.base import Chunk

_ID = pa.dictionary(pa.int32(), pa.string())
_TIME = pa.timestamp("us", "UTC")
# Chunks computed at once beside the writer: on two cores a second one gains nothing.
_WORKERS = 1

_T = TypeVar("_T")


class Written(NamedTuple):
    """How many rows a file has, and in how many of them a feature is outside its range, or is null
    since a view has several rows, by feature."""

    rows: int
    violations: dict[str, int]
    several: dict[str, int]


def schema_of(job: ExportJob) -> pa.Schema:
    """The columns of an export: keys, value, features in the set's order, targets, indicators."""
    return pa.schema(
        [
            pa.field("timestamp", _TIME, nullable=False),
            pa.field("tenant_id", _ID, nullable=False),
            pa.field("asset_id", _ID, nullable=False),
            *job.rows.fields(every=job.frequency is None),
        ]
    )


def write_export(
    job: ExportJob,
    chunks: Generator[Chunk, None, None],
    draft: Draft,
    progress: Callable[[int], None] = lambda rows: None,
) -> Written:
    """Write an export to a file under way: read, compute and write at the same time, all in the
    order of the chunks. Without any rows the file is worth nothing.

    `progress` is told the rows written so far. Raises ExportFailed when the file cannot be written,
    OutOfRange for a value outside its range of a set that rejects such.
    """
    try:
        return _write(job, chunks, draft, progress)
    except OSError as error:
        raise ExportFailed(f"output_path: {draft.place.path} cannot be written: {error}") from error


def _write(
    job: ExportJob,
    chunks: Generator[Chunk, None, None],
    draft: Draft,
    progress: Callable[[int], None],
) -> Written:
    schema = schema_of(job)
    rows = 0
    counts = Counts()
    computing: deque[Future[tuple[pa.RecordBatch, Counts]]] = deque()
    writing: deque[Future[None]] = deque()
    with (
        closing(chunks),
        parquet_writer(draft, schema, job.compression) as writer,
        threads("sum") as sum_pool,
        threads("sync") as sync_pool,
        threads("write") as write_pool,
        threads("compute", _WORKERS) as pool,
        threads("read") as read_pool,
    ):

        def write(batch: pa.RecordBatch) -> None:
            writer.write_batch(batch)
            # Summed, and under way to the disk, while the next is made: at the end there is little
            # left to do.
            sum_pool.submit(draft.follow)
            sync_pool.submit(draft.sync)

        def write_next() -> int:
            batch, counted = computing.popleft().result()
            counts.add(counted)
            if not batch.num_rows:
                return 0
            if len(writing) > 1:
                writing.popleft().result()
            writing.append(write_pool.submit(write, batch))
            return int(batch.num_rows)

        try:
            work = ((chunk, points) for chunk in chunks for points in job.points(chunk))
            for chunk, points in read_ahead(work, read_pool):
                computing.append(pool.submit(feature_batch, job, schema, chunk, points))
                if len(computing) > _WORKERS:
                    rows += write_next()
                    progress(rows)
            while computing:
                rows += write_next()
                progress(rows)
            for written in writing:
                written.result()
        finally:
            waiting: tuple[Future[Any], ...] = (*computing, *writing)
            for future in waiting:
                future.cancel()
        writer.add_key_value_metadata(job.rows.metadata(job.range, rows, counts))
    in_order = job.rows.in_order
    return Written(rows, in_order(counts.violations), in_order(counts.several))


def read_ahead(items: Iterator[_T], pool: ThreadPoolExecutor) -> Iterator[_T]:
    """The same items, the next one being read while one is worked on."""
    reading = pool.submit(next, items, None)
    while (item := reading.result()) is not None:
        reading = pool.submit(next, items, None)
        yield item


@contextmanager
def parquet_writer(draft: Draft, schema: pa.Schema, compression: str) -> Iterator[pq.ParquetWriter]:
    """A writer of a file of such columns."""
    # Statistics serve who filters, and that is by id and time.
    with (
        # Not through Python, for whose interpreter each call would wait.
        pa.OSFile(draft.path, "wb") as sink,
        pq.ParquetWriter(
            sink,
            schema,
            compression=compression,
            use_dictionary=repeating(schema),
            write_statistics=["timestamp", "asset_id"],
            store_schema=True,
        ) as writer,
    ):
        yield writer


def feature_batch(
    job: ExportJob, schema: pa.Schema, chunk: Chunk, points: Points
) -> tuple[pa.RecordBatch, Counts]:
    """The rows of an export at some points of a chunk, and what is counted of them.

    Raises OutOfRange for a set that rejects values outside their range.
    """
    arrays: list[pa.Array] = [
        pa.array(points.time).view(_TIME),
        _ids(np.zeros(len(points), np.int32), [job.rows.tenant_id]),
        _ids(points.code, chunk.asset_ids),
    ]
    found = job.rows.columns(chunk, points)
    first = found.first_violation()
    if first is not None and job.rows.rejects:
        raise job.rows.rejected(chunk, points, found, first)
    arrays += [arrow_column(schema.field(name), values) for name, values in found.columns.items()]
    return pa.RecordBatch.from_arrays(arrays, schema=schema), found.counts()


def _ids(codes: Ints | NDArray[np.int32], ids: list[str] | tuple[str, ...]) -> pa.Array:
    return pa.DictionaryArray.from_arrays(
        pa.array(codes.astype(np.int32, copy=False)), pa.array(ids, pa.string())
    )
