"""The files that people have: what is stored of each sample of `docs/files.md`.

The samples are made by hand after what meters, portals and services send. Each is taken in by the
command that the page shows, and compared with what it means, written by hand.
"""

from __future__ import annotations

import os
import shlex
from functools import cache
from pathlib import Path
from typing import Any

import duckdb
import pytest
from typer.testing import CliRunner

from ai_hub.cli.app import app
from ai_hub.feature_store import FeatureStore
from ai_hub.intake.options import BatchKind
from ai_hub.intake.read_options import READ_OPTIONS
from docs_blocks import ROOT, blocks, commands

PAGE = ROOT / "docs" / "files.md"

# Asset, series, UTC instant, value.
READINGS: dict[str, list[tuple[str, str, str, float]]] = {
    "office.csv": [
        ("7001", "value", "2025-01-12T23:15:00Z", 1234.5),
        ("7001", "value", "2025-01-12T23:30:00Z", 0.75),
    ],
    # 00:45 to 00:59 ends at 01:00 PDT, 08:00 UTC; both hours from 01:00 on, then 02:15 PST.
    "green-button.csv": [
        ("1234567890", "value", "2025-11-02T08:00:00Z", 0.12),
        ("1234567890", "value", "2025-11-02T08:15:00Z", 0.07),
        ("1234567890", "value", "2025-11-02T08:30:00Z", 0.08),
        ("1234567890", "value", "2025-11-02T08:45:00Z", 0.31),
        ("1234567890", "value", "2025-11-02T09:00:00Z", 0.29),
        ("1234567890", "value", "2025-11-02T09:15:00Z", 0.09),
        ("1234567890", "value", "2025-11-02T09:30:00Z", 0.07),
        ("1234567890", "value", "2025-11-02T09:45:00Z", 0.06),
        ("1234567890", "value", "2025-11-02T10:00:00Z", 0.07),
        ("1234567890", "value", "2025-11-02T10:15:00Z", 0.11),
    ],
    "octopus.csv": [
        ("meter-001", "value", "2025-07-12T23:30:00Z", 0.045),
        ("meter-001", "value", "2025-07-13T00:00:00Z", 0.061),
    ],
    "enedis.csv": [
        ("12345678901234", "value", "2025-01-12T23:30:00Z", 452),
        ("12345678901234", "value", "2025-01-13T00:00:00Z", 448),
    ],
    "p1.csv": [
        ("p1", "Export T1 kWh", "2025-01-12T23:00:00Z", 12),
        ("p1", "Export T1 kWh", "2025-01-12T23:15:00Z", 12),
        ("p1", "Export T2 kWh", "2025-01-12T23:00:00Z", 34),
        ("p1", "Export T2 kWh", "2025-01-12T23:15:00Z", 34),
        ("p1", "Import T1 kWh", "2025-01-12T23:00:00Z", 1234.567),
        ("p1", "Import T1 kWh", "2025-01-12T23:15:00Z", 1234.601),
        ("p1", "Import T2 kWh", "2025-01-12T23:00:00Z", 2345.678),
        ("p1", "Import T2 kWh", "2025-01-12T23:15:00Z", 2345.678),
    ],
    # Summer time, as the S says.
    "p1-telegrams.csv": [
        ("4530303433303036", "value", "2025-07-12T22:15:00Z", 1234.567),
        ("4530303433303036", "value", "2025-07-12T22:30:00Z", 1234.601),
    ],
    # The hours from 12:00 and 13:00 CET end at 12:00 and 13:00 UTC.
    "home-assistant.tsv": [
        ("sensor.heat_pump", "value", "2024-01-26T12:00:00Z", 3.5),
        ("sensor.heat_pump", "value", "2024-01-26T13:00:00Z", 3.6),
    ],
    "home-assistant-history.csv": [
        ("sensor.grid_import", "value", "2025-08-31T22:00:00Z", 18894.517),
        ("sensor.grid_import", "value", "2025-08-31T23:00:00Z", 18894.72),
    ],
    "sma.csv": [
        ("2000123456", "value", "2025-01-13T08:05:00Z", 1234.567),
        ("2000123456", "value", "2025-01-13T08:10:00Z", 1234.58),
    ],
    "fronius.csv": [
        ("symo-1", "value", "2025-01-13T08:10:00Z", 0),
        ("symo-1", "value", "2025-01-13T08:15:00Z", 12.5),
    ],
    "entso-e.csv": [
        ("BZN|DE-LU", "value", "2025-01-12T23:15:00Z", 53120),
        ("BZN|DE-LU", "value", "2025-01-12T23:30:00Z", 52710),
    ],
    # Ends: 03:00 comes twice, 02:00 once; 24:00 is in winter time again.
    "lastgang.csv": [
        ("7001", "value", "2025-10-25T23:45:00Z", 1010.25),
        ("7001", "value", "2025-10-26T00:00:00Z", 998.5),
        ("7001", "value", "2025-10-26T00:15:00Z", 0.75),
        ("7001", "value", "2025-10-26T00:30:00Z", 101),
        ("7001", "value", "2025-10-26T00:45:00Z", 102),
        ("7001", "value", "2025-10-26T01:00:00Z", 103),
        ("7001", "value", "2025-10-26T01:15:00Z", 201),
        ("7001", "value", "2025-10-26T01:30:00Z", 202),
        ("7001", "value", "2025-10-26T01:45:00Z", 203),
        ("7001", "value", "2025-10-26T02:00:00Z", 204),
        ("7001", "value", "2025-10-26T02:15:00Z", 205),
        ("7001", "value", "2025-10-26T23:00:00Z", 87.25),
    ],
    # A day's total is known when the day is over.
    "meters.xlsx": [
        ("meter-001", "value", "2025-01-14T00:00:00Z", 41.5),
        ("meter-001", "value", "2025-01-15T00:00:00Z", 40),
        ("meter-002", "value", "2025-01-14T00:00:00Z", 12.25),
    ],
}

