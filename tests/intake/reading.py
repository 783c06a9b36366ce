"""Files and bodies as the doors open them, for tests that say a part of it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa

from ai_hub.definitions.vocabulary import WEATHER_COLUMNS
from ai_hub.intake.batch import BATCH_ROWS, Part
from ai_hub.intake.dialect.dialect import Dialect
from ai_hub.intake.files import DataFile
from ai_hub.intake.formats import read_body
from ai_hub.intake.read_options import ReadOptions
from ai_hub.intake.source import Source

_OPTIONS = {"asset_id": "asset_column", "tenant_id": "tenant_column"}


def read_options(
    columns: Mapping[str, str] | None = None, dialect: Dialect | None = None, **said: Any
) -> ReadOptions:
    """Options of which `columns` are ours to theirs."""
    weather = {ours: name for ours, name in (columns or {}).items() if ours in WEATHER_COLUMNS}
    for ours, name in (columns or {}).items():
        if ours not in weather:
            said[_OPTIONS.get(ours, f"{ours}_column")] = name
    said |= {} if dialect is None else dialect.given()
    if weather:
        said["column"] = weather
    kind = "weather" if weather or "issued_at_column" in said else "observations"
    return ReadOptions.of(kind, said)  # type: ignore[arg-type]


def data_file(
    source: Source | pa.Table | Path,
    columns: Mapping[str, str] | None = None,
    dialect: Dialect | None = None,
    required: Sequence[str] = ("timestamp",),
    **said: Any,
) -> DataFile:
    """A file of which `required` alone must be there."""
    options = read_options(columns, dialect, **said)
    found = Source.of_path(source) if isinstance(source, Path) else source
    return DataFile(found, options, required)


def read_file(
    path: Path, columns: Mapping[str, str] | None = None, rows: int = BATCH_ROWS, **said: Any
) -> Iterator[Part]:
    """The parts of a file."""
    return data_file(path, columns, **said).parts(rows)


def body_table(
    content_type: str | None,
    body: bytes,
    dialect: Dialect | None = None,
    columns: Mapping[str, str] | None = None,
) -> pa.Table:
    """All rows of a body."""
    return read_body(content_type, body, read_options(columns, dialect), ("timestamp",))
