"""Summaries of values by cell, in bounded memory: equal values counted, near ones averaged.

A merging t-digest whose centroids are all of about the same weight (Dunning and Ertl, Computing
Extremely Accurate Quantiles Using t-Digests, arXiv:1902.04023, with the scale function k0), for
many cells at once.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

import numpy as np

from ai_hub.engines.arrays import Floats, Ints


class Points(NamedTuple):
    """Values with how many rows each stands for, sorted by cell, then value."""

    cell: Ints
    value: Floats
    weight: Ints


# Far more than a share is off by for being rounded, and far less than a row's part of any cell.
_ROUNDING = 1e-9

NO_POINTS = Points(np.empty(0, np.int64), np.empty(0), np.empty(0, np.int64))


def summarised(parts: Iterable[Points], most: int) -> Points:
    """At most `most` points a cell for all of some points, whatever their order.

    A cell with fewer different values keeps each of them as it is. Otherwise the sorted rows are
    cut into `most` parts of about the same count, each of them one point at its mean: so a rank is
    off by at most 1 / `most` of the rows, each time that a cell is summarised.
    """
    points = _joined(parts)
    order = np.lexsort((points.value, points.cell))
    cell, value, weight = points.cell[order], points.value[order], points.weight[order]
    points = _grouped(cell, value, weight, (cell[1:] != cell[:-1]) | (value[1:] != value[:-1]))
    cell, value, weight = points
    if not len(cell):
        return points
    start, length = _runs(cell)
    if length.max() <= most:
        return points
    total = np.add.reduceat(weight, start)
    before = np.cumsum(weight) - weight
    before -= np.repeat(before[start], length)
    part = most * (2 * before + weight) // np.repeat(2 * total, length)
    part = np.where(np.repeat(length > most, length), part, np.arange(len(cell)))
    return _grouped(cell, value, weight, (cell[1:] != cell[:-1]) | (part[1:] != part[:-1]))


def quantiles(points: Points, shares: Floats) -> tuple[Ints, Floats]:
    """The cells that have a value, and quantiles of each: an array of (cells, shares).

    A quantile is the value of the point in whose rows it falls, so that it is one that was there
    where points are single values.
    """
    cell, value, weight = points
    if not len(cell):
        return np.empty(0, np.int64), np.empty((0, len(shares)))
    start, length = _runs(cell)
    total = np.add.reduceat(weight, start)
    until = np.cumsum(weight) - np.repeat(np.cumsum(total) - total, length)
    place = np.arange(len(start))
    # One axis for all cells: each has two units, of which its rows are the first.
    axis = np.repeat(2.0 * place, length) + until / np.repeat(total, length)
    found = np.searchsorted(axis, 2.0 * place[:, None] + shares - _ROUNDING)
    return cell[start], value[np.minimum(found, (start + length - 1)[:, None])]


def _joined(parts: Iterable[Points]) -> Points:
    columns = zip(*(NO_POINTS, *parts), strict=True)
    cell, value, weight = (np.concatenate(column) for column in columns)
    return Points(cell, value, weight)


def _runs(cell: Ints) -> tuple[Ints, Ints]:
    """Where each cell begins, and how many points it has."""
    start = np.flatnonzero(np.append(True, cell[1:] != cell[:-1]))
    return start, np.diff(np.append(start, len(cell)))


def _grouped(cell: Ints, value: Floats, weight: Ints, borders: np.ndarray) -> Points:
    """Neighbours between borders as one point each, at their mean."""
    if not len(cell):
        return NO_POINTS
    start = np.flatnonzero(np.append(True, borders))
    first = np.repeat(value[start], np.diff(np.append(start, len(cell))))
    total = np.add.reduceat(weight, start)
    # From the first value on, so that equal ones stay what they are.
    mean = value[start] + np.add.reduceat((value - first) * weight, start) / total
    return Points(cell[start], mean, total)
