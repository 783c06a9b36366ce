"""Text: CSV with whatever separates the cells, in whatever encoding."""

from __future__ import annotations

import io
from collections.abc import Iterator, Sequence
from typing import BinaryIO, cast

import pyarrow as pa

from ai_hub.intake.batch import Part
from ai_hub.intake.csv_text import Lines, Shape, count_lines, read_tables
from ai_hub.intake.dialect.dialect import Dialect
from ai_hub.intake.dialect.encodings import EIGHT_BITS, Utf8, detect_encoding
from ai_hub.intake.dialect.layout import Wanted, find_layout
from ai_hub.intake.dialect.numbers import Point
from ai_hub.intake.readers.one_table import check_one_table
from ai_hub.intake.source import Source

_SAMPLE_BYTES = 64 << 10
_MOST_NULS = 0.01
"""The share of NUL bytes up to which a few rows are at fault, and not the text."""
_HEADER_LINES = 200
_MOST_BYTES = 4 << 20  # for a header of very many names


class TextReader:
    """A text whose header was found in its first lines; see `Reader`.

    `lines` says what the lines were that have been read, complete once `tables` is exhausted.
    Raises InvalidInput where the header lacks a name, and for text that ends inside a letter.
    """

    def __init__(self, source: Source, dialect: Dialect, wanted: Wanted) -> None:
        self._source = source
        self._comment = dialect.comment or ""
        self._whole = True
        encoding = dialect.encoding or detect_encoding(source.head())
        self._sample = self._first(encoding)
        if encoding == "utf-8" and dialect.encoding is None:
            encoding = detect_encoding(self._sample)
            if encoding != "utf-8":
                self._sample = self._first(encoding)
        self._encoding = encoding
        self.letters = dialect.encoding is not None or encoding != EIGHT_BITS
        if self._sample[:_SAMPLE_BYTES].count(0) > _MOST_NULS * len(self._sample):
            hint = "It has NUL bytes. If it is text in another encoding, name that (encoding)."
            raise source.wrong(source.name, "a text, a Parquet file or a spreadsheet", hint)
        raw_lines = self._sample.splitlines(keepends=True)[:_HEADER_LINES]
        lines = [line.decode("utf-8", "replace") for line in raw_lines]
        if not self._sample.strip():
            raise source.wrong(source.name, "a text whose first line is a header", "It is empty.")
        self.layout = find_layout(lines, dialect, wanted)
        self._start = sum(len(line) for line in raw_lines[: self.layout.before])
        self.found = Dialect(
            delimiter=self.layout.delimiter,
            encoding=encoding,
            skip_lines=self.layout.skip_lines,
            units_row=self.layout.units_row,
        )
        # Who separates by commas mostly writes decimal points, and a program surely does.
        between_commas = Point.SURE if source.field == "body" else Point.LIKELY
        self.point = between_commas if self.layout.delimiter == "," else Point.OPEN
        self.lines: Lines | None = None
        self.rows: int | None = None
        self._read_already: dict[tuple[int, ...], list[pa.Table]] = {}

    def sample(self, places: Sequence[int]) -> pa.Table:
        """The first rows: as many as there are in the first 64 KiB or so."""
        return pa.concat_tables(self._tables_of_sample(tuple(places)))

    def tables(self, places: Sequence[int]) -> Iterator[Part]:
        """All rows. Raises InvalidInput where another table begins, and if there is a line that no
        row or other count has."""
        if self._whole:
            tables = self._tables_of_sample(tuple(places))
            yield from ((table, (place + 1) / len(tables)) for place, table in enumerate(tables))
            return
        with self._source.open() as raw:
            stream = cast(BinaryIO, Utf8(raw, self._encoding, self._source.field))
            for table in self._read(stream, places):
                yield table, min(raw.tell() / max(self._source.size, 1), 1.0)

    def _tables_of_sample(self, places: tuple[int, ...]) -> list[pa.Table]:
        # A small text is read once: the sample is all there is of it.
        if places not in self._read_already:
            sample = cast(BinaryIO, io.BytesIO(self._sample))
            self._read_already = {places: list(self._read(sample, places))}
        return self._read_already[places]

    def _read(self, stream: BinaryIO, places: Sequence[int]) -> Iterator[pa.Table]:
        before = _read_all(stream, self._start)
        self.lines = lines = Lines(total=count_lines(before), before=self.layout.before)
        row = 0
        for table in read_tables(stream, self._shape(places), lines, self._source.field):
            check_one_table(table, self.layout, row, self._source.field)
            row += len(table)
            yield table
        lines.check(self._source.field)

    def _shape(self, places: Sequence[int]) -> Shape:
        width = len(self.layout.names)
        return Shape(width, tuple(places), self.layout.delimiter, self._comment)

    def _first(self, encoding: str) -> bytes:
        """The first lines as UTF-8, whole ones unless the text has but one."""
        with self._source.open() as raw:
            stream = cast(BinaryIO, Utf8(raw, encoding, self._source.field))
            data = _read_all(stream, _SAMPLE_BYTES)
            while len(data) < _MOST_BYTES and count_lines(data) < 3:
                more = stream.read(_SAMPLE_BYTES)
                if not more:
                    return data
                data += more
            if not stream.read(1):
                return data
        self._whole = False
        end = max(data.rfind(b"\n"), data.rfind(b"\r", 0, len(data) - 1)) + 1
        return data[:end] if end else data


def _read_all(stream: BinaryIO, size: int) -> bytes:
    """So many bytes, or as many as there are."""
    parts: list[bytes] = []
    while size > 0 and (data := stream.read(size)):
        parts.append(data)
        size -= len(data)
    return b"".join(parts)
