"""The record of an export beside its file, where the database takes none: a standby's."""

from __future__ import annotations

import json
import os
from contextlib import suppress
from typing import TYPE_CHECKING

from ai_hub.definitions.values import iso
from ai_hub.errors import ExportFailed
from ai_hub.export.objects import RECORD, ObjectDraft
from ai_hub.export.place import partial_name
from ai_hub.stores.export_log import INSTANTS, row_of

if TYPE_CHECKING:
    from ai_hub.export.drafts import AnyDraft
    from ai_hub.stores.export_log import ExportRecord

SUFFIX = ".export.json"
"""What its name has after that of the file."""


def keep_beside(draft: AnyDraft, record: ExportRecord) -> None:
    """Write the record of a file, or a folder, that has taken its place: the columns of
    `feature_exports`.

    Raises ExportFailed.
    """
    row = row_of(record) | {"violations": dict(record.violations)}
    shown = {name: _shown(name, value) for name, value in row.items()}
    if isinstance(draft, ObjectDraft):
        with draft.place.said():
            draft.place.storage.put(RECORD, json.dumps(shown, indent=1).encode() + b"\n")
        return
    name = f"{draft.place.name}{SUFFIX}"
    partial = partial_name(name, record.export_id)
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW
    try:
        with os.fdopen(os.open(partial, flags, 0o600, dir_fd=draft.folder), "w") as file:
            json.dump(shown, file, indent=1)
            file.write("\n")
            file.flush()
            os.fchmod(file.fileno(), draft.mode)
            os.fsync(file.fileno())
        os.rename(partial, name, src_dir_fd=draft.folder, dst_dir_fd=draft.folder)
        os.fsync(draft.folder)
    except OSError as error:
        with suppress(OSError):
            os.unlink(partial, dir_fd=draft.folder)
        raise ExportFailed(
            f"output_path: {draft.place.path} is written, but its record beside it cannot be: "
            f"{error}"
        ) from error


def _shown(name: str, value: object) -> object:
    return iso(value) if name in INSTANTS and isinstance(value, int) else value
