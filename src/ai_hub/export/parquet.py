"""Chunks of history to one Parquet file: read, computed, encoded and written side by side."""

from __future__ import annotations

from bisect import bisect_left
from collections import deque
from collections.abc import Callable, Generator, Iterator
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import closing, nullcontext
from functools import partial
from typing import NamedTuple, TypeVar

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from ai_hub.allocation import keeping
from ai_hub.drift.sample import Drawn, Sample
from ai_hub.engines.arrays import Ints, Points
from ai_hub.errors import ExportFailed
from ai_hub.export.drafts import AnyDraft
from ai_hub.export.job import ExportJob
from ai_hub.export.journal import Key
from ai_hub.export.output import Made, output_of
from ai_hub.export.place import Draft
from ai_hub.export.rows import Computed, Counts, arrow_column
from ai_hub.export.threads import Workers, threads
from ai_hub.stores.base import Chunk

_ID = pa.dictionary(pa.int32(), pa.string())
_TIME = pa.timestamp("us", "UTC")
_AHEAD = 2
"""Chunks beside those that are computed: read, or encoded and waiting for those before them."""

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
    draft: AnyDraft,
    progress: Callable[[int], None] = lambda rows: None,
    workers: Workers | None = None,
    sample: Sample | None = None,
) -> Written:
    """Write an export to a file, or a folder, under way: a chunk is read while others are computed
    and encoded, each by one of the `workers`, and all are written in their order. Without any rows
    what is written is worth nothing.

    `progress` is told the rows written so far; a `sample` draws from them. Raises ExportFailed when
    the file cannot be written, OutOfRange for a value outside its range of a set that rejects such.
    """
    try:
        with keeping(), nullcontext(workers) if workers else Workers() as own:
            return _write(job, chunks, draft, progress, own, sample)
    except OSError as error:
        raise ExportFailed(f"output_path: {draft.place.path} cannot be written: {error}") from error


def _write(
    job: ExportJob,
    chunks: Generator[Chunk, None, None],
    draft: AnyDraft,
    progress: Callable[[int], None],
    workers: Workers,
    sample: Sample | None,
) -> Written:
    schema = schema_of(job)
    with (
        closing(chunks),
        output_of(
            draft, schema, partial(job.rows.metadata, job.range), job.compression, job.layout
        ) as output,
        threads("read") as read_pool,
    ):
        work = ((chunk, points) for chunk in chunks for points in job.points(chunk))
        after = None if isinstance(draft, Draft) else draft.after
        rest = work if after is None else _after(after, work)
        made = (
            workers.submit(_made, job, schema, chunk, points, sample, output.make)
            for chunk, points in read_ahead(rest, read_pool)
        )
        with closing(ordered(made, workers.count + _AHEAD)) as groups:
            for group, counted, drawn, last in groups:
                output.add(group, counted, last)
                if sample is not None and drawn is not None:
                    sample.add(drawn)
                progress(output.rows)
        if output.rows:
            output.end()
    in_order, counts = job.rows.in_order, output.counts
    return Written(output.rows, in_order(counts.violations), in_order(counts.several))


def _made(
    job: ExportJob,
    schema: pa.Schema,
    chunk: Chunk,
    points: Points,
    sample: Sample | None,
    make: Callable[[pa.Table], Made],
) -> tuple[Made | None, Counts, Drawn | None, Key | None]:
    """The rows at some points of a chunk, made ready, None if there are none; what is drawn of
    them, and the key of the last one."""
    rows, found = feature_rows(job, schema, chunk, points)
    group = make(rows) if rows.num_rows else None
    drawn = None if sample is None else job.rows.drawn(sample, chunk, points, found)
    last = None
    if len(points):
        last = Key(chunk.asset_ids[points.code[-1]], int(points.time[-1]))
    return group, found.counts(), drawn, last


def _after(key: Key, work: Iterator[tuple[Chunk, Points]]) -> Iterator[tuple[Chunk, Points]]:
    """What is left of some work behind a row: what comes in before it meanwhile is not looked at,
    as if it had come after an undisturbed export was there."""
    for chunk, points in work:
        code = bisect_left(chunk.asset_ids, key.asset_id)
        behind = points.code > code
        if code < len(chunk.asset_ids) and chunk.asset_ids[code] == key.asset_id:
            behind |= (points.code == code) & (points.time > key.time)
        else:
            behind |= points.code == code
        if behind.any():
            yield chunk, Points(points.code[behind], points.time[behind])
            break
    yield from work


def sampled(
    job: ExportJob,
    chunks: Generator[Chunk, None, None],
    sample: Sample,
    progress: Callable[[int], None] = lambda rows: None,
    workers: Workers | None = None,
) -> None:
    """Let a sample draw from the rows of an export, of which nothing else becomes."""

    def draw(chunk: Chunk, points: Points) -> Drawn:
        return job.rows.drawn(sample, chunk, points, job.rows.columns(chunk, points))

    with (
        keeping(),
        closing(chunks),
        nullcontext(workers) if workers else Workers() as own,
        threads("read") as read_pool,
    ):
        work = ((chunk, points) for chunk in chunks for points in job.points(chunk))
        made = (own.submit(draw, *item) for item in read_ahead(work, read_pool))
        with closing(ordered(made, own.count + _AHEAD)) as parts:
            for drawn in parts:
                sample.add(drawn)
                progress(sample.rows)


def ordered(made: Iterator[Future[_T]], most: int) -> Generator[_T, None, None]:
    """What is made, in order, at most so many at a time. Whatever happens, nothing is being made
    any more at its end."""
    making: deque[Future[_T]] = deque()
    try:
        for one in made:
            making.append(one)
            if len(making) >= most:
                yield making.popleft().result()
        while making:
            yield making.popleft().result()
    finally:
        wait([one for one in making if not one.cancel()])


def read_ahead(items: Iterator[_T], pool: ThreadPoolExecutor) -> Iterator[_T]:
    """The same items, the next one being read while one is worked on."""
    reading = pool.submit(next, items, None)
    while (item := reading.result()) is not None:
        reading = pool.submit(next, items, None)
        yield item


def feature_rows(
    job: ExportJob, schema: pa.Schema, chunk: Chunk, points: Points
) -> tuple[pa.Table, Computed]:
    """The rows of an export at some points of a chunk, and what they are made of.

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
    return pa.Table.from_arrays(arrays, schema=schema), found


def _ids(codes: Ints | NDArray[np.int32], ids: list[str] | tuple[str, ...]) -> pa.Array:
    return pa.DictionaryArray.from_arrays(
        pa.array(codes.astype(np.int32, copy=False)), pa.array(ids, pa.string())
    )
