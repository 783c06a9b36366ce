"""A spine: the table of entities and times, with labels, that a training set has the rows of."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pyarrow as pa

from ai_hub.definitions.values import MAX_ID_LENGTH
from ai_hub.engines.arrays import Ints, Points
from ai_hub.errors import InvalidInput
from ai_hub.intake.columns import Column, column
from ai_hub.intake.frames import read_again, to_table
from ai_hub.intake.ids import check_ids
from ai_hub.intake.labels import whole_table
from ai_hub.intake.times import check_times
from ai_hub.stores.arrays import by_code_and_time, spans_of
from ai_hub.stores.base import Chunk

_ENTITY = ("timestamp", "asset_id", "tenant_id")


@dataclass(frozen=True)
class Spine:
    """The rows of a spine as they came, and the same in order of asset and time.

    At place i of that order is the row `rows[i]` of the table, of the asset `asset_ids[code[i]]` at
    `time[i]`, in microseconds. Ids ascend.
    """

    table: pa.Table
    asset_ids: tuple[str, ...]
    rows: Ints
    code: Ints
    time: Ints

    def __len__(self) -> int:
        return len(self.rows)

    def has(self, name: str) -> bool:
        """Whether it has a column of that name."""
        return name in self.table.column_names

    @property
    def labels(self) -> list[str]:
        """Its columns beside those that say which entity and when; `value` is none of them."""
        return [name for name in self.table.column_names if name not in (*_ENTITY, "value")]

    def parts(self, reach: int) -> Iterator[tuple[int, int, tuple[str, ...]]]:
        """Times [start, end] and the assets with rows in them, which together are all of it.

        What lies between two rows further apart than `reach` need not be read.
        """
        for start, end in spans_of(self.time, reach):
            yield start, end, self._assets_in(start, end)

    def _assets_in(self, start: int, end: int) -> tuple[str, ...]:
        inside = self.code[(self.time >= start) & (self.time <= end)]
        return tuple(self.asset_ids[code] for code in np.flatnonzero(np.bincount(inside)).tolist())

    def places(self, chunk: Chunk, most: int) -> Iterator[tuple[Ints, Points]]:
        """The places that a chunk has the history of, and where these are in the chunk, in parts of
        at most so many."""
        codes = np.array([self._code_of[one] for one in chunk.asset_ids], np.int64)
        low, high = self._bounds[codes], self._bounds[codes + 1]
        if len(codes) == 1:  # of a long asset there are many chunks
            times = self.time[low[0] : high[0]]
            reach = (chunk.start, chunk.end + 1)
            low, high = low + np.searchsorted(times, reach)[:, np.newaxis]
        ends = np.cumsum(high - low)
        ahead = high - ends
        for first in range(0, int(ends[-1]) if len(ends) else 0, most):
            places = np.arange(first, min(first + most, ends[-1]))
            code = np.searchsorted(ends, places, side="right")
            places += ahead[code]
            time = self.time[places]
            inside = (time >= chunk.start) & (time <= chunk.end)
            if inside.any():
                yield places[inside], Points(code[inside], time[inside])

    @cached_property
    def _code_of(self) -> dict[str, int]:
        return {asset_id: code for code, asset_id in enumerate(self.asset_ids)}

    @cached_property
    def _bounds(self) -> Ints:
        """Where each asset's places begin, and where the last one's end."""
        return np.searchsorted(self.code, np.arange(len(self.asset_ids) + 1))


def spine_of(data: object, tenant_id: str) -> Spine:
    """The spine that a caller hands over: asset_id, aware timestamp, and labels of any type.

    `data`: pandas, Polars or Arrow tables, or dict rows. A column tenant_id may name that tenant
    alone. Raises InvalidInput naming the column, and the row.
    """
    data = read_again(data)
    keys = to_table(data)
    instants = _required(keys, "timestamp")
    if pa.types.is_timestamp(instants.type) and instants.type.tz is None and len(instants):
        hint = "Say which zone they are in: tz_localize, or replace(tzinfo=...)."
        raise InvalidInput("spine timestamp", str(instants[0]), "aware datetimes", hint)
    times = _sound(check_times("timestamp", instants, rounding="down"))
    raw = _required(keys, "asset_id")
    assets = _sound(check_ids("asset_id", raw, keys.num_rows, MAX_ID_LENGTH))
    tenants = column(keys, "tenant_id")
    if tenants is not None:
        _sound(check_ids("tenant_id", tenants, keys.num_rows, MAX_ID_LENGTH, only=tenant_id))
    ids = assets.build(np.arange(int(assets.keys.max(initial=-1)) + 1)).to_pylist()
    rows = by_code_and_time(assets.keys, times.keys)
    return Spine(whole_table(data), tuple(ids), rows, assets.keys[rows], times.keys[rows])


def _required(table: pa.Table, name: str) -> pa.Array:
    found = column(table, name)
    if found is None:
        raise InvalidInput("spine", table.column_names, f"a column named {name}")
    return found


def _sound(checked: Column) -> Column:
    """A column without faults. Raises InvalidInput that names the first row at fault."""
    if checked.faulty.any():
        row = int(np.flatnonzero(checked.faulty)[0])
        raise InvalidInput(
            f"spine row {row} {checked.field}",
            checked.shown(row),
            checked.why(row).removeprefix("expected "),
        )
    return checked
