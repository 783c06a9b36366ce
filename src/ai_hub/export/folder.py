"""The folder of an export in parts: made beside its place with all that is in it, then moved there.

`manifest.json` is written last, and says what belongs to the export: each part with its rows, bytes
and checksum. Until then a journal says which parts are finished, and who opens the folder of the
same export again goes on after them. What is done to a folder is done by its handle, and links are
not followed.
"""

from __future__ import annotations

import ctypes
import fcntl
import hashlib
import os
import shutil
import stat
import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Any, Literal

from ai_hub.errors import ExportTaken, InvalidInput
from ai_hub.export import inside
from ai_hub.export.journal import JOURNAL, Finished, Journal, Key
from ai_hub.export.manifest import (
    MANIFEST,
    MOST_BYTES,
    PART,
    manifest_of,
    part_name,
    read_parts,
)
from ai_hub.export.place import Place, look, partial_name
from ai_hub.export.rows import Counts
from ai_hub.export.summed import SummedFile, created

_OPEN = os.O_CLOEXEC | os.O_NOFOLLOW
_FOLDER = os.O_RDONLY | os.O_DIRECTORY | _OPEN
_EXCHANGE = 2
"""RENAME_EXCHANGE of Linux."""
_EXPECTED = "the path of a new folder, or of one that an export in parts wrote (--parts)"


@dataclass(slots=True)
class PartFile(SummedFile):
    """A part under way, in the folder of its export."""

    name: str
    closed: bool = False

    def finish(self) -> None:
        """Have all of it summed and on the disk, and close it. Raises OSError."""
        self.follow()
        self.sync()
        self.close()

    def close(self) -> None:
        """Close it, as far as it is written."""
        if not self.closed:
            self.closed = True
            os.close(self.handle)


@dataclass(slots=True)
class FolderDraft:
    """A folder under way beside its place; the parts that it `finished` may be an earlier
    process's."""

    place: Place
    folder: int
    partial: str
    handle: int
    export_id: str
    finished: list[Finished]
    size: int = 0
    """Bytes of all that is in it."""
    checksum: str = ""
    """The SHA-256 of the manifest, in hexadecimal."""
    published: bool = False
    kept: bool = False
    """Whether it stays as it is where it is not published, for who goes on with it."""
    _begun: list[PartFile] = field(default_factory=list)
    _next: int = 0

    @property
    def in_parts(self) -> bool:
        """It is more than one file."""
        return True

    @property
    def mode(self) -> int:
        """What files in it have."""
        return 0o666 & ~self.place.places.umask

    def part(self, folder: str = "", place: int | None = None) -> PartFile:
        """The next part, or that in a place, empty; in a folder of its layout. Raises OSError."""
        name = part_name(self._next if place is None else place, folder)
        self._next += 1
        if folder:
            inside.make(self.handle, folder, 0o777 & ~self.place.places.umask)
        part = PartFile(self._new(name), name)
        self._begun.append(part)
        return part

    def finish_part(
        self, part: PartFile, rows: int, last: Key | None = None, counts: Counts | None = None
    ) -> None:
        """Have a part whole and on the disk; with the key of its `last` row it is written down, so
        that the export can go on after it. Raises OSError."""
        part.finish()
        found = Finished(part.name, rows, part.size, part.checksum, last, counts or Counts())
        if last is not None:
            Journal(self.handle).add(found)
        self.finished.append(found)

    @property
    def after(self) -> Key | None:
        """The key of the last row that is in a part already; None before there is one."""
        return self.finished[-1].last if self.finished else None

    def close_parts(self) -> None:
        """Close what is begun, as far as it is written."""
        for part in self._begun:
            part.close()

    def conclude(self, said: Mapping[str, object]) -> None:
        """Write the manifest, once all parts are finished. Raises OSError."""
        self.write_manifest(manifest_of(self.export_id, self.finished, said))

    def write_manifest(self, content: bytes) -> None:
        """Write the manifest as it is. Raises OSError."""
        file = SummedFile(self._new(MANIFEST))
        try:
            file.write(content)
            file.follow()
            file.sync()
        finally:
            os.close(file.handle)
        self.size = sum(one.size for one in self.finished) + file.size
        self.checksum = file.checksum

    def follow(self) -> None:
        """All of it is summed already."""

    def finish(self) -> None:
        """Have the names of its files on the disk. Raises ExportFailed."""
        with self.place.said():
            os.fchmod(self.handle, 0o777 & ~self.place.places.umask)
            inside.sync(self.handle)

    def publish(self) -> None:
        """Let it take its place, whole and on the disk. Raises InvalidInput and ExportFailed.

        A folder of ours that is there changes places with it, and is removed with the draft.
        """
        with self.place.said():
            with suppress(OSError):  # some file systems have no locks
                fcntl.flock(self.folder, fcntl.LOCK_EX)
            name = self.place.name
            # What is there may have changed since the draft was begun.
            if _replaced(self.place, self.folder) and not _exchanged(
                self.folder, self.partial, name
            ):
                _remove(self.folder, name)
            Journal(self.handle).remove()
            os.fsync(self.handle)
            if not self._in_place():
                os.rename(self.partial, name, src_dir_fd=self.folder, dst_dir_fd=self.folder)
            self.published = True
            os.fsync(self.folder)

    def _in_place(self) -> bool:
        found = look(self.folder, self.place.name)
        return found is not None and os.path.samestat(found, os.fstat(self.handle))

    def _new(self, name: str) -> int:
        handle = created(name, self.handle)
        os.fchmod(handle, self.mode)
        return handle


