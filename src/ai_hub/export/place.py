"""Where a file may land: below which folder, in place of what, and with which mode.

Folders are opened one below the other, links not followed, and whatever is done afterwards is done
in the folder that was opened, whatever becomes of its path meanwhile.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import re
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path, PurePath
from typing import TYPE_CHECKING

from ai_hub.errors import ExportFailed, InvalidInput
from ai_hub.export.summed import SummedFile, created
from ai_hub.storage.url import Url, is_url

if TYPE_CHECKING:
    from ai_hub.config import Settings

_SUFFIX = ".partial"
_OPEN = os.O_CLOEXEC | os.O_NOFOLLOW
_FOLDER = os.O_RDONLY | os.O_DIRECTORY
_PLAIN = frozenset(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-")
_LONGEST_FOLDER = 180
_SIDES = re.compile(r"\.(wal|tmp|checkpoint)\b.*", re.IGNORECASE | re.DOTALL)
"""What DuckDB adds to the name of a database for the files beside it."""
_MAGIC = b"PAR1"
_IN_THE_WAY = "It is in a folder of the open database's own."
_EXPECTED = "the path of a new file, or of a Parquet file of ours"


def tenant_folder(tenant_id: str) -> str:
    """The name of a tenant's own folder: its id in %XX form, so that no two share one."""
    name = "".join(
        chr(byte) if byte in _PLAIN else f"%{byte:02X}" for byte in tenant_id.encode("utf-8")
    )
    if len(name) <= _LONGEST_FOLDER:
        return name
    # No id in %XX form has two of them in a row.
    return f"{name[:100]}%%{hashlib.sha256(tenant_id.encode('utf-8')).hexdigest()}"


def named_path(output_path: object) -> PurePath | Url | None:
    """`output_path` as a path, or a URL of object storage; None as it is. Raises InvalidInput for
    what names no file."""
    if output_path is None or isinstance(output_path, Url):
        return output_path
    if is_url(output_path):
        url = Url.of(output_path, "output_path")
        return url.path if url.scheme == "file" else url
    if not isinstance(output_path, str | PurePath):
        raise InvalidInput("output_path", output_path, _EXPECTED)
    return PurePath(output_path)


@dataclass(frozen=True, slots=True)
class Places:
    """What the settings say of files: the export root, what is never replaced, and the umask."""

    root: Path = Path("exports")
    database: Path | None = None
    own: tuple[Path, ...] = ()
    umask: int = 0o077

    @classmethod
    def of(cls, settings: Settings) -> Places:
        """Those of some settings."""
        umask = int(settings.umask, 8)
        return cls(settings.export_root, settings.database_path, settings.own_files, umask)

    def place(self, path: Path, force: bool = False) -> Place:
        """The place that a path names. Links on the way to the export root are followed; below it
        none is. Raises InvalidInput for what is the path of no file."""
        given = str(path)
        if not path.name or "\0" in given or _unspeakable(given):
            raise InvalidInput("output_path", given, "the path of a file, not of a directory")
        path, root = path.absolute(), _real(self.root)
        folder = _real(path.parent) if ".." in path.parts else path.parent
        for top in reversed((folder, *folder.parents)):
            if _real(top) == root:
                below = folder.relative_to(top).parts
                return Place(self, root, below, path.name, given, force)
        return Place(self, _real(folder), (), path.name, given, force)

    def of_tenant(self, tenant_id: str, path: PurePath) -> Place:
        """The place of a relative path (without `..`) in a tenant's own folder."""
        below = (tenant_folder(tenant_id), *path.parent.parts)
        return Place(self, _real(self.root), below, path.name, str(path))

    def protects(self, folder: int, name: str) -> bool:
        """Whether a name in an open folder is the database's, of a file beside it, or ours."""
        here, found = os.fstat(folder), look(folder, name)
        for own in (*self._databases, *self.own):
            with suppress(OSError):
                # Another name of the same file, as where case does not count.
                if found is not None and os.path.samestat(found, own.stat()):
                    return True
            with suppress(OSError):
                if os.path.samestat(here, own.parent.stat()) and self._names(own, name):
                    return True
        return False

    def holds(self, folder: Path) -> bool:
        """Whether a folder without links is one of the database's own, or in one."""
        return any(
            one.parent == own.parent and self._names(own, one.name)
            for one in (folder, *folder.parents)
            for own in self._databases
        )

    @property
    def _databases(self) -> tuple[Path, ...]:
        return () if self.database is None else (self.database, _real(self.database))

    def _names(self, own: Path, name: str) -> bool:
        rest = name[len(own.name) :]
        same = name[: len(own.name)].casefold() == own.name.casefold()
        return same and (not rest or (own not in self.own and bool(_SIDES.fullmatch(rest))))


