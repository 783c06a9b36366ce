"""An export in object storage: parts below its own id, and `manifest.json`, which is the commit.

Whoever takes the manifest sees the export as a whole or not at all. Until it is there, a small file
for each finished part says what it is: from these the same export goes on. They are removed once
it is committed.
"""

from __future__ import annotations

import hashlib
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from itertools import count
from typing import Literal
from urllib.parse import quote

import pyarrow as pa

from ai_hub.errors import ExportFailed, ObjectExists, ObjectMissing, StorageError
from ai_hub.export.delta import check_extra, check_table, commit
from ai_hub.export.journal import Finished, Key, line_of, part_of
from ai_hub.export.manifest import MANIFEST, manifest_of, part_name, read, read_parts
from ai_hub.export.place import Places
from ai_hub.export.rows import Counts
from ai_hub.storage.base import Storage
from ai_hub.storage.opening import open_storage
from ai_hub.storage.sink import Sink
from ai_hub.storage.url import Url

DELTA = "delta"
_JOURNAL = "_journal"
"""The folder of what is said of finished parts: readers of folders pass over a name like that."""
RECORD = "record.json"
"""The record of an export whose database takes none."""
_READ = 1 << 20


@dataclass(frozen=True, slots=True)
class ObjectPlace:
    """Where an export is in object storage: in a folder of its own."""

    url: Url
    storage: Storage
    places: Places
    """Where files are that are needed meanwhile."""
    delta: bool = False
    """Whether the folder that it is in is a Delta table."""

    @classmethod
    def of(cls, url: Url, places: Places, delta: bool = False) -> ObjectPlace:
        """The place of an export's own URL. Raises InvalidInput without the extra `cloud`,
        ExportFailed."""
        try:
            return cls(url, open_storage(url, umask=places.umask), places, delta)
        except StorageError as error:
            raise _failed(url, error) from error

    @property
    def path(self) -> str:
        """The URL, also of a folder."""
        return f"file://{quote(str(self.url))}" if self.url.scheme == "file" else str(self.url)

    @property
    def table(self) -> Url:
        """The folder that it is in."""
        return Url(self.url.scheme, self.url.bucket, self.url.segments[:-1])

    def check(self) -> None:
        """Raise ExportFailed where the storage does not answer or does not allow it."""
        if self.delta:
            check_extra()
        with self.said():
            next(self.storage.list(), None)

    @contextmanager
    def said(self) -> Iterator[None]:
        """Raise ExportFailed in place of an error of the storage."""
        try:
            yield
        except StorageError as error:
            raise _failed(self.url, error) from error

    def manifest_checksum(self) -> str | None:
        """The SHA-256 of the manifest, in hexadecimal; None where there is none. Raises
        StorageError."""
        with suppress(ObjectMissing):
            return hashlib.sha256(self.storage.get(MANIFEST)).hexdigest()
        return None

    def complete(self) -> None:
        """Do what follows from its manifest: in a Delta table, the commit. Raises ExportFailed and
        StorageError."""
        manifest = read(self.storage.get(MANIFEST))
        if manifest.get("format") == DELTA:
            commit(self.table, self.url.segments[-1], manifest)

    def parts_state(self) -> Literal["ok", "changed", "missing"]:
        """Whether the parts of the manifest are there, as they were, and no other file. Raises
        StorageError, ValueError for a manifest that is not ours."""
        parts = read_parts(self.storage.get(MANIFEST))
        there = {one.name for one in self.storage.list()}
        for part in parts:
            if part["path"] not in there:
                return "missing"
            if _checksum(self.storage, part["path"]) != part["sha256"]:
                return "changed"
        return "ok" if there <= {MANIFEST, RECORD, *(part["path"] for part in parts)} else "changed"

    def remove(self) -> None:
        """Leave nothing of the export: the manifest goes first. Raises StorageError."""
        there = [one.name for one in self.storage.list()]
        if MANIFEST in there:
            self.storage.delete([MANIFEST])
        self.storage.delete(there)
        self.give_up_uploads()
        if self.url.scheme == "file":
            with suppress(OSError):
                self.url.path.rmdir()

    def tidy(self) -> None:
        """Leave nothing but the export, which is committed. Raises StorageError."""
        names = [one.name for one in self.storage.list(_JOURNAL)]
        self.storage.delete(names)
        self.give_up_uploads()

    def give_up_uploads(self) -> None:
        """Give up what nobody ended, where the storage tells of it. Raises StorageError."""
        for upload in self.storage.uploads() or ():
            self.storage.abort(upload)


class ObjectPart:
    """A part under way."""

    def __init__(self, sink: Sink, name: str) -> None:
        self.name = name
        self._sink = sink

    @property
    def size(self) -> int:
        """Bytes written."""
        return self._sink.size

    @property
    def checksum(self) -> str:
        """The SHA-256 of what is written, in hexadecimal."""
        return self._sink.checksum

    def write(self, data: bytes | memoryview) -> None:
        """Append some bytes. Raises StorageError."""
        self._sink.write(data)

    def finish(self) -> None:
        """Have it there, whole. Raises StorageError."""
        self._sink.close()

    def close(self) -> None:
        """Give it up, unless it is there."""
        self._sink.abort()


