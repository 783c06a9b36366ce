"""Rows of several entities' vectors: one of them, or some that take the place of others."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ai_hub.engines.arrays import Masks
from ai_hub.stores.base import Vectors


def one_of(vectors: Vectors, row: int) -> Vectors:
    """One row of several entities' vectors."""
    here = slice(row, row + 1)
    return Vectors(
        {name: column[here] for name, column in vectors.columns.items()},
        {name: mask[here] for name, mask in vectors.masks.items() if mask[row]},
        {name: mask[here] for name, mask in vectors.violations.items() if mask[row]},
    )


def with_rows(vectors: Vectors, rows: Sequence[int], others: Vectors, count: int) -> Vectors:
    """Several entities' vectors with some of their rows replaced."""
    columns = {}
    for name, column in vectors.columns.items():
        columns[name] = column.copy()
        columns[name][rows] = others.columns[name]
    both = (vectors.masks, others.masks), (vectors.violations, others.violations)
    return Vectors(columns, *(_with_masks(ours, rows, new, count) for ours, new in both))


def _with_masks(masks: Masks, rows: Sequence[int], others: Masks, count: int) -> Masks:
    found = {}
    for name in masks.keys() | others.keys():
        mask = masks.get(name, np.zeros(count, bool)).copy()
        mask[rows] = others.get(name, False)
        if mask.any():
            found[name] = mask
    return found