# Station, UTC instant, temperature, humidity, irradiance, wind, precipitation.
Weather = tuple[str, str, float | None, float | None, float | None, float | None, float | None]
WEATHER: dict[str, list[Weather]] = {
    "open-meteo.csv": [
        ("BERLIN", "2025-01-13T11:00:00Z", 1.2, 81, 142, 3.1, 0),
        ("BERLIN", "2025-01-13T12:00:00Z", 1.6, 78, 171, 3.4, 0.1),
    ],
    "dwd.txt": [
        ("44", "2025-01-13T00:00:00Z", 2.4, 83, None, None, None),
        ("44", "2025-01-13T01:00:00Z", None, 84, None, None, None),
        ("44", "2025-01-13T02:00:00Z", -0.1, 86, None, None, None),
    ],
    "noaa.csv": [
        ("72503014732", "2025-01-13T00:51:00Z", 5.6, None, None, 4.1, None),
        ("72503014732", "2025-01-13T01:51:00Z", 5.0, None, None, 3.6, None),
        ("72503014732", "2025-01-13T02:51:00Z", None, None, None, None, None),
    ],
}

_STORED = """
SELECT asset_id, feature_type, strftime(timestamp, '%Y-%m-%dT%H:%M:%SZ'), value
FROM timeseries_data ORDER BY asset_id, feature_type, timestamp
"""
_STORED_WEATHER = """
SELECT asset_id, strftime(timestamp, '%Y-%m-%dT%H:%M:%SZ'), temperature, humidity,
    solar_irradiance, wind_speed, precipitation
FROM weather_features ORDER BY asset_id, timestamp
"""


@cache
def shown() -> dict[str, list[str]]:
    """The words of the command by which the page takes each file in."""
    found: dict[str, list[str]] = {}
    for block in blocks(PAGE.read_text("utf-8")):
        if block.lang == "console":
            for command, _, _ in commands(block):
                program, *words = shlex.split(command.replace("\\\n", " "))
                if program == "ai-hub" and "--dry-run" not in words:
                    found[words[1]] = words
    return found


