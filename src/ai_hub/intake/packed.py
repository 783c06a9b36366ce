"""Compressed files, known by their first bytes and not by names: gzip, bzip2, zstd and zip."""

from __future__ import annotations

import bz2
import gzip
import io
import zipfile
import zlib
from collections.abc import Callable
from functools import partial
from typing import Any, BinaryIO, cast

import pyarrow as pa

from ai_hub.errors import InvalidInput
from ai_hub.intake.source import Source

_Opener = Callable[[BinaryIO], BinaryIO]

_DEEPEST = 3
_ZIP = (b"PK\x03\x04", b"PK\x05\x06")
_LAST, _MOST_DIRECTORY = 66_000, 1 << 20
"""Bytes in which the end of a zip file is, and of its list of files in a body."""
_SHEETS = ("[Content_Types].xml", "mimetype")
_BROKEN = (
    EOFError,
    OSError,  # gzip's BadGzipFile, and what bz2 and Arrow raise
    zlib.error,
    zipfile.BadZipFile,
    NotImplementedError,  # a method of zip that Python has not
    RuntimeError,  # a password
    ValueError,
)


def _open_gzip(raw: BinaryIO) -> BinaryIO:
    return cast(BinaryIO, gzip.GzipFile(fileobj=raw))


def _open_bz2(raw: BinaryIO) -> BinaryIO:
    return cast(BinaryIO, bz2.BZ2File(raw))


def _open_zstd(raw: BinaryIO) -> BinaryIO:
    # The standard library has it from Python 3.14 on; Arrow has it already.
    return cast(BinaryIO, pa.CompressedInputStream(pa.PythonFile(raw, mode="r"), "zstd"))


_OPENERS: dict[bytes, tuple[str, _Opener]] = {
    b"\x1f\x8b": ("gzip", _open_gzip),
    b"BZh": ("bzip2", _open_bz2),
    b"\x28\xb5\x2f\xfd": ("zstd", _open_zstd),
}


def is_packed(head: bytes) -> bool:
    """Whether what begins so is compressed, or a zip file as spreadsheets are."""
    return head.startswith((*_OPENERS, *_ZIP))


def unpack(source: Source) -> Source:
    """The source without its compressions; a spreadsheet, which is a zip file, stays as it is.

    Raises InvalidInput for a file that is damaged, a zip file with a password, and one that does
    not hold exactly one file.
    """
    for _ in range(_DEEPEST):
        inner = _unpack_once(source)
        if inner is source:
            return source
        source = inner
    expected = f"a file in at most {_DEEPEST} compressions"
    raise source.wrong(source.name, expected, f"This is {source.packed}.")


def is_spreadsheet(source: Source) -> bool:
    """Whether the bytes are a zip file as spreadsheets are, or an old spreadsheet."""
    head = source.head()
    if head.startswith(b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"):
        return True
    return head.startswith(_ZIP) and _is_sheet(_members(source))


def _unpack_once(source: Source) -> Source:
    head = source.head()
    for magic, (name, opener) in _OPENERS.items():
        if head.startswith(magic):
            return source.unpacked(name, partial(_unpacked, source, name, opener))
    if not head.startswith(_ZIP):
        return source
    members = _members(source)
    if _is_sheet(members):
        return source
    files = [name for name in members if name[-1] != "/" and not name.startswith((".", "__MACOSX"))]
    if len(files) != 1:
        hint = f"This one holds {len(files)}: {', '.join(files[:10])}. Unpack it." if files else ""
        raise source.wrong(source.name, "a zip file with one file in it", hint)

    def open_zip(raw: BinaryIO) -> BinaryIO:
        return cast(BinaryIO, zipfile.ZipFile(raw).open(files[0]))

    return source.unpacked("zip", partial(_unpacked, source, "zip", open_zip))


def _unpacked(source: Source, kind: str, opener: _Opener) -> BinaryIO:
    return cast(BinaryIO, _Unpacked(source, kind, opener))


def _members(source: Source) -> list[str]:
    with source.open() as stream:
        try:
            data: Any = stream if stream.seekable() else io.BytesIO(stream.read())
            if source.field == "body":
                _check_directory(data)
            with zipfile.ZipFile(data) as archive:
                return archive.namelist()
        except _BROKEN:
            raise _damaged(source, "zip") from None


def _check_directory(data: BinaryIO) -> None:
    """Raises ValueError for a zip file whose list of files is too long to be read."""
    data.seek(max(data.seek(0, io.SEEK_END) - _LAST, 0))
    last = data.read()
    at = last.rfind(_ZIP[1])
    if at < 0 or int.from_bytes(last[at + 12 : at + 16], "little") > _MOST_DIRECTORY:
        raise ValueError("no list of files, or a very long one")
    data.seek(0)


def _is_sheet(members: list[str]) -> bool:
    return any(name in _SHEETS for name in members)


def _damaged(source: Source, kind: str) -> InvalidInput:
    hint = "It is damaged or cut off, or has a password."
    return source.wrong(source.name, f"a whole {kind} file", hint)


class _Unpacked(io.RawIOBase):
    """What is in a compressed source; damage in it is InvalidInput, whoever found it."""

    def __init__(self, source: Source, kind: str, opener: _Opener) -> None:
        self._source = source
        self._kind = kind
        self._count = 0
        self._raw = source.open()
        try:
            seekable = self._raw if self._raw.seekable() or kind != "zip" else None
            self._stream = opener(seekable or io.BytesIO(self._raw.read()))
        except _BROKEN:
            raise _damaged(source, kind) from None

    def readable(self) -> bool:
        """It is."""
        return True

    def read(self, size: int = -1) -> bytes:
        """Up to `size` bytes; none at the end."""
        try:
            data = self._stream.read() if size < 0 else self._stream.read(size)
        except InvalidInput:
            raise
        except _BROKEN:
            raise _damaged(self._source, self._kind) from None
        self._count += len(data)
        if 0 < self._source.most < self._count:
            expected = f"one that unpacks to at most {self._source.most} bytes"
            raise self._source.wrong(self._source.name, expected, "Send it in several parts.")
        return data

    def tell(self) -> int:
        """How far the compressed bytes have been read."""
        return self._raw.tell()

    def close(self) -> None:
        """Closes the source too."""
        if not self.closed:
            self._stream.close()
            self._raw.close()
        super().close()
