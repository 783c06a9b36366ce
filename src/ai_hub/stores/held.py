"""Rows of a bulk read, in whatever order they come, kept small until they are handed on in order.

A row is a code for its text and numbers: the texts are let go of with the batch they came in.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from ai_hub.engines.ranges import Ints, gathered_rows

Column = NDArray[Any]
"""int64 or float64."""
_DIGIT = 16
_LOW = (1 << _DIGIT) - 1


class Ids:
    """Ids and their codes, by order of arrival. `closed`: others than the first are unknown."""

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

    def texts(self) -> list[str]:
        """Every id, at the place that its code says."""
        texts: list[str] = self._known.to_pylist()
        return texts


class Rows:
    """Rows as they come: codes, and columns of int64 or float64."""

    def __init__(self, width: int) -> None:
        self._codes: list[Column] = []
        self._columns: list[list[Column]] = [[] for _ in range(width)]
        self._size = 0

    def __len__(self) -> int:
        return self._size

    def add(self, codes: NDArray[np.int32], columns: Sequence[pa.Array]) -> None:
        """Keep the rows whose code is known. A timestamp becomes microseconds, null is NaN."""
        held = codes >= 0
        every = bool(held.all())
        self._codes.append(codes if every else codes[held])
        self._size += len(self._codes[-1])
        for parts, column in zip(self._columns, columns, strict=True):
            # A copy: a view would keep all of the batch.
            values = np.array(_numbers(column))
            parts.append(values if every else values[held])

    def grouped(self, many: int) -> Grouped:
        """The rows by code, of which there are `many`. Nothing is left here."""
        codes = _joined(self._codes)
        columns = [_joined(parts) for parts in self._columns]
        ends = np.cumsum(np.bincount(codes, minlength=many))
        return Grouped(_order(codes), ends, columns)


class Grouped:
    """Rows by code, in each code as they came."""

    def __init__(self, order: NDArray[np.uint32], ends: Ints, columns: list[Column]) -> None:
        self._order = order
        self._ends = ends
        self._columns = columns

    @property
    def sizes(self) -> Ints:
        """How many rows each code has."""
        return np.diff(self._ends, prepend=0)

    def of(self, codes: Ints) -> tuple[Ints, list[Column]]:
        """The rows of some codes one after the other: the place of the code, and the columns."""
        sizes = self.sizes[codes]
        places, _ = gathered_rows(self._ends[codes] - sizes, sizes)
        rows = self._order[places]
        return np.repeat(np.arange(len(codes)), sizes), [column[rows] for column in self._columns]


def _numbers(column: pa.Array) -> Column:
    if pa.types.is_timestamp(column.type):
        column = column.cast(pa.timestamp("us", "UTC")).cast(pa.int64())
    numbers: Column = column.to_numpy(zero_copy_only=False)
    return numbers


def _joined(parts: list[Column]) -> Column:
    """Parts as one array; the parts themselves are let go of."""
    whole = np.concatenate(parts) if parts else np.empty(0, np.int64)
    parts.clear()
    return whole


def _order(codes: NDArray[np.int32]) -> NDArray[np.uint32]:
    """The rows by code: NumPy sorts 16 bits by counting, which is several times faster."""
    order = np.argsort((codes & _LOW).astype(np.uint16), kind="stable")
    if len(codes) and int(codes.max()) > _LOW:
        high = (codes >> _DIGIT).astype(np.uint16)
        order = order[np.argsort(high[order], kind="stable")]
    return order.astype(np.uint32)
