"""Rows on the way into the folders of a layout: kept in a file without a name until there are many.

They come by asset and leave by folder. So memory holds a few row groups, however many folders.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import BinaryIO, NamedTuple

import pyarrow as pa

from ai_hub.export.layout import Layout

_LZ4 = pa.ipc.IpcWriteOptions(compression="lz4")


class Packed(NamedTuple):
    """Rows of one folder, as they lie in the file."""

    folder: str
    rows: int
    data: pa.Buffer


def packed(layout: Layout, rows: pa.Table) -> list[Packed]:
    """Rows by their folder, each ready to be kept."""
    found = []
    for folder, own in layout.split(rows):
        sink = pa.BufferOutputStream()
        with pa.ipc.new_stream(sink, own.schema, options=_LZ4) as writer:
            writer.write_table(own.combine_chunks())
        found.append(Packed(folder, own.num_rows, sink.getvalue()))
    return found


class At(NamedTuple):
    """Where rows of one folder are in the file."""

    offset: int
    size: int
    rows: int


class Spool:
    """The file, and where in it the rows of each folder are."""

    def __init__(self, file: BinaryIO) -> None:
        self.rows = 0
        self._file = file
        self._size = 0
        self._places: dict[str, list[At]] = {}

    def add(self, piece: Packed) -> None:
        """Keep some rows. Raises OSError."""
        self._file.write(piece.data)
        at = At(self._size, piece.data.size, piece.rows)
        self._places.setdefault(piece.folder, []).append(at)
        self._size += piece.data.size
        self.rows += piece.rows

    def folders(self, most: int) -> Iterator[tuple[str, list[At]]]:
        """The folders by their names, each with the places of about `most` rows, in their order; as
        often as it has so many. Raises OSError."""
        self._file.flush()
        for folder in sorted(self._places):
            own: list[At] = []
            for place in self._places[folder]:
                own.append(place)
                if sum(one.rows for one in own) >= most:
                    yield folder, own
                    own = []
            if own:
                yield folder, own

    def tables(self, places: list[At], most: int) -> Iterator[pa.Table]:
        """The rows of some places, about `most` at a time. Several threads may read."""
        held: list[pa.Table] = []
        for place in places:
            data = os.pread(self._file.fileno(), place.size, place.offset)
            with pa.ipc.open_stream(data) as reader:
                held.append(reader.read_all())
            if sum(map(len, held)) >= most:
                yield _joined(held)
                held = []
        if held:
            yield _joined(held)

    def clear(self) -> None:
        """Forget all of it. Raises OSError."""
        self._file.seek(0)
        self._file.truncate()
        self.rows = self._size = 0
        self._places = {}


def _joined(tables: list[pa.Table]) -> pa.Table:
    return pa.concat_tables(tables).unify_dictionaries().combine_chunks()
