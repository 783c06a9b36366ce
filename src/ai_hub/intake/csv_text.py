"""CSV in blocks of whole lines: Arrow reads a block; where it cannot, Python reads line by line.

All cells are texts, the empty one is null. None of our columns can hold a line break, so a quote
that was never closed costs the line it is in and not the rest of the file.
"""

from __future__ import annotations

import csv
from collections.abc import Iterator, Mapping, Sequence
from io import BytesIO
from typing import BinaryIO

import pyarrow as pa
import pyarrow.compute as pc
from pyarrow import csv as arrow_csv

from ai_hub.errors import InvalidInput
from ai_hub.intake.cells import to_column
from ai_hub.intake.marks import mark_row

BLOCK_BYTES = 8 << 20
_MAX_HEADER_BYTES = 1 << 20
_MAX_LINE_BYTES = 4 * BLOCK_BYTES
_MAX_RECORD_LINES = 100


def read_header(stream: BinaryIO, field: str, delimiter: str = ",") -> list[str]:
    """The column names in the first line. `field` names the source where it raises InvalidInput."""
    line = stream.readline(_MAX_HEADER_BYTES)
    expected = "CSV in UTF-8 whose first line is a header"
    try:
        names = next(csv.reader([line.decode("utf-8-sig")], delimiter=delimiter), [])
    except (UnicodeDecodeError, csv.Error):
        raise InvalidInput(field, line[:80], expected) from None
    names = [name.strip() for name in names]
    if not any(names):
        raise InvalidInput(field, line[:80], expected)
    return names


def read_blocks(stream: BinaryIO, field: str, size: int = BLOCK_BYTES) -> Iterator[bytes]:
    """The rest of `stream` in blocks of about `size` bytes that end where a line ends."""
    rest = b""
    while chunk := stream.read(size):
        data = rest + chunk
        end = _last_line_end(data)
        if not end and len(data) > _MAX_LINE_BYTES:
            raise InvalidInput(field, data[:80], f"lines of at most {_MAX_LINE_BYTES} bytes")
        if end:
            yield data[:end]
        rest = data[end:]
    if rest:
        yield rest


def _last_line_end(data: bytes) -> int:
    """Just after the last line break that no open quote holds (or the last one, if all are)."""
    last = end = data.rfind(b"\n") + 1
    quotes = data.count(b'"', 0, end)
    while end and quotes % 2:
        before = data.rfind(b"\n", 0, end - 1) + 1
        quotes -= data.count(b'"', before, end)
        end = before
    return end or last


def read_block(
    data: bytes, header: Sequence[str], wanted: Mapping[str, int], delimiter: str = ","
) -> pa.Table:
    """The `wanted` columns (name to place in `header`) of some lines, as texts.

    A line that is not CSV, or has not a cell per column, becomes a row that the check refuses.
    """
    table = _by_arrow(data, len(header), wanted, delimiter)
    return _by_line(data, len(header), wanted, delimiter) if table is None else table


def _by_arrow(
    data: bytes, width: int, wanted: Mapping[str, int], delimiter: str
) -> pa.Table | None:
    quotes = data.count(b'"')
    if quotes % 2:
        return None
    columns = [str(place) for place in range(width)]
    try:
        table = arrow_csv.read_csv(
            BytesIO(data),
            read_options=arrow_csv.ReadOptions(column_names=columns),
            parse_options=arrow_csv.ParseOptions(
                delimiter=delimiter, newlines_in_values=quotes > 0
            ),
            convert_options=arrow_csv.ConvertOptions(
                column_types=dict.fromkeys(columns, pa.string()),
                include_columns=[str(place) for place in wanted.values()],
                null_values=[""],
                strings_can_be_null=True,
            ),
        ).rename_columns(list(wanted))
    except pa.ArrowInvalid:
        return None
    if quotes and any(_has_break(column) for column in table.columns):
        return None
    return table


def _has_break(column: pa.ChunkedArray) -> bool:
    return bool(pc.any(pc.match_substring_regex(column, r"[\r\n]")).as_py())


def _by_line(data: bytes, width: int, wanted: Mapping[str, int], delimiter: str) -> pa.Table:
    lines = [line.decode("utf-8", "surrogateescape") for line in data.splitlines(keepends=True)]
    rows: list[dict[str, str | None]] = []
    line = 0
    while line < len(lines):
        if not lines[line].strip("\r\n"):
            line += 1
            continue
        cells, length = _record(lines, line, delimiter)
        chosen = [cells[place] for place in wanted.values()] if len(cells) == width else []
        if len(cells) == width and not any("\n" in cell or "\r" in cell for cell in chosen):
            rows.append({n: cell or None for n, cell in zip(wanted, chosen, strict=True)})
            line += length
        else:
            expected = f"a line of {width} cells, as in the header"
            rows.append({"timestamp": mark_row(lines[line].rstrip("\r\n"), expected)})
            line += 1
    names = dict.fromkeys((*wanted, "timestamp")) if rows else wanted
    return pa.table({name: to_column(name, [row.get(name) for row in rows]) for name in names})


def _record(lines: Sequence[str], first: int, delimiter: str) -> tuple[list[str], int]:
    """The cells of the record that begins at line `first` (none if it is no CSV), and its lines."""
    line = lines[first]
    if '"' not in line:
        return line.rstrip("\r\n").split(delimiter), 1
    for part in ([line], lines[first : first + _MAX_RECORD_LINES]):
        reader = csv.reader(part, delimiter=delimiter, strict=True)
        try:
            return next(reader), reader.line_num
        except csv.Error:
            pass
    # What follows a closing quote is part of the cell to everyone but a strict reader.
    if line.count('"') % 2 == 0:
        try:
            return next(csv.reader([line], delimiter=delimiter)), 1
        except csv.Error:
            pass
    return [], 1
