"""Many instants, and the few different ones among them."""

from __future__ import annotations

from typing import NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray

from ai_hub.definitions.values import HOUR, MINUTE
from ai_hub.engines.arrays import Ints, anywhere, everywhere

# Up to so many instants it is cheaper to take each as it is.
_FEW = 4096
# What meters and callers step by.
_STEPS = (HOUR, 15 * MINUTE, MINUTE)

_Number = TypeVar("_Number", np.int64, np.float64, np.bool_)


class Moments(NamedTuple):
    """Instants (`time`), each a row of a `table` that is shorter; None where there is none.

    What follows from an instant alone is computed for the table.
    """

    time: Ints
    table: Ints
    row: Ints | None

    @classmethod
    def of(cls, time: Ints) -> Moments:
        """The instants with a table, if they are regular and repeat each other."""
        if len(time) > _FEW:
            first, last = int(time.min()), int(time.max())
            for step in _STEPS:
                if (last - first) // step >= len(time) // 4:
                    break
                if anywhere((time[:_FEW] - first) % step != 0):
                    continue
                # A remainder of very many takes far longer than a division by one number.
                row = (time - first) // step
                if everywhere(row * step + first == time):
                    return cls(time, np.arange(first, last + 1, step), row)
        return cls(time, time, None)

    def each(self, column: NDArray[_Number]) -> NDArray[_Number]:
        """A column over the table, for every instant."""
        return column if self.row is None else column[self.row]
