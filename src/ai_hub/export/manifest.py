"""`manifest.json`: what belongs to an export in parts. It is written last, and is its commit."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

from ai_hub.export.journal import Finished
from ai_hub.export.layout import COLUMNS

MANIFEST = "manifest.json"
MOST_BYTES = 1 << 28
PART = re.compile(rf"(({'|'.join(COLUMNS)})=[0-9-]+/)*part-\d{{5,}}\.parquet")
"""The path of a part, in folders of its layout."""
_FORM = 1
"""Of the manifest; another one would have to be read otherwise."""


def part_name(place: int, folder: str = "") -> str:
    """The name of the part in a place, from 0 on, in a folder of its layout."""
    return f"{folder and folder + '/'}part-{place:05}.parquet"


def _place_of(part: Finished) -> tuple[int, str]:
    name = part.path.rpartition("/")[2]
    return len(name), name


def manifest_of(export_id: str, finished: Sequence[Finished], said: Mapping[str, object]) -> bytes:
    """The manifest of some parts, with what is `said` of the export."""
    in_order = sorted(finished, key=_place_of)
    parts = [
        {"path": one.path, "rows": one.rows, "bytes": one.size, "sha256": one.checksum}
        for one in in_order
    ]
    size = sum(one.size for one in finished)
    whole = {"manifest": _FORM, "export_id": export_id, **said, "bytes": size, "parts": parts}
    return (json.dumps(whole, indent=1, ensure_ascii=False) + "\n").encode()


def read_parts(content: bytes) -> Sequence[Mapping[str, Any]]:
    """The parts that a manifest names. Raises ValueError for one that is not ours."""
    parts: Sequence[Mapping[str, Any]] = read(content)["parts"]
    return parts


def read(content: bytes) -> Mapping[str, Any]:
    """What a manifest says. Raises ValueError for one that is not ours."""
    found = json.loads(content)
    if not isinstance(found, dict) or found.get("manifest") != _FORM:
        raise ValueError("no manifest of an export")
    if not all(PART.fullmatch(part["path"]) for part in found["parts"]):
        raise ValueError("a part with another name")
    return found
