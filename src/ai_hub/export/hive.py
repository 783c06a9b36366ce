"""Rows into the folders of a layout: each file by asset, then time, as the rows came."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future

from ai_hub.export.folder import FolderDraft
from ai_hub.export.objects import ObjectDraft
from ai_hub.export.row_groups import GroupedFile, encoded
from ai_hub.export.rows import SEVERAL, Counts
from ai_hub.export.spool import At, Packed, Spool

ROUND_ROWS = 16_777_216
"""So many rows are kept at most before they are written: two gigabytes or so on the disk."""
_GROUP_ROWS = 65_536
_ABOUT_ALL = ("ai_hub.violations", SEVERAL)
"""What is counted of all rows, and not of those of one file."""


class Folders:
    """Files in folders, written in rounds: each file of some rows that came one after the other."""

    def __init__(
        self,
        draft: FolderDraft | ObjectDraft,
        compression: str,
        spool: Spool,
        most: int,
        describe: Callable[[int, Counts], Mapping[str, str]],
        beside: Callable[..., Future[None]],
    ) -> None:
        self.rows = 0
        self.counts = Counts()
        self._draft = draft
        self._compression = compression
        self._spool = spool
        self._most = most
        self._describe = describe
        self._beside = beside
        self._files = 0

    def add(self, pieces: Sequence[Packed], counts: Counts) -> None:
        """Append rows, and what is counted of them. Raises OSError."""
        self.counts.add(counts)
        for piece in pieces:
            self._spool.add(piece)
            self.rows += piece.rows
        if self._spool.rows >= ROUND_ROWS:
            self.flush()

    def flush(self) -> None:
        """Write all that is kept. Raises OSError."""
        writing = []
        for folder, places in self._spool.folders(self._most):
            writing.append(self._beside(self._write, folder, places, self._files))
            self._files += 1
        for one in writing:
            one.result()
        self._spool.clear()

    def _write(self, folder: str, places: list[At], number: int) -> None:
        part = self._draft.part(folder, number)
        file = GroupedFile(part.write)
        for rows in self._spool.tables(places, _GROUP_ROWS):
            file.add(encoded(rows, self._compression))
        said = self._describe(file.rows, Counts())
        file.end({name: text for name, text in said.items() if name not in _ABOUT_ALL})
        finish: Callable[..., None] = self._draft.finish_part
        finish(part, file.rows)
