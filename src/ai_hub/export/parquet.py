"""Chunks of history to one Parquet file: read, compute and write side by side."""

from __future__ import annotations

import json
import os
from collections import deque
from collections.abc import Callable, Generator, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from ai_hub.definitions.feature_set import definition_of
from ai_hub.definitions.values import iso
from ai_hub.engines.arrays import Floats, HistoryArrays, Ints, Points
from ai_hub.engines.columnar import values_at
from ai_hub.engines.plan import can_be_missing, is_integer
from ai_hub.engines.vectors import vectors
from ai_hub.errors import ExportFailed
from ai_hub.export.job import ExportJob
from ai_hub.export.sweep import partial_path
from ai_hub.stores.base import Chunk

_ID = pa.dictionary(pa.int32(), pa.string())
_TIME = pa.timestamp("us", "UTC")
# Chunks computed at once beside the writer: on two cores a second one gains nothing.
_WORKERS = 1

_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class Written:
    """What an export left behind: rows, and bytes of the file (none without rows)."""

    rows: int
    size: int


def schema_of(job: ExportJob) -> pa.Schema:
    """The columns of an export: keys, value, features in the set's order, targets, indicators."""
    features = job.feature_set.features
    fields = [
        pa.field("timestamp", _TIME, nullable=False),
        pa.field("tenant_id", _ID, nullable=False),
        pa.field("asset_id", _ID, nullable=False),
        pa.field(
            "value", pa.float64(), nullable=job.spine is not None or job.frequency is not None
        ),
    ]
    fields += [
        pa.field(f.name, pa.int64(), nullable=False)
        if is_integer(f)
        else pa.field(
            f.name, pa.float64(), nullable=job.feature_set.policy_of(f, job.missing) == "keep"
        )
        for f in features
    ]
    fields += [pa.field(f"target_{horizon}", pa.float64()) for horizon in job.horizons]
    if job.indicators:
        fields += [
            pa.field(f"{f.name}__missing", pa.bool_()) for f in features if can_be_missing(f)
        ]
    return pa.schema(fields)


def write_export(
    job: ExportJob,
    chunks: Generator[Chunk, None, None],
    path: Path,
    export_id: str,
    progress: Callable[[int], None] = lambda rows: None,
) -> Written:
    """Write an export to `path`: beside it first, then renamed, so nobody reads a half file.

    `progress` is told the rows written so far. Without rows there is no file. Raises ExportFailed
    when the file cannot be written.
    """
    partial = partial_path(path, export_id)
    try:
        rows = _write(job, chunks, partial, progress)
        if not rows:
            partial.unlink()
            return Written(0, 0)
        _sync(partial)
        size = partial.stat().st_size
        partial.replace(path)
        _sync(path.parent)
        return Written(rows, size)
    except OSError as error:
        raise ExportFailed(f"output_path: {path} cannot be written: {error}") from error
    finally:
        with suppress(OSError):
            partial.unlink(missing_ok=True)


def _sync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _write(
    job: ExportJob,
    chunks: Generator[Chunk, None, None],
    partial: Path,
    progress: Callable[[int], None],
) -> int:
    """Read, compute and write at the same time, all in the order of the chunks."""
    schema = schema_of(job)
    rows = 0
    computing: deque[Future[pa.RecordBatch]] = deque()
    writing: deque[Future[None]] = deque()
    with (
        closing(chunks),
        _writer(job, schema, partial) as writer,
        ThreadPoolExecutor(1, "ai-hub-export-sync") as sync_pool,
        ThreadPoolExecutor(1, "ai-hub-export-write") as write_pool,
        ThreadPoolExecutor(_WORKERS, "ai-hub-export") as pool,
        ThreadPoolExecutor(1, "ai-hub-export-read") as read_pool,
    ):

        def write(batch: pa.RecordBatch) -> None:
            writer.write_batch(batch)
            # Under way to the disk while the next is made, so the last sync has little left to do.
            sync_pool.submit(_sync, partial)

        def write_next() -> int:
            batch = computing.popleft().result()
            if not batch.num_rows:
                return 0
            if len(writing) > 1:
                writing.popleft().result()
            writing.append(write_pool.submit(write, batch))
            return int(batch.num_rows)

        try:
            work = ((chunk, points) for chunk in chunks for points in job.points(chunk))
            for chunk, points in _read_ahead(work, read_pool):
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
            for future in (*computing, *writing):
                future.cancel()
        writer.add_key_value_metadata(_metadata(job, rows))
    return rows


