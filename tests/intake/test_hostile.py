"""A file is stored as the truth, or it is refused, or rows of it are and are counted."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

import pytest

from ai_hub.errors import InvalidInput
from ai_hub.intake.checks import check_observations
from intake.hostile_files import HostileFile, hostile_file
from intake.reading import read_file

SOME = 60
MANY = 2_500


@dataclass(slots=True)
class Stored:
    """What became of a file."""

    values: dict[tuple[datetime, str], float] = field(default_factory=dict)
    accepted: int = 0
    rejected: int = 0


def store(file: HostileFile, path: Path) -> Stored | None:
    """The file as it would be stored, part by part; None if it was refused."""
    path.write_bytes(file.data)
    stored = Stored()
    try:
        parts = read_file(
            path, file.columns, rows=1_000, dialect=file.dialect, timezone=file.timezone
        )
        for table, _ in parts:
            batch = check_observations(table, "t")
            stored.accepted += batch.accepted
            stored.rejected += batch.rejected
            columns = (
                batch.table.column(n).to_pylist() for n in ("timestamp", "asset_id", "value")
            )
            stored.values |= {(at, asset): value for at, asset, value in zip(*columns, strict=True)}
    except InvalidInput:
        return None
    return stored


def hold(seed: int, path: Path) -> str:
    """What became of the file of a seed, which is the truth or less and never something else."""
    file = hostile_file(seed)
    told = f"seed {seed}: {file.story}"
    stored = store(file, path)
    if stored is None:
        assert not file.sure, told
        return "refused"
    readings = [reading for reading in file.truth if reading is not None]
    truth = {(reading.at, reading.asset): reading.value for reading in readings}
    for key, value in stored.values.items():
        assert truth.get(key) == value, f"{told}: {key} is {value}, not {truth.get(key)}"
    gone = sum((reading.at, reading.asset) not in stored.values for reading in readings)
    nothing = len(file.truth) - len(readings)
    assert gone + nothing <= stored.rejected, told
    counted = stored.accepted + stored.rejected
    if "several lines" in file.story:
        assert len(file.truth) <= counted <= file.lines, told
    else:
        assert counted == len(file.truth), told
    if file.sure:
        assert stored.rejected == nothing, told
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
