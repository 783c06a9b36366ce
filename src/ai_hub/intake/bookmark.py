"""How far a file has landed, kept beside it: who loads it again goes on there."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Self

from ai_hub.errors import InvalidInput
from ai_hub.intake.result import IngestResult, Rejection, Remark
from ai_hub.intake.source import STDIN, no_file

_SUFFIX = ".bookmark"


@dataclass(frozen=True, slots=True)
class Place:
    """So many rows from the first one on are dealt with, with this result."""

    rows: int
    result: IngestResult


class Bookmark:
    """A small file with the place of one load: a file as it was, its options, and where it goes.

    Raises InvalidInput for a bookmark that is of another load, or cannot be read.
    """

    def __init__(self, path: Path, load: Mapping[str, Any]) -> None:
        self.path = path
        self._load = json.loads(json.dumps(load, default=str))
        self.place = self._read()

    @classmethod
    def of(
        cls,
        file: Path,
        path: Path | None,
        into: str,
        tenant_id: str | None,
        options: Mapping[str, object],
    ) -> Self:
        """The bookmark of a file that goes into a database; `path` is by default beside it."""
        known = lasting(file)
        load = {
            "file": str(file.resolve()), "size": known.st_size, "modified": known.st_mtime_ns,
            "into": into, "tenant_id": tenant_id, "options": dict(options),
        }  # fmt: skip
        return cls(path or file.with_name(file.name + _SUFFIX), load)

    def keep(self, place: Place) -> None:
        """Make a place last, whatever happens then."""
        found = {"load": self._load, "rows": place.rows, "result": asdict(place.result)}
        new = self.path.with_name(self.path.name + ".new")
        try:
            with new.open("w", encoding="utf-8") as file:
                json.dump(found, file)
                file.flush()
                os.fsync(file.fileno())
            new.replace(self.path)
        except OSError as error:
            raise self._wrong(f"a file that can be written ({error.strerror})") from None
        self.place = place

    def remove(self) -> None:
        """All rows have landed."""
        self.path.unlink(missing_ok=True)

    def _read(self) -> Place:
        try:
            found = json.loads(self.path.read_text("utf-8"))
            same = found["load"] == self._load
            place = Place(int(found["rows"]), _result(found["result"]))
        except FileNotFoundError:
            return Place(0, IngestResult())
        except (OSError, ValueError, KeyError, TypeError):
            raise self._wrong("a bookmark of an earlier run") from None
        if not same:
            raise self._wrong("the bookmark of this file, unchanged, with the same options")
        return place

    def _wrong(self, expected: str) -> InvalidInput:
        return InvalidInput(
            "bookmark", str(self.path), expected,
            f"Remove {self.path} to begin at the first row, or name another bookmark.",
        )  # fmt: skip


def _result(members: Mapping[str, Any]) -> IngestResult:
    reasons = tuple(Rejection(**one) for one in members["reasons"])
    remarks = tuple(Remark(**one) for one in members["remarks"])
    return IngestResult(**{**members, "reasons": reasons, "remarks": remarks})


def lasting(file: Path) -> os.stat_result:
    """A file that can be read again after a stop. Raises InvalidInput for what is none."""
    try:
        if file != STDIN and (file.is_file() or not file.exists()):
            return file.stat()
    except OSError as error:
        raise no_file(file, error) from None
    raise InvalidInput("file", str(file), "a file, which can be read again after a stop")
