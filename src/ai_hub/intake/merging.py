"""Checked tables put together: one row a key, in the order of the keys.

What was checked is not checked again, which would take several times its memory.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from ai_hub.intake.attribute_checks import KEY
from ai_hub.intake.batch import Batch, BatchKind
from ai_hub.intake.checks import KEYS, check_rows
from ai_hub.intake.duplicates import last_of_each
from ai_hub.intake.result import Remark

_SORTED_BY: Mapping[BatchKind, Sequence[str]] = {
    "observations": KEYS["observations"],
    "weather": KEYS["weather"],
    "attributes": KEY,
}
_PAIRS = 20_000
_NO_TIME = np.iinfo(np.int64).min


def merged(kind: BatchKind, tables: list[pa.Table], tenant_id: str | None) -> Batch:
    """The rows of checked tables as one batch. Of equal keys the last one is kept; a remark says
    where they differ.

    The list is emptied: each column is let go of once its rows are in order.
    """
    rows = pa.concat_tables(tables)
    tables.clear()
    schema = rows.schema
    last, replaced = last_of_each([_sortable(rows[name]) for name in _SORTED_BY[kind]])
    remarks = _remarks(kind, rows, replaced, tenant_id)
    places = pa.array(last)
    columns = []
    for name in schema.names:
        # In one piece first: what takes from several puts them together, too.
        column = rows[name].combine_chunks()
        rows = rows.drop_columns([name])
        columns.append(column.take(places))
    return Batch(
        pa.table(columns, schema=schema),
        tenant_id,
        sent=0,
        rejected=0,
        reasons=(),
        naive=False,
        duplicates=len(replaced),
        remarks=remarks,
    )


def _sortable(column: pa.ChunkedArray) -> NDArray[np.int64]:
    """Numbers in the order of a column's values; a time that is not there comes first."""
    if pa.types.is_timestamp(column.type):
        return np.asarray(column.cast(pa.int64()).fill_null(int(_NO_TIME)), np.int64)
    # To look up values that are all different takes several times their memory; to sort them none.
    ranks = pc.rank(column.combine_chunks(), tiebreaker="dense")
    return np.asarray(ranks).view(np.int64)


def _remarks(
    kind: BatchKind, rows: pa.Table, replaced: NDArray[np.int64], tenant_id: str | None
) -> tuple[Remark, ...]:
    """What is to say of the first rows that were replaced by others which differ; of attributes
    nothing."""
    if kind == "attributes":
        return ()
    pairs = replaced[np.argsort(replaced[:, 0], kind="stable")]
    for first in range(0, len(pairs), _PAIRS):
        some = np.unique(pairs[first : first + _PAIRS])
        if found := check_rows(kind, rows.take(pa.array(some)), tenant_id).remarks:
            return found
    return ()
