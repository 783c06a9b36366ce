"""What stands for null in a cell."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from ai_hub.intake.columns import Mask, bools, nulls

TOKENS = ("", "na", "n/a", "nan", "null", "none", "-", "?")
"""In every cell but those of ids, in any case and with any blanks around."""


@dataclass(frozen=True, slots=True)
class Nulls:
    """Tokens that stand for null besides TOKENS; those that are numbers also as numbers.

    `-9999` is then null however the number is written, as `-9999.0`.
    """

    tokens: tuple[str, ...] = ()
    _texts: frozenset[str] = field(init=False)
    _numbers: tuple[float, ...] = field(init=False)

    def __post_init__(self) -> None:
        tokens = [token.strip().lower() for token in self.tokens]
        object.__setattr__(self, "_texts", frozenset(tokens))
        object.__setattr__(self, "_numbers", tuple(_numbers(tokens)))

    def among(self, texts: pa.Array) -> Mask:
        """Which of some texts stand for null; null itself does not."""
        known = pa.array([*TOKENS, *self._texts])
        found = pc.is_in(pc.utf8_lower(pc.utf8_trim_whitespace(texts)), known)
        return bools(found) & ~nulls(texts)

    def among_numbers(self, numbers: NDArray[np.float64]) -> Mask:
        """Which of some numbers stand for null."""
        return np.isin(numbers, self._numbers) if self._numbers else np.zeros(len(numbers), bool)

    def among_ids(self, texts: pa.Array) -> Mask:
        """Which of some texts stand for null as ids; see `is_id`."""
        if not self._texts:
            return np.zeros(len(texts), np.bool_)
        return bools(pc.is_in(pc.utf8_lower(texts), pa.array([*self._texts])))

    def is_id(self, text: str) -> bool:
        """Whether an id stands for null: TOKENS may well be ids, so only those that were named."""
        return text.lower() in self._texts


def _numbers(tokens: Iterable[str]) -> Iterable[float]:
    for token in tokens:
        with suppress(ValueError):
            yield float(token)


NO_MORE = Nulls()
