"""The demo: its data, and the tour as a person takes it."""

from __future__ import annotations

import json
import os
import re
import shlex
import signal
import subprocess
import sys
from pathlib import Path

import polars as pl
import pyarrow.parquet as pq
import pytest

from ai_hub import demo
from ai_hub.definitions.values import HOUR, parse_time
from ai_hub.intake.checks import check_observations, check_weather
from cli.conftest import free_port, start, stop, wait_for

END = parse_time("2025-10-09T14:00:00Z")


@pytest.fixture(autouse=True)
def workplace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in list(os.environ):
        if name.startswith("AI_HUB_"):
            monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def load(meters: int = 3, days: int = 365, end: int = END, seed: int = 7) -> pl.DataFrame:
    frame = pl.from_arrow(demo.load(meters, days, end, seed))
    assert isinstance(frame, pl.DataFrame)
    return frame


def test_every_generated_row_is_taken() -> None:
    assert check_observations(demo.load(3, 40, END), "demo").rejected == 0
    assert check_weather(demo.weather(40, END), "demo").rejected == 0


def test_the_load_ends_at_the_hour_and_has_gaps_and_suspects() -> None:
    frame = load()
    hours = 365 * 24 + 1
    assert (frame["timestamp"].max(), frame["timestamp"].dt.minute().max()) == (
        pl.select(pl.lit(END).cast(pl.Datetime("us", "UTC"))).item(),
        0,
    )
    for size in frame.group_by("asset_id").len()["len"]:
        assert 0.95 * hours < size < hours
    assert 0 < (frame["quality"] == 0).sum() < 0.01 * len(frame)
    apart = frame.select(pl.col("timestamp").diff().over("asset_id").max()).item()
    assert apart.total_seconds() > 3 * 3600


def test_the_load_has_a_day_a_week_and_a_size() -> None:
    good = load(meters=12).filter(pl.col("quality") == 1)
    sizes = good.group_by("asset_id").agg(pl.col("value").mean())["value"]
    assert sizes.max() > 20 * sizes.min()  # type: ignore[operator]
    for name in ("hour", "weekday"):
        part = getattr(pl.col("timestamp").dt, name)()
        means = good.group_by("asset_id", part).agg(pl.col("value").mean())
        spread = means.group_by("asset_id").agg(pl.col("value").max() / pl.col("value").min())
        assert spread["value"].median() > 1.1  # type: ignore[operator]


def test_what_was_generated_once_stays() -> None:
    assert load().equals(load())
    assert not load(days=5).equals(load(days=5, seed=8))
    earlier, later = load(days=5), load(days=5, end=END + 7 * HOUR)
    shared = later.filter(pl.col("timestamp") <= earlier["timestamp"].max())
    assert shared.equals(earlier.join(shared, on=["asset_id", "timestamp"], how="semi"))
    assert len(shared) > 300


def test_the_weather_is_believable() -> None:
    frame = pl.from_arrow(demo.weather(365, END))
    assert isinstance(frame, pl.DataFrame)
    assert set(frame["asset_id"].unique()) == set(demo.STATIONS)
    for name, low, high in (
        ("temperature", -25, 45),
        ("humidity", 10, 100),
        ("solar_irradiance", 0, 1_100),
        ("wind_speed", 0, 40),
        ("cloud_cover", 0, 100),
        ("precipitation", 0, 30),
    ):
        assert frame[name].is_between(low, high).all(), name
        assert frame[name].n_unique() > 10, name
    night = frame.filter(pl.col("timestamp").dt.hour() == 0)
    assert night["solar_irradiance"].max() == 0


def test_every_meter_has_a_station() -> None:
    shared = demo.station_of(50)
    assert sorted(id for ids in shared.values() for id in ids) == demo.meter_ids(50)
    assert demo.station_of(1) == {"station-north": ["meter-001"]}


def tour(*options: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", "from ai_hub.cli import main; main()", "demo"]
    return subprocess.run(
        [*command, *map(str, options)], capture_output=True, text=True, timeout=120
    )


def test_the_demo_twice_is_safe_and_leaves_other_data_alone(workplace: Path) -> None:
    for _ in range(2):
        run = tour("--no-serve", "--meters", 4, "--days", 20, "--json")
        assert run.returncode == 0, run.stderr
        made = json.loads(run.stdout)
    assert made["export"]["status"] == "completed"
    table = pq.read_table(made["export"]["storage_path"])
    # The suspect readings are stored, but they are not in what features read.
    assert 0.9 * 4 * 20 * 24 < table.num_rows == made["export"]["row_count"] <= made["readings"]
    assert "target_24h" in table.column_names
    assert made["asset_id"] == "meter-001"
    assert len(made["features"]) == 13
    assert sorted(path.name for path in workplace.iterdir()) == ["demo.duckdb", "exports"]


def test_the_demo_serves_and_its_curl_lines_work() -> None:
    port = free_port()
    process = start("demo", "--meters", 3, "--days", 10, "--port", port)
    try:
        wait_for(f"http://127.0.0.1:{port}", process, seconds=60)
        assert process.stdout is not None
        lines: list[str] = []
        while len([line for line in lines if line.startswith("curl ")]) < 4:
            lines.append(process.stdout.readline())
            assert lines[-1], lines
        taken = tour("--no-serve", "--meters", 3, "--days", 10)
        assert taken.returncode == 2
        assert re.search(r"^ai-hub: .*demo\.duckdb", taken.stderr, re.MULTILINE)
        curls = [line for line in lines if line.startswith("curl ")]
        answers = [
            subprocess.run(
                [*shlex.split(line), "--silent", "--fail"], capture_output=True, text=True
            )
            for line in curls
        ]
        assert [one.returncode for one in answers] == [0] * 4
        vector = json.loads(answers[0].stdout)
        assert (vector["asset_id"], vector["feature_count"]) == ("meter-001", 13)
    finally:
        _, err = stop(process)
    assert process.returncode in (130, -signal.SIGINT)
    assert "Traceback" not in err


def test_a_taken_port_is_told_before_the_work(workplace: Path) -> None:
    import socket

    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        held.listen()
        port = held.getsockname()[1]
        run = tour("--port", port)
    assert run.returncode == 2
    assert re.match(rf"ai-hub: port: got {port} ", run.stderr)
    assert not (workplace / "demo.duckdb").exists()


def test_a_demo_in_memory_is_refused() -> None:
    run = tour("--database", "duckdb:///:memory:", "--no-serve")
    assert run.returncode == 2
    assert "database" in run.stderr
