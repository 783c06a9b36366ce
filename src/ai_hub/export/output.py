"""What an export writes its row groups to: one file, or the parts of a folder."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future
from contextlib import contextmanager
from typing import BinaryIO, Protocol

import pyarrow as pa

from ai_hub.export.drafts import AnyDraft
from ai_hub.export.folder import FolderDraft, PartFile
from ai_hub.export.hive import Folders
from ai_hub.export.journal import Key
from ai_hub.export.layout import Layout
from ai_hub.export.nameless import nameless
from ai_hub.export.objects import ObjectDraft, ObjectPart
from ai_hub.export.place import Draft
from ai_hub.export.row_groups import GroupedFile, RowGroup, encoded
from ai_hub.export.rows import Counts
from ai_hub.export.spool import Packed, Spool, packed
from ai_hub.export.threads import threads

PART_ROWS = 1_048_576
"""A part has no more row groups once it has so many rows."""
_JSON = ("version", "semantics", "row_count", "definitions", "targets", "violations",
         "several_rows_in_view")  # fmt: skip
_SUMMED_AT_ONCE = 4
_FILES_AT_ONCE = 2
Describe = Callable[[int, Counts], Mapping[str, str]]
"""What a file of so many rows, counted so, says of itself."""


Made = RowGroup | Sequence[Packed]
"""Rows, ready to be written."""


class Output(Protocol):
    """Where rows go, in their order."""

    @property
    def counts(self) -> Counts:
        """What is counted of them."""

    @property
    def rows(self) -> int:
        """How many there are until now."""

    def make(self, rows: pa.Table) -> Made:
        """Make rows ready; several threads may."""

    def add(self, made: Made | None, counts: Counts, last: Key | None = None) -> None:
        """Append rows (None: none at all), and what is counted of them. With the key of the `last`
        one an export in parts can go on after them. Raises OSError."""

    def end(self) -> None:
        """Write what is missing once all rows are there. Raises OSError."""


@contextmanager
def output_of(
    draft: AnyDraft,
    schema: pa.Schema,
    describe: Describe,
    compression: str,
    layout: Layout | None = None,
) -> Iterator[Output]:
    """What writes to a draft, and works beside whoever writes. Without any rows it is nothing."""
    if isinstance(draft, ObjectDraft):
        draft.fit(schema, () if layout is None else layout.columns(schema.names))
    if not isinstance(draft, Draft):
        if layout is not None:
            with (
                threads("folders", _FILES_AT_ONCE) as pool,
                nameless(draft.place.places) as file,
            ):
                yield _InFolders(draft, schema, describe, compression, layout, file, pool.submit)
            return
        with threads("sum", _SUMMED_AT_ONCE) as pool:
            yield _Parts(draft, schema, describe, compression, pool.submit)
        return
    with threads("sum") as sum_pool, threads("sync") as sync_pool:

        def follow() -> None:
            # Summed, and under way to the disk, while the next is made: at the end there is little
            # left to do.
            sum_pool.submit(draft.follow)
            sync_pool.submit(draft.sync)

        yield _OneFile(draft, describe, compression, follow)


class _OneFile:
    def __init__(
        self, draft: Draft, describe: Describe, compression: str, follow: Callable[[], None]
    ) -> None:
        self.counts = Counts()
        self._compression = compression
        self._file = GroupedFile(draft.write)
        self._describe = describe
        self._follow = follow

    @property
    def rows(self) -> int:
        return self._file.rows

    def make(self, rows: pa.Table) -> RowGroup:
        return encoded(rows, self._compression)

    def add(self, made: Made | None, counts: Counts, last: Key | None = None) -> None:
        self.counts.add(counts)
        if isinstance(made, RowGroup):
            self._file.add(made)
            self._follow()

    def end(self) -> None:
        self._file.end(self._describe(self.rows, self.counts))


class _Parts:
    def __init__(
        self,
        draft: FolderDraft | ObjectDraft,
        schema: pa.Schema,
        describe: Describe,
        compression: str,
        beside: Callable[..., Future[None]],
    ) -> None:
        self._compression = compression
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

    def make(self, rows: pa.Table) -> RowGroup:
        return encoded(rows, self._compression)

    def add(self, made: Made | None, counts: Counts, last: Key | None = None) -> None:
        self.counts.add(counts)
        self._own.add(counts)
        if not isinstance(made, RowGroup):
            return
        self._last = last
        if self._part is None:
            part = self._draft.part()
            self._part = part, GroupedFile(part.write)
        _, file = self._part
        before = file.rows
        file.add(made)
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


class _InFolders:
    def __init__(
        self,
        draft: FolderDraft | ObjectDraft,
        schema: pa.Schema,
        describe: Describe,
        compression: str,
        layout: Layout,
        file: BinaryIO,
        beside: Callable[..., Future[None]],
    ) -> None:
        self._draft = draft
        self._schema = schema
        self._describe = describe
        self._layout = layout
        self._into = Folders(draft, compression, Spool(file), PART_ROWS, describe, beside)

    @property
    def rows(self) -> int:
        return self._into.rows

    @property
    def counts(self) -> Counts:
        return self._into.counts

    def make(self, rows: pa.Table) -> Sequence[Packed]:
        return packed(self._layout, rows)

    def add(self, made: Made | None, counts: Counts, last: Key | None = None) -> None:
        self._into.add(() if made is None or isinstance(made, RowGroup) else made, counts)

    def end(self) -> None:
        self._into.flush()
        said = said_of(self._describe(self.rows, self.counts), self._schema)
        self._draft.conclude(said | {"layout": self._layout.said(self._schema.names)})


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
