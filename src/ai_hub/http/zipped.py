"""A folder of an export as one file to download: a ZIP archive that is written as it is sent."""

from __future__ import annotations

import io
from collections.abc import Iterator, Sequence
from pathlib import Path
from zipfile import ZIP_STORED, ZipFile, ZipInfo

_PIECE = 1 << 20


class _Sink(io.RawIOBase):
    """Where an archive is written to, and what was written is taken from: it keeps a piece."""

    def __init__(self) -> None:
        self._held = bytearray()

    def writable(self) -> bool:
        return True

    def write(self, data: object) -> int:
        piece = memoryview(data)  # type: ignore[arg-type]  # whatever has bytes
        self._held += piece
        return piece.nbytes

    def take(self) -> bytes:
        taken = bytes(self._held)
        self._held.clear()
        return taken


def zipped(folder: Path, names: Sequence[str]) -> Iterator[bytes]:
    """The archive of some files of a folder, piece by piece. They are compressed already, and are
    stored as they are. Raises OSError."""
    sink = _Sink()
    with ZipFile(sink, "w", ZIP_STORED) as archive:
        for name in names:
            with (
                (folder / name).open("rb") as source,
                # How long it is is told after it: an archive of any size.
                archive.open(ZipInfo(name), "w", force_zip64=True) as member,
            ):
                while piece := source.read(_PIECE):
                    member.write(piece)
                    yield sink.take()
    yield sink.take()
