"""A spine: the table of entities and times that a training set has rows for."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pyarrow as pa

from ai_hub.definitions.values import MAX_ID_LENGTH
from ai_hub.engines.arrays import Ints
from ai_hub.errors import InvalidInput
from ai_hub.intake.columns import check_ids, check_times, column
from ai_hub.intake.frames import to_table


def spine_of(data: object) -> Mapping[str, Ints]:
    """Asset -> its times in microseconds, sorted; as many as there are rows.

    `data`: pandas, Polars or Arrow tables, or dict rows, with asset_id and aware timestamp.
    """
    table = to_table(data)
    if not table.num_rows:
        raise InvalidInput("spine", "no rows", "at least one row")
    times = check_times("timestamp", _required(table, "timestamp"))
    assets = check_ids("asset_id", _required(table, "asset_id"), table.num_rows, MAX_ID_LENGTH)
    for checked in (times, assets):
        if checked.faulty.any():
            row = int(np.flatnonzero(checked.faulty)[0])
            raise InvalidInput(
                f"spine row {row} {checked.field}",
                checked.shown(row),
                checked.why(row).removeprefix("expected "),
            )
    names = np.array(assets.build(assets.keys).to_pylist(), object)
    return {name: np.sort(times.keys[names == name]) for name in sorted(set(names))}


def _required(table: pa.Table, name: str) -> pa.Array:
    found = column(table, name)
    if found is None:
        raise InvalidInput("spine", table.column_names, f"a column named {name}")
    return found
