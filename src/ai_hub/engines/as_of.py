"""As-of look-ups on a sorted axis: which row is the last at or before an instant."""

from __future__ import annotations

from functools import cached_property

import numpy as np

from ai_hub.engines.arrays import Ints, Mask, everywhere

# Most slots for each key: where keys are sparser than that, a search is cheaper than the table.
_SPARSE = 4
FEW = 4096
"""Up to so many keys or instants the table costs more than the search it saves."""


class AsOfIndex:
    """Finds the last of some sorted keys at or before an instant.

    Keys as regular as a meter's are looked up: the axis is cut into slots as long as the shortest
    step between keys, so that a slot holds one key at most, and a table says how many keys come
    before each slot. One comparison then settles the row. Other keys are searched.

    Keys that are all some whole steps behind the first are on a grid: their slots say all of them.
    """

    step = 0
    """How long a slot is; 0 where keys are searched."""
    slots: Ints | None = None
    """The slot of each key, where they are on a grid."""

    def __init__(self, keys: Ints) -> None:
        self._keys = keys
        if len(keys) <= FEW:
            return
        self._first = int(keys[0])
        step = int(np.diff(keys).min())
        if step and (int(keys[-1]) - self._first) // step < _SPARSE * len(keys):
            self.step = step
            self._own = self._slots(keys)
            if self._are(self._own, keys):
                self.slots = self._own

    def of(self, kept: Mask) -> AsOfIndex:
        """The same of some of the keys, on the same grid if there is one."""
        keys = self._keys[kept]
        if self.slots is None or len(keys) <= FEW:
            return AsOfIndex(keys)
        found = AsOfIndex(keys[:0])
        found._keys, found._first, found.step = keys, self._first, self.step
        found.slots = found._own = self.slots[kept]
        return found

    def last(self, at: Ints) -> Ints:
        """The row of the last key <= each of `at`; -1 where all are later."""
        if not self.step or len(at) <= FEW:
            return np.searchsorted(self._keys, at, "right") - 1
        slots = self._slots(at)
        slots += 1
        rows = self.before(slots) - 1
        # What is on a grid is where its slot begins, at or before all that is in it.
        if self.slots is None:
            rows -= self._keys[rows] > at
            np.maximum(rows, -1, out=rows)
        return rows

    def slots_of(self, at: Ints) -> Ints | None:
        """The slots of some instants; None unless they are on the grid of the keys, and not far
        more than these."""
        if self.slots is None or at is self._keys:
            return self.slots
        if len(at) <= FEW:
            return None
        slots = self._slots(at)
        far = int(slots.max()) >= _SPARSE * (len(self._keys) + len(at))
        return slots if not far and self._are(slots, at) else None

    def before(self, slots: Ints) -> Ints:
        """How many keys are in slots before each of some."""
        return self._before.take(slots, mode="clip")

    @cached_property
    def _before(self) -> Ints:
        taken = np.zeros(int(self._own[-1]) + 2, np.int64)
        taken[self._own + 1] = 1
        return np.cumsum(taken, out=taken)

    def _slots(self, at: Ints) -> Ints:
        found: Ints = (at - self._first) // self.step
        return found

    def _are(self, slots: Ints, at: Ints) -> bool:
        """Whether instants are where their slots begin."""
        begins = slots * self.step
        begins += self._first
        return everywhere(begins == at)
