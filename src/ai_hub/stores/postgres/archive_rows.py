"""What an archive reads of the rows of a PostgreSQL database."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from typing import TYPE_CHECKING

from ai_hub.archive.layer import Kind
from ai_hub.archive.rows import table_of
from ai_hub.definitions.values import DAY
from ai_hub.stores.postgres import scan_sql as sql
from ai_hub.stores.postgres.snapshot import Snapshot

if TYPE_CHECKING:
    import pyarrow as pa

# Until a vacuum does it, an index of times says of new blocks that they may have rows of any time:
# each span would be looked for in all of them.
SUMMARIZE = """
SELECT brin_summarize_new_values(c.oid) FROM pg_class c
JOIN pg_index i ON i.indexrelid = c.oid
JOIN pg_am a ON a.oid = c.relam AND a.amname = 'brin'
WHERE i.indrelid IN ('ai_features'::regclass, 'weather_features'::regclass)
  AND pg_has_role(c.relowner, 'USAGE') AND NOT pg_is_in_recovery()
"""


def read_rows(
    snapshot: Snapshot, kind: Kind, tenant_id: str, start: int, end: int, most: int | None = None
) -> pa.Table | None:
    """The rows of a tenant about a span; None where there are more than `most`."""
    import pyarrow as pa

    tables: list[pa.Table] = []
    size = 0
    with closing(snapshot.batches(sql.archived(kind, tenant_id, start, end - 1))) as batches:
        for batch in batches:
            size += len(batch)
            if most is not None and size > most:
                return None
            # Ids take less with each batch's own dictionary.
            tables.append(table_of(kind, [pa.Table.from_batches([batch])]))
    return table_of(kind, tables)


def guessed_spans(
    snapshot: Snapshot, kind: Kind, tenant_id: str, start: int, end: int, rows: int
) -> list[tuple[int, int]]:
    """Spans of days that are all of a longer one, of about so many rows, as the planner guesses."""

    def halves(first: int, last: int) -> Iterator[tuple[int, int, int]]:
        guess = snapshot.estimate(sql.archived(kind, tenant_id, first, last - 1))
        if guess <= rows or last - first <= DAY:
            yield first, last, guess
            return
        half = first + (last - first) // DAY // 2 * DAY
        yield from halves(first, half)
        yield from halves(half, last)

    spans: list[tuple[int, int]] = []
    size = 0
    for first, last, guess in halves(start, end):
        if spans and size + guess <= rows:
            spans[-1] = (spans[-1][0], last)
            size += guess
        else:
            spans.append((first, last))
            size = guess
    return spans