@dataclass(slots=True)
class ObjectDraft:
    """An export under way in object storage; the parts that it `finished` may be an earlier
    process's."""

    place: ObjectPlace
    export_id: str
    finished: list[Finished]
    in_parts: bool = True
    """Whether it is more than one file."""
    size: int = 0
    """Bytes of all that is in it."""
    checksum: str = ""
    """The SHA-256 of the manifest, in hexadecimal."""
    published: bool = False
    kept: bool = False
    """Whether it stays as it is where it is not published, for who goes on with it."""
    _begun: list[ObjectPart] = field(default_factory=list)
    _next: int = 0
    _manifest: bytes = b""
    _finishing: threading.Lock = field(default_factory=threading.Lock)

    def part(self, folder: str = "", place: int | None = None) -> ObjectPart:
        """The next part, or that in a place, empty; in a folder of its layout. Raises
        StorageError."""
        name = part_name(self._next if place is None else place, folder)
        self._next += 1
        part = ObjectPart(self.place.storage.writer(name), name)
        self._begun.append(part)
        return part

    def finish_part(
        self, part: ObjectPart, rows: int, last: Key | None = None, counts: Counts | None = None
    ) -> None:
        """Have a part there; with the key of its `last` row it is written down, so that the export
        can go on after it. Raises StorageError."""
        part.finish()
        found = Finished(part.name, rows, part.size, part.checksum, last, counts or Counts())
        if last is not None:
            self.place.storage.put(f"{_JOURNAL}/{part.name}.json", line_of(found))
        with self._finishing:
            self.finished.append(found)

    @property
    def after(self) -> Key | None:
        """The key of the last row that is in a part already; None before there is one."""
        return self.finished[-1].last if self.finished else None

    def close_parts(self) -> None:
        """Give up what is begun and not finished."""
        for part in self._begun:
            part.close()

    def fit(self, schema: pa.Schema, columns: Sequence[str]) -> None:
        """Raise InvalidInput where rows with these columns, and these of a layout, cannot be."""
        if self.place.delta:
            check_table(self.place.table, schema, columns)

    def conclude(self, said: Mapping[str, object]) -> None:
        """Make the manifest, once all parts are finished."""
        if self.place.delta:
            said = {**said, "format": DELTA, "written_at": time.time_ns() // 1_000_000}
        self._manifest = manifest_of(self.export_id, self.finished, said)
        self.size = sum(one.size for one in self.finished) + len(self._manifest)
        self.checksum = hashlib.sha256(self._manifest).hexdigest()

    def follow(self) -> None:
        """All of it is summed already."""

    def finish(self) -> None:
        """Parts are there already."""

    def publish(self) -> None:
        """Commit: write the manifest, which nobody else may have written. Raises ExportFailed."""
        with self.place.said():
            there = {one.name: one.size for one in self.place.storage.list()}
            lost = [one.path for one in self.finished if there.get(one.path) != one.size]
            if lost:
                raise ExportFailed(f"output_path: {self.place.url / lost[0]} was removed meanwhile")
            try:
                self.place.storage.put(MANIFEST, self._manifest, new=True)
            except ObjectExists:
                raise ExportFailed(
                    f"output_path: another process wrote {self.place.url / MANIFEST} already"
                ) from None
            # From here on it is decided: should the rest fail, a sweep does it.
            self.published = True
            if self.place.delta:
                self.place.complete()
        with suppress(StorageError):  # nobody minds them
            self.place.tidy()


@contextmanager
def object_draft(place: ObjectPlace, export_id: str, in_parts: bool) -> Iterator[ObjectDraft]:
    """An export under way: what was `kept` of it, or a new one. Unless it is published, or kept,
    nothing is left of it. Raises ExportFailed."""
    with place.said():
        place.give_up_uploads()
        finished = _left(place.storage)
    draft = ObjectDraft(place, export_id, finished, in_parts, _next=len(finished))
    try:
        yield draft
    finally:
        draft.close_parts()
        if not (draft.published or draft.kept):
            with suppress(StorageError):  # the sweep tries again
                place.remove()


def _left(storage: Storage) -> list[Finished]:
    """The finished parts that are there, without a gap; all else of the export goes."""
    there = {one.name: one.size for one in storage.list()}
    found: list[Finished] = []
    for name in map(part_name, count()):
        line = f"{_JOURNAL}/{name}.json"
        if name not in there or line not in there:
            break
        part = part_of(storage.get(line))
        if part.size != there[name]:
            break
        found.append(part)
    kept = {name for one in found for name in (one.path, f"{_JOURNAL}/{one.path}.json")}
    storage.delete([name for name in there if name not in kept])
    return found


def _checksum(storage: Storage, name: str) -> str:
    found = hashlib.sha256()
    with storage.open(name) as file:
        while data := file.read(_READ):
            found.update(data)
    return found.hexdigest()


def _failed(url: Url, error: StorageError) -> ExportFailed:
    return ExportFailed(f"output_path: {url} cannot be written: {error}")
