"""As-of look-ups on a sorted axis: which row is the last at or before an instant."""

from __future__ import annotations

import numpy as np

from ai_hub.engines.arrays import Ints

# Most slots for each key: where keys are sparser than that, a search is cheaper than the table.
_SPARSE = 4
FEW = 4096
"""Up to so many keys or instants the table costs more than the search it saves."""


class AsOfIndex:
    """Finds the last of some sorted keys at or before an instant.

    Keys as regular as a meter's are looked up: the axis is cut into slots as long as the shortest
    step between keys, so that a slot holds one key at most, and a table says how many keys come
    before each slot. One comparison then settles the row. Other keys are searched.
    """

    def __init__(self, keys: Ints) -> None:
        self._keys = keys
        self._before: Ints | None = None
        if len(keys) <= FEW:
            return
        self._first = int(keys[0])
        self._step = int(np.diff(keys).min())
        if self._step and (int(keys[-1]) - self._first) // self._step < _SPARSE * len(keys):
            slots = (keys - self._first) // self._step
            taken = np.zeros(int(slots[-1]) + 2, np.int64)
            taken[slots + 1] = 1
            self._before = np.cumsum(taken)

    def last(self, at: Ints) -> Ints:
        """The row of the last key <= each of `at`; -1 where all are later."""
        if self._before is None or len(at) <= FEW:
            return np.searchsorted(self._keys, at, "right") - 1
        slots = (at - self._first) // self._step + 1
        rows = self._before[np.clip(slots, 0, len(self._before) - 1, out=slots)] - 1
        rows -= self._keys[rows] > at
        return np.maximum(rows, -1, out=rows)
