"""Options of reading as keywords: frames, rows and files by their paths."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd
import polars as pl
import pytest

from ai_hub import FeatureStore
from ai_hub.errors import InvalidInput

# The hour from 02:00 on came twice; newest first.
LOCAL = ["2025-10-26 03:00", "2025-10-26 02:00", "2025-10-26 02:00", "2025-10-26 01:00"]
VALUES = [4.0, 3.0, -9999.0, 1.0]
CELLS: dict[str, list[Any]] = {"Zeit": LOCAL, "Wert": VALUES}
SAID: dict[str, Any] = {
    "timestamp_column": "zeit", "value_column": "Wert", "asset_id": "m1",
    "timezone": "Europe/Berlin", "null": -9999,
}  # fmt: skip
FRAMES: dict[str, Any] = {
    "pandas texts": lambda: pd.DataFrame(CELLS),
    "pandas naive times": lambda: pd.DataFrame(CELLS).astype({"Zeit": "datetime64[ns]"}),
    "pandas index": lambda: pd.DataFrame(CELLS).set_index("Zeit"),
    "polars": lambda: pl.DataFrame(CELLS),
    "polars objects": lambda: pl.DataFrame({**CELLS, "Wert": pl.Series(VALUES, dtype=pl.Object)}),
    "arrow": lambda: pl.DataFrame(CELLS).to_arrow(),
    "dicts": lambda: pl.DataFrame(CELLS).to_dicts(),
    "columns": lambda: CELLS,
}  # fmt: skip


@pytest.fixture
async def store() -> Any:
    async with FeatureStore.open("duckdb:///:memory:") as one:
        yield one


@pytest.mark.parametrize("name", FRAMES)
async def test_a_frame_is_read_as_it_is_said(store: FeatureStore, name: str) -> None:
    preview = await store.ingest(FRAMES[name](), "t", dry_run=True, **SAID)
    assert preview.preview is not None
    found = await store.ingest(FRAMES[name](), "t", **SAID)
    assert (found.accepted, found.rejected, found.duplicates) == (3, 1, 0)
    assert (preview.accepted, preview.rejected) == (3, 1)
    assert [(one.row, one.field) for one in found.reasons] == [(2, "value")]
    landed = {row["timestamp"]: row["value"] for row in preview.preview.rows}
    assert landed == {
        "2025-10-26T02:00:00Z": 4.0,
        "2025-10-26T01:00:00Z": 3.0,
        "2025-10-25T23:00:00Z": 1.0,
    }


async def test_a_file_lands_by_its_path(store: FeatureStore, tmp_path: Path) -> None:
    text = "Zeit;Wert\n" + "".join(
        f"{time};{value}\n".replace(".", ",") for time, value in zip(LOCAL, VALUES, strict=True)
    )
    (tmp_path / "a.csv").write_text(text)
    for path in (tmp_path / "a.csv", str(tmp_path / "a.csv")):
        found = await store.ingest(path, "t", **SAID)
        assert (found.accepted, found.rejected) == (3, 1)
    with pytest.raises(InvalidInput, match="file"):
        await store.ingest(tmp_path / "b.csv", "t")


async def test_weather_has_options_of_its_own(store: FeatureStore) -> None:
    frame = pd.DataFrame({"t": ["2025-10-26"], "temp": ["7,5"], "rh": [101]})
    found = await store.ingest_weather(
        frame, "t", timestamp_column="t", column={"temperature": "temp", "humidity": "rh"},
        asset_id="JFK", timezone="UTC", interval_start="P1D", dry_run=True,
    )  # fmt: skip
    assert found.preview is not None
    (row,) = found.preview.rows
    assert (row["timestamp"], row["temperature"]) == ("2025-10-27T00:00:00Z", 7.5)
    assert (row["humidity"], found.outside) == (None, {"humidity": 1})
    with pytest.raises(InvalidInput, match="options: got 'value_column'"):
        await store.ingest_weather(frame, "t", value_column="temp")  # type: ignore[call-arg]
