"""Files in a folder of this machine, by the contract of object storage."""

from __future__ import annotations

import errno
import io
import os
import re
import uuid
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from ai_hub.errors import ObjectExists, ObjectMissing, StorageError, StorageRefused
from ai_hub.storage.base import Found, Upload
from ai_hub.storage.sink import Sink
from ai_hub.storage.url import Url

_PARTIAL = re.compile(r"\.(.+)\.([0-9a-f]{32})\.partial")
_NOWHERE = (errno.ENOTDIR, errno.ENAMETOOLONG, errno.ELOOP)
"""What the system says of a path where nothing can ever be."""
_NEW = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW


class LocalStorage:
    """A folder; what is written is on the disk before it is there. `umask` is that of new files."""

    def __init__(self, url: Url, umask: int = 0o077) -> None:
        self.url = url
        self._umask = umask

    def put(self, name: str, content: bytes, *, new: bool = False) -> None:
        """See `Storage`."""
        with _LocalSink(self._path(name), self._umask, new) as sink:
            sink.write(content)

    def get(self, name: str) -> bytes:
        """See `Storage`."""
        path = self._path(name)
        with _said(path):
            return path.read_bytes()

    def open(self, name: str) -> io.BufferedIOBase:
        """See `Storage`."""
        path = self._path(name)
        with _said(path):
            return path.open("rb")

    def list(self, below: str = "") -> Iterator[Found]:
        """See `Storage`."""
        for name, size in self._files(below):
            if not _PARTIAL.fullmatch(name.rpartition("/")[2]):
                yield Found(name, size)

    def delete(self, names: Iterable[str]) -> None:
        """See `Storage`. Folders that become empty go too."""
        for name in names:
            path = self._path(name)
            with _said(path):
                path.unlink(missing_ok=True)
            _remove_empty(path.parent, self.url.path)

    def writer(self, name: str) -> Sink:
        """See `Storage`."""
        return _LocalSink(self._path(name), self._umask)

    def uploads(self, below: str = "") -> Sequence[Upload]:
        """See `Storage`."""
        found = []
        for name, _ in self._files(below):
            folder, slash, last = name.rpartition("/")
            if partial := _PARTIAL.fullmatch(last):
                found.append(Upload(f"{folder}{slash}{partial[1]}", partial[2]))
        return found

    def abort(self, upload: Upload) -> None:
        """See `Storage`."""
        path = _partial(self._path(upload.name), upload.id)
        with _said(path):
            path.unlink(missing_ok=True)
        _remove_empty(path.parent, self.url.path)

    def _path(self, name: str) -> Path:
        return self.url.path.joinpath(*name.split("/"))

    def _files(self, below: str) -> Iterator[tuple[str, int]]:
        top = self._path(below) if below else self.url.path
        found = []

        def failed(error: OSError) -> None:
            if error.errno not in (errno.ENOENT, *_NOWHERE):
                raise error

        with _said(top):
            for folder, _, names in os.walk(top, onerror=failed):
                for name in names:
                    path = Path(folder, name)
                    with suppress(FileNotFoundError):
                        if path.is_file() and not path.is_symlink():
                            own = path.relative_to(self.url.path).as_posix()
                            found.append((own, path.stat().st_size))
        return iter(sorted(found))


class _LocalSink(Sink):
    def __init__(self, path: Path, umask: int, new: bool = False) -> None:
        super().__init__()
        self._path = path
        self._new = new
        self._partial = _partial(path, uuid.uuid4().hex)
        with _said(path):
            _make(path.parent, umask)
            self._handle = os.open(self._partial, _NEW, 0o600)
            os.fchmod(self._handle, 0o666 & ~umask)

    def _append(self, data: memoryview) -> None:
        with _said(self._path):
            while data:
                data = data[os.write(self._handle, data) :]

    def _finish(self) -> None:
        try:
            with _said(self._path):
                os.fsync(self._handle)
                if self._new:
                    os.link(self._partial, self._path)
                else:
                    self._partial.rename(self._path)
                _sync(self._path.parent)
        finally:
            self._give_up()

    def _give_up(self) -> None:
        os.close(self._handle)
        with suppress(OSError):
            self._partial.unlink(missing_ok=True)


def in_the_way(folder: Path) -> Path | None:
    """What stands where a folder, or one above it, would have to be; None where nothing does."""
    there = next(one for one in (folder, *folder.parents) if os.path.lexists(one))
    return None if there.is_dir() else there


@contextmanager
def _said(path: Path) -> Iterator[None]:
    """Raise an error of ours in place of the system's."""
    try:
        yield
    except StorageError:
        raise
    except OSError as error:
        reason = f"{path}: {error.strerror or error}"
        match error:
            case FileExistsError() if error.errno == errno.EEXIST:
                raise ObjectExists(f"{path} is there already") from error
            case FileNotFoundError():
                raise ObjectMissing(f"{path} is not there") from error
            case OSError(errno=number) if number in _NOWHERE:
                raise ObjectMissing(reason) from error
            case PermissionError():
                raise StorageRefused(reason) from error
            case _:
                raise StorageError(reason) from error


def _partial(path: Path, id: str) -> Path:
    return path.with_name(f".{path.name}.{id}.partial")


def _make(folder: Path, umask: int) -> None:
    """Make a folder and those above that are missing, their names on the disk."""
    if not folder.is_dir():
        _make(folder.parent, umask)
        mode = 0o777 & ~umask
        with suppress(FileExistsError):
            folder.mkdir(mode)
            folder.chmod(mode)
            _sync(folder.parent)


def _sync(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _remove_empty(folder: Path, top: Path) -> None:
    """Remove a folder with nothing in it, and those above, below the storage's own."""
    with suppress(OSError):
        while folder != top and top in folder.parents:
            folder.rmdir()
            folder = folder.parent