@contextmanager
def folder_draft(place: Place, export_id: str) -> Iterator[FolderDraft]:
    """A folder under way beside a place: that which was `kept` of this export, or a new one. Unless
    it is published, or kept, nothing is left of it.

    Raises InvalidInput where none may be, ExportFailed, and ExportTaken while another process has
    it.
    """
    with place.said(), place.opened(make=True) as folder:
        _replaced(place, folder)
        partial = partial_name(place.name, export_id)
        with suppress(FileExistsError):
            os.mkdir(partial, 0o700, dir_fd=folder)
        handle = os.open(partial, _FOLDER, dir_fd=folder)
        kept = True
        try:
            _lock(handle, export_id)
            kept = False
            finished = _left(handle)
            draft = FolderDraft(place, folder, partial, handle, export_id, finished)
            draft._next = len(finished)
            try:
                yield draft
            finally:
                draft.close_parts()
                kept = draft.kept and not draft.published
        finally:
            os.close(handle)
            if not kept:
                with suppress(OSError):
                    _remove(folder, partial)


def _lock(handle: int, export_id: str) -> None:
    """Have a folder under way alone. Raises ExportTaken if another process has it."""
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise ExportTaken(export_id) from None
    except OSError:  # some file systems have no locks
        pass


def _left(handle: int) -> list[Finished]:
    """The finished parts in the folder of an export; all else of ours in it goes."""
    finished = Journal(handle).read(map(part_name, count()))
    names = {one.path for one in finished}
    inside.clear(handle, lambda name: _is_ours(name) and name not in names and name != JOURNAL)
    return finished


def copy_folder(source: Path, place: Place) -> None:
    """Copy the folder of an export; whoever reads the copy sees the old one or the whole new one.

    Raises OSError for one that cannot be read, InvalidInput and ExportFailed as `folder_draft`.
    """
    content = (source / MANIFEST).read_bytes()
    with ExitStack() as stack:
        # All are open before one is copied: another export may take their place meanwhile.
        files = {
            part["path"]: stack.enter_context((source / part["path"]).open("rb"))
            for part in read_parts(content)
        }
        with folder_draft(place, uuid.uuid4().hex) as draft:
            with place.said():
                for number, (path, file) in enumerate(files.items()):
                    part = draft.part(path.rpartition("/")[0], number)
                    shutil.copyfileobj(file, part, 1 << 20)
                    draft.finish_part(part, 0)
                draft.write_manifest(content)
            draft.finish()
            draft.publish()


def check_folder(place: Place) -> None:
    """Raise InvalidInput where no folder may be written, ExportFailed where none can be."""
    with place.said(), suppress(FileNotFoundError), place.opened(make=False) as folder:
        _replaced(place, folder)


