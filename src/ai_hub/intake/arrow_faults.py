"""What Arrow does with bytes that are not what they are said to be."""

from __future__ import annotations

import pyarrow as pa

from ai_hub.errors import InvalidInput

UNREADABLE = (pa.ArrowException, OSError, ValueError, OverflowError, MemoryError)
"""What it raises for them."""


def check_schema(schema: pa.Schema) -> None:
    """Reads all names and zones: those that are no UTF-8 raise here, and not in the check.

    Raises InvalidInput for run-end encoding, of which no table needs any: its decoder makes as many
    values as a number says.
    """
    for field in schema:
        _ = field.name, getattr(field.type, "tz", None)
        if pa.types.is_run_end_encoded(field.type):
            raise InvalidInput(field.name, str(field.type), "a plain column, or a dictionary")
