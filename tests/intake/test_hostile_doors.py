"""A hostile file fares alike at all three doors: the command, HTTP, and frames in Python."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb
import httpx
import pandas as pd
import polars as pl
import pytest
from typer.testing import CliRunner

from acceptance.serving import free_port, serving
from ai_hub import FeatureStore
from ai_hub.cli.app import app
from ai_hub.errors import InvalidInput
from ai_hub.intake.options import BatchKind, as_words
from ai_hub.intake.read_options import READ_OPTIONS
from intake.hostile_files import HostileFile, hostile_file
from intake.test_hostile import Stored, hold_to, store

SOME = 6
MANY = 200

SERVE = "from ai_hub.config import Settings; from ai_hub.http import serve; serve(Settings.load())"
_ROUTES = {"observations": "/ai/features/ingest", "weather": "/ai/features/ingest/weather"}
_TABLES = {
    "observations": ("timeseries_data", "timestamp, asset_id, value, NULL"),
    "weather": ("weather_features", "timestamp, asset_id, temperature, issued_at"),
}
_OF_TEXTS = {"delimiter", "encoding", "comment", "skip_lines", "units_row", "sheet"}
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(slots=True)
class Answer:
    """The counts that a door gave; None where it refused the file."""

    counts: dict[int, Mapping[str, Any] | None]
    database: Path

    def stored(self, seed: int, kind: BatchKind) -> Stored | None:
        """What is in the database of the file of a seed."""
        counts = self.counts[seed]
        if counts is None:
            return None
        table, columns = _TABLES[kind]
        times = [f"epoch_us({name})" if name[-2:] in ("mp", "at") else name
                 for name in columns.split(", ")]  # fmt: skip
        with duckdb.connect(str(self.database), read_only=True) as database:
            query = f"SELECT {', '.join(times)} FROM {table} WHERE tenant_id = ?"
            rows = database.execute(query, [f"t{seed}"]).fetchall()
        values = {
            (_instant(at), asset, None if issued is None else _instant(issued)): value
            for at, asset, value, issued in rows
        }
        return Stored(values, counts["accepted"], counts["rejected"])


def _instant(micros: int) -> datetime:
    return _EPOCH + timedelta(microseconds=micros)


def by_command(files: Mapping[int, HostileFile], folder: Path) -> Answer:
    database = folder / "features.duckdb"
    environment = {
        "AI_HUB_DATABASE_URL": f"duckdb:///{database}",
        "AI_HUB_PORT": str(free_port()),
    }
    counts: dict[int, Mapping[str, Any] | None] = {}
    for seed, file in files.items():
        path = folder / f"{seed}.any"
        path.write_bytes(file.data)
        command = "ingest" if file.kind == "observations" else "ingest-weather"
        words = as_words(READ_OPTIONS[file.kind], _said(file))
        words = [command, str(path), "--tenant", f"t{seed}", "--json", "--allow-rejects", *words]
        result = CliRunner().invoke(app, words, env=environment)
        assert result.exit_code in (0, 2), f"{seed}: {result.output}"
        assert "Traceback" not in result.stderr
        counts[seed] = json.loads(result.stdout) if result.exit_code == 0 else None
    return Answer(counts, database)


def _said(file: HostileFile) -> Mapping[str, object]:
    """The options, whole numbers and flags as such."""
    known = {option.name: option for option in READ_OPTIONS[file.kind]}
    return {
        name: known[name].parse(value)
        if isinstance(value, str) and known[name].kind in (int, bool)
        else value
        for name, value in file.said.items()
    }


def by_http(files: Mapping[int, HostileFile], folder: Path) -> Answer:
    counts: dict[int, Mapping[str, Any] | None] = {}
    with serving((sys.executable, "-c", SERVE), folder) as server:
        for seed, file in files.items():
            said: dict[str, Any] = {"tenant_id": f"t{seed}", **file.said}
            response: httpx.Response = server.client.post(
                _ROUTES[file.kind],
                content=file.data,
                params=said,
                headers={"content-type": "text/csv"},
            )
            assert response.status_code in (200, 422), response.text
            found = response.json()
            counts[seed] = None if "detail" in found else found
    return Answer(counts, folder / "features.duckdb")


def by_frame(files: Mapping[int, HostileFile], folder: Path) -> Answer:
    """Frames of the cells as texts, of pandas and of Polars in turns."""
    database = folder / "features.duckdb"
    counts: dict[int, Mapping[str, Any] | None] = {}

    async def run() -> None:
        async with FeatureStore.open(f"duckdb:///{database}") as features:
            for seed, file in files.items():
                try:
                    frame = pd.DataFrame(file.columns) if seed % 2 else _polars(file)
                    ingest: Any = (
                        features.ingest if file.kind == "observations" else features.ingest_weather
                    )
                    said = {name: v for name, v in file.said.items() if name not in _OF_TEXTS}
                    counts[seed] = (await ingest(frame, f"t{seed}", **said)).document()
                except InvalidInput:
                    counts[seed] = None

    asyncio.run(run())
    return Answer(counts, database)


def _polars(file: HostileFile) -> pl.DataFrame:
    """The cells of a sheet are of several types, which Polars has as objects alone."""
    columns = {
        name: cells if len({*map(type, cells)}) == 1 else pl.Series(name, cells, dtype=pl.Object)
        for name, cells in file.columns.items()
    }
    return pl.DataFrame(columns)


def hold_at_all_doors(seeds: range, folder: Path) -> None:
    files = {seed: hostile_file(seed) for seed in seeds}
    doors = {}
    for door in (by_command, by_http, by_frame):
        (folder / door.__name__).mkdir()
        doors[door] = door(files, folder / door.__name__)
    for seed, file in files.items():
        told = f"seed {seed}: {file.story}"
        expected = store(file, folder / "file")
        for door in (by_command, by_http):
            found = doors[door].stored(seed, file.kind)
            assert found == expected, f"{told} {door.__name__}"
        found = doors[by_frame].stored(seed, file.kind)
        if found is None:
            assert not file.sure, told
            continue
        assert found.accepted + found.rejected == len(file.frame_truth), told
        if not file.disguised:
            hold_to(file.frame_truth, found, f"{told} by_frame")
        if file.sure and expected is not None:
            assert found.values == expected.values, told


def test_hostile_files_fare_alike_at_all_doors(tmp_path: Path) -> None:
    hold_at_all_doors(range(10_000, 10_000 + SOME), tmp_path)


@pytest.mark.long
def test_many_hostile_files_fare_alike_at_all_doors(tmp_path: Path) -> None:
    hold_at_all_doors(range(20_000, 20_000 + MANY), tmp_path)
