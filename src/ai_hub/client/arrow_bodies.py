"""Checked rows as the bodies that a server takes."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import groupby
from typing import Any

_END_OF_STREAM = b"\xff\xff\xff\xff\x00\x00\x00\x00"


def arrow_stream(table: Any) -> bytes:
    """A checked table as an Arrow stream: schema, batches, end (it has no dictionaries)."""
    messages = [table.schema.serialize(), *(batch.serialize() for batch in table.to_batches())]
    return b"".join([*map(bytes, messages), _END_OF_STREAM])


def by_tenant(table: Any) -> Iterator[tuple[str, Any]]:
    """The rows of each tenant; a checked table is sorted by tenant first."""
    first = 0
    for tenant_id, rows in groupby(table.column("tenant_id").to_pylist()):
        size = sum(1 for _ in rows)
        yield tenant_id, table.slice(first, size)
        first += size
