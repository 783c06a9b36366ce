"""Simulated weeks of a meter and its weather, forty features of both, and faults of the meter."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

from ai_hub.definitions.feature_set import FeatureSet
from ai_hub.definitions.kinds import (
    Bucket,
    Calendar,
    Derived,
    Ewm,
    Feature,
    Lag,
    Latest,
    Rolling,
    Seasonal,
)
from ai_hub.definitions.values import HOUR, Duration
from ai_hub.drift.baseline import Baseline, Gathering, clock_features
from ai_hub.drift.sketch import HOURS, Sketch
from ai_hub.engines.arrays import HistoryArrays, Points, Series, SourceTable, Weather
from ai_hub.engines.columnar import compute
from ai_hub.engines.plan import Plan

Floats = NDArray[np.float64]
Fault = Literal["half_iqr_up", "half_iqr_down", "unit", "stuck", "hour_late", "hour_early"]
FAULTS: tuple[Fault, ...] = get_args(Fault)
FIRST = 2_800
"""The number of the first week."""
BEFORE = 2
"""Weeks that only the windows of features look back on."""
WEEK = HOURS * HOUR
_MONDAY = 96 * HOUR


def _wide(hours: int) -> Duration:
    return Duration(hours * HOUR)


FEATURES: tuple[Feature, ...] = (
    *(Calendar(part, part) for part in ("hour_of_day", "day_of_week", "is_weekend", "month")),
    *(Lag(f"lag_{hours}h", _wide(hours)) for hours in (1, 2, 3, 24, 48, 168)),
    *(
        Rolling(f"{stat}_{hours}h", stat, _wide(hours))
        for hours in (6, 24, 168)
        for stat in ("mean", "std", "min", "max")
    ),
    Rolling("median_24h", "median", _wide(24)),
    Bucket("daily_mean", "mean", _wide(24)),
    Bucket("daily_max", "max", _wide(24)),
    Ewm("ewm_6h", _wide(6), _wide(48)),
    Ewm("ewm_24h", _wide(24), _wide(168)),
    Seasonal("same_hour", "mean", _wide(168), 2),
    Latest("temperature", "temperature"),
    Latest("wind_speed", "wind_speed"),
    Latest("cloud_cover", "cloud_cover"),
    Latest("solar_irradiance", "solar_irradiance"),
    Latest("precipitation", "precipitation"),
    Derived("of_day", "lag_1h / mean_24h"),
    Derived("day_change", "lag_1h - lag_24h"),
    Derived("week_change", "lag_1h - lag_168h"),
    Derived("heating", "max(18 - temperature, 0)"),
    Derived("frost", "temperature < 4"),
    Derived("squared", "temperature * temperature"),
)
SET = FeatureSet("drifting", 1, FEATURES, missing="keep")
CLOCK = clock_features(FEATURES)


@dataclass(frozen=True)
class Year:
    """How a meter's values come about, in units of the daily amplitude.

    An hourly autoregressive `noise` (with `heavy` tails: Student's t of 4), one of weeks
    (`weekly`, coefficient 0.7), a part that follows the temperature by its standard deviation
    (`weather`), and a `season` of the year in load and weather.
    """

    phi: float = 0.95
    noise: float = 0.25
    weekly: float = 0.05
    weather: float = 0.05
    season: float = 0.0
    heavy: bool = False


def _autoregressive(
    random: np.random.Generator, count: int, phi: float, heavy: bool = False
) -> Floats:
    """A stationary process of deviation 1."""
    from_normal = random.standard_t(4, count) / np.sqrt(2) if heavy else random.normal(size=count)
    steps = from_normal * np.sqrt(1 - phi**2)
    steps[0] = random.normal()
    # Powers of phi in blocks: a recursion without a loop over hours.
    block = 256
    padded = np.concatenate([steps, np.zeros(-count % block)]).reshape(-1, block)
    lower = np.tril(phi ** np.abs(np.subtract.outer(np.arange(block), np.arange(block))))
    within = padded @ lower.T
    carried = 0.0
    powers = phi ** np.arange(1, block + 1)
    for row in within:
        row += carried * powers
        carried = row[-1]
    return within.reshape(-1)[:count]


@dataclass(frozen=True)
class World:
    """Hourly values from BEFORE weeks before week FIRST on: a meter, and columns of weather."""

    load: Floats
    weather: dict[str, Floats]

    @classmethod
    def of(cls, year: Year, weeks: int, seed: int) -> World:
        """A world of some weeks."""
        random = np.random.default_rng(seed)
        count = (weeks + BEFORE) * HOURS
        hour = np.arange(count)
        day = 2 * np.pi * hour / 24
        turn = np.cos(2 * np.pi * hour / 8_766)
        chill = _autoregressive(random, count, 0.985)
        temperature = 12 + 4 * np.sin(day - 2.4) + 4 * chill - 10 * year.season * turn
        cloud = np.clip(50 + 40 * _autoregressive(random, count, 0.97), 0, 100)
        wind = np.abs(6 + 4 * _autoregressive(random, count, 0.97))
        sun = np.maximum(np.sin(day - 1.6) - 0.4 * year.season * turn, 0) * (1_000 - 7 * cloud)
        rain = np.maximum(_autoregressive(random, count, 0.8) - 1.5, 0)
        slow = _autoregressive(random, weeks + BEFORE + 1, 0.7)
        weekly = np.interp(hour, np.arange(len(slow)) * HOURS, slow)
        rhythm = np.sin(day - 2.1) + 0.35 * np.sin(2 * day - 2.6) - 0.5 * (hour % HOURS >= 120)
        load = rhythm + year.noise * _autoregressive(random, count, year.phi, year.heavy)
        load += year.weekly * weekly - year.weather * chill + year.season * turn
        columns = {
            "temperature": temperature,
            "wind_speed": wind,
            "cloud_cover": cloud,
            "solar_irradiance": sun,
            "precipitation": rain,
        }
        return cls(40 + 10 * load, columns)

    def with_fault(self, fault: Fault, week: int) -> World:
        """The same with a fault from the first hour of a week on."""
        load = self.load.copy()
        start = (week - FIRST + BEFORE) * HOURS
        low, high = np.quantile(load[:start], (0.25, 0.75))
        match fault:
            case "half_iqr_up":
                load[start:] += (high - low) / 2
            case "half_iqr_down":
                load[start:] -= (high - low) / 2
            case "unit":
                load[start:] *= 1_000
            case "stuck":
                load[start:] = load[start]
            case "hour_late":
                load[start:] = self.load[start - 1 : -1]
            case "hour_early":
                load[start:-1] = self.load[start + 1 :]
        return replace(self, load=load)

    def features(self, first: int, weeks: int) -> tuple[NDArray[np.int64], dict[str, Floats]]:
        """The times of some weeks, and their features as the product computes them."""
        start = (first - FIRST) * HOURS
        rows = slice(start, start + (weeks + BEFORE) * HOURS)
        time = (first - BEFORE) * WEEK + _MONDAY + np.arange((weeks + BEFORE) * HOURS) * HOUR
        code = np.zeros(len(time), np.int64)
        weather = Weather(
            code, time, time, {name: column[rows] for name, column in self.weather.items()},
            SourceTable.always(np.zeros(1, np.int64)),
        )  # fmt: skip
        history = HistoryArrays({"value": Series(code, time, self.load[rows])}, weather)
        wanted = Points(code[BEFORE * HOURS :], time[BEFORE * HOURS :])
        columns = compute(Plan.of(SET), wanted, history).columns
        return wanted.time, {name: np.asarray(columns[name], float) for name in SET.feature_names}


def baseline_of(world: World, weeks: int) -> Baseline:
    """The baseline of the first weeks."""
    gathering = Gathering(SET.feature_names, CLOCK)
    gathering.add(*world.features(FIRST, weeks))
    return gathering.baseline()


def windows_of(
    time: NDArray[np.int64], columns: dict[str, Floats], step: int = HOURS
) -> Iterator[tuple[Sketch, int]]:
    """The sketches of all windows of seven days, each with its end."""
    for start in range(0, len(time) - HOURS + 1, step):
        rows = slice(start, start + HOURS)
        sketch = Sketch(SET.feature_names)
        sketch.add(time[rows], {name: column[rows] for name, column in columns.items()})
        yield sketch, int(time[rows.stop - 1]) + HOUR
