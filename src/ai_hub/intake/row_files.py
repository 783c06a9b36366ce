"""What is read row by row, by what the rows are."""

from __future__ import annotations

from collections.abc import Sequence

import pyarrow as pa

from ai_hub.intake.attributes import AttributeFile
from ai_hub.intake.files import DataFile
from ai_hub.intake.read_options import ReadOptions
from ai_hub.intake.readers.rows import Rows
from ai_hub.intake.source import Source

RowFile = DataFile | AttributeFile


def row_file(
    source: Source | Rows | pa.Table, options: ReadOptions, required: Sequence[str]
) -> RowFile:
    """The rows of a source, or of rows or a table in memory. Raises InvalidInput."""
    kind = AttributeFile if options.kind == "attributes" else DataFile
    return kind(source, options, required)
