"""Several ways of reading a column, and cells that tell them apart.

Nothing is guessed: a way is struck out by a cell that it cannot read and another way can, and
what is left is taken only where all of it gives the same values.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

_C = TypeVar("_C")
_SHOWN = 3


@dataclass(frozen=True, slots=True)
class Verdict(Generic[_C]):
    """What cells said: the one `winner`, or None; then either `mixed`, or `rivals` and `cells`.

    `mixed` has two cells that no way reads both of; `rivals` are two ways that read all of it,
    but differently, and `cells` the first cells where they differ. `proof` is the cell that struck
    the last rival out (None: there was none).
    """

    winner: _C | None
    proof: str | None = None
    mixed: tuple[str, str] | None = None
    rivals: tuple[_C, ...] = ()
    cells: tuple[str, ...] = ()


class Contest(Generic[_C]):
    """The candidates for a column, the preferred first; `see` shows them cells.

    `read` gives the values of texts by a candidate, and which of the texts it can read.
    """

    def __init__(
        self,
        candidates: Sequence[_C],
        read: Callable[[_C, pa.Array], tuple[NDArray[Any], NDArray[np.bool_]]],
    ) -> None:
        self._candidates = list(candidates)
        self._read = read
        size = len(self._candidates)
        self._against: list[str | None] = [None] * size
        self._differ: dict[tuple[int, int], list[str]] = {}
        self._struck: list[str] = []
        self._cells = 0

    def see(self, texts: pa.Array) -> None:
        """Lets cells speak; a cell that no candidate reads says nothing."""
        texts = texts.drop_null().unique()
        if not len(texts) or not self._candidates:
            return
        read = [self._read(candidate, texts) for candidate in self._candidates]
        some = np.logical_or.reduce([known for _, known in read])
        self._cells += int(some.sum())
        for place, (_, known) in enumerate(read):
            failed = np.flatnonzero(some & ~known)
            if len(failed) and self._against[place] is None:
                cell = texts[int(failed[0])].as_py()
                self._against[place] = cell
                self._struck.append(cell)
        for first, (values, known) in enumerate(read):
            for second in range(first + 1, len(read)):
                differ = known & read[second][1] & (values != read[second][0])
                found = self._differ.setdefault((first, second), [])
                if len(found) < _SHOWN:
                    cells = [texts[int(row)].as_py() for row in np.flatnonzero(differ)[:_SHOWN]]
                    found.extend([cell for cell in cells if cell not in found])

    @property
    def open(self) -> bool:
        """Whether there is more than one candidate."""
        return len(self._candidates) > 1

    @property
    def silent(self) -> bool:
        """Whether no cell has been seen that any candidate reads."""
        return not self._cells

    def verdict(self) -> Verdict[_C]:
        """What the cells seen so far leave."""
        left = [place for place, cell in enumerate(self._against) if cell is None]
        if not left:
            return Verdict(None, mixed=self._mixed())
        best = left[0]
        for other in left[1:]:
            if cells := self._differ.get((best, other)):
                ways = (self._candidates[best], self._candidates[other])
                return Verdict(None, rivals=ways, cells=tuple(cells[:_SHOWN]))
        return Verdict(self._candidates[best], self._struck[-1] if self._struck else None)

    def _mixed(self) -> tuple[str, str] | None:
        """Two cells that are written differently; None if there is no candidate at all."""
        first = self._against[0] if self._candidates else None
        if first is None:
            return None
        for candidate, cell in zip(self._candidates, self._against, strict=True):
            if cell is not None and self._read(candidate, pa.array([first]))[1][0]:
                return first, cell
        raise AssertionError("a cell that no candidate reads strikes none out")
