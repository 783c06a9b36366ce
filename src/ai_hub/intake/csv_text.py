"""CSV in blocks of whole lines: Arrow reads a block; where it cannot, Python reads line by line.

All cells are texts, the empty one is null. Every line is a row. The one exception is a quoted cell
with line breaks in it: its lines are one row if it is closed as CSV says, if no cell that is read
has a break, and if none of the lines that it goes on over could be a row of its own. Otherwise a
quote was not closed, and costs the line it is in and no other.
"""

from __future__ import annotations

import csv
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from io import BytesIO
from typing import BinaryIO

import pyarrow as pa
from pyarrow import csv as arrow_csv

from ai_hub.errors import InvalidInput
from ai_hub.intake.marks import mark_cell, mark_row

BLOCK_BYTES = 8 << 20
_FEW_BYTES = 1 << 20
_MAX_LINE_BYTES = 4 * BLOCK_BYTES
_MAX_ROW_LETTERS = 1 << 20
"""Of a row that Arrow cannot read: it is taken apart in one step, during which no other thread goes
on."""
_MAX_RECORD_LINES = 100
_FEW_LINES = 2 * _MAX_RECORD_LINES  # more than a piece and a row that goes on into it
_MOST_LINES = 1 << 18
_FEW_PLACES = 16
_MOST_CELLS = 1 << 17
"""Of a table of more columns than a few: what is read at once."""
_COLUMNS = 1_000
"""Columns that Arrow reads at once. Each takes 14 KB meanwhile, however few rows there are."""
_PIECES = 16
_SHOWN = 200


@dataclass(slots=True)
class Lines:
    """What the lines of a text were; `total` is counted without regard to what they hold."""

    total: int = 0
    before: int = 0
    """Up to the first row: what stands before the header, the header, a row of units."""
    rows: int = 0
    continued: int = 0
    """Further lines of rows that have a quoted cell with line breaks."""
    blank: int = 0
    comments: int = 0

    def check(self, field: str) -> None:
        """InvalidInput unless every line is accounted for."""
        told = self.before + self.rows + self.continued + self.blank + self.comments
        if told != self.total:
            hint = (
                "Lines were lost on the way, which is an error of this program: please report it."
            )
            raise InvalidInput(field, told, f"{self.total} lines to be accounted for", hint)


