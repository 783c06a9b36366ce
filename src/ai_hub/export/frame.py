"""What came out as rows, in whatever library somebody has them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pyarrow as pa

if TYPE_CHECKING:
    import polars

_SHOWN = 5
"""Rows that a notebook shows."""


@dataclass(frozen=True)
class Frame:
    """Rows in memory, as an Arrow table that says of itself what it is."""

    _table: pa.Table

    def __len__(self) -> int:
        return int(self._table.num_rows)

    @property
    def metadata(self) -> dict[str, str]:
        """What a file of it says of itself: the set, its version, fingerprint, policy and so on."""
        found: dict[bytes, bytes] = self._table.schema.metadata or {}
        ours = {key.decode(): value.decode() for key, value in found.items() if b"ai_hub." in key}
        return ours

    def to_arrow(self) -> pa.Table:
        """As an Arrow table, with the metadata in its schema."""
        return self._table

    def to_pandas(self) -> Any:
        """As a pandas data frame."""
        return self._table.to_pandas()

    def to_polars(self) -> polars.DataFrame:
        """As a Polars data frame."""
        import polars as pl

        frame = pl.from_arrow(self._table)
        assert isinstance(frame, pl.DataFrame)
        return frame

    def _shown(self, caption: str) -> str:
        """Its first rows, as a notebook shows them."""
        from ai_hub.notebooks import table

        names: Sequence[str] = self._table.column_names
        first = self._table.slice(0, _SHOWN).to_pydict()
        rows = [[first[name][row] for name in names] for row in range(min(len(self), _SHOWN))]
        return table(caption, names, rows)
