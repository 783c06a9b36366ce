"""How much a Parquet body decodes to, read from its pages before anything is decoded.

A file says at its end what its columns take, and every page says it again in its own header, which
is what a decoder goes by. A header is a struct of Thrift's compact protocol: PageHeader of the
format's parquet.thrift.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from typing import Any, BinaryIO, NamedTuple

from ai_hub.errors import InvalidInput
from ai_hub.intake.arrow_sizes import too_much

_WINDOW = 256
_LONGEST_HEADER = 1 << 20
_MOST_PAGES = 50_000
_DEEPEST = 8

_DATA, _DICTIONARY, _DATA_2 = 0, 2, 3
_COUNTS = {_DATA: 5, _DICTIONARY: 7, _DATA_2: 8}
_ENCODINGS = {_DATA: 2, _DATA_2: 4}
_LENGTHS, _PREFIXES = "DELTA_LENGTH_BYTE_ARRAY", ("DELTA_BYTE_ARRAY", 7)
_MOST_FOOTER = 6 << 20
"""Bytes of a footer: what is made of it takes twenty times as much."""
"""The field of a header that has the number of values, by the type of the page."""


class Page(NamedTuple):
    """What the header of a page says."""

    kind: int
    size: int
    """Bytes that it decodes to."""
    packed: int
    """Bytes that it has in the file."""
    values: int
    encoding: object
    """The number of it, of a page with values."""


def check_footer(stream: BinaryIO) -> None:
    """InvalidInput for a footer that is too large to be read."""
    stream.seek(0, 2)
    end = stream.tell()
    stream.seek(max(end - 8, 0))
    size = int.from_bytes(stream.read(4), "little")
    if _MOST_FOOTER < size <= end:
        expected = f"at most {_MOST_FOOTER} bytes: fewer columns, row groups or metadata"
        raise InvalidInput("body", f"a footer of {size} bytes", expected)


def flat(metadata: Any) -> list[str]:
    """The columns of which a decoder can keep shared what rows share: those that are no part of a
    list or struct, and not in an encoding that shares nothing."""
    columns = [metadata.schema.column(place) for place in range(metadata.num_columns)]
    groups = [metadata.row_group(group) for group in range(metadata.num_row_groups)]
    return [
        column.path
        for place, column in enumerate(columns)
        if column.path == column.name
        and not any(_LENGTHS in group.column(place).encodings for group in groups)
    ]


def check_pages(stream: BinaryIO, metadata: Any, size: int, most: int) -> None:
    """InvalidInput if a part of a column, which is decoded at once, takes more than `most` bytes.

    `size` is that of the body. Raises ValueError for pages that are not what the file says.
    """
    left = _MOST_PAGES
    for group in range(metadata.num_row_groups):
        columns = metadata.row_group(group)
        for place in range(columns.num_columns):
            column = columns.column(place)
            if column.total_uncompressed_size > most:
                raise too_much(size, most)
            total = values = 0
            for page in pages(stream, column):
                left -= 1
                total += page.size
                values += page.values if page.kind != _DICTIONARY else 0
                if total > most:
                    raise too_much(size, most)
                if not left:
                    raise InvalidInput("body", f"{_MOST_PAGES} pages", "fewer and larger pages")
                if values > column.num_values or (
                    page.kind == _DICTIONARY and page.values > page.size
                ):
                    raise ValueError("a page with more values than its column has")


def check_texts(
    stream: BinaryIO, metadata: Any, names: Collection[str], size: int, most: int
) -> None:
    """InvalidInput if the texts of some columns may take more than `most` bytes.

    A dictionary that lists or structs share is decoded to a text for each value, and what texts
    share of their beginnings to all of it for each.
    """
    alone = {*flat(metadata)}
    for group in range(metadata.num_row_groups):
        columns = metadata.row_group(group)
        for place in range(columns.num_columns):
            column = columns.column(place)
            path = column.path_in_schema
            if path not in names and path.partition(".")[0] not in names:
                continue
            prefixes = _PREFIXES[0] in column.encodings
            # What can be kept shared is not decoded where its pages are in an encoding unsaid.
            for page in () if path in alone else pages(stream, column):
                prefixes |= page.encoding == _PREFIXES[1]
                if page.kind == _DICTIONARY and page.size * column.num_values > most:
                    raise too_much(size, most)
            if prefixes:
                expected = "another encoding, such as that of a dictionary"
                raise InvalidInput(path, _PREFIXES[0], expected)


def pages(stream: BinaryIO, column: Any) -> Iterator[Page]:
    """The pages of a part of a column, as a decoder comes by them."""
    at = column.data_page_offset
    if column.has_dictionary_page and 0 < column.dictionary_page_offset < at:
        at = column.dictionary_page_offset
    end = at + column.total_compressed_size
    seen = 0
    while at < end and seen < column.num_values:
        page, length = _header(stream, at)
        yield page
        seen += page.values if page.kind in (_DATA, _DATA_2) else 0
        at += length + page.packed


def _header(stream: BinaryIO, at: int) -> tuple[Page, int]:
    """The header of the page at a place, and how long it is. Raises ValueError."""
    window = _WINDOW
    while True:
        stream.seek(at)
        data = stream.read(window)
        try:
            fields, length = _struct(data, 0, 0)
            break
        except IndexError:
            # Statistics may have long texts in them.
            if len(data) < window or window >= _LONGEST_HEADER:
                raise ValueError("no Parquet: a page without a header") from None
            window *= 16
    kind, size, packed = (fields.get(number) for number in (1, 2, 3))
    if not (isinstance(kind, int) and isinstance(size, int) and isinstance(packed, int)):
        raise ValueError("no Parquet: a header without sizes")
    inner = fields.get(_COUNTS.get(kind, -1), {})
    values = inner.get(1, 0) if isinstance(inner, dict) else 0
    if min(size, packed, values) < 0:
        raise ValueError("no Parquet: a size below nothing")
    encoding = inner.get(_ENCODINGS.get(kind, -1)) if isinstance(inner, dict) else None
    return Page(kind, size, packed, values, encoding), length


def _struct(data: bytes, at: int, depth: int) -> tuple[dict[int, Any], int]:
    """The whole numbers and structs of a struct by the number of their field, and where it ends.

    Raises IndexError where the data end before it does, ValueError for what is none.
    """
    if depth > _DEEPEST:
        raise ValueError("no Parquet: a header in a header")
    found: dict[int, Any] = {}
    number = 0
    while True:
        head = data[at]
        at += 1
        if not head:
            return found, at
        kind = head & 15
        if head >> 4:
            number += head >> 4
        else:
            number, at = _signed(data, at)
        found[number], at = _value(data, at, kind, depth)


def _value(data: bytes, at: int, kind: int, depth: int) -> tuple[Any, int]:
    match kind:
        case 1 | 2:
            return None, at
        case 3:
            return None, at + 1
        case 4 | 5 | 6:
            return _signed(data, at)
        case 7:
            return None, at + 8
        case 8:
            length, at = _unsigned(data, at)
            return None, at + length
        case 12:
            return _struct(data, at, depth + 1)
        case _:
            # No header of a page has lists.
            raise ValueError("no Parquet: a header of unknown form")


def _unsigned(data: bytes, at: int) -> tuple[int, int]:
    found = shift = 0
    while True:
        byte = data[at]
        at += 1
        found |= (byte & 127) << shift
        if byte < 128:
            return found, at
        shift += 7
        if shift > 63:
            raise ValueError("no Parquet: a number without end")


def _signed(data: bytes, at: int) -> tuple[int, int]:
    found, at = _unsigned(data, at)
    return (found >> 1) ^ -(found & 1), at