@dataclass(frozen=True, slots=True)
class Shape:
    """How the rows of a text are made: so many cells, parted by `delimiter`, of which the ones at
    `places` are read. A line that is no row becomes a mark in the first of them."""

    width: int
    places: tuple[int, ...]
    delimiter: str = ","
    comment: str = ""

    @property
    def names(self) -> list[str]:
        """The columns of the tables that are read: the places, as texts."""
        return [str(place) for place in self.places]

    @property
    def most_lines(self) -> int:
        """How many lines are read at once."""
        few = len(self.places) <= _FEW_PLACES
        return _MOST_LINES if few else max(_MOST_CELLS // len(self.places), 1)


def count_lines(data: bytes) -> int:
    """How many lines `data` has; a last one without a line break is one too."""
    ends = data.count(b"\n")
    if b"\r" in data:
        ends += data.count(b"\r") - data.count(b"\r\n")
    return ends + (bool(data) and data[-1] not in b"\r\n")


def read_tables(
    stream: BinaryIO, shape: Shape, lines: Lines, field: str, size: int = BLOCK_BYTES
) -> Iterator[pa.Table]:
    """The rest of `stream`, which begins with a row, in tables of about `size` bytes of text.

    Counts in `lines` what was read. Raises InvalidInput, named after `field`, for a line without
    an end.
    """
    reader = _Reader(shape, lines)
    rest = b""
    for block in _blocks(stream, field, size):
        for part in _parts(block, shape.most_lines):
            count = count_lines(part)
            lines.total += count
            table, rest = reader.read(rest + part, count_lines(rest) + count, final=False)
            yield table
    yield reader.read(rest, count_lines(rest), final=True)[0]


def _blocks(stream: BinaryIO, field: str, size: int) -> Iterator[bytes]:
    """The rest of `stream` in blocks of about `size` bytes that end where a line ends."""
    rest = b""
    while chunk := stream.read(size):
        data = rest + chunk
        end = _last_line_end(data)
        if not end and len(data) > _MAX_LINE_BYTES:
            shown = data[:80].decode("utf-8", "replace")
            raise InvalidInput(field, shown, f"lines of at most {_MAX_LINE_BYTES} bytes")
        if end:
            yield data[:end]
        rest = data[end:]
    if rest:
        yield rest


def _parts(block: bytes, most: int) -> Iterator[bytes]:
    """A block in parts of so many lines, which may be objects at once."""
    count = count_lines(block)
    if count <= most:
        yield block
        return
    half = len(block) // 2
    ends = [at for at in (block.find(b"\n", half), block.find(b"\r", half)) if at >= 0]
    end = min(ends, default=len(block))
    end += 2 if block[end : end + 2] == b"\r\n" else 1
    if end >= len(block):
        # One line is all of its second half.
        end = max(block.rfind(b"\n", 0, half), block.rfind(b"\r", 0, half)) + 1
    yield from _parts(block[:end], most)
    yield from _parts(block[end:], most)


def _last_line_end(data: bytes) -> int:
    """Just after the last line break; a carriage return at the very end may be half of one."""
    return max(data.rfind(b"\n"), data.rfind(b"\r", 0, len(data) - 1)) + 1


class _Reader:
    def __init__(self, shape: Shape, lines: Lines) -> None:
        self._shape = shape
        self._lines = lines

    def read(self, data: bytes, count: int, final: bool) -> tuple[pa.Table, bytes]:
        """The rows of `count` lines, and the lines of a last row that is not complete yet."""
        mark = self._shape.comment.encode()
        if mark and mark in data:
            lines = data.splitlines(keepends=True)
            kept = [line for line in lines if not line.lstrip(b" \t").startswith(mark)]
            self._lines.comments += len(lines) - len(kept)
            data, count = b"".join(kept), count - len(lines) + len(kept)
        return self._read(data, count, final)

    def _read(self, data: bytes, count: int, final: bool) -> tuple[pa.Table, bytes]:
        table = self._by_arrow(data, count)
        if table is not None:
            return table, b""
        lines = data.splitlines(keepends=True)
        if len(lines) <= _FEW_LINES:
            return self._by_line(lines, final)
        # A line at fault is mostly alone: what Arrow cannot read is narrowed down.
        step = -(-len(lines) // _PIECES)
        tables, rest = [], b""
        for start in range(0, len(lines), step):
            piece = rest + b"".join(lines[start : start + step])
            last = final and start + step >= len(lines)
            table, rest = self._read(piece, count_lines(piece), last)
            tables.append(table)
        return pa.concat_tables(tables), rest

    def _by_arrow(self, data: bytes, count: int) -> pa.Table | None:
        """The rows, if Arrow finds as many as there are lines that are not blank."""
        if not data:
            return self._table([[] for _ in self._shape.places])
        read = list(dict.fromkeys(self._shape.names))
        try:
            if len(read) <= _COLUMNS:
                table = self._columns(data, read)
            else:
                groups = (read[at : at + _COLUMNS] for at in range(0, len(read), _COLUMNS))
                columns: dict[str, pa.Array] = {}
                for some in groups:
                    columns |= _dense(self._columns(data, some))
                table = pa.table(columns)
        except pa.ArrowInvalid:
            return None
        blank = 0 if len(table) == count else sum(not line for line in data.splitlines())
        if len(table) + blank != count or _open_at_the_end(data, self._shape.delimiter):
            return None
        self._lines.rows += len(table)
        self._lines.blank += blank
        return table

    def _columns(self, data: bytes, read: list[str]) -> pa.Table:
        """Some of the columns, as Arrow finds them. Raises ArrowInvalid."""
        return arrow_csv.read_csv(
            BytesIO(data),
            read_options=arrow_csv.ReadOptions(
                column_names=[str(place) for place in range(self._shape.width)],
                use_threads=len(data) > _FEW_BYTES,
            ),
            parse_options=arrow_csv.ParseOptions(
                delimiter=self._shape.delimiter, newlines_in_values=b'"' in data
            ),
            convert_options=arrow_csv.ConvertOptions(
                column_types=dict.fromkeys(read, pa.string()),
                include_columns=read,
                null_values=[""],
                strings_can_be_null=True,
            ),
        )

    def _by_line(self, data: Sequence[bytes], final: bool) -> tuple[pa.Table, bytes]:
        shape = self._shape
        lines = [line.decode("utf-8", "surrogateescape") for line in data]
        columns: list[list[str | None]] = [[] for _ in shape.places]
        at = 0
        while at < len(lines):
            if not lines[at].strip("\r\n"):
                self._lines.blank += 1
                at += 1
                continue
            long = len(lines[at]) > _MAX_ROW_LETTERS
            cells, length, unfinished = (
                ([], 1, False) if long else record(lines, at, shape.delimiter)
            )
            if unfinished and not final and len(lines) - at < _MAX_RECORD_LINES:
                return self._table(columns), b"".join(data[at:])
            chosen = [cells[place] for place in shape.places] if len(cells) == shape.width else []
            if not chosen or not self._is_row(lines[at : at + length], chosen):
                chosen, length = self._refused(lines[at]), 1
            for column, cell in zip(columns, chosen, strict=True):
                column.append(_utf_8(cell) if cell else None)
            self._lines.rows += 1
            self._lines.continued += length - 1
            at += length
        return self._table(columns), b""

    def _is_row(self, lines: Sequence[str], chosen: Sequence[str]) -> bool:
        """Whether these lines may be one row: no break where we read, no line a row of its own."""
        most = max((line.count(self._shape.delimiter) for line in lines[1:]), default=-1)
        return most < self._shape.width - 1 and not any("\n" in c or "\r" in c for c in chosen)

    def _refused(self, line: str) -> list[str]:
        expected = f"a line of {self._shape.width} cells, as in the header"
        if len(line) > _MAX_ROW_LETTERS:
            line, expected = line[:_SHOWN], f"a line of at most {_MAX_ROW_LETTERS} letters"
        mark = mark_row(_shown(line.rstrip("\r\n")), expected)
        return [mark, *[""] * (len(self._shape.places) - 1)]

    def _table(self, columns: Sequence[Sequence[str | None]]) -> pa.Table:
        named = dict(zip(self._shape.names, columns, strict=True))
        return pa.table({name: pa.array(cells, pa.string()) for name, cells in named.items()})


def _dense(table: pa.Table) -> dict[str, pa.Array]:
    """The columns of a table as parts of one array, which takes little more than their cells."""
    chunks = [chunk for column in table.columns for chunk in column.chunks]
    whole, size = pa.concat_arrays([pa.array([], pa.string()), *chunks]), len(table)
    return {name: whole.slice(at * size, size) for at, name in enumerate(table.column_names)}


def _open_at_the_end(data: bytes, delimiter: str) -> bool:
    """Whether the last line has a quote that is not closed, which Arrow takes for closed."""
    end = len(data.rstrip(b"\r\n"))
    start = max(data.rfind(b"\n", 0, end), data.rfind(b"\r", 0, end)) + 1
    last = data[start:end]
    if b'"' not in last:
        return False
    text = last.decode("utf-8", "surrogateescape")
    return not record([text], 0, delimiter)[0]


def record(lines: Sequence[str], first: int, delimiter: str) -> tuple[list[str], int, bool]:
    """The cells of the record that begins at line `first` (none if it is no CSV), its lines, and
    whether a quote in it is still open where the lines end."""
    line = lines[first]
    if '"' not in line:
        return line.rstrip("\r\n").split(delimiter), 1, False
    unfinished = False
    for part in ([line], lines[first : first + _MAX_RECORD_LINES]):
        reader = csv.reader(part, delimiter=delimiter, strict=True)
        try:
            return next(reader), reader.line_num, False
        except csv.Error:
            unfinished = reader.line_num == len(part)
    # What follows a closing quote is part of the cell to everyone but a strict reader.
    if line.count('"') % 2 == 0:
        try:
            return next(csv.reader([line], delimiter=delimiter)), 1, False
        except csv.Error:
            pass
    return [], 1, unfinished


def _utf_8(cell: str) -> str:
    """The cell, or a mark if bytes in it are no UTF-8."""
    if cell.isascii():
        return cell
    try:
        cell.encode()
    except UnicodeEncodeError:
        return mark_cell(_shown(cell), "text in UTF-8; --encoding names another encoding")
    return cell


def _shown(text: str) -> str:
    return text.encode("utf-8", "surrogateescape").decode("utf-8", "replace")
