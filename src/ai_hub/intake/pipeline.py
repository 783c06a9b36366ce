"""The way of all rows into a store: part by part, one lands while the next is read and checked."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Mapping
from dataclasses import replace
from datetime import datetime
from os import PathLike
from pathlib import Path
from typing import Any

import pyarrow as pa

from ai_hub.definitions.values import check_id, iso, to_micros
from ai_hub.errors import InvalidInput
from ai_hub.intake.batch import Batch, Part
from ai_hub.intake.checks import check_rows
from ai_hub.intake.frames import to_table
from ai_hub.intake.read_options import ReadOptions
from ai_hub.intake.readers.rows import Rows
from ai_hub.intake.result import MAX_REASONS, IngestResult, Preview
from ai_hub.intake.row_files import RowFile, row_file
from ai_hub.intake.source import Source
from ai_hub.intake.wide_frames import recognised

_PREVIEW_ROWS = 5

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


async def ingest_file(
    file: RowFile,
    tenant_id: str | None,
    land: Land | None,
    told: Told | None = None,
    check: Check | None = None,
) -> IngestResult:
    """Land the rows of a file, body or frame; without `land`, a dry run, they are previewed.

    `check` stands in for the check of rows by the options of the file.
    """
    checked = check or checker(file, tenant_id)
    if land is not None:
        return await ingest_parts(file.parts(), checked, land, told)
    first: list[pa.Table] = []

    def watched() -> Iterator[Part]:
        for part in file.parts():
            if not first:
                first.append(part[0].slice(0, _PREVIEW_ROWS))
            yield part

    async def not_landed(batch: Batch) -> IngestResult:
        return batch.landed(0, 0, 0)

    result = await ingest_parts(watched(), checked, not_landed, told)
    rows = checker(file, tenant_id)(first[0], 0).table.to_pylist()
    detected = tuple(str(finding) for finding in file.findings())
    options = {**file.options.said, **file.explicit().given()}
    return replace(result, preview=Preview(tuple(map(_shown, rows)), detected, options))


def checker(file: RowFile, tenant_id: str | None, reasons: int = MAX_REASONS) -> Check:
    """The check of a file's rows; `reasons` is how many rejections it names in each batch."""
    options = file.options

    def check(rows: pa.Table, first: int) -> Batch:
        return check_rows(options.kind, rows, tenant_id, first, options.rows, reasons)

    return check


async def ingest_rows(
    data: object,
    tenant_id: str | None,
    options: ReadOptions,
    land: Land | None,
    progress: Callable[[int], None] | None = None,
) -> IngestResult:
    """Land the rows of a frame, of dicts or of the file at a path; `progress` is told the rows
    dealt with.

    Raises InvalidInput for what is no table, a missing column and naive timestamps.
    """
    data, options, remarks = await asyncio.to_thread(recognised, data, options)
    file = await asyncio.to_thread(opened, data, tenant_id, options)

    def told(result: IngestResult, fraction: float) -> None:
        if progress is not None:
            progress(result.rows)

    checked = checker_of_programs(file, tenant_id)
    result = await ingest_file(file, tenant_id, land, told, checked)
    return replace(result, remarks=(*remarks, *result.remarks))


def checker_of_programs(file: RowFile, tenant_id: str | None) -> Check:
    """The check of rows that a program gives: naive times are an error, as a fault of its own."""
    by_rows = checker(file, tenant_id)

    def check(rows: pa.Table, first: int) -> Batch:
        batch = by_rows(rows, first)
        if batch.naive:
            raise InvalidInput(
                "valid_from" if file.options.kind == "attributes" else "timestamp",
                batch.reasons[0].value,
                "aware datetimes",
                "Say which zone they are in: timezone=, tz_localize or replace(tzinfo=...).",
            )
        return batch

    return check


def opened(data: object, tenant_id: str | None, options: ReadOptions) -> RowFile:
    """A frame, dicts or the file at a path, as what is read row by row. Raises InvalidInput."""
    if tenant_id is not None:
        check_id("tenant_id", tenant_id.strip())
    required = options.required(tenant_id)
    if isinstance(data, str | PathLike):
        return row_file(Source.of_path(Path(data)), options, required)
    stream = hasattr(data, "__arrow_c_stream__")
    if isinstance(data, list | tuple) or (isinstance(data, Iterator) and not stream):
        return row_file(Rows(list(data)), options.of_programs(), required)
    return row_file(to_table(data, options.fields_of), options, required)


def _shown(row: Mapping[str, Any]) -> dict[str, Any]:
    return {
        name: iso(to_micros(value)) if isinstance(value, datetime) else value
        for name, value in row.items()
    }
