"""What is in the open folder of an export: parts, also in folders of a layout, and the manifest."""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Callable, Iterator

from ai_hub.export.layout import COLUMNS

_OF_LAYOUT = re.compile(rf"({'|'.join(COLUMNS)})=[0-9-]+")
_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC | os.O_NOFOLLOW


def names_in(handle: int) -> Iterator[str]:
    """The names of all that is in it; what is no folder of a layout is one name. Raises OSError."""
    for name in sorted(os.listdir(handle)):
        if _is_of_layout(handle, name):
            inner = os.open(name, _FOLDER, dir_fd=handle)
            try:
                for inside in names_in(inner):
                    yield f"{name}/{inside}"
            finally:
                os.close(inner)
        else:
            yield name


def clear(handle: int, ours: Callable[[str], bool], before: str = "") -> None:
    """Remove what is `ours`, by its name, and folders of a layout that become empty."""
    for name in sorted(os.listdir(handle)):
        if _is_of_layout(handle, name):
            inner = os.open(name, _FOLDER, dir_fd=handle)
            try:
                clear(inner, ours, f"{before}{name}/")
                empty = not os.listdir(inner)
            finally:
                os.close(inner)
            if empty:
                os.rmdir(name, dir_fd=handle)
        elif ours(f"{before}{name}"):
            os.unlink(name, dir_fd=handle)


def make(handle: int, folder: str, mode: int) -> None:
    """Make a folder of a layout, and those above. Raises OSError."""
    parts = folder.split("/")
    for count in range(1, len(parts) + 1):
        path = "/".join(parts[:count])
        try:
            os.mkdir(path, mode, dir_fd=handle)
        except FileExistsError:
            continue
        os.chmod(path, mode, dir_fd=handle)


def sync(handle: int) -> None:
    """Have all names in it on the disk. Raises OSError."""
    for name in os.listdir(handle):
        if _is_of_layout(handle, name):
            inner = os.open(name, _FOLDER, dir_fd=handle)
            try:
                sync(inner)
            finally:
                os.close(inner)
    os.fsync(handle)


def _is_of_layout(handle: int, name: str) -> bool:
    if not _OF_LAYOUT.fullmatch(name):
        return False
    try:
        found = os.stat(name, dir_fd=handle, follow_symlinks=False)
    except FileNotFoundError:
        return False
    return stat.S_ISDIR(found.st_mode)
