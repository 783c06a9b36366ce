"""What the demo makes up: meters with their hourly load, and the weather of their stations.

A reading is a function of its meter and its hour alone: what is random comes from tables that
repeat after some years. So a later run adds hours and changes none.
"""

from __future__ import annotations

import math
import random
from collections.abc import Sequence
from itertools import accumulate
from typing import Any, NamedTuple

import polars as pl

from ai_hub.definitions.values import HOUR

STATIONS = ("station-north", "station-coast", "station-south")

_CYCLE = 2 * 8_784
"""Hours until what is random repeats."""
_YEAR = 365.25 * 24
_MISSING, _SUSPECT = 0.004, 0.0015
_OUTAGES = 5


class _Profile(NamedTuple):
    """What a kind of consumer draws: a base, bumps (hour, width, height), weekend and winter."""

    base: float
    bumps: tuple[tuple[float, float, float], ...]
    weekend: float
    winter: float
    kilowatts: float


_PROFILES = (
    _Profile(0.35, ((7.5, 1.5, 0.6), (19.5, 2.5, 1.0)), 1.15, 0.25, 1.2),  # a home
    _Profile(0.25, ((10.0, 2.5, 0.9), (15.0, 3.0, 0.9)), 0.45, 0.10, 45.0),  # an office
    _Profile(0.70, ((11.0, 5.0, 0.5),), 0.75, 0.05, 320.0),  # a factory
)


def meter_ids(meters: int) -> list[str]:
    """`meter-001` and so on."""
    return [f"meter-{number:03d}" for number in range(1, meters + 1)]


def load(meters: int, days: int, end_hour_micros: int, seed: int = 7) -> Any:
    """Hourly load in kW up to an hour, as an Arrow table: some hours missing, some suspect."""
    hours = _hours(days, end_hour_micros)
    frames = [_meter(hours, number, seed) for number in range(1, meters + 1)]
    return pl.concat(frames).to_arrow()


def weather(days: int, end_hour_micros: int, seed: int = 7) -> Any:
    """Hourly weather of the stations up to an hour, as an Arrow table."""
    hours = _hours(days, end_hour_micros)
    return pl.concat([_station(hours, place, seed) for place in range(len(STATIONS))]).to_arrow()


def station_of(meters: int) -> dict[str, list[str]]:
    """The meters of each station that has any."""
    ids = meter_ids(meters)
    return {
        station: ids[place :: len(STATIONS)]
        for place, station in enumerate(STATIONS)
        if ids[place :: len(STATIONS)]
    }


def _hours(days: int, end_hour_micros: int) -> pl.DataFrame:
    """The hours of the range with what the formulas need of them."""
    last = end_hour_micros // HOUR
    time = pl.from_epoch(pl.col("hour") * HOUR, time_unit="us").dt.replace_time_zone("UTC")
    return (
        pl.DataFrame({"hour": pl.int_range(last - days * 24, last + 1, eager=True)})
        .with_columns(time.alias("timestamp"))
        .with_columns(
            pl.col("timestamp").dt.hour().cast(pl.Float64).alias("of_day"),
            (pl.col("timestamp").dt.weekday() > 5).alias("weekend"),
            # 1 in the middle of January, -1 in the middle of July.
            ((pl.col("hour") / _YEAR - 15 / 365.25) * (2 * math.pi)).cos().alias("winter"),
        )
    )


def _meter(hours: pl.DataFrame, number: int, seed: int) -> pl.DataFrame:
    dice = random.Random(f"{seed}-meter-{number}")
    profile = _PROFILES[min(number * 7 % 10 // 4, 2)]
    kilowatts = profile.kilowatts * math.exp(dice.gauss(0, 0.4))
    late = dice.gauss(0, 0.6)
    noise = _noise(dice, persistence=0.6)
    quality = _quality(dice)
    bumps = [
        height * (-(((pl.col("of_day") - hour - late) / width) ** 2) / 2).exp()
        for hour, width, height in profile.bumps
    ]
    day = pl.sum_horizontal(pl.lit(profile.base), *bumps)
    week = pl.when("weekend").then(profile.weekend).otherwise(1.0)
    year = 1 + profile.winter * pl.col("winter")
    clean = kilowatts * day * week * year * (1 + 0.08 * pl.col("noise"))
    suspect = pl.col("quality") == 0
    return (
        hours.with_columns(
            _of_hours(hours, noise).alias("noise"), _of_hours(hours, quality).alias("quality")
        )
        .filter(pl.col("quality").is_not_null())
        .select(
            "timestamp",
            pl.lit(meter_ids(number)[-1]).alias("asset_id"),
            # What is suspect is a spike, as of a counter that jumped.
            pl.when(suspect).then(clean * 12).otherwise(clean.clip(0)).round(3).alias("value"),
            pl.col("quality").cast(pl.Int32),
        )
    )


def _station(hours: pl.DataFrame, place: int, seed: int) -> pl.DataFrame:
    dice = random.Random(f"{seed}-station-{place}")
    tables = {
        "front": _noise(dice, persistence=0.985),
        "clouds": _noise(dice, persistence=0.96),
        "gusts": _noise(dice, persistence=0.9),
    }
    of_day = (pl.col("of_day") / 24) * (2 * math.pi)
    cloud = (50 + 38 * pl.col("clouds")).clip(0, 100)
    # The height of the sun: noon at 12 UTC, the days long in summer.
    sun = (-(of_day.cos()) * 0.75 - 0.35 * pl.col("winter") + 0.05).clip(0, 1)
    temperature = (
        9 + 3 * place - 9 * pl.col("winter") - 3.5 * (of_day - 0.6).cos() + 3.5 * pl.col("front")
    )
    rain = pl.when(cloud > 80).then((cloud - 80) / 8 * (1 + pl.col("gusts")).clip(0)).otherwise(0)
    return hours.with_columns(
        _of_hours(hours, table).alias(name) for name, table in tables.items()
    ).select(
        "timestamp",
        pl.lit(STATIONS[place]).alias("asset_id"),
        temperature.round(1).alias("temperature"),
        (74 - 1.3 * (temperature - 10) + 0.15 * (cloud - 50)).clip(15, 100).round().alias(
            "humidity"
        ),
        (950 * sun * (1 - 0.007 * cloud)).round().alias("solar_irradiance"),
        (4.5 + 0.8 * place + 2.2 * pl.col("gusts")).clip(0.1).round(1).alias("wind_speed"),
        cloud.round().alias("cloud_cover"),
        rain.round(1).alias("precipitation"),
    )  # fmt: skip


def _noise(dice: random.Random, persistence: float) -> list[float]:
    """A table of standard deviations around 0, each hour near the one before."""
    step = math.sqrt(1 - persistence**2)
    draws = (dice.gauss(0, 1) for _ in range(_CYCLE))
    return list(accumulate(draws, lambda last, draw: persistence * last + step * draw))


def _quality(dice: random.Random) -> list[int | None]:
    """1 mostly, 0 for a suspect reading, None for a missing one; a few outages last for hours."""

    def drawn() -> int | None:
        chance = dice.random()
        return None if chance < _MISSING else 0 if chance < _MISSING + _SUSPECT else 1

    table = [drawn() for _ in range(_CYCLE)]
    for _ in range(_OUTAGES):
        first = dice.randrange(_CYCLE - 48)
        size = dice.randint(4, 40)
        table[first : first + size] = [None] * size
    return table


def _of_hours(hours: pl.DataFrame, table: Sequence[float | None]) -> pl.Series:
    return pl.Series(table).gather(hours["hour"] % _CYCLE)