@pytest.fixture(autouse=True)
def samples(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A directory with the samples, prepared as the page says, and no settings."""
    for name in list(os.environ):
        if name.startswith("AI_HUB_"):
            monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)
    for block in blocks(PAGE.read_text("utf-8")):
        if block.lang in ("setup", "python"):
            exec(block.text, {})
    return tmp_path


def ingested(words: list[str]) -> tuple[int, str]:
    """The exit code of a command and what it said."""
    done = CliRunner().invoke(app, words)
    return done.exit_code, done.output


def stored(query: str) -> list[tuple[object, ...]]:
    with duckdb.connect("features.duckdb", read_only=True) as database:
        database.execute("SET TimeZone = 'UTC'")
        return database.execute(query).fetchall()


@pytest.mark.parametrize("name", READINGS)
def test_readings_are_stored_as_they_were_meant(name: str) -> None:
    code, output = ingested(shown()[name])
    assert code == 0, output
    assert stored(_STORED) == READINGS[name]


@pytest.mark.parametrize("name", WEATHER)
def test_weather_is_stored_as_it_was_meant(name: str) -> None:
    code, output = ingested(shown()[name])
    assert code == 0, output
    assert stored(_STORED_WEATHER) == WEATHER[name]


@pytest.mark.parametrize("name", [*READINGS, *WEATHER])
async def test_python_takes_it_with_the_same_options(name: str) -> None:
    command, _, *words = shown()[name]
    kind: BatchKind = "observations" if command == "ingest" else "weather"
    keywords = keywords_of(kind, words)
    async with FeatureStore.open("duckdb:///features.duckdb") as store:
        landing = store.ingest if kind == "observations" else store.ingest_weather
        await landing(Path(name), **keywords)
    assert stored(_STORED) == READINGS.get(name, [])
    assert stored(_STORED_WEATHER) == WEATHER.get(name, [])


def keywords_of(kind: BatchKind, words: list[str]) -> dict[str, Any]:
    """The options of a command as Python has them."""
    options = {option.flag: option for option in READ_OPTIONS[kind]}
    found: dict[str, Any] = {}
    for flag, value in zip(words[::2], words[1::2], strict=True):
        if flag == "--tenant":
            found["tenant_id"] = value
        elif flag in options and options[flag].repeatable:
            found.setdefault(options[flag].name, []).append(value)
        elif flag in options:
            found[options[flag].name] = value
    return found


def test_every_file_of_the_page_has_its_truth() -> None:
    refused = {"dates.csv"}
    assert {*shown()} == {*READINGS, *WEATHER} | refused
    made = {"meters.xlsx", "noaa.csv"}
    told = {*READINGS, *WEATHER} - made | {"noaa-isd.csv"}
    assert {path.name for path in (ROOT / "docs" / "samples").iterdir()} == told


@pytest.mark.parametrize(("name", "readings"), [("entso-e.csv", 2), ("dwd.txt", 2)])
def test_what_has_to_be_said_is_asked_for(name: str, readings: int) -> None:
    words = shown()[name].copy()
    at = words.index("--time-format")
    del words[at : at + 2]
    code, output = ingested(words)
    assert code == 2
    assert "No row says which of two it is" in output
    assert output.count("(--time-format") == readings
    assert not Path("features.duckdb").exists()


@pytest.mark.parametrize("name", ["green-button.csv", "p1.csv", "fronius.csv", "lastgang.csv"])
def test_local_times_want_a_zone(name: str) -> None:
    words = shown()[name].copy()
    at = words.index("--timezone")
    del words[at : at + 2]
    code, output = ingested(words)
    assert code == 2
    assert "--timezone" in output


# Others that go with the same commands.

LIKE: dict[str, tuple[str, str, list[tuple[str, str, str, float]]]] = {
    "Green Button with days behind months and hours of twelve": (
        "green-button.csv",
        "TYPE,DATE,START TIME,END TIME,USAGE (kWh),COST,NOTES\n"
        "Electric usage,1/13/2025,12:00 AM,12:14 AM,0.3,$0.12 ,\n"
        "Electric usage,1/13/2025,1:15 PM,1:29 PM,0.4,$0.16 ,\n",
        [
            ("1234567890", "value", "2025-01-13T08:15:00Z", 0.3),
            ("1234567890", "value", "2025-01-13T21:30:00Z", 0.4),
        ],
    ),
    "ENTSO-E about a clock change": (
        "entso-e.csv",
        '"MTU (CET/CEST)","Area","Actual Total Load (MW)"\n'
        '"26/10/2025 01:00:00 (CEST) - 26/10/2025 02:00:00 (CEST)","DE","1"\n'
        '"26/10/2025 02:00:00 (CEST) - 26/10/2025 02:00:00 (CET)","DE","2"\n'
        '"26/10/2025 02:00:00 (CET) - 26/10/2025 03:00:00 (CET)","DE","3"\n'
        '"26/10/2025 03:00:00 - 26/10/2025 04:00:00","DE","4"\n',
        [
            ("DE", "value", "2025-10-26T00:00:00Z", 1),
            ("DE", "value", "2025-10-26T01:00:00Z", 2),
            ("DE", "value", "2025-10-26T02:00:00Z", 3),
            ("DE", "value", "2025-10-26T03:00:00Z", 4),
        ],
    ),
    "a load profile in UTF-16 with tabs": (
        "lastgang.csv",
        "Datum\tUhrzeit\tZähler\tWirkarbeit [kWh]\n"
        "13.01.2025\t00:15\t7001\t1.234,50\n"
        "13.01.2025\t24:00\t7001\t0,75\n",
        [
            ("7001", "value", "2025-01-12T23:15:00Z", 1234.5),
            ("7001", "value", "2025-01-13T23:00:00Z", 0.75),
        ],
    ),
}


@pytest.mark.parametrize("name", LIKE)
def test_a_like_file_goes_with_the_same_command(name: str) -> None:
    file, text, truth = LIKE[name]
    Path(file).write_text(text, "utf-16" if "UTF-16" in name else "utf-8")
    code, output = ingested(shown()[file])
    assert code == 0, output
    assert stored(_STORED) == truth
