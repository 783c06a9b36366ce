"""Whether the files of exports are still what was written, told by their checksums."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from ai_hub.export.place import Places

State = Literal["ok", "changed", "missing", "unreadable", "no checksum"]
"""`no checksum`: an export of a release that made none."""
WRONG: frozenset[State] = frozenset({"changed", "missing", "unreadable"})


def to_verify(record: Mapping[str, Any]) -> bool:
    """Whether a record's file should be there: its export completed, and no other replaced it."""
    return record["status"] == "completed" and record["replaced_by"] is None


def verify(places: Places, record: Mapping[str, Any]) -> State:
    """What became of the file of a record, on this machine."""
    try:
        found = places.place(Path(record["storage_path"])).checksum()
    except OSError:
        return "unreadable"
    if found is None:
        return "missing"
    if record["checksum"] is None:
        return "no checksum"
    return "ok" if found == record["checksum"] else "changed"
