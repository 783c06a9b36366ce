"""The parts that an export has finished, written down beside them: from there it can go on.

A part is written down once it is whole and on the disk. What is read back is looked at again, and
counts as far as it is there without a gap: what was not written down never was.
"""

from __future__ import annotations

import hashlib
import json
import os
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from typing import NamedTuple

from ai_hub.export.rows import Counts

JOURNAL = "journal.jsonl"
"""A line of JSON for each finished part."""
_READ = os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW
_CHANGE = os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW
_APPEND = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC | os.O_NOFOLLOW


class Key(NamedTuple):
    """Where a row of an export stands: by asset, then by time in microseconds."""

    asset_id: str
    time: int


@dataclass(frozen=True, slots=True)
class Finished:
    """A part that is whole and on the disk: its file, and its rows with what is counted of them.

    `last` is the key of its last row; None in an export that cannot go on.
    """

    path: str
    rows: int
    size: int
    checksum: str
    last: Key | None = None
    counts: Counts = field(default_factory=Counts)


def line_of(part: Finished) -> bytes:
    """What is written down of a part."""
    said = {
        "path": part.path,
        "rows": part.rows,
        "bytes": part.size,
        "sha256": part.checksum,
        "last": part.last,
        "violations": part.counts.violations,
        "several": part.counts.several,
    }
    return json.dumps(said).encode()


def part_of(line: bytes) -> Finished:
    """The part of which that was written down."""
    said = json.loads(line)
    counts = Counts(Counter(said["violations"]), Counter(said["several"]))
    last = None if said["last"] is None else Key(*said["last"])
    return Finished(said["path"], said["rows"], said["bytes"], said["sha256"], last, counts)


class Journal:
    """The journal in an open folder of parts."""

    def __init__(self, folder: int) -> None:
        self._folder = folder
        self._writing = threading.Lock()

    def add(self, part: Finished) -> None:
        """Write a part down; several threads may. Raises OSError."""
        line = memoryview(line_of(part) + b"\n")
        with self._writing:
            handle = os.open(JOURNAL, _APPEND, 0o600, dir_fd=self._folder)
            try:
                # A disk that becomes full takes what it has room for, and says so the next time.
                while line:
                    line = line[os.write(handle, line) :]
                os.fsync(handle)
            finally:
                os.close(handle)

    def read(self, names: Iterator[str]) -> list[Finished]:
        """The parts of these names, in their order, up to the first that is not as it was written
        down. Half a line at the end goes, as the next one is written behind it. Raises OSError."""
        written = {part.path: part for part in self._lines()}
        found = []
        for name in names:
            part = written.get(name)
            if part is None or not self._is_there(part):
                break
            found.append(part)
        return found

    def remove(self) -> None:
        """The export is whole: nothing goes on from here. Raises OSError."""
        with suppress(FileNotFoundError):
            os.unlink(JOURNAL, dir_fd=self._folder)

    def _lines(self) -> Iterator[Finished]:
        try:
            handle = os.open(JOURNAL, _CHANGE, dir_fd=self._folder)
        except FileNotFoundError:
            return
        with os.fdopen(handle, "r+b") as file:
            end = 0
            for line in file:
                if not line.endswith(b"\n"):
                    break  # its process ended in the middle, or the disk was full
                try:
                    part = part_of(line)
                except (ValueError, LookupError, TypeError):
                    break  # the machine did, and its disk says anything
                end += len(line)
                yield part
            file.truncate(end)

    def _is_there(self, part: Finished) -> bool:
        try:
            handle = os.open(part.path, _READ, dir_fd=self._folder)
        except FileNotFoundError:
            return False
        with os.fdopen(handle, "rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest() == part.checksum
