"""Files that are no exports, or not as they say: each is refused with its name."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from ai_hub.errors import InvalidInput
from ai_hub.profile.profiling import profile_of

_TIMES = pa.array([0, 1], pa.timestamp("us", "UTC"))
_LAST = pa.array([0, 2**62], pa.int64()).view(pa.timestamp("us", "UTC"))

_NO_TEXTS = pa.array([b"\xff", b"b"]).view(pa.string())


@pytest.mark.parametrize(
    ("columns", "said"),
    [
        ([("asset_id", pa.array([["a"], ["b"]]))], {}),
        ([("asset_id", pa.array([b"\xff", b"b"]))], {}),
        ([("asset_id", _NO_TEXTS)], {}),
        ([("timestamp", _LAST)], {}),
        ([("x", _TIMES), ("x", _TIMES)], {}),
        ([("x", pa.array([1.0, 2.0]))], {"ai_hub.definitions": "["}),
        ([("x", pa.array([1.0, 2.0]))], {"ai_hub.targets": "[1]"}),
        ([("x", pa.array([1.0, 2.0]))], {"ai_hub.targets": b"\xff"}),
        (
            [("x", pa.array([1.0, 2.0])), ("x__missing", pa.array(["a", "b"]))],
            {"ai_hub.definitions": '[{"name": "x"}]'},
        ),
    ],
)
def test_what_no_export_writes_is_refused(
    tmp_path: Path, columns: list[tuple[str, pa.Array]], said: dict[str, str | bytes]
) -> None:
    names, values = zip(*columns, strict=True)
    table = pa.Table.from_arrays([*values], names=[*names]).replace_schema_metadata(said)
    pq.write_table(table, tmp_path / "odd.parquet")
    with pytest.raises(InvalidInput, match=r"^export: got "):
        profile_of(tmp_path / "odd.parquet")


@pytest.mark.parametrize("place", [4, 40, -60])
def test_bytes_that_are_not_as_they_say_are_refused(tmp_path: Path, place: int) -> None:
    path = tmp_path / "broken.parquet"
    pq.write_table(pa.table({"x": [f"{n}" for n in range(1_000)]}), path)
    content = bytearray(path.read_bytes())
    content[place : place + 16] = b"\xff" * 16
    path.write_bytes(content)
    with pytest.raises(InvalidInput, match=r"^export: got "):
        profile_of(path)
