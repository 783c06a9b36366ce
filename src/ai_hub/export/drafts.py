"""An export while it is written: one file, a folder of parts, or parts in object storage."""

from __future__ import annotations

from contextlib import AbstractContextManager

from ai_hub.export.folder import FolderDraft, check_folder, folder_draft
from ai_hub.export.objects import ObjectDraft, ObjectPlace, object_draft
from ai_hub.export.place import Draft, Place

AnyPlace = Place | ObjectPlace
AnyDraft = Draft | FolderDraft | ObjectDraft


def check(place: AnyPlace, parts: bool) -> None:
    """Raise InvalidInput where an export may not be, ExportFailed where it cannot be."""
    if isinstance(place, ObjectPlace) or not parts:
        place.check()
    else:
        check_folder(place)


def drafting(place: AnyPlace, export_id: str, parts: bool) -> AbstractContextManager[AnyDraft]:
    """An export under way; unless it is published nothing is left of it.

    Raises InvalidInput and ExportFailed, as `check` does.
    """
    if isinstance(place, ObjectPlace):
        return object_draft(place, export_id, parts or place.delta)
    return folder_draft(place, export_id) if parts else place.draft(export_id)