@dataclass(frozen=True, slots=True)
class Place:
    """A file's place: `name` in a folder `below` another, `base`, beneath which no link counts.

    `given` is what a caller called it.
    """

    places: Places
    base: Path
    below: tuple[str, ...]
    name: str
    given: str
    force: bool = False

    @property
    def path(self) -> Path:
        """The path of the file, without links."""
        return self.base.joinpath(*self.below, self.name)

    def check(self) -> None:
        """Raise InvalidInput where no file may be written, ExportFailed where none can be."""
        with self.said(), suppress(FileNotFoundError), self.opened(make=False) as folder:
            self.replaced(folder)

    @contextmanager
    def draft(self, name: str, make_folder: bool = True) -> Iterator[Draft]:
        """A file under way beside the place; unless it is published nothing is left of it.

        `name` tells it from others. Raises InvalidInput and ExportFailed, as `check` does.
        """
        with self.said(), self.opened(make_folder) as folder:
            before = self.replaced(folder)
            partial = partial_name(self.name, name)
            handle = created(partial, folder)
            new = 0o666 & ~self.places.umask
            mode = new if before is None else before.st_mode & 0o777
            draft = Draft(handle, self, folder, partial, mode, before)
            own = os.fstat(handle)
            try:
                yield draft
            finally:
                os.close(handle)
                # Another one may have begun it anew.
                with suppress(OSError):
                    found = look(folder, partial)
                    if found is not None and os.path.samestat(found, own):
                        os.unlink(partial, dir_fd=folder)

    def remove_partial(self, name: str) -> bool:
        """Remove the file under way of that name, if there is one; whether there was."""
        with suppress(OSError, InvalidInput), self.opened(make=False) as folder:
            os.unlink(partial_name(self.name, name), dir_fd=folder)
            return True
        return False

    def checksum(self) -> str | None:
        """The SHA-256 of the file that is there, in hexadecimal; None where there is none.

        Raises OSError for one that cannot be read.
        """
        try:
            with self.opened(make=False) as folder:
                found = look(folder, self.name)
                if found is not None and stat.S_ISDIR(found.st_mode):
                    return None
                flags = os.O_RDONLY | os.O_NONBLOCK | _OPEN
                with os.fdopen(os.open(self.name, flags, dir_fd=folder), "rb") as file:
                    if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
                        return None
                    return hashlib.file_digest(file, "sha256").hexdigest()
        except (FileNotFoundError, NotADirectoryError, InvalidInput):
            return None

    @contextmanager
    def opened(self, make: bool) -> Iterator[int]:
        """The handle of the folder. Raises FileNotFoundError if it is not there and not made."""
        if self.places.holds(self.base):
            raise self.refusal(_IN_THE_WAY)
        if make:
            make_folder(self.base, self.places.umask)
        handle = os.open(self.base, _FOLDER | os.O_CLOEXEC)
        try:
            for part in self.below:
                if self.places.protects(handle, part):
                    raise self.refusal(_IN_THE_WAY)
                deeper = self._deeper(handle, part, make)
                os.close(handle)
                handle = deeper
            yield handle
        finally:
            os.close(handle)

    def _deeper(self, handle: int, part: str, make: bool) -> int:
        mode = 0o777 & ~self.places.umask
        made = False
        if make:
            with suppress(FileExistsError):
                os.mkdir(part, mode, dir_fd=handle)
                made = True
        try:
            deeper = os.open(part, _FOLDER | _OPEN, dir_fd=handle)
        except OSError:
            found = look(handle, part)
            if found is None:
                raise
            if stat.S_ISLNK(found.st_mode):
                raise self.refusal(f"On the way {part} is a symbolic link.") from None
            if not stat.S_ISDIR(found.st_mode):
                raise self.refusal(f"On the way {part} is no folder.") from None
            raise
        if made:
            os.fchmod(deeper, mode)
        return deeper

    def replaced(self, folder: int, known: os.stat_result | None = None) -> os.stat_result | None:
        """The file that would be replaced, if there is one. Raises InvalidInput if none may be.

        What is `known` to be ours is not read again.
        """
        if self.places.protects(folder, self.name):
            raise self.refusal("The open database, a file beside it or the settings are there.")
        found = look(folder, self.name)
        if found is None:
            return None
        if stat.S_ISDIR(found.st_mode):
            raise InvalidInput("output_path", self.given, "the path of a file, not of a directory")
        if stat.S_ISLNK(found.st_mode):
            raise self.refusal("A symbolic link is there.")
        if not stat.S_ISREG(found.st_mode):
            raise self.refusal("A device, a pipe or a socket is there.")
        if not (self.force or _same(known, found) or _ours(folder, self.name)):
            raise self.refusal(
                "The file that is there was not written by an export: name another one, or have "
                "it replaced with force (--force)."
            )
        return found

    def refusal(self, why: str, expected: str = _EXPECTED) -> InvalidInput:
        """Why nothing of ours may be here."""
        return InvalidInput("output_path", self.given, expected, why)

    @contextmanager
    def said(self) -> Iterator[None]:
        """Raise ExportFailed in place of an OSError."""
        try:
            yield
        except OSError as error:
            raise ExportFailed(f"output_path: {self.path} cannot be written: {error}") from error


