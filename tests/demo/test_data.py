"""The data of the demo is believable, and stays as it was generated once."""

from __future__ import annotations

import polars as pl

from ai_hub.definitions.values import HOUR, parse_time
from ai_hub.demo import data
from ai_hub.intake.checks import check_observations, check_weather

END = parse_time("2025-10-09T14:00:00Z")


def load(meters: int = 3, days: int = 365, end: int = END, seed: int = 7) -> pl.DataFrame:
    frame = pl.from_arrow(data.load(meters, days, end, seed))
    assert isinstance(frame, pl.DataFrame)
    return frame


def test_every_generated_row_is_taken() -> None:
    assert check_observations(data.load(3, 40, END), "demo").rejected == 0
    assert check_weather(data.weather(40, END), "demo").rejected == 0


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
    frame = pl.from_arrow(data.weather(365, END))
    assert isinstance(frame, pl.DataFrame)
    assert set(frame["asset_id"].unique()) == set(data.STATIONS)
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
    shared = data.station_of(50)
    assert sorted(id for ids in shared.values() for id in ids) == data.meter_ids(50)
    assert data.station_of(1) == {"station-north": ["meter-001"]}
