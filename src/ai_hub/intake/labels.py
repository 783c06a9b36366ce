"""Tables whose other columns matter too: spines with their labels, of every type as they came."""

from __future__ import annotations

import io
from collections import Counter
from collections.abc import Callable, Mapping
from itertools import chain
from operator import itemgetter
from typing import Any, BinaryIO

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from pyarrow import csv

from ai_hub.errors import InvalidInput
from ai_hub.intake import spine_bodies
from ai_hub.intake.arrow_faults import UNREADABLE
from ai_hub.intake.batch import FIELDS
from ai_hub.intake.cells import to_column
from ai_hub.intake.frames import to_table, with_index

_KEYS = ("timestamp", "tenant_id", "asset_id")
_PART_ROWS = 131_072
"""Rows that are written at once."""
_CSV = "text/csv"
_PARQUET = "application/vnd.apache.parquet"
_ARROW = "application/vnd.apache.arrow.stream"
_WHOLE = r"^(0|-?[1-9]\d*)$"
_NUMBER = r"^-?(0|[1-9]\d*)(\.\d+)?([eE][+-]?\d+)?$"


def whole_table(data: object) -> pa.Table:
    """`data` (of any kind that `to_table` takes) with all its columns, each as it came.

    Raises InvalidInput for a column that is not of one type, and for two of one name.
    """
    frame: Any = data
    if isinstance(data, Mapping):
        table = _table({str(name): values for name, values in data.items()})
    elif hasattr(data, "iloc") and hasattr(data, "columns"):
        frame, _ = with_index(frame)
        try:
            table = pa.Table.from_pandas(frame, preserve_index=False)
        except (pa.ArrowException, TypeError, ValueError, OverflowError) as error:
            raise InvalidInput("spine", list(frame.columns), _ONE_TYPE, str(error)) from None
    elif isinstance(data, list):
        names = dict.fromkeys(chain.from_iterable(data))
        table = _table({str(name): [row.get(name) for row in data] for name in names})
    else:
        table = to_table(data)
    _check_names(table)
    return table


def _check_names(table: pa.Table) -> None:
    """Raise InvalidInput where two columns have one name."""
    name, times = max(Counter(table.column_names).items(), key=itemgetter(1), default=("", 0))
    if times > 1:
        raise InvalidInput("spine", table.column_names, f'one column named "{name}"')


_ONE_TYPE = "columns whose values are of one type each"


def _table(columns: Mapping[str, Any]) -> pa.Table:
    return pa.table({name: _column(name, values) for name, values in columns.items()})


def _column(name: str, values: Any) -> pa.Array | pa.ChunkedArray:
    if isinstance(values, pa.Array | pa.ChunkedArray):
        return values
    if hasattr(values, "__arrow_c_stream__"):
        return pa.chunked_array(values)
    listed = values if hasattr(values, "dtype") else list(values)
    try:
        return pa.array(listed, from_pandas=True)
    except (pa.ArrowException, TypeError, ValueError, OverflowError) as error:
        if name in FIELDS:  # a time may be a text here and a datetime there
            return to_column(name, list(values))
        raise InvalidInput(name, f"{len(listed)} values", _ONE_TYPE, str(error)) from None


def read_labelled(content_type: str | None, body: bytes, bounded: bool = False) -> pa.Table:
    """The rows of a body or a file in CSV, Parquet or Arrow, with all their columns.

    Columns of a CSV are numbers where every cell is one, without a leading zero, else texts.
    `bounded`: a body that would take much more memory than its size is refused. Raises InvalidInput
    for another content type, and for a body that is not of it.
    """
    name = (content_type or "").partition(";")[0].strip().lower()
    if name not in _READERS:
        raise InvalidInput("content-type", content_type, f"one of {', '.join(_READERS)}")
    reader = _READERS[name]
    try:
        table = reader[bounded](body)
        table.validate(full=True)
        _check_names(table)
        if bounded:
            spine_bodies.check_assets(table)
    except InvalidInput:
        raise
    except UNREADABLE as error:
        raise InvalidInput("spine", body[:80], f"a table in {name}", str(error)) from None
    return table


def content_type_of(name: str) -> str:
    """The content type that the name of a file says. Raises InvalidInput for any other name."""
    for suffix, found in _SUFFIXES.items():
        if name.lower().endswith(suffix):
            return found
    raise InvalidInput("spine", name, f"a file named {', '.join(_SUFFIXES)}")


