"""Rows of one batch with the same key: the last one is kept."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ai_hub.definitions.values import iso
from ai_hub.intake.columns import Column
from ai_hub.intake.result import Remark

_MOST_EXAMPLES = 3


def last_of_each(
    keys: Sequence[NDArray[Any]],
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """The places of the last row of every distinct key, in the order of the keys.

    And of every other row a pair: its place, and that of the row which replaces it.
    """
    size = len(keys[0])
    none = np.empty((0, 2), dtype=np.int64)
    after = np.zeros(max(size - 1, 0), dtype=np.bool_)
    equal = ~after
    for values in keys:
        after |= equal & (values[1:] > values[:-1])
        equal &= values[1:] == values[:-1]
    if after.all():  # as files mostly are: sorted already, no key twice
        return np.arange(size), none
    varying = [values for values in keys if (values != values[0]).any()]
    order = np.lexsort(varying[::-1]) if varying else np.arange(size)
    same = np.ones(size - 1, dtype=np.bool_)
    for values in varying:
        ordered = values[order]
        same &= ordered[1:] == ordered[:-1]
    # lexsort is stable, so the last of equal keys is the last that was sent.
    ends = np.append(~same, True)
    last: NDArray[np.int64] = order[ends]
    if not same.any():
        return last, none
    by = np.repeat(last, np.diff(np.flatnonzero(ends), prepend=-1))
    return last, np.column_stack([order[~ends], by[~ends]])


def contradictions(
    columns: Sequence[Column], key: Sequence[str], replaced: NDArray[np.int64]
) -> list[Remark]:
    """A remark if some of the rows replaced (and those that replaced them) say something else."""
    rows, by = replaced[:, 0], replaced[:, 1]
    told = [checked for checked in columns if checked.field not in key]
    other = np.zeros(len(rows), dtype=np.bool_)
    for checked in told:
        old, new = checked.keys[rows], checked.keys[by]
        other |= (old != new) & ~((old != old) & (new != new))
    places = np.flatnonzero(other)
    if not len(places):
        return []
    first = places[np.argsort(rows[places])][:_MOST_EXAMPLES]
    named = {checked.field: checked for checked in columns}

    def cell(field: str, row: int) -> str:
        if field == "timestamp":
            return iso(int(named[field].keys[row]))
        return str(named[field].build(named[field].keys[row : row + 1])[0].as_py())

    shown = []
    for before, after in zip(rows[first].tolist(), by[first].tolist(), strict=True):
        at = " ".join(
            cell(field, after) for field in key if field not in ("tenant_id", "issued_at")
        )
        differ = [c.field for c in told if cell(c.field, before) != cell(c.field, after)]
        changes = [f"{field} {cell(field, before)}, then {cell(field, after)}" for field in differ]
        shown.append(f"{at}: {', '.join(changes)}")
    said = (
        "Rows with the same asset, series and time have different values, and the last one was "
        f"kept: {'; '.join(shown)}. If they are different readings, a column that tells them apart "
        "is missing: the time of day, or the series (feature_type)."
    )
    return [Remark("duplicates", "timestamp", said)]