def _read_ahead(items: Iterator[_T], pool: ThreadPoolExecutor) -> Iterator[_T]:
    """The same items, the next one being read while one is worked on."""
    reading = pool.submit(next, items, None)
    while (item := reading.result()) is not None:
        reading = pool.submit(next, items, None)
        yield item


def _writer(job: ExportJob, schema: pa.Schema, partial: Path) -> pq.ParquetWriter:
    # Measurements repeat too seldom for a dictionary to pay; ids, parts of dates and counts do.
    # Statistics serve who filters, and that is by id and time.
    dictionaries = [
        field.name
        for field in schema
        if pa.types.is_dictionary(field.type) or pa.types.is_integer(field.type)
    ]
    return pq.ParquetWriter(
        partial,
        schema,
        compression=job.compression,
        use_dictionary=dictionaries,
        write_statistics=["timestamp", "asset_id"],
        store_schema=True,
    )


def _metadata(job: ExportJob, rows: int) -> dict[str, str]:
    chosen = job.feature_set
    return {
        "ai_hub.feature_set": chosen.name or "",
        "ai_hub.version": "" if chosen.version is None else str(chosen.version),
        "ai_hub.fingerprint": chosen.fingerprint,
        "ai_hub.definitions": json.dumps([definition_of(f) for f in chosen.features]),
        "ai_hub.missing": chosen.policy_name(job.missing),
        "ai_hub.tenant_id": job.tenant_id,
        "ai_hub.start_time": iso(job.range.start),
        "ai_hub.end_time": iso(job.range.end),
        "ai_hub.row_count": str(rows),
    }


def feature_batch(
    job: ExportJob, schema: pa.Schema, chunk: Chunk, points: Points
) -> pa.RecordBatch:
    """The rows of an export at some points of a chunk."""
    history = chunk.history
    filled, masks = vectors(job.plan, points, history, job.missing)
    arrays: list[pa.Array] = [
        pa.array(points.time).cast(_TIME),
        _ids(np.zeros(len(points), np.int32), [job.tenant_id]),
        _ids(points.code, chunk.asset_ids),
        pa.array(_own_values(job, points, history), from_pandas=schema.field("value").nullable),
    ]
    arrays += [
        _nullable(column) if name in masks and schema.field(name).nullable else pa.array(column)
        for name, column in filled.items()
    ]
    for horizon in job.horizons:
        ahead = Points(points.code, points.time + horizon.micros)
        arrays.append(_nullable(values_at(job.feature_set.series, ahead, history)))
    if job.indicators:
        nowhere: NDArray[np.bool_] = np.zeros(len(points), bool)
        arrays += [
            pa.array(masks.get(f.name, nowhere))
            for f in job.feature_set.features
            if can_be_missing(f)
        ]
    return pa.RecordBatch.from_arrays(arrays, schema=schema)


def _own_values(job: ExportJob, points: Points, history: HistoryArrays) -> Floats:
    series = history.series[job.feature_set.series]
    if points.time is series.time:
        return series.value
    return values_at(job.feature_set.series, points, history)


def _ids(codes: Ints | NDArray[np.int32], ids: list[str] | tuple[str, ...]) -> pa.Array:
    return pa.DictionaryArray.from_arrays(
        pa.array(codes.astype(np.int32, copy=False)), pa.array(ids, pa.string())
    )


def _nullable(column: NDArray[np.float64] | Ints) -> pa.Array:
    return pa.array(column, from_pandas=True)