@dataclass(slots=True)
class Draft(SummedFile):
    """A file under way beside its place.

    `mode` is what it has once it is in its place, `before` what was there when it was begun.
    """

    place: Place
    folder: int
    partial: str
    mode: int
    before: os.stat_result | None
    published: bool = False
    whole: bool = False

    def finish(self) -> None:
        """Have all of it summed and on the disk: it is whole. Raises ExportFailed."""
        with self.place.said():
            self.follow()
            os.fchmod(self.handle, self.mode)
            self.sync()
            self.whole = True

    def publish(self) -> None:
        """Let it take its place, whole and on the disk. Raises InvalidInput and ExportFailed.

        Until the draft is given up, no other file takes its place in this folder.
        """
        if not self.whole:
            self.finish()
        with self.place.said():
            with suppress(OSError):  # some file systems have no locks
                fcntl.flock(self.folder, fcntl.LOCK_EX)
            # What is there may have changed since the draft was begun.
            self.place.replaced(self.folder, self.before)
            os.rename(self.partial, self.place.name, src_dir_fd=self.folder, dst_dir_fd=self.folder)
            self.published = True
            os.fsync(self.folder)


def make_folder(folder: Path, umask: int) -> None:
    """Make a folder and those above that are missing; the process's own umask does not count."""
    if not folder.exists():
        make_folder(folder.parent, umask)
        mode = 0o777 & ~umask
        with suppress(FileExistsError):
            folder.mkdir(mode)
            folder.chmod(mode)


def partial_name(name: str, export_id: str) -> str:
    """The name of the hidden file that an export writes before it is whole."""
    return f".{name}.{export_id}{_SUFFIX}"


def _unspeakable(path: str) -> bool:
    """Whether no file system can say a text."""
    try:
        os.fsencode(path)
    except UnicodeEncodeError:
        return True
    return False


def _real(path: Path) -> Path:
    return Path(os.path.realpath(path))


def look(folder: int, name: str) -> os.stat_result | None:
    """What has a name in an open folder, a link itself; None where nothing has."""
    try:
        return os.stat(name, dir_fd=folder, follow_symlinks=False)
    except FileNotFoundError:
        return None


def _same(one: os.stat_result | None, other: os.stat_result) -> bool:
    """Whether a file is the one that it was, with nothing done to it."""
    return one is not None and all(
        getattr(one, name) == getattr(other, name)
        for name in ("st_dev", "st_ino", "st_size", "st_mtime_ns", "st_ctime_ns")
    )


def _ours(folder: int, name: str) -> bool:
    """Whether a file is one that an export, or a training set, was written to."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        with os.fdopen(
            os.open(name, os.O_RDONLY | os.O_NONBLOCK | _OPEN, dir_fd=folder), "rb"
        ) as file:
            head = file.read(len(_MAGIC))
            file.seek(-len(_MAGIC), os.SEEK_END)
            if head != _MAGIC or file.read() != _MAGIC:
                return False
            file.seek(0)
            metadata = pq.read_metadata(file).metadata or {}
    except (OSError, ValueError, pa.ArrowException):
        return False
    return any(key.startswith(b"ai_hub.") for key in metadata)
