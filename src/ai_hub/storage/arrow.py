"""Storage as a file system of pyarrow, for what reads and writes through one."""

from __future__ import annotations

import io
from collections.abc import Sequence
from typing import Any, NoReturn

import pyarrow as pa
import pyarrow.fs as pa_fs

from ai_hub.errors import ObjectMissing
from ai_hub.storage.base import Storage


def file_system(storage: Storage) -> pa_fs.FileSystem:
    """The files of a storage by their names, for `pyarrow.dataset` and `pyarrow.parquet`."""
    if storage.url.scheme == "file":
        return pa_fs.SubTreeFileSystem(str(storage.url.path), pa_fs.LocalFileSystem())
    return pa_fs.PyFileSystem(_Handler(storage))


class _Handler(pa_fs.FileSystemHandler):  # type: ignore[misc]  # pyarrow has no types
    def __init__(self, storage: Storage) -> None:
        self._storage = storage

    def get_type_name(self) -> str:
        return "ai_hub"

    def normalize_path(self, path: str) -> str:
        return path.strip("/")

    def get_file_info(self, paths: Sequence[str]) -> list[pa_fs.FileInfo]:
        return [self._info(path.strip("/")) for path in paths]

    def get_file_info_selector(self, selector: pa_fs.FileSelector) -> list[pa_fs.FileInfo]:
        below = selector.base_dir.strip("/")
        start = f"{below}/" if below else ""
        found = [
            _file(one.name, one.size)
            for one in self._storage.list(below)
            if selector.recursive or "/" not in one.name.removeprefix(start)
        ]
        if not found and not selector.allow_not_found:
            raise FileNotFoundError(selector.base_dir)
        return found

    def open_input_file(self, path: str) -> pa.PythonFile:
        return pa.PythonFile(self._opened(path), mode="r")

    def open_input_stream(self, path: str) -> pa.PythonFile:
        return pa.PythonFile(self._opened(path), mode="r")

    def open_output_stream(self, path: str, metadata: Any) -> pa.PythonFile:
        return pa.PythonFile(self._storage.writer(path.strip("/")), mode="w")

    def delete_file(self, path: str) -> None:
        self._storage.delete([path.strip("/")])

    def create_dir(self, path: str, recursive: bool) -> None:
        pass  # There are no folders: names have slashes.

    def delete_dir(self, path: str) -> None:
        self._storage.delete([one.name for one in self._storage.list(path.strip("/"))])

    delete_dir_contents = delete_dir

    def delete_root_dir_contents(self) -> None:
        self.delete_dir("")

    def move(self, source: str, target: str) -> NoReturn:
        raise io.UnsupportedOperation("files stay where they are")

    copy_file = open_append_stream = move

    def _opened(self, path: str) -> io.BufferedIOBase:
        try:
            return self._storage.open(path.strip("/"))
        except ObjectMissing as error:
            raise FileNotFoundError(str(error)) from error

    def _info(self, path: str) -> pa_fs.FileInfo:
        folder, _, _ = path.rpartition("/")
        for one in self._storage.list(folder):
            if one.name == path:
                return _file(path, one.size)
            if one.name.startswith(f"{path}/"):
                return pa_fs.FileInfo(path, pa_fs.FileType.Directory)
        return pa_fs.FileInfo(path, pa_fs.FileType.NotFound)


def _file(name: str, size: int) -> pa_fs.FileInfo:
    return pa_fs.FileInfo(name, pa_fs.FileType.File, size=size)
