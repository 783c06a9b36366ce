"""Rows of several entities' vectors: one of them, or some that take the place of others."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

import numpy as np

from ai_hub.engines.arrays import Mask
from ai_hub.stores.base import Vectors

_K = TypeVar("_K")


def one_of(vectors: Vectors, row: int) -> Vectors:
    """One row of several entities' vectors."""
    here = slice(row, row + 1)
    return Vectors(
        {name: column[here] for name, column in vectors.columns.items()},
        {name: mask[here] for name, mask in vectors.masks.items() if mask[row]},
        {name: mask[here] for name, mask in vectors.violations.items() if mask[row]},
        {key: mask[here] for key, mask in vectors.faults.items() if mask[row]},
    )


def with_rows(vectors: Vectors, rows: Sequence[int], others: Vectors, count: int) -> Vectors:
    """Several entities' vectors with some of their rows replaced."""
    columns = {}
    for name, column in vectors.columns.items():
        columns[name] = column.copy()
        columns[name][rows] = others.columns[name]
    return Vectors(
        columns,
        _with_masks(vectors.masks, rows, others.masks, count),
        _with_masks(vectors.violations, rows, others.violations, count),
        _with_masks(vectors.faults, rows, others.faults, count),
    )


def _with_masks(
    masks: dict[_K, Mask], rows: Sequence[int], others: dict[_K, Mask], count: int
) -> dict[_K, Mask]:
    found = {}
    for name in masks.keys() | others.keys():
        mask = masks.get(name, np.zeros(count, bool)).copy()
        mask[rows] = others.get(name, False)
        if mask.any():
            found[name] = mask
    return found
