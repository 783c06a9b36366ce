"""Rows of a bulk read, which come in any order, kept small until they are handed on in order.

A row is numbers, and a code in place of its id: the texts are freed with the batch they came in.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from ai_hub.engines.arrays import Ints
from ai_hub.engines.ranges import gathered_rows

Column = NDArray[Any]
"""int64 or float64."""
_PIECE_ROWS = 1_000_000
"""Rows that are put in order of code at once, which bounds the memory that takes."""
_DIGIT = 16
_DIGITS = 1 << _DIGIT


class IdCodes:
    """Ids and their codes, by order of arrival. `closed`: ids that come later are unknown."""

    def __init__(self, ids: Iterable[str] = (), closed: bool = False) -> None:
        self._known = pa.array(dict.fromkeys(ids), pa.string())
        self._closed = closed

    def __len__(self) -> int:
        return len(self._known)

    def codes(self, column: pa.StringArray) -> NDArray[np.int32]:
        """The code of each id of a column; -1 where it is unknown."""
        codes = pc.index_in(column, value_set=self._known)
        if codes.null_count and not self._closed:
            new = pc.unique(column.filter(codes.is_null()))
            self._known = pa.concat_arrays([self._known, new])
            codes = pc.index_in(column, value_set=self._known)
        return np.array(codes.fill_null(-1), np.int32)

    def ids(self) -> list[str]:
        """Every id, at the index that is its code."""
        ids: list[str] = self._known.to_pylist()
        return ids


class RowBuffer:
    """Rows as they come: a code, some times and some values each.

    They are collected until there are enough of them, and then put in order of code as a piece.
    """

    def __init__(self, times: int, values: int) -> None:
        self._kinds = [np.dtype(np.int64)] * times + [np.dtype(np.float64)] * values
        self._codes: list[NDArray[np.int32]] = []
        self._columns: list[list[Column]] = [[] for _ in self._kinds]
        self._waiting = 0
        self._sizes: list[Ints] = []
        self._pieces: list[list[Column]] = []
        self._size = 0

    def __len__(self) -> int:
        return self._size

    def add(self, codes: NDArray[np.int32], columns: Sequence[pa.Array]) -> None:
        """Keep the rows whose code is known. A timestamp becomes microseconds, null is NaN."""
        known = codes >= 0
        every = bool(known.all())
        self._codes.append(codes if every else codes[known])
        for parts, column in zip(self._columns, columns, strict=True):
            # A copy: a view would keep all of the batch.
            values = np.array(_numbers(column))
            parts.append(values if every else values[known])
        self._size += len(self._codes[-1])
        self._waiting += len(self._codes[-1])
        if self._waiting >= _PIECE_ROWS:
            self._settle()

    def grouped(self, codes: int) -> GroupedRows:
        """All rows by code, of which there are `codes`; nothing can be added afterwards."""
        if self._waiting:
            self._settle()
        sizes = np.zeros((len(self._sizes), codes), np.int32)
        for row, known in zip(sizes, self._sizes, strict=True):
            row[: len(known)] = known
        return GroupedRows(self._kinds, self._pieces, sizes)

    def _settle(self) -> None:
        codes = np.concatenate(self._codes)
        self._codes.clear()
        order = _order(codes)
        piece = []
        for parts in self._columns:
            piece.append(np.concatenate(parts)[order])
            parts.clear()
        self._pieces.append(piece)
        self._sizes.append(np.bincount(codes))
        self._waiting = 0


class GroupedRows:
    """Rows in pieces, each by code; `sizes` has a row for each piece and a column for each code."""

    def __init__(
        self,
        kinds: Sequence[np.dtype[Any]],
        pieces: Sequence[Sequence[Column]],
        sizes: NDArray[np.int32],
    ) -> None:
        self._kinds = kinds
        self._pieces = pieces
        self._sizes = sizes
        self._starts = np.cumsum(sizes, axis=1, dtype=np.int32) - sizes

    @property
    def sizes(self) -> Ints:
        """How many rows each code has."""
        sizes: Ints = self._sizes.sum(axis=0, dtype=np.int64)
        return sizes

    def of(self, codes: Ints) -> tuple[Ints, list[Column]]:
        """The rows of some codes, code after code: the index of each row's code, and the columns.

        The rows of one code are in the order in which they came.
        """
        sizes = self._sizes[:, codes].astype(np.int64)
        each = sizes.sum(axis=0)
        columns = [np.empty(int(each.sum()), kind) for kind in self._kinds]
        # Of each code, the rows of a piece follow those of the pieces before it.
        targets = np.cumsum(each) - each + np.cumsum(sizes, axis=0) - sizes
        for piece, size, start, target in zip(
            self._pieces, sizes, self._starts[:, codes], targets, strict=True
        ):
            read, _ = gathered_rows(start, size)
            written, _ = gathered_rows(target, size)
            for column, source in zip(columns, piece, strict=True):
                column[written] = source[read]
        return np.repeat(np.arange(len(codes)), each), columns

    def sample(self, code: int, every: int) -> Column:
        """The first column of each `every`-th row of a code."""
        return np.concatenate([own[0][::every] for own in self._own(code)])

    def within(self, code: int, first: int, last: int) -> list[Column]:
        """The columns of a code's rows whose first column lies in [first, last]."""
        parts: list[list[Column]] = [[] for _ in self._kinds]
        for own in self._own(code):
            inside = (own[0] >= first) & (own[0] <= last)
            for part, column in zip(parts, own, strict=True):
                part.append(column[inside])
        return [np.concatenate(part) for part in parts]

    def _own(self, code: int) -> Iterator[list[Column]]:
        """The columns of a code's rows in each piece, after an empty one."""
        yield [np.empty(0, kind) for kind in self._kinds]
        for piece, size, start in zip(
            self._pieces, self._sizes[:, code], self._starts[:, code], strict=True
        ):
            yield [column[start : start + size] for column in piece]


def _numbers(column: pa.Array) -> Column:
    if pa.types.is_timestamp(column.type):
        column = column.cast(pa.timestamp("us", "UTC")).cast(pa.int64())
    numbers: Column = column.to_numpy(zero_copy_only=False)
    return numbers


def _order(codes: NDArray[np.int32]) -> Ints:
    """The rows by code: NumPy sorts 16 bits by counting, which is several times faster."""
    order = np.argsort(codes.astype(np.uint16), kind="stable")
    if len(codes) and int(codes.max()) >= _DIGITS:
        high = (codes >> _DIGIT).astype(np.uint16)
        order = order[np.argsort(high[order], kind="stable")]
    return order
