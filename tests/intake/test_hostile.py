"""A file is stored as the truth, or it is refused, or rows of it are and are counted."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

import pytest

from ai_hub.errors import InvalidInput
from ai_hub.intake.checks import check_rows
from ai_hub.intake.files import DataFile
from ai_hub.intake.read_options import ReadOptions
from ai_hub.intake.source import Source
from intake.hostile_draft import Reading
from intake.hostile_files import HostileFile, hostile_file

SOME = 60
MANY = 2_500

Key = tuple[datetime, str, datetime | None]
_COLUMNS = {
    "observations": ("timestamp", "asset_id", "value"),
    "weather": ("timestamp", "asset_id", "temperature", "issued_at"),
}


@dataclass(slots=True)
class Stored:
    """What became of a file."""

    values: dict[Key, float | None] = field(default_factory=dict)
    accepted: int = 0
    rejected: int = 0


def store(file: HostileFile, path: Path) -> Stored | None:
    """The file as it would be stored, part by part; None if it was refused."""
    path.write_bytes(file.data)
    stored = Stored()
    try:
        options = ReadOptions.of(file.kind, file.said)
        opened = DataFile(Source.of_path(path), options, options.required("t"))
        for table, _ in opened.parts(1_000):
            batch = check_rows(file.kind, table, "t", 0, options.rows)
            stored.accepted += batch.accepted
            stored.rejected += batch.rejected
            columns = (batch.table.column(name).to_pylist() for name in _COLUMNS[file.kind])
            for at, asset, value, *issued in zip(*columns, strict=True):
                stored.values[at, asset, issued[0] if issued else None] = value
    except InvalidInput:
        return None
    return stored


def hold_to(truth: Sequence[Reading | None], stored: Stored, told: str) -> int:
    """Nothing is stored that is not the truth; how many readings are not."""
    readings = [reading for reading in truth if reading is not None]
    keys = [(reading.at, reading.asset, reading.issued) for reading in readings]
    # Of a row that comes twice, one may say nothing of a value.
    said = {(key, reading.value) for key, reading in zip(keys, readings, strict=True)}
    for key, value in stored.values.items():
        assert (key, value) in said, f"{told}: {key} is {value}"
    gone = sum(key not in stored.values for key in keys)
    assert gone + len(truth) - len(readings) <= stored.rejected, told
    return gone


def hold(seed: int, path: Path) -> str:
    """What became of the file of a seed, which is the truth or less and never something else."""
    file = hostile_file(seed)
    told = f"seed {seed}: {file.story}"
    stored = store(file, path)
    if stored is None:
        assert not file.sure, f"{told}: refused"
        return "refused"
    counted = stored.accepted + stored.rejected
    if "several lines" in file.story:
        assert len(file.truth) <= counted <= file.lines, told
    else:
        assert counted == len(file.truth), told
    if file.disguised:
        return "beyond telling"
    gone = hold_to(file.truth, stored, told)
    if file.sure:
        assert stored.rejected == file.truth.count(None), f"{told}: {gone} gone"
    return "stored" if not gone else "rows refused"


@pytest.mark.parametrize("seed", range(SOME))
def test_a_hostile_file_is_stored_as_the_truth_or_refused(seed: int, tmp_path: Path) -> None:
    hold(seed, tmp_path / "file")


@pytest.mark.long
def test_of_many_hostile_files_none_is_silently_other(tmp_path: Path) -> None:
    found = Counter(hold(seed, tmp_path / "file") for seed in range(SOME, SOME + MANY))
    # Refusing everything would be true as well.
    assert found["stored"] > MANY / 2
    assert found["refused"] < MANY / 3
    assert found["rows refused"] > MANY / 100
    assert found["beyond telling"] < MANY / 50
