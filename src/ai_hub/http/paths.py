"""Where an export asked for over HTTP may be written: inside the tenant's own folder, in the export
root or below a URL that the settings allow."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path, PurePath, PurePosixPath

from ai_hub.errors import InvalidInput, named
from ai_hub.export.place import tenant_folder
from ai_hub.storage.url import Url, is_url

_GUIDE_PREFIX = "./exports/"
# Leaves room for the id and the ending of the hidden file beside it.
_LONGEST_NAME = 180
LONGEST_PATH = 1_000
_EXPECTED = "a relative path inside the export root, such as training/features.parquet"


def export_place(
    output_path: str | None, tenant_id: str, allowed: Sequence[str]
) -> PurePath | Url | None:
    """`output_path` as a path in the tenant's folder, or a URL in that below one of those allowed.

    Raises InvalidInput.
    """
    if output_path is None:
        return None
    return (
        _below(output_path, tenant_id, allowed) if is_url(output_path) else export_path(output_path)
    )


def _below(output_path: str, tenant_id: str, allowed: Sequence[str]) -> Url:
    """The URL, with the tenant's own folder behind the longest of those allowed that it is below.

    Segments are compared as a whole. In %XX form no segment may be said, as whoever reads a URL
    otherwise might take `%2e%2e` for `..`.
    """
    url = Url.of(output_path, "output_path")
    above = [one for one in map(Url.of, allowed) if url.is_below(one)]
    if not above:
        known = named(allowed)
        told = f"a URL below one that the server allows: {known}" if known else "a path"
        hint = "" if known else "No URL is allowed here; AI_HUB_EXPORT_URLS says which are."
        raise InvalidInput("output_path", output_path, told, hint)
    top = max(above, key=lambda one: len(one.segments))
    rest = url.segments[len(top.segments) :]
    if any("%" in one for one in rest):
        raise InvalidInput("output_path", output_path, "a URL without %")
    return Url(url.scheme, url.bucket, (*top.segments, tenant_folder(tenant_id), *rest))


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
    if len(text.encode("utf-8", "replace")) > LONGEST_PATH:
        raise refuse(f"It is longer than {LONGEST_PATH} bytes.")
    if path.name.startswith("."):
        raise refuse("A hidden file is for an export in progress.")
    return path
