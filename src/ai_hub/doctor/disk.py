"""A look at the folders that are written to: rights, room, and what was left behind."""

from __future__ import annotations

import os
import re
import shutil
import stat
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path

from ai_hub.doctor.exports import DiskFacts, Folder
from ai_hub.stores.export_log import ExportRecord

MOST_WALKED = 50_000
"""Entries below the export root that are looked at."""
_SETTLED_SECONDS = 60.0
"""A file that was written to since is being written."""
_PARTIAL = re.compile(
    r"\..*\.([0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12})\.partial"
)


def look(
    exports: Path, database: Path | None, under_way: frozenset[str], whole: Sequence[ExportRecord]
) -> DiskFacts:
    """How they are. Raises OSError where that cannot be seen."""
    return DiskFacts(
        _folder(exports),
        None if database is None else _folder(database.parent),
        [path for path, id_ in _partials(exports) if id_ not in under_way],
        [*_changed(whole)],
    )


def _folder(path: Path) -> Folder:
    path = path.absolute()
    nearest = next(one for one in (path, *path.parents) if one.exists())
    room = shutil.disk_usage(nearest)
    writable = os.access(nearest, os.W_OK | os.X_OK)
    return Folder(path, nearest, not nearest.is_dir(), writable, room.free, room.total)


def _partials(root: Path) -> Iterator[tuple[Path, str]]:
    """Half files, and folders, that nobody has written to for a while, with their export's id."""
    walked, folders = 0, [root]
    while folders and walked < MOST_WALKED:
        with suppress(OSError), os.scandir(folders.pop()) as entries:
            for entry in entries:
                walked += 1
                match = _PARTIAL.fullmatch(entry.name)
                if match is not None:
                    if entry.stat(follow_symlinks=False).st_mtime < time.time() - _SETTLED_SECONDS:
                        yield Path(entry.path), match[1]
                elif entry.is_dir(follow_symlinks=False):
                    folders.append(Path(entry.path))


def _changed(whole: Sequence[ExportRecord]) -> Iterator[tuple[ExportRecord, int]]:
    """Exports whose file has another size now; one that is not on this machine is not known."""
    for record in whole:
        with suppress(OSError):
            found = os.stat(record.storage_path)
            if stat.S_ISREG(found.st_mode) and found.st_size != record.file_size_bytes:
                yield record, found.st_size
