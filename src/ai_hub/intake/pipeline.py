"""The way of all rows into a store: part by part, one lands while the next is read and checked."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator

import pyarrow as pa

from ai_hub.definitions.values import check_id
from ai_hub.errors import InvalidInput
from ai_hub.intake.batch import Batch, BatchKind, Part
from ai_hub.intake.checks import check_rows
from ai_hub.intake.frames import read_frame
from ai_hub.intake.result import IngestResult

Check = Callable[[pa.Table, int], Batch]
"""Makes a batch of rows, the first of which has this place in all that was sent."""
Land = Callable[[Batch], Awaitable[IngestResult]]
"""Has a batch stored, whole or not at all."""
Told = Callable[[IngestResult, float], None]
"""Told after each batch of the result so far, and of the fraction of all parts dealt with."""


async def ingest_parts(
    parts: Iterator[Part], check: Check, land: Land, told: Told | None = None
) -> IngestResult:
    """Land parts in their order; the result of all.

    Where reading or checking fails, the batch that lands meanwhile is told of before the error
    is raised.
    """
    result, sent = IngestResult(), 0

    def following() -> tuple[Batch, float] | None:
        nonlocal sent
        part = next(parts, None)
        if part is None:
            return None
        rows, fraction = part
        batch = check(rows, sent)
        sent += batch.sent
        return batch, fraction

    current = await asyncio.to_thread(following)
    while current is not None:
        batch, fraction = current
        landed, after = await asyncio.gather(
            land(batch), asyncio.to_thread(following), return_exceptions=True
        )
        if isinstance(landed, BaseException):
            raise landed
        result += landed
        if told is not None:
            told(result, fraction)
        if isinstance(after, BaseException):
            raise after
        current = after
    return result


async def ingest_frame(
    data: object,
    tenant_id: str | None,
    kind: BatchKind,
    land: Land,
    progress: Callable[[int], None] | None = None,
) -> IngestResult:
    """Land the rows of a frame or of dicts; `progress` is told the rows dealt with.

    Raises InvalidInput for what is no table, a missing column and naive timestamps.
    """
    if tenant_id is not None:
        check_id("tenant_id", tenant_id)

    def check(rows: pa.Table, first: int) -> Batch:
        batch = check_rows(kind, rows, tenant_id, first)
        if batch.naive:
            raise InvalidInput(
                "timestamp",
                batch.reasons[0].value,
                "aware datetimes",
                "Say which zone they are in, e.g. with tz_localize or replace(tzinfo=...).",
            )
        return batch

    def told(result: IngestResult, fraction: float) -> None:
        if progress is not None:
            progress(result.rows)

    return await ingest_parts(read_frame(data), check, land, told)
