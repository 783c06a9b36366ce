"""A file of the rows that were rejected, each with its reason."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pyarrow as pa

from ai_hub.errors import InvalidInput
from ai_hub.intake.batch import ATTRIBUTE_FIELDS, FIELDS, Batch
from ai_hub.intake.cells import plain_cells
from ai_hub.intake.marks import read_mark
from ai_hub.intake.pipeline import Check, checker
from ai_hub.intake.row_files import RowFile

# No names of ours, so that the file can be ingested once its cells are put right.
_REASONS = ("rejected_row", "rejected_field", "rejected_value", "why")


@contextmanager
def rejects_into(path: Path, file: RowFile, tenant_id: str | None) -> Iterator[Check]:
    """The check of a file's rows, which also writes those that it rejects to `path`, as CSV.

    A line has the row's place in the file (from 0), the field at fault, what stood there, what is
    expected, and the row's cells under our names, its times in UTC. Raises InvalidInput if `path`
    cannot be written.
    """
    try:
        stream = path.open("w", newline="", encoding="utf-8")
    except OSError as error:
        expected = "a file that can be written"
        raise InvalidInput("--rejects", str(path), expected, error.strerror or "") from None
    with stream:
        lines = csv.writer(stream, lineterminator="\n")
        named: list[str] = []
        ours = ATTRIBUTE_FIELDS if file.options.kind == "attributes" else FIELDS

        def check(rows: pa.Table, first: int) -> Batch:
            batch = checker(file, tenant_id, reasons=len(rows))(rows, first)
            if not named:
                named.extend(name for name in rows.column_names if name in ours)
                lines.writerow([*_REASONS, *named])
            places = [reason.row - first for reason in batch.reasons if reason.row is not None]
            cells = [_texts(name, rows.column(name), places) for name in named]
            for reason, *row in zip(batch.reasons, *cells, strict=True):
                lines.writerow([reason.row, reason.field, reason.value, reason.why, *row])
            return batch

        yield check


def _texts(name: str, column: pa.ChunkedArray, places: list[int]) -> list[str | None]:
    """Some cells as texts, marks as what stood there."""
    values = plain_cells(name, column).take(pa.array(places, pa.int64()))
    texts: list[str | None] = []
    for cell in values.cast(pa.string()).to_pylist():
        mark = read_mark(cell)
        texts.append(cell if mark is None else str(mark.value))
    return texts
