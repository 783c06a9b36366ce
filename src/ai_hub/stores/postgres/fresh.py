"""Which rows of a batch no stored row can be in the way of: they need no upsert.

What is found here is of the moment of the question. Another writer may bring the same rows before
they are committed; then the keys of the tables refuse them.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import numpy as np

from ai_hub.stores.postgres.session import Connection

if TYPE_CHECKING:
    import pyarrow as pa
    from numpy.typing import NDArray

    from ai_hub.engines.arrays import Mask

_SERIES = ("tenant_id", "asset_id", "feature_type")
_AT_ONCE = 1_000
# The days of ai_hub_series spare most series a look at the rows. The bounds of all of them let the
# planner leave out the chunks of other times.
_WITH_ROWS = """
SELECT s.place - 1
FROM unnest($1::text[], $2::text[], $3::text[], $4::timestamptz[], $5::timestamptz[])
  WITH ORDINALITY AS s(tenant_id, asset_id, feature_type, first, last, place)
LEFT JOIN ai_hub_series AS o ON o.tenant_id = s.tenant_id AND o.asset_id = s.asset_id
  AND o.feature_type = s.feature_type
WHERE coalesce((
    SELECT true FROM ai_features AS f
    WHERE s.last >= o.first_day AND s.first < o.last_day + INTERVAL '1 day'
      AND f.tenant_id = s.tenant_id AND f.asset_id = s.asset_id
      AND f.feature_type = s.feature_type AND f.timestamp BETWEEN s.first AND s.last
      AND f.timestamp BETWEEN $6 AND $7
    LIMIT 1
  ), (
    SELECT true FROM timeseries_data AS r
    WHERE s.last >= $8 AND r.tenant_id = s.tenant_id AND r.asset_id = s.asset_id
      AND r.feature_type = s.feature_type AND r.timestamp BETWEEN s.first AND s.last
      AND r.timestamp BETWEEN greatest($6, $8) AND $7
    LIMIT 1
  ), false)
"""


async def fresh_rows(on: Connection, batch: pa.Table, since: int) -> Mask:
    """Of each row of a batch (sorted by its key) whether it is usable, and its series has none
    stored between the first and the last of the batch.

    Rows before `since` are not kept raw. A row that is not usable takes one away where there is
    one, so it is always looked for.
    """
    starts = await asyncio.to_thread(_starts, batch)
    times = np.asarray(batch["timestamp"].cast("int64"))
    firsts, lasts = times[starts], times[np.append(starts[1:], batch.num_rows) - 1]
    fresh = np.ones(len(starts), bool)
    # What is given to a statement is made ready on the event loop: of so many at a time.
    for begin in range(0, len(starts), _AT_ONCE):
        some = slice(begin, begin + _AT_ONCE)
        names = (batch[column].take(starts[some]).to_pylist() for column in _SERIES)
        found = await on.fetch(
            _WITH_ROWS, *names, firsts[some].tolist(), lasts[some].tolist(),
            int(firsts[some].min()), int(lasts[some].max()), since,
        )  # fmt: skip
        fresh[[begin + place for (place,) in found]] = False
    mine = np.repeat(fresh, np.diff(np.append(starts, batch.num_rows)))
    return mine & (np.asarray(batch["quality"]) >= 1)


def _starts(batch: pa.Table) -> NDArray[np.int64]:
    """The places of the first rows of each series."""
    import pyarrow.compute as pc

    other = np.zeros(batch.num_rows - 1, bool)
    for column in _SERIES:
        values = batch[column].combine_chunks()
        other |= np.asarray(pc.not_equal(values[1:], values[:-1]))
    return np.flatnonzero(np.append(True, other))
