"""A file without a name below the export root: for what is too large to be held in memory."""

from __future__ import annotations

from tempfile import TemporaryFile
from typing import BinaryIO, cast

from ai_hub.errors import ExportFailed
from ai_hub.export.place import Places, make_folder


def nameless(places: Places) -> BinaryIO:
    """A new file that nobody else can open; it is gone once it is closed. Raises ExportFailed."""
    try:
        make_folder(places.root.absolute(), places.umask)
        return cast(BinaryIO, TemporaryFile(dir=places.root))
    except OSError as error:
        raise ExportFailed(f"export_root: {places.root} cannot be written: {error}") from error
