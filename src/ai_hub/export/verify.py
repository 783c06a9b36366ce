"""Whether the files of exports are still what was written, told by their checksums."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from ai_hub.errors import ExportFailed
from ai_hub.export.folder import manifest_checksum, parts_state
from ai_hub.export.objects import ObjectPlace
from ai_hub.export.place import Places
from ai_hub.storage.url import Url, is_url

State = Literal["ok", "changed", "missing", "unreadable", "no checksum"]
"""`no checksum`: an export of a release that made none."""
WRONG: frozenset[State] = frozenset({"changed", "missing", "unreadable"})


def to_verify(record: Mapping[str, Any]) -> bool:
    """Whether a record's file should be there: its export completed, and no other replaced it."""
    return record["status"] == "completed" and record["replaced_by"] is None


def verify(places: Places, record: Mapping[str, Any]) -> State:
    """What became of the file of a record, or of its folder and each part: on this machine, or
    in object storage."""
    try:
        if is_url(record["storage_path"]):
            return _far(ObjectPlace.of(Url.of(record["storage_path"]), places), record["checksum"])
        place = places.place(Path(record["storage_path"]))
        found, folder = place.checksum(), manifest_checksum(place)
        if found is None and folder is None:
            return "missing"
        if record["checksum"] is None:
            return "no checksum"
        if record["checksum"] not in (found, folder):
            return "changed"
        return "ok" if folder is None else parts_state(place)
    except (OSError, ExportFailed):
        return "unreadable"


def _far(place: ObjectPlace, checksum: str) -> State:
    found = place.manifest_checksum()
    if found is None:
        return "missing"
    return place.parts_state() if found == checksum else "changed"
