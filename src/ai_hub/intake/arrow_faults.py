"""What Arrow does with bytes that are not what they are said to be."""

from __future__ import annotations

import pyarrow as pa

UNREADABLE = (pa.ArrowException, OSError, ValueError, OverflowError, MemoryError)
"""What it raises for them."""


def check_texts(schema: pa.Schema) -> None:
    """Reads all names and zones: those that are no UTF-8 raise here, and not in the check."""
    for field in schema:
        _ = field.name, getattr(field.type, "tz", None)
