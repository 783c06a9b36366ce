"""Files with a second table below the first, whose rows would be taken for those of the first."""

from __future__ import annotations

import pyarrow as pa
import pyarrow.compute as pc

from ai_hub.errors import InvalidInput
from ai_hub.intake.dialect.layout import Layout


def check_one_table(table: pa.Table, layout: Layout, first_row: int, field: str) -> None:
    """Raises InvalidInput, named after `field`, for a row of `table` that begins another table.

    It has the name of the anchor (the times) where that is, and elsewhere another name than the
    header.
    The same header once more, as in files put together, is a row at fault like others. `first_row`
    is the place of the table's first row among all.
    """
    place = layout.columns[layout.anchor]
    # Of no chunks at all, some releases of pyarrow die of `indices_nonzero`.
    if str(place) not in table.column_names or not len(table):
        return
    name = layout.names[place]
    known = pa.array(dict.fromkeys([name, name.strip()]), pa.string())
    again = pc.indices_nonzero(pc.is_in(table.column(str(place)), known))
    for row in again.to_pylist():
        cells = {int(name): table.column(name)[row].as_py() for name in table.column_names}
        if any(_plain(cell) != _plain(layout.names[at]) for at, cell in cells.items()):
            raise InvalidInput(
                field,
                [cells[at] for at in sorted(cells)],
                "a file with one table in it",
                f"Row {first_row + row} (rows count from 0) begins another one. Cut the file there "
                "and ingest its parts one by one.",
            )


def _plain(name: str | None) -> str:
    return " ".join((name or "").split())