def remove_partial_folder(place: Place, export_id: str) -> None:
    """Remove the folder under way of an export, and what one left that it replaced; not while a
    process has it open."""
    with suppress(OSError, InvalidInput, ExportTaken), place.opened(make=False) as folder:
        partial = partial_name(place.name, export_id)
        handle = os.open(partial, _FOLDER, dir_fd=folder)
        try:
            _lock(handle, export_id)
            _remove(folder, partial)
        finally:
            os.close(handle)


def manifest_checksum(place: Place) -> str | None:
    """The SHA-256 of the manifest of the folder that is there; None where there is none.

    Raises OSError for one that cannot be read.
    """
    with suppress(FileNotFoundError, NotADirectoryError, InvalidInput), _opened(place) as handle:
        return hashlib.sha256(_manifest(handle)).hexdigest()
    return None


def parts_state(place: Place) -> Literal["ok", "changed", "missing"]:
    """Whether the folder that is there has the parts of its manifest, as they were, and no other
    file.

    Raises OSError for one that cannot be read.
    """
    with _opened(place) as handle:
        parts = read_parts(_manifest(handle))
        try:
            for part in parts:
                with os.fdopen(os.open(part["path"], _OPEN, dir_fd=handle), "rb") as file:
                    if hashlib.file_digest(file, "sha256").hexdigest() != part["sha256"]:
                        return "changed"
        except FileNotFoundError:
            return "missing"
        return "ok" if {*inside.names_in(handle)} <= _names(parts) else "changed"


@contextmanager
def _opened(place: Place) -> Iterator[int]:
    with place.opened(make=False) as folder:
        handle = os.open(place.name, _FOLDER, dir_fd=folder)
        try:
            yield handle
        finally:
            os.close(handle)


def _replaced(place: Place, folder: int) -> bool:
    """Whether a folder of ours would be replaced. Raises InvalidInput for anything else."""
    if place.places.protects(folder, place.name):
        raise place.refusal("The open database, a file beside it or the settings are there.")
    found = look(folder, place.name)
    if found is None:
        return False
    if stat.S_ISLNK(found.st_mode):
        raise place.refusal("A symbolic link is there.", _EXPECTED)
    if not stat.S_ISDIR(found.st_mode):
        raise place.refusal("A file is there.", _EXPECTED)
    handle = os.open(place.name, _FOLDER, dir_fd=folder)
    try:
        there = {*inside.names_in(handle)}
        if not there:
            return False
        if there <= _names(read_parts(_manifest(handle))):
            return True
    except (OSError, ValueError, TypeError, KeyError):
        pass  # a manifest of somebody else
    finally:
        os.close(handle)
    raise place.refusal(
        "The folder that is there has files that no export wrote: name another one.", _EXPECTED
    )


def _manifest(handle: int) -> bytes:
    with os.fdopen(os.open(MANIFEST, _OPEN | os.O_NONBLOCK, dir_fd=handle), "rb") as file:
        if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
            raise FileNotFoundError(MANIFEST)
        return file.read(MOST_BYTES)


def _names(parts: Sequence[Mapping[str, Any]]) -> set[str]:
    return {MANIFEST, *(part["path"] for part in parts)}


def _remove(folder: int, name: str) -> None:
    """Remove a folder with what we write into one; with anything else it stays."""
    handle = os.open(name, _FOLDER, dir_fd=folder)
    try:
        inside.clear(handle, lambda name: name == MANIFEST)  # first
        inside.clear(handle, _is_ours)
    finally:
        os.close(handle)
    os.rmdir(name, dir_fd=folder)


def _is_ours(name: str) -> bool:
    return name in (JOURNAL, MANIFEST) or PART.fullmatch(name) is not None


def _exchanged(folder: int, one: str, other: str) -> bool:
    """Let two names in a folder change places at once; False where the system cannot."""
    try:
        rename = ctypes.CDLL(None, use_errno=True).renameat2
    except (OSError, AttributeError):
        return False
    names = os.fsencode(one), os.fsencode(other)
    return bool(rename(folder, names[0], folder, names[1], ctypes.c_uint(_EXCHANGE)) == 0)
