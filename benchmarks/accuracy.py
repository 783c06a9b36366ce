"""How exact each way to slide a mean and a standard deviation is, in units of the tolerance.

1 is what SEMANTICS allows: 1e-9 max(1, |a|, |b|) + 1e-15 n max|v| over the n values of a window.
The reference sums each window by itself, exactly (`math.fsum`).
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import polars as pl

from ai_hub.definitions.measures import Measure
from ai_hub.engines.windows import window_stats
from benchmarks.data import HOUR
from benchmarks.floor import sliding_moments
from benchmarks.measure import Check, Table, Topic, interleaved, percentile

_WIDTH = 24 * HOUR
_ROWS = 1500
_TIMED_ROWS = 131_072
_MEAN, _STD = Measure("mean"), Measure("std")
Floats = np.ndarray
Way = Callable[[np.ndarray, Floats], tuple[Floats, Floats]]


def run() -> Topic:
    topic = Topic("accuracy")
    series = stress_series()
    references = {name: _reference(keys, values) for name, (keys, values) in series.items()}
    key, value = _hourly(_TIMED_ROWS), np.random.default_rng(3).normal(40, 5, _TIMED_ROWS)
    seconds = interleaved({name: _call(way, key, value) for name, way in WAYS.items()}, 6)
    rows = []
    for name, way in WAYS.items():
        errors = {
            case: _errors(way(keys, values), references[case])
            for case, (keys, values) in series.items()
        }
        mean, std = (max(error[i] for error in errors.values()) for i in (0, 1))
        failing = [case for case, error in errors.items() if max(error) > 1]
        time = percentile(seconds[name][1:], 0.5) / _TIMED_ROWS * 1e9
        rows.append((name, f"{mean:.1e}", f"{std:.1e}", str(len(failing)), f"{time:.0f}"))
        if name.startswith("ours"):
            what = f"{name}: worst error of mean and std, in tolerances"
            topic.checks.append(Check(what, max(mean, std), 1.0))
    topic.tables.append(
        Table(
            f"Rolling mean and std over 24 h, {len(series)} stress series",
            ("way", "worst mean", "worst std", "series failing", "ns a row, mean + std"),
            rows,
            f"Series: {', '.join(series)}.",
        )
    )
    return topic


def stress_series() -> dict[str, tuple[np.ndarray, Floats]]:
    """Keys (microseconds) and values."""
    random = np.random.default_rng(11)
    keys = _hourly(_ROWS)
    gaps = np.sort(random.choice(4 * _ROWS, _ROWS, replace=False)) * (HOUR // 3)
    row = np.arange(_ROWS)
    normal = random.normal(0, 1, _ROWS)
    spikes = np.where(row % 97 == 50, 1e9, 0.0) + normal
    outliers = np.where(row % 211 == 100, 1e15, 0.0) + normal
    register = np.cumsum(random.uniform(0, 2, _ROWS)) * 1e6
    return {
        "ordinary load": (keys, 40 + 5 * normal),
        "1e9 with small spread": (keys, 1e9 + 1e-2 * normal),
        "1e9, irregular": (gaps, 1e9 + normal),
        "register to 1e9": (keys, register),
        "register with resets": (keys, np.mod(register, 2e8)),
        "spikes of 1e9": (keys, spikes),
        "outliers of 1e15": (keys, outliers),
        "one outlier of 1e15, then small": (keys, np.where(row == 3, 1e15, 1e-3 * normal)),
        "steps from 5 to 5e6": (keys, np.where(row // 40 % 2, 5e6, 5.0) + 1e-3 * normal),
        "constant 1e9 + 0.1": (keys, np.full(_ROWS, 1e9 + 0.1)),
        "tiny 1e-12": (keys, 1e-12 * normal),
        "spikes of 1e7 on 1e-3": (keys, np.where(row % 97 == 50, 1e7, 0.0) + 1e-3 * normal),
        "1e15 at the start of each 400": (keys, np.where(row % 400 < 3, 1e15, 5 + 1e-2 * normal)),
        "register from 0 to 1e15": (keys, np.cumsum(np.exp(row / 60.0) * random.random(_ROWS))),
        "decay from 1e12 to 1e-6": (keys, 1e12 * np.exp(-row / 36) * (1 + 0.1 * normal)),
        "signs alternate at 1e12": (keys, np.where(row % 2, 1e12, -1e12) + normal),
    }


def _hourly(rows: int) -> np.ndarray:
    return np.arange(rows, dtype=np.int64) * HOUR


def _reference(keys: np.ndarray, values: Floats) -> tuple[Floats, Floats, Floats]:
    """Mean, std and 1e-15 n max|v| of each window."""
    low = np.searchsorted(keys, keys - _WIDTH)
    mean, std, slack = np.empty(len(keys)), np.empty(len(keys)), np.empty(len(keys))
    for i, first in enumerate(low):
        window = values[first : i + 1].tolist()
        mean[i] = center = math.fsum(window) / len(window)
        off = math.fsum(v - center for v in window)
        square = math.fsum((v - center) ** 2 for v in window) - off * off / len(window)
        std[i] = math.sqrt(max(square, 0) / (len(window) - 1)) if len(window) > 1 else math.nan
        slack[i] = 1e-15 * len(window) * max(map(abs, window))
    return mean, std, slack


def _errors(
    found: tuple[Floats, Floats], wanted: tuple[Floats, Floats, Floats]
) -> tuple[float, float]:
    worst = []
    for got, want in zip(found, wanted[:2], strict=True):
        if not np.array_equal(np.isnan(got), np.isnan(want)):
            worst.append(math.inf)
            continue
        size = np.maximum(1, np.maximum(np.abs(got), np.abs(want)))
        worst.append(float(np.nanmax(np.abs(got - want) / (1e-9 * size + wanted[2]))))
    return worst[0], worst[1]


def _ours(dense: bool) -> Way:
    def way(keys: np.ndarray, values: Floats) -> tuple[Floats, Floats]:
        span = int(keys[-1] - keys[0]) + 2 * _WIDTH
        found = window_stats(keys, values, keys, span, _WIDTH, "both", (_MEAN, _STD), dense)
        return np.asarray(found[_MEAN]), np.asarray(found[_STD])

    return way


def _polars(keys: np.ndarray, values: Floats) -> tuple[Floats, Floats]:
    frame = pl.DataFrame({"key": keys, "value": values}).with_columns(pl.col("key").set_sorted())
    value, size = pl.col("value"), f"{_WIDTH}i"
    found = frame.select(
        mean=value.rolling_mean_by("key", size, closed="both"),
        std=value.rolling_std_by("key", size, closed="both"),
    )
    return found["mean"].to_numpy(), found["std"].to_numpy()


def _sums(keys: np.ndarray, values: Floats) -> tuple[Floats, Floats]:
    """The tempting one: differences of cumulative sums, centred on the first value."""
    low = np.searchsorted(keys, keys - _WIDTH)
    count = np.arange(1, len(keys) + 1) - low
    centred = values - values[0]
    sums, squares = (np.concatenate(([0.0], np.cumsum(c))) for c in (centred, centred**2))
    total, square = sums[1:] - sums[low], squares[1:] - squares[low]
    mean = total / count
    spread = np.maximum(square - total * mean, 0)
    with np.errstate(invalid="ignore", divide="ignore"):
        return mean + values[0], np.sqrt(np.where(count > 1, spread / (count - 1), np.nan))


WAYS: dict[str, Way] = {
    "ours, sliding (exports)": _ours(True),
    "ours, two passes (few points)": _ours(False),
    "numba two-stack (the floor)": sliding_moments,
    "Polars rolling_*_by alone": _polars,
    "cumulative sums": _sums,
}


def _call(way: Way, keys: np.ndarray, values: Floats) -> Callable[[], object]:
    return lambda: way(keys, values)
