"""Years of readings from a file: gathered and sorted, so that each batch is of one part of a store.

Rows are read ahead while others land, two batches at a time: while the store takes one in, the next
is made ready. After each million rows a bookmark is kept; rows that had landed since are sent once
more by who goes on there, which changes nothing.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from os import PathLike
from pathlib import Path

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from ai_hub.definitions.values import DAY
from ai_hub.intake.batch import BATCH_ROWS, Batch, Part
from ai_hub.intake.bookmark import Bookmark, Place
from ai_hub.intake.duplicates import last_of_each
from ai_hub.intake.pipeline import Check, Land, Told, checker_of_programs, opened
from ai_hub.intake.read_options import ReadOptions
from ai_hub.intake.result import IngestResult

PART_ROWS = BATCH_ROWS
"""Rows that are read and checked at a time."""
GATHERED_ROWS = 1_000_000
"""Rows that are sorted together."""
_WEEK = 7 * DAY
"""What a chunk of the database holds: rows of a week go together, from Thursday to Thursday."""
_MOST_WEEKS = 26
_AT_ONCE = 2
"""Batches that land at a time. They have no key in common, so their order is of no matter."""


@dataclass(frozen=True, slots=True)
class _Gathered:
    """Batches to land one after the other; the result of their rows but for what a store says,
    how many rows of the file are dealt with then, and the fraction of the file."""

    batches: tuple[Batch, ...]
    result: IngestResult
    rows: int
    fraction: float


async def ingest_file(
    path: str | PathLike[str],
    tenant_id: str | None,
    options: ReadOptions,
    land: Land,
    into: str,
    *,
    in_chunks: bool,
    bookmark: str | PathLike[str] | None,
    progress: Callable[[int], None] | None,
) -> IngestResult:
    """Land a file of observations, `into` what its bookmark names; `progress` is told the rows."""
    place = Path(path)
    mark = Bookmark.of(
        place, None if bookmark is None else Path(bookmark), into, tenant_id, options.said
    )
    file = await asyncio.to_thread(opened, place, tenant_id, options)
    return await ingest_bulk(
        file.parts(PART_ROWS),
        checker_of_programs(file, tenant_id),
        land,
        mark,
        in_chunks,
        lambda result, _: None if progress is None else progress(result.rows),
    )


async def ingest_bulk(
    parts: Iterator[Part],
    check: Check,
    land: Land,
    bookmark: Bookmark,
    in_chunks: bool,
    told: Told | None = None,
) -> IngestResult:
    """Land parts of observations from the bookmark on; the result of all, also of earlier runs.

    `in_chunks`: the store keeps rows of a week together, so they are landed together. Others take
    the rows of a series at once. What is stored then is what landing them in their order would
    have stored.
    """
    gathered = _gathered(_behind(parts, bookmark.place.rows), check, bookmark.place.rows, in_chunks)
    current = await asyncio.to_thread(next, gathered, None)
    while current is not None:
        landed, after = await asyncio.gather(
            _landed(current, land),
            asyncio.to_thread(next, gathered, None),
            return_exceptions=True,
        )
        if isinstance(landed, BaseException):
            raise landed
        place = Place(current.rows, bookmark.place.result + landed)
        await asyncio.to_thread(bookmark.keep, place)
        if told is not None:
            told(place.result, current.fraction)
        if isinstance(after, BaseException):
            raise after
        current = after
    bookmark.remove()
    return bookmark.place.result


async def _landed(gathered: _Gathered, land: Land) -> IngestResult:
    waiting = deque(gathered.batches)

    async def one_after_the_other() -> IngestResult:
        result = IngestResult()
        while waiting:
            batch = waiting.popleft()
            try:
                landed = await land(batch)
            except BaseException:
                # What is under way may land; nothing else is begun.
                waiting.clear()
                raise
            # They are counted as accepted already, those that the store's side refused too.
            result += replace(landed, accepted=landed.accepted - batch.accepted)
        return result

    found = await asyncio.gather(
        *(one_after_the_other() for _ in range(_AT_ONCE)), return_exceptions=True
    )
    result = gathered.result
    for one in found:
        if isinstance(one, BaseException):
            raise one
        result += one
    return result


def _behind(parts: Iterator[Part], done: int) -> Iterator[Part]:
    """The rows behind the first `done`."""
    for rows, fraction in parts:
        skipped = min(done, rows.num_rows)
        done -= skipped
        if skipped < rows.num_rows:
            yield rows.slice(skipped), fraction


def _gathered(
    parts: Iterator[Part], check: Check, first: int, in_chunks: bool
) -> Iterator[_Gathered]:
    some: list[Batch] = []
    held, place, fraction = 0, first, 0.0
    for rows, fraction in parts:
        some.append(check(rows, place))
        place += some[-1].sent
        held += some[-1].table.num_rows
        if held >= GATHERED_ROWS:
            yield _merged(some, place, fraction, in_chunks)
            some, held = [], 0
    if some:
        yield _merged(some, place, fraction, in_chunks)


def _merged(some: Sequence[Batch], rows: int, fraction: float, in_chunks: bool) -> _Gathered:
    """Batches as others with the same rows, of each key the last one, in the order of the store."""
    table = pa.concat_tables([batch.table for batch in some]).combine_chunks()
    result = sum((batch.landed(0, 0, 0) for batch in some), IngestResult())
    if not table.num_rows:
        return _Gathered((), result, rows, fraction)
    times = np.asarray(table["timestamp"].cast("int64"))
    ids = [_ranks(table[name]) for name in ("tenant_id", "asset_id", "feature_type")]
    weeks = times // _WEEK if in_chunks else np.zeros_like(times)
    last, replaced = last_of_each([weeks, *ids, times])
    table = table.take(pa.array(last))
    batches = tuple(
        Batch(table.slice(start, end - start), some[0].tenant_id, end - start, 0, (), False)
        for start, end in _cuts(weeks[last])
    )
    result = replace(result, duplicates=result.duplicates + len(replaced))
    return _Gathered(batches, result, rows, fraction)


def _ranks(ids: pa.ChunkedArray) -> NDArray[np.int64]:
    """For each row the place of its id among all of them, in order of code points."""
    coded = ids.combine_chunks().dictionary_encode()
    names = coded.dictionary.to_pylist()
    rank = np.empty(len(names), np.int64)
    rank[sorted(range(len(names)), key=names.__getitem__)] = np.arange(len(names))
    found: NDArray[np.int64] = rank[np.asarray(coded.indices)]
    return found


def _cuts(weeks: NDArray[np.int64]) -> Iterator[tuple[int, int]]:
    """Where batches begin and end: of whole weeks, or of parts of one that has more rows."""
    ends = np.append(np.flatnonzero(np.diff(weeks)) + 1, len(weeks))
    start = begun = 0
    for place, end in enumerate(ends.tolist()):
        behind = int(ends[place - 1]) if place else 0
        if start < behind and (end - start > BATCH_ROWS or place - begun >= _MOST_WEEKS):
            yield start, behind
            start, begun = behind, place
        while end - start > BATCH_ROWS:
            yield start, start + BATCH_ROWS
            start += BATCH_ROWS
    yield start, len(weeks)
