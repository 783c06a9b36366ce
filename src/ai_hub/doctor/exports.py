"""Judges exports: their folder, its room, those that stopped, and files that are not as written."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ai_hub.definitions.values import iso
from ai_hub.doctor.line import Line, counted, exported, fault, ok, shell, warning
from ai_hub.stores.checkup import ExportFacts
from ai_hub.stores.export_log import ExportRecord

LITTLE_ROOM, NO_ROOM = 2_000_000_000, 200_000_000
"""Bytes: a large export has hundreds of megabytes."""
LITTLE_SHARE = 0.05


@dataclass(frozen=True, slots=True)
class Folder:
    """A folder: is it one, the nearest that is there, may that be written, and its room in bytes.

    `is_other` is where something else has its name.
    """

    path: Path
    nearest: Path
    is_other: bool
    writable: bool
    free: int
    total: int


@dataclass(frozen=True, slots=True)
class DiskFacts:
    """The export root, the folder of the database's file if it is one, half files, and whole ones
    whose size is not the recorded one."""

    exports: Folder
    database: Folder | None
    partial: Sequence[Path]
    changed: Sequence[tuple[ExportRecord, int]]


def judge(found: ExportFacts, disk: DiskFacts) -> list[Line]:
    """The lines about exports and the disk."""
    lines = [
        _folder(disk.exports),
        _room(disk.exports, "exports", exported("export_root", "FOLDER")),
    ]
    if disk.database is not None:
        lines.append(_room(disk.database, "the database", None))
    if found.stopped:
        oldest = min(found.stopped, key=lambda one: one.started_at)
        said = (
            f"{counted(len(found.stopped), 'is', 'are')} called processing and nobody writes, such "
            f"as {oldest.export_id} of {oldest.tenant_id} since {iso(oldest.started_at)}"
        )
        lines.append(fault("exports", said, len(found.stopped), "ai-hub exports"))
    else:
        under_way = len(found.under_way)
        lines.append(ok("exports", f"{under_way} under way, and none that stopped", under_way))
    stopped = {one.export_id for one in found.stopped}
    half = [path for path in disk.partial if path.name.split(".")[-2] not in stopped]
    if half:
        said = counted(len(half), "half file was", "half files were")
        said += f" left behind, such as {half[0]}"
        lines.append(warning("half_files", said, len(half), shell("rm", "-r", "--", *half[:20])))
    else:
        lines.append(ok("half_files", "no half file was left behind", 0))
    if disk.changed:
        record, size = disk.changed[0]
        said = (
            f"{counted(len(disk.changed), 'file was', 'files were')} changed after an export, as "
            f"{record.storage_path}: {size:,} bytes, and not {record.file_size_bytes:,}"
        )
        lines.append(warning("files", said, len(disk.changed), _again(record)))
    else:
        looked = len(found.completed)
        said = f"of the newest {counted(looked, 'export', 'exports')} no file has another size"
        lines.append(ok("files", said if looked else "nothing was exported yet", looked))
    return lines


def _folder(folder: Folder) -> Line:
    path, nearest = folder.path, folder.nearest
    if folder.is_other:
        said = f"{nearest} is no folder, so nothing can be exported to {path}"
        return fault("folder", said, command=shell("mv", nearest, f"{nearest}.old"))
    if not folder.writable:
        said = f"{nearest} cannot be written by this user, so nothing can be exported to {path}"
        return fault("folder", said, command=shell("chmod", "u+rwx", nearest))
    if nearest != path:
        return ok("folder", f"{path} is made by the first export")
    return ok("folder", f"{path} can be written")


def _room(folder: Folder, what: str, moved: str | None) -> Line:
    """`moved` is the command that has another folder used."""
    free = folder.free / 1e9
    said = f"{free:,.1f} GB are free for {what} in {folder.nearest}"
    # A file system that tells no size has none to run out of.
    little = folder.free < LITTLE_ROOM or folder.free < LITTLE_SHARE * folder.total
    if not (folder.total and little):
        return ok("space", said, free)
    make = fault if folder.free < NO_ROOM else warning
    if moved is None:
        return make("space", f"{said}: make room there, which only you can", free)
    return make("space", f"{said}: make room there, or export elsewhere", free, moved)


def _again(record: ExportRecord) -> str:
    """The command that writes an export's file anew."""
    version = "" if record.version is None else f"@{record.version}"
    words = ["ai-hub", "export", "--tenant", record.tenant_id]
    words += ["--set", f"{record.feature_set}{version}"]
    words += ["--start", iso(record.start_time), "--end", iso(record.end_time)]
    for asset_id in record.asset_ids or ():
        words += ["--asset", asset_id]
    return shell(*words, "--output", record.storage_path, "--force")
