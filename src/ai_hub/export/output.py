"""What an export writes its row groups to: one file, or the parts of a folder."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future
from contextlib import contextmanager
from typing import Protocol

import pyarrow as pa

from ai_hub.export.drafts import AnyDraft
from ai_hub.export.folder import FolderDraft, PartFile
from ai_hub.export.journal import Key
from ai_hub.export.objects import ObjectDraft, ObjectPart
from ai_hub.export.place import Draft
from ai_hub.export.row_groups import GroupedFile, RowGroup
from ai_hub.export.rows import Counts
from ai_hub.export.threads import threads

PART_ROWS = 1_048_576
"""A part has no more row groups once it has so many rows."""
_JSON = ("version", "semantics", "row_count", "definitions", "targets", "violations",
         "several_rows_in_view")  # fmt: skip
_SUMMED_AT_ONCE = 4
Describe = Callable[[int, Counts], Mapping[str, str]]
"""What a file of so many rows, counted so, says of itself."""


class Output(Protocol):
    """Where row groups go, in their order."""

    counts: Counts

    @property
    def rows(self) -> int:
        """How many there are until now."""

    def add(self, group: RowGroup | None, counts: Counts, last: Key | None = None) -> None:
        """Append rows (None: none at all), and what is counted of them. With the key of the `last`
        one an export in parts can go on after them. Raises OSError."""

    def end(self) -> None:
        """Write what is missing once all rows are there. Raises OSError."""


@contextmanager
def output_of(draft: AnyDraft, schema: pa.Schema, describe: Describe) -> Iterator[Output]:
    """What writes to a draft, and works beside whoever writes. Without any rows it is nothing."""
    if not isinstance(draft, Draft):
        with threads("sum", _SUMMED_AT_ONCE) as pool:
            yield _Parts(draft, schema, describe, pool.submit)
        return
    with threads("sum") as sum_pool, threads("sync") as sync_pool:

        def follow() -> None:
            # Summed, and under way to the disk, while the next is made: at the end there is little
            # left to do.
            sum_pool.submit(draft.follow)
            sync_pool.submit(draft.sync)

        yield _OneFile(draft, describe, follow)


class _OneFile:
    def __init__(self, draft: Draft, describe: Describe, follow: Callable[[], None]) -> None:
        self.counts = Counts()
        self._file = GroupedFile(draft.write)
        self._describe = describe
        self._follow = follow

    @property
    def rows(self) -> int:
        return self._file.rows

    def add(self, group: RowGroup | None, counts: Counts, last: Key | None = None) -> None:
        self.counts.add(counts)
        if group is not None:
            self._file.add(group)
            self._follow()

    def end(self) -> None:
        self._file.end(self._describe(self.rows, self.counts))


class _Parts:
    def __init__(
        self,
        draft: FolderDraft | ObjectDraft,
        schema: pa.Schema,
        describe: Describe,
        beside: Callable[..., Future[None]],
    ) -> None:
        self.rows = sum(one.rows for one in draft.finished)
        self.counts = Counts()
        for one in draft.finished:
            self.counts.add(one.counts)
        self._draft = draft
        self._schema = schema
        self._describe = describe
        self._beside = beside
        self._finishing: list[Future[None]] = []
        self._part: tuple[PartFile | ObjectPart, GroupedFile] | None = None
        self._own = Counts()
        """Of the part under way."""
        self._last: Key | None = None

    def add(self, group: RowGroup | None, counts: Counts, last: Key | None = None) -> None:
        self.counts.add(counts)
        self._own.add(counts)
        if group is None:
            return
        self._last = last
        if self._part is None:
            part = self._draft.part()
            self._part = part, GroupedFile(part.write)
        _, file = self._part
        before = file.rows
        file.add(group)
        self.rows += file.rows - before
        if self._draft.in_parts and file.rows >= PART_ROWS:
            self._end_part(*self._part)

    def end(self) -> None:
        if self._part is not None:
            self._end_part(*self._part)
        for one in self._finishing:
            one.result()
        self._draft.conclude(said_of(self._describe(self.rows, self.counts), self._schema))

    def _end_part(self, part: PartFile | ObjectPart, file: GroupedFile) -> None:
        file.end(self._describe(file.rows, self._own))
        finish = self._draft.finish_part
        self._finishing.append(self._beside(finish, part, file.rows, self._last, self._own))
        self._part, self._own = None, Counts()


def said_of(metadata: Mapping[str, str], schema: pa.Schema) -> dict[str, object]:
    """What a manifest says of an export: what a file of it would, and its columns."""
    found: dict[str, object] = {}
    for key, text in metadata.items():
        name = key.removeprefix("ai_hub.")
        found[name] = json.loads(text or "null") if name in _JSON else text
    columns = [
        {"name": one.name, "type": str(one.type), "nullable": one.nullable} for one in schema
    ]
    return {**found, "columns": columns}
