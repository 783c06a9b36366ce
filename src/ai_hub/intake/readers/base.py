"""What every reader of files has."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Protocol

import pyarrow as pa

from ai_hub.intake.batch import Part
from ai_hub.intake.csv_text import Lines
from ai_hub.intake.dialect.dialect import Dialect
from ai_hub.intake.dialect.layout import Layout
from ai_hub.intake.dialect.numbers import Point


class Reader(Protocol):
    """A table in a file, whose header was found.

    `found` is what the reader took for those fields of a Dialect that are its own, `point` how sure
    a decimal point is. `letters`: which letters the bytes are is known. `rows` is how many rows
    there are, where the file says so; `lines` what its lines were, where it has lines, as far as
    `tables` has read them.
    """

    layout: Layout
    found: Dialect
    point: Point
    letters: bool
    rows: int | None
    lines: Lines | None

    def sample(self, places: Sequence[int]) -> pa.Table:
        """The first rows: a bounded number of them."""
        ...

    def tables(self, places: Sequence[int]) -> Iterator[Part]:
        """All rows, in order, as often as it is called; the columns are named by their places.

        `places` differ from each other, and the first is that of the anchor.
        """
        ...
