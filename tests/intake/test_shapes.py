"""The files that people have: small samples made by hand after what vendors and services send."""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest

from ai_hub.errors import InvalidInput
from ai_hub.intake.dialect import Dialect
from ai_hub.intake.files import DataFile
from ai_hub.intake.source import Source
from intake.reading import data_file


@dataclass(frozen=True, slots=True)
class Shape:
    """A sample, what has to be said of it, and its rows: `times` as they are handed on."""

    text: str
    columns: dict[str, str]
    times: list[str]
    values: list[float]
    said: dict[str, str] = field(default_factory=dict)
    encoding: str = "utf-8"
    value: str = "value"


SHAPES = {
    "Green Button": Shape(
        "Name,JANE DOE\n"
        'Address,"1 MAIN ST, OAKLAND CA 94601"\n'
        "Account Number,1234567890\n"
        "\n"
        "TYPE,DATE,START TIME,END TIME,USAGE (kWh),COST,NOTES\n"
        "Electric usage,2025-01-13,00:00,00:14,0.12,$0.05,\n"
        "Electric usage,2025-01-13,00:15,00:29,0.07,$0.03,\n",
        {"timestamp": "DATE", "value": "USAGE (kWh)"},
        ["2025-01-13 00:00", "2025-01-13 00:15"],
        [0.12, 0.07],
        {"time_column": "START TIME"},
    ),
    "Green Button, day and month": Shape(
        "Meter Number,Date,Start Time,Duration,Consumption\n"
        "0123,1/13/2025,12:00 AM,15,0.3\n"
        "0123,1/13/2025,1:15 PM,15,0.4\n",
        {"timestamp": "Date", "asset_id": "Meter Number", "value": "Consumption"},
        ["2025-01-13 00:00:00.000000", "2025-01-13 13:15:00.000000"],
        [0.3, 0.4],
        {"time_column": "Start Time"},
    ),
    "Octopus": Shape(
        "Consumption (kwh), Estimated Cost Inc. Tax (p), Start, End\n"
        "0.045, 1.1, 2025-07-13T00:00:00+01:00, 2025-07-13T00:30:00+01:00\n",
        {"timestamp": "End", "value": "Consumption (kwh)"},
        [" 2025-07-13T00:30:00+01:00"],
        [0.045],
    ),
    "Enedis": Shape(
        "Identifiant PRM;Type de donnees;Date de debut;Date de fin\n"
        "12345678901234;Courbe de charge;13/01/2025;14/01/2025\n"
        "Horodate;Valeur\n"
        "2025-01-13T00:30:00+01:00;452\n"
        "2025-01-13T01:00:00+01:00;448\n",
        {"timestamp": "Horodate", "value": "Valeur"},
        ["2025-01-13T00:30:00+01:00", "2025-01-13T01:00:00+01:00"],
        [452, 448],
    ),
    "DSMR, P1": Shape(
        "timestamp,1-0:1.8.1,1-0:2.7.0\n250113001500W,1234.567,0.120\n250113003000W,1234.601,0.000\n",
        {"value": "1-0:1.8.1"},
        ["2025-01-13 00:15:00.000000", "2025-01-13 00:30:00.000000"],
        [1234.567, 1234.601],
        {"time_format": "%y%m%d%H%M%S*"},
    ),
    "Home Assistant statistics": Shape(
        "statistic_id\tunit\tstart\tmean\n"
        "sensor.heat\tkWh\t26.01.2024 12:00\t3.5\n"
        "sensor.heat\tkWh\t26.01.2024 13:00\t3.6\n",
        {"timestamp": "start", "asset_id": "statistic_id", "value": "mean"},
        ["2024-01-26 12:00:00.000000", "2024-01-26 13:00:00.000000"],
        [3.5, 3.6],
    ),
    "Fronius": Shape(
        "Datum und Uhrzeit;Energie | Symo 10.0-3-M (1)\n"
        "[dd.MM.yyyy HH:mm];[Wh]\n"
        "13.01.2025 09:05;0,00\n"
        "13.01.2025 09:10;12,50\n",
        {"timestamp": "Datum und Uhrzeit", "value": "Energie | Symo 10.0-3-M (1)"},
        ["2025-01-13 09:05:00.000000", "2025-01-13 09:10:00.000000"],
        [0, 12.5],
    ),
    "SMA": Shape(
        "sep=;\r\nVersion CSV1|Tool SAFER|Linebreaks CR/LF|Delimiter semicolon\r\n\r\n"
        ";SN: 2000123456;SN: 2000123456\r\n"
        "dd.MM.yyyy HH:mm;E-Total;Pac\r\n;kWh;kW\r\n"
        "13.01.2025 09:05;1.234,567;0,120\r\n",
        {"timestamp": "dd.MM.yyyy HH:mm", "value": "E-Total"},
        ["2025-01-13 09:05:00.000000"],
        [1234.567],
    ),
    "ENTSO-E": Shape(
        '"MTU (CET/CEST)","Actual Total Load (MW)"\n'
        '"13/01/2025 00:00:00 - 13/01/2025 00:15:00","53120"\n',
        {"timestamp": "MTU (CET/CEST)", "value": "Actual Total Load (MW)"},
        ["2025-01-13 00:15:00.000000"],
        [53120],
        {"time_format": "* - %d/%m/%Y %H:%M:%S"},
    ),
    "Open-Meteo": Shape(
        "latitude,longitude,elevation,utc_offset_seconds,timezone,timezone_abbreviation\n"
        "52.5,13.4,38.0,0,GMT,GMT\n"
        "\n"
        "time,temperature_2m (°C)\n2025-01-01T00:00,1.2\n2025-01-01T01:00,1.1\n",
        {"timestamp": "time", "temperature": "temperature_2m (°C)"},
        ["2025-01-01T00:00", "2025-01-01T01:00"],
        [1.2, 1.1],
        value="temperature",
    ),
    "DWD": Shape(
        "STATIONS_ID;MESS_DATUM;QN_9;TT_TU;RF_TU;eor\n"
        "         44;2025011300;    3;   2.4;  83.0;eor\n"
        "         44;2025011301;    3;  -0.1;  84.0;eor\n",
        {"timestamp": "MESS_DATUM", "asset_id": "STATIONS_ID", "temperature": "TT_TU"},
        ["2025-01-13 00:00:00.000000", "2025-01-13 01:00:00.000000"],
        [2.4, -0.1],
        {"time_format": "%Y%m%d%H"},
        value="temperature",
    ),
    "NOAA": Shape(
        '"STATION","DATE","REPORT_TYPE","HourlyDryBulbTemperature"\n'
        '"72503014732","2025-01-13T00:51:00","FM-15","5.6"\n',
        {"timestamp": "DATE", "asset_id": "STATION", "temperature": "HourlyDryBulbTemperature"},
        ["2025-01-13T00:51:00"],
        [5.6],
        value="temperature",
    ),
    "a load profile of a German utility": Shape(
        "Lastgang;DE0001234567890123456789012345678\n"
        "Zeitraum;01.01.2025 - 31.01.2025\n"
        "\n"
        "Datum;Uhrzeit;Zähler;Wirkarbeit [kWh];Status\n"
        "13.01.2025;00:15;7001;1.234,50;W\n"
        "13.01.2025;24:00;7001;0,75;W\n",
        {"timestamp": "Datum", "asset_id": "Zähler", "value": "Wirkarbeit [kWh]"},
        ["2025-01-13 00:15:00.000000", "2025-01-14 00:00:00.000000"],
        [1234.5, 0.75],
        {"time_column": "Uhrzeit"},
        encoding="cp1252",
    ),
}


def opened(shape: Shape, **options: str) -> DataFile:
    source = Source.of_bytes(shape.text.encode(shape.encoding))
    return data_file(source, shape.columns, Dialect.of(options))


@pytest.mark.parametrize("name", SHAPES)
def test_a_shape_is_taken(name: str) -> None:
    shape = SHAPES[name]
    file = opened(shape, **shape.said)
    rows = [row for table, _ in file.tables() for row in table.to_pylist()]
    assert [row["timestamp"] for row in rows] == shape.times
    assert [float(row[shape.value]) for row in rows] == shape.values


@pytest.mark.parametrize("name", ["ENTSO-E", "DWD"])
def test_a_shape_that_does_not_say_enough_is_refused_with_both_readings(name: str) -> None:
    with pytest.raises(InvalidInput, match=r"No row says which of two it is: .*--time-format"):
        opened(SHAPES[name])
