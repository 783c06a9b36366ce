"""CSV and Parquet files, read in parts of a bounded number of rows."""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import BinaryIO, cast

import pyarrow as pa
import pyarrow.parquet as pq

from ai_hub.errors import InvalidInput
from ai_hub.intake.batch import BATCH_ROWS, FIELDS, Part
from ai_hub.intake.csv_text import read_block, read_blocks, read_header
from ai_hub.intake.formats import UNREADABLE, csv_places, with_other_columns
from ai_hub.intake.labels import content_type_of, read_labelled
from ai_hub.intake.local_time import LocalClock
from ai_hub.intake.row_options import RowOptions

_CSV = {".csv": ",", ".csv.gz": ",", ".tsv": "\t", ".tsv.gz": "\t"}
_PARQUET = (".parquet", ".pq")


def count_hint(path: Path) -> int:
    """The size of a file in bytes, for a progress bar. Raises InvalidInput if it is not there."""
    try:
        return path.stat().st_size
    except OSError as error:
        raise _no_file(path, error) from None


def read_file(
    path: Path,
    columns: Mapping[str, str] | None = None,
    timezone: str | None = None,
    rows: int = BATCH_ROWS,
) -> Iterator[Part]:
    """The rows of a file, unchecked, in tables of `rows` rows (the last one may have fewer).

    Yields each table with the fraction of the file read so far, 0 to 1. `columns` maps our column
    names to the file's. With `timezone` (an IANA zone) times without an offset are local times of
    it. Raises InvalidInput for a file that is absent, of another format, or lacks a mapped column;
    a file that turns out to be damaged raises where the damage is.
    """
    mapping = dict(columns or {})
    for field in mapping:
        if field not in FIELDS:
            raise InvalidInput("columns", field, f"one of {', '.join(sorted(FIELDS))}")
    if rows < 1:
        raise InvalidInput("rows", rows, "at least 1")
    options = RowOptions(timezone=timezone)
    size = count_hint(path)
    name = path.name.lower()
    suffix = next((suffix for suffix in (*_CSV, *_PARQUET) if name.endswith(suffix)), None)
    if suffix is None:
        raise InvalidInput("file", str(path), f"a file named {', '.join((*_CSV, *_PARQUET))}")

    def parts() -> Iterator[Part]:
        if suffix in _PARQUET:
            return _parquet_parts(path, mapping, rows)
        return _csv_parts(path, mapping, _CSV[suffix], name.endswith(".gz"), size)

    clock = LocalClock(options, lambda: (table for table, _ in parts()))
    for table, fraction in _of_rows(parts(), rows):
        yield clock.to_utc(table), fraction


def _no_file(path: Path, error: OSError) -> InvalidInput:
    return InvalidInput("file", str(path), "a file that can be read", error.strerror or "")


def _chosen(found: Sequence[str], mapping: Mapping[str, str]) -> dict[str, str]:
    """Our columns to the file's: those mapped, and those that have our name already."""
    for field, name in mapping.items():
        if name not in found:
            raise InvalidInput(field, list(found), f'a column named "{name}"')
    return {name: name for name in found if name in FIELDS} | dict(mapping)


def _csv_parts(
    path: Path, mapping: Mapping[str, str], delimiter: str, zipped: bool, size: int
) -> Iterator[Part]:
    try:
        with path.open("rb") as raw:
            stream = cast(BinaryIO, gzip.GzipFile(fileobj=raw)) if zipped else raw
            header = read_header(stream, "file", delimiter)
            wanted = csv_places(header, _chosen(header, mapping))
            empty = pa.table({field: pa.nulls(0, pa.string()) for field in wanted})
            yield with_other_columns(empty, header), 0.0
            for data in read_blocks(stream, "file"):
                table = read_block(data, header, wanted, delimiter)
                yield with_other_columns(table, header), min(raw.tell() / size, 1.0)
    except (gzip.BadGzipFile, EOFError, zlib.error):
        raise InvalidInput("file", str(path), "a whole gzip file") from None
    except OSError as error:
        raise _no_file(path, error) from None


def _parquet_parts(path: Path, mapping: Mapping[str, str], rows: int) -> Iterator[Part]:
    try:
        with pq.ParquetFile(path) as file:
            header = file.schema_arrow.names
            chosen = _chosen(header, mapping)
            csv_places(header, chosen)
            total = max(file.metadata.num_rows, 1)
            yield _renamed(file.schema_arrow.empty_table(), chosen, header), 0.0
            done = 0
            for batch in file.iter_batches(rows, columns=list(dict.fromkeys(chosen.values()))):
                batch.validate(full=True)
                done += batch.num_rows
                table = pa.Table.from_batches([batch])
                yield _renamed(table, chosen, header), done / total
    except InvalidInput:
        raise
    except UNREADABLE:
        raise InvalidInput("file", str(path), "a whole Parquet file") from None


def _renamed(table: pa.Table, chosen: Mapping[str, str], header: Sequence[str]) -> pa.Table:
    ours = pa.table({field: table.column(name) for field, name in chosen.items()})
    return with_other_columns(ours, header)


def _of_rows(parts: Iterator[Part], rows: int) -> Iterator[Part]:
    """The same rows in tables of `rows`; of a file without rows, one empty table."""
    waiting, fraction = next(parts)
    yielded = False
    for table, fraction in parts:
        waiting = pa.concat_tables([waiting, table], promote_options="default")
        while len(waiting) >= rows:
            yield waiting.slice(0, rows), fraction
            yielded = True
            waiting = waiting.slice(rows)
    if len(waiting) or not yielded:
        yield waiting, 1.0


def read_labelled_file(path: Path) -> pa.Table:
    """A spine's file, CSV, Parquet or Arrow, with all its columns. Raises InvalidInput."""
    content_type = content_type_of(path.name)
    try:
        return read_labelled(content_type, path.read_bytes())
    except OSError as error:
        raise _no_file(path, error) from None
