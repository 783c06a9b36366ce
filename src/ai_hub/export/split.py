"""The split of a rollout as a Parquet file: asset_id and version."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from ai_hub.config import Settings
from ai_hub.export.place import Places


def write_split(versions: Mapping[str, int], path: Path) -> None:
    """Write the version of each asset; whoever reads the file sees the old or the whole new one.

    Raises InvalidInput for a path where no file may be, and OSError.
    """
    place = Places.of(Settings.load()).place(path, True)
    place.check()
    columns = {
        "asset_id": pa.array([*versions], pa.string()),
        "version": pa.array([*versions.values()], pa.int32()),
    }
    written = pa.BufferOutputStream()
    pq.write_table(pa.table(columns), written)
    with place.draft(uuid.uuid4().hex) as draft:
        draft.write(written.getvalue())
        draft.publish()
