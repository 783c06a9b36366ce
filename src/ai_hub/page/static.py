"""The files that pages load, named by their content: a browser may keep them for ever."""

from __future__ import annotations

from hashlib import sha256
from pathlib import Path
from typing import NamedTuple

PREFIX = "/page/files/"
_TYPES = {".css": "text/css", ".js": "text/javascript", ".svg": "image/svg+xml"}


class StaticFile(NamedTuple):
    """A file, and what a browser takes it for."""

    content: bytes
    media_type: str


def _read() -> tuple[dict[str, str], dict[str, StaticFile]]:
    urls, files = {}, {}
    for path in sorted((Path(__file__).parent / "files").iterdir()):
        media_type = _TYPES.get(path.suffix)
        if media_type is None:
            continue
        content = path.read_bytes()
        name = f"{path.stem}.{sha256(content).hexdigest()[:12]}{path.suffix}"
        urls[path.name] = PREFIX + name
        files[name] = StaticFile(content, media_type)
    return urls, files


URLS, FILES = _read()
"""Where each file is, by its own name; and each of them, by the name that has its hash."""
