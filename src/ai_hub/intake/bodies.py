"""The rows of a body as one checked batch, within a bound on memory.

A few bytes can say a great many rows. So a body is read part by part, what is rejected is counted
and let go, and a body is refused as soon as what it holds is more than its own size allows: 8 times
that and 100 MB, for all that one request takes.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise

import pyarrow as pa

from ai_hub.allocation import give_back
from ai_hub.definitions.values import MAX_BODY_ROWS
from ai_hub.errors import InvalidInput
from ai_hub.intake.batch import Batch, BatchKind
from ai_hub.intake.checks import KEYS
from ai_hub.intake.merging import merged
from ai_hub.intake.pipeline import checker
from ai_hub.intake.result import MAX_REASONS, Remark
from ai_hub.intake.row_files import RowFile

# What a checked row costs beside its cells while batches become one: keys and their order.
_ROW_BYTES = 40
_SPARE = 52 << 20
_HOPELESS = 100_000
_PART_ROWS = 50_000
# The few rows that are kept of each part stand in the way of what the next ones let go of.
_PARTS_BETWEEN = 4


def read_batch(file: RowFile, tenant_id: str | None, size: int, rows: int = _PART_ROWS) -> Batch:
    """All rows of a body of `size` bytes, checked `rows` at a time, one row per key.

    Raises InvalidInput where they take more memory than such a body may, and where hardly a row of
    the first 100,000 can be stored.
    """
    if file.rows is not None and file.rows > MAX_BODY_ROWS:
        raise InvalidInput("body", f"{file.rows} rows", f"at most {MAX_BODY_ROWS} rows")
    check = checker(file, tenant_id)
    batches: list[Batch] = []
    sent = accepted = held = 0
    for at, (part, _) in enumerate(file.parts(rows), 1):
        if at % _PARTS_BETWEEN == 0:
            give_back()
        batch = check(part, sent)
        batches.append(batch)
        sent += batch.sent
        accepted += batch.accepted
        held += 2 * batch.table.nbytes + _ROW_BYTES * batch.table.num_rows
        if held > 6 * size + _SPARE:
            hint = "Nothing of it was stored. Send it in several bodies."
            expected = f"rows that take no more memory than {size} bytes may"
            raise InvalidInput("body", f"more than {accepted} rows", expected, hint)
        if sent - accepted > max(_HOPELESS, 10 * accepted):
            why = batches[0].reasons[0].why if batches[0].reasons else ""
            hint = f"Nothing of it was stored. Of its first row: {why}" if why else ""
            value = f"{sent - accepted} of the first {sent} rows rejected"
            raise InvalidInput("body", value, "rows that can be stored", hint)
    if len(batches) == 1:
        return batches[0]
    batch = _as_one(batches, file)
    # What lands next takes memory of its own.
    give_back()
    return batch


def _as_one(batches: list[Batch], file: RowFile) -> Batch:
    tables = [batch.table for batch in batches]
    # Only that list has them now: their rows are let go of while they are put in order.
    batches[:] = [replace(batch, table=batch.table.schema.empty_table()) for batch in batches]
    if _in_order(file.options.kind, tables):
        last = Batch(pa.concat_tables(tables), batches[0].tenant_id, 0, 0, (), False)
    else:
        last = merged(file.options.kind, tables, batches[0].tenant_id)
    remarks: dict[tuple[str, str], Remark] = {}
    for batch in (*batches, last):
        for remark in batch.remarks:
            remarks.setdefault((remark.about, remark.field), remark)
    reasons = [reason for batch in batches for reason in batch.reasons]
    return replace(
        last,
        sent=sum(batch.sent for batch in batches),
        rejected=sum(batch.rejected for batch in batches),
        reasons=tuple(reasons[:MAX_REASONS]),
        duplicates=sum(batch.duplicates for batch in (*batches, last)),
        unreadable=sum((Counter(batch.unreadable) for batch in batches), Counter()),
        outside=sum((Counter(batch.outside) for batch in batches), Counter()),
        remarks=tuple(remarks.values()),
    )


def _in_order(kind: BatchKind, tables: Sequence[pa.Table]) -> bool:
    """Whether each part is behind the one before it, as files mostly are: then there is nothing to
    sort, for which all of it would be in memory twice, and no key twice."""
    if kind == "attributes":
        return False  # Rows may have no time.

    def key(table: pa.Table, row: int) -> list[object]:
        return [table[name][row].as_py() for name in KEYS[kind]]

    some = [table for table in tables if len(table)]
    return all(key(one, len(one) - 1) < key(other, 0) for one, other in pairwise(some))
