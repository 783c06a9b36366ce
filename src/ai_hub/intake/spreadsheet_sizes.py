"""How much a spreadsheet holds, read from its parts before a reader makes cells of them.

A few bytes say a great deal: a part unpacks to a thousand times its size, a reader holds every cell
between the first and the last of a sheet, and a text once for each cell that shares it. So each
part is unpacked and parsed here first, piece by piece, and nothing is kept of it but sums.
"""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Iterator
from typing import BinaryIO
from xml.parsers import expat
from zipfile import ZIP_DEFLATED, ZIP_STORED, BadZipFile, ZipFile, ZipInfo

from ai_hub.intake.arrow_sizes import too_much

_SPARE = 52 << 20
_CELL = 200
"""Bytes of a cell: as the reader has it, as an object, and as a text."""
_TEXT = 2
"""How often a text is there: as the reader has it, and as an object."""
_ELEMENT = 20
"""Fewer bytes than cells take for each of their elements."""
_MOST_TAG = 1 << 20
_PIECE = 64 * 1024
_LINKS, _TEXTS = "xl/_rels/workbook.xml.rels", "xl/sharedstrings.xml"
# What the same reader would read in another way.
_OTHERS = ("content.xml", "xl/workbook.bin")


def check_spreadsheet(stream: BinaryIO, size: int) -> None:
    """InvalidInput if what a body of `size` bytes holds takes more memory than such a one may.

    Raises ValueError for what is no .xlsx file.
    """
    data = io.BytesIO(stream.read())
    counted = _Counted(size)
    unread, linked = [], set[str]()
    try:
        with ZipFile(data) as archive:
            parts = archive.infolist()
            if any(part.filename.lower() in _OTHERS for part in parts):
                raise ValueError("another kind of spreadsheet")
            # How long shared texts are is asked for by the cells that have them.
            parts.sort(key=lambda part: part.filename.lower() != _TEXTS)
            for part in parts:
                try:
                    links = counted.parse(_unpacked(data, part))
                except expat.ExpatError:
                    unread.append(part.filename)
                else:
                    linked |= links if part.filename.lower() == _LINKS else set()
    except (BadZipFile, zlib.error, struct.error, IndexError, RecursionError) as error:
        raise ValueError(str(error)) from None
    if any(link and name.endswith(link) for link in linked for name in unread):
        raise ValueError("a part that is no XML")


def _unpacked(data: io.BytesIO, part: ZipInfo) -> Iterator[bytes]:
    """The bytes of a part in pieces: all that its bytes unpack to, whatever it says."""
    head = data.getbuffer()[part.header_offset : part.header_offset + 30]
    names = sum(struct.unpack_from("<HH", head, 26))
    first = part.header_offset + 30 + names
    packed = data.getbuffer()[first : first + part.compress_size]
    if part.compress_type == ZIP_STORED:
        yield from (bytes(packed[at : at + _PIECE]) for at in range(0, len(packed), _PIECE))
        return
    if part.compress_type != ZIP_DEFLATED:
        raise ValueError("another compression")
    unpacks = zlib.decompressobj(-zlib.MAX_WBITS)
    for at in range(0, len(packed), _PIECE):
        left: bytes | memoryview = packed[at : at + _PIECE]
        while left and not unpacks.eof:
            yield unpacks.decompress(left, _PIECE)
            left = unpacks.unconsumed_tail
    while not unpacks.eof and (rest := unpacks.decompress(b"", _PIECE)):
        yield rest


class _Counted:
    """What the parts of a spreadsheet hold, together."""

    def __init__(self, size: int) -> None:
        self._size = size
        self._most = 6 * size + _SPARE
        self._bytes = self._elements = self._held = 0
        self._lengths: list[int] = []

    def parse(self, pieces: Iterator[bytes]) -> set[str]:
        """Count what a part holds; the ends of the names of parts that it links to.

        Raises InvalidInput, ValueError, and ExpatError for what is no XML.
        """
        sheet, links = _Sheet(self._lengths), set[str]()
        parser = expat.ParserCreate()
        parser.buffer_text = True

        def start(name: str, attributes: dict[str, str]) -> None:
            self._elements += 1
            if name == "Relationship" or name.endswith(":Relationship"):
                links.add(attributes.get("Target", "").rpartition("/")[2])
            sheet.start(name.rpartition(":")[2], attributes)

        def no_doctype(*_: object) -> None:
            raise ValueError("a document type")

        parser.StartElementHandler = start
        parser.EndElementHandler = lambda name: sheet.end(name.rpartition(":")[2])
        parser.CharacterDataHandler = sheet.text
        parser.StartDoctypeDeclHandler = no_doctype
        fed = 0
        for piece in pieces:
            self._bytes += len(piece)
            fed += len(piece)
            parser.Parse(piece, False)
            if fed - parser.CurrentByteIndex > _MOST_TAG:
                raise ValueError("a very long tag")
            self._check(sheet)
        parser.Parse(b"", True)
        self._check(sheet)
        self._held += sheet.held
        return links

    def _check(self, sheet: _Sheet) -> None:
        most = self._most
        if max(self._bytes // 2, self._held + sheet.held, _ELEMENT * self._elements) > most:
            raise too_much(self._size, most)


class _Sheet:
    """The cells of a sheet, or the texts that cells share, as far as they were parsed."""

    def __init__(self, lengths: list[int]) -> None:
        self._lengths = lengths
        self._texts = 0
        self._row = self._column = -1
        self._rows = self._columns = (1 << 30, -1)
        self._shared = self._cell = self._read = self._filled = False
        self._index = ""

    @property
    def held(self) -> int:
        """Bytes of all cells between the first and the last, and of their texts."""
        rows, columns = (last - first + 1 for first, last in (self._rows, self._columns))
        cells = rows * columns if self._filled else 0
        return _CELL * cells + _TEXT * self._texts

    def start(self, name: str, attributes: dict[str, str]) -> None:
        """An element begins."""
        match name:
            case "row":
                self._row = int(attributes.get("r", self._row + 2)) - 1
                self._column = -1
            case "c":
                self._cell, self._index = True, ""
                self._shared = attributes.get("t") == "s"
                self._column += 1
                if "r" in attributes:
                    self._row, self._column = _place(attributes["r"])
            case "v" | "is" if self._cell:
                self._read = True
                self._filled = True
                (top, bottom), (left, right) = self._rows, self._columns
                self._rows = min(top, self._row), max(bottom, self._row)
                self._columns = min(left, self._column), max(right, self._column)
            case "si":
                self._lengths.append(0)
                self._read = True
                self._texts += _CELL // _TEXT
            case _:
                pass

    def text(self, text: str) -> None:
        """A part of a text."""
        if not self._read:
            return
        if self._cell and self._shared:
            self._index += text[:20]
        elif self._cell:
            self._texts += len(text)
        else:
            self._lengths[-1] += len(text)
            self._texts += len(text)

    def end(self, name: str) -> None:
        """An element ends."""
        match name:
            case "c":
                if self._shared and self._index.strip():
                    self._texts += self._lengths[int(self._index)]
                self._cell = self._read = False
            case "v" | "is" | "si":
                self._read = False
            case _:
                pass


def _place(name: str) -> tuple[int, int]:
    """Row and column of a cell such as `B7`. Raises ValueError."""
    letters = name.rstrip("0123456789")
    column = 0
    for letter in letters.upper():
        column = 26 * column + ord(letter) - 64
    return int(name[len(letters) :]) - 1, column - 1
