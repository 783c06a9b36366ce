"""Where an export asked for over HTTP may be written: inside the tenant's own folder."""

from __future__ import annotations

from pathlib import Path, PurePosixPath

from ai_hub.errors import InvalidInput

_GUIDE_PREFIX = "./exports/"
# Leaves room for the id and the ending of the hidden file beside it.
_LONGEST_NAME = 180
_LONGEST_PATH = 1_000
_EXPECTED = "a relative path inside the export root, such as training/features.parquet"


def export_path(output_path: str) -> PurePosixPath:
    """`output_path` as a path in a folder, a leading `./exports/` dropped. Raises InvalidInput.

    Refuses absolute paths and `..`; links are refused where the path is opened.
    """

    def refuse(why: str) -> InvalidInput:
        return InvalidInput("output_path", output_path, _EXPECTED, why)

    text = output_path.removeprefix(_GUIDE_PREFIX)
    path = PurePosixPath(text)
    if not text or text.endswith("/") or not path.name:
        raise refuse("It names no file.")
    if "\\" in text or not text.isprintable():
        raise refuse("It has a backslash or a character that is not printable.")
    if path.is_absolute() or Path(text).is_absolute():
        raise refuse("It is absolute.")
    if ".." in path.parts:
        raise refuse("It leads upwards.")
    if any(len(part.encode("utf-8", "replace")) > _LONGEST_NAME for part in path.parts):
        raise refuse(f"A part of it is longer than {_LONGEST_NAME} bytes.")
    if len(text.encode("utf-8", "replace")) > _LONGEST_PATH:
        raise refuse(f"It is longer than {_LONGEST_PATH} bytes.")
    if path.name.startswith("."):
        raise refuse("A hidden file is for an export in progress.")
    return path