def write_labelled(
    table: pa.Table, content_type: str, sink: BinaryIO | str, compression: str = "snappy"
) -> None:
    """Write a table to a file or a path, part by part; `compression` is that of Parquet.

    Raises InvalidInput for a column that the format cannot hold, OSError.
    """
    try:
        if content_type == _CSV:
            _write_csv(table, sink)
        elif content_type == _PARQUET:
            pq.write_table(
                table, sink, row_group_size=_PART_ROWS, compression=compression,
                use_dictionary=repeating(table.schema), write_statistics=False,
            )  # fmt: skip
        else:
            with pa.ipc.new_stream(sink, table.schema) as writer:
                writer.write_table(table, _PART_ROWS)
    except pa.ArrowException as error:
        raise InvalidInput("format", content_type, "one that every column has a form in",
                           str(error)) from None  # fmt: skip


def repeating(schema: pa.Schema) -> list[str]:
    """The columns of which a dictionary pays: ids, labels, parts of dates and counts. Measurements
    repeat too seldom."""
    plain = (pa.types.is_floating, pa.types.is_timestamp, pa.types.is_boolean)
    return [field.name for field in schema if not any(is_(field.type) for is_ in plain)]


def _write_csv(table: pa.Table, sink: BinaryIO | str) -> None:
    with csv.CSVWriter(sink, _plain(table.slice(0, 0)).schema) as writer:
        for first in range(0, len(table), _PART_ROWS):
            writer.write_table(_plain(table.slice(first, _PART_ROWS)))


def _plain(table: pa.Table) -> pa.Table:
    """The table with dictionaries decoded, which CSV cannot hold."""
    columns = [
        column.cast(column.type.value_type) if pa.types.is_dictionary(column.type) else column
        for column in table.columns
    ]
    return pa.table(columns, names=table.column_names)


def _read_csv(body: bytes) -> pa.Table:
    header = csv.open_csv(io.BytesIO(body), convert_options=csv.ConvertOptions()).schema.names
    table = csv.read_csv(
        io.BytesIO(body),
        parse_options=csv.ParseOptions(newlines_in_values=True),
        convert_options=csv.ConvertOptions(
            column_types=dict.fromkeys(header, pa.string()),
            null_values=[""],
            strings_can_be_null=True,
        ),
    )
    columns = [
        column if name in _KEYS else _numbers(column)
        for name, column in zip(header, table.columns, strict=True)
    ]
    return pa.table(columns, names=[name.strip() for name in header])


def _numbers(texts: pa.ChunkedArray) -> pa.ChunkedArray:
    """Texts as numbers, where all of them are: `007` is none, it is an id or a code."""
    if texts.null_count == len(texts):
        return texts
    try:
        if _all_match(texts, _WHOLE):
            return texts.cast(pa.int64())
        return texts.cast(pa.float64()) if _all_match(texts, _NUMBER) else texts
    except pa.ArrowInvalid:  # more digits than an integer has
        return texts


def _all_match(texts: pa.ChunkedArray, pattern: str) -> bool:
    return bool(pc.all(pc.match_substring_regex(texts, pattern)).as_py())


def _read_parquet(body: bytes) -> pa.Table:
    return pq.read_table(pa.BufferReader(body))


def _read_arrow(body: bytes) -> pa.Table:
    source = pa.BufferReader(body)
    file = body[:6] == b"ARROW1"
    return (pa.ipc.open_file(source) if file else pa.ipc.open_stream(source)).read_all()


def _read_bounded_csv(body: bytes) -> pa.Table:
    spine_bodies.check_header(body)
    return _read_csv(body)


_Reader = Callable[[bytes], pa.Table]
_CSVS: tuple[_Reader, _Reader] = (_read_csv, _read_bounded_csv)
_PARQUETS: tuple[_Reader, _Reader] = (_read_parquet, spine_bodies.read_parquet)
_ARROWS: tuple[_Reader, _Reader] = (_read_arrow, spine_bodies.read_arrow)
_READERS = {
    _CSV: _CSVS,
    _PARQUET: _PARQUETS,
    "application/x-parquet": _PARQUETS,
    _ARROW: _ARROWS,
    "application/vnd.apache.arrow.file": _ARROWS,
}
"""What reads a content type: a file, and a body within a bound."""
_SUFFIXES = {".csv": _CSV, ".parquet": _PARQUET, ".pq": _PARQUET, ".arrow": _ARROW}

FORMATS = {"csv": _CSV, "parquet": _PARQUET, "arrow": _ARROW}
"""The formats of an answer by their short name, and the content type of each."""


def format_of(content_type: str | None, name: str | None) -> str:
    """The content type of an answer: of the format named, else that of the body answered.

    Raises InvalidInput for a name that is none of FORMATS.
    """
    if name is not None and name not in FORMATS:
        raise InvalidInput("format", name, f"one of {', '.join(FORMATS)}")
    reader = _READERS[(content_type or "").partition(";")[0].strip().lower()]
    own = next(kind for kind in FORMATS.values() if _READERS[kind] is reader)
    return own if name is None else FORMATS[name]
