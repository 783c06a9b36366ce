"""The floor of an export: one compiled pass an asset over the whole table, then a bare write.

SEMANTICS' definitions of the built-in sets under the policy `keep`, for sorted observations of one
value a time and weather rows with one issue, known when they happen. Windows keep two stacks
(nothing is ever subtracted), extremes a monotone deque, lags and weather a pointer each.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pyarrow as pa
from numba import njit

from benchmarks.data import HOUR

_DAY = 24 * HOUR
_WEATHER = ("temperature", "humidity")
_BASIC = ("hour_of_day", "day_of_week", "is_weekend", "lag_1h", "lag_24h", "rolling_avg_24h")
Columns = dict[str, np.ndarray]


def floor_columns(name: str, table: pa.Table, weather: pa.Table | None) -> Columns:
    """The features of a built-in set for every row of `table`, by name; NaN where null."""
    time, code, value = _arrays(table)
    match name:
        case "forecast_basic":
            found = _basic(code, time, value)
            return dict(zip(_BASIC, found, strict=True))
        case "forecast_advanced":
            assert weather is not None
            other_time, other_code, _ = _arrays(weather)
            held = np.vstack([_floats(weather[column]) for column in _WEATHER])
            months, days = _dates(time)
            found = _advanced(code, time, value, other_code, other_time, held, months, days)
            names = (*_BASIC, "day_of_month", "month", "is_business_hours", "lag_168h")
            return dict(zip((*names, "rolling_std_24h", *_WEATHER), found, strict=True))
        case _:
            found = _anomaly(code, time, value)
            names = ("hour_of_day", "day_of_week", "historical_avg_24h", "historical_std_24h")
            return dict(zip((*names, "max_24h", "min_24h", "range_24h"), found, strict=True))


def floor_table(table: pa.Table, features: Mapping[str, np.ndarray], tenant: str) -> pa.Table:
    """The columns of an export file around the features."""
    size = table.num_rows
    one = pa.DictionaryArray.from_arrays(pa.array(np.zeros(size, np.int32)), [tenant])
    keys = {
        "timestamp": table["timestamp"],
        "tenant_id": one,
        "asset_id": table["asset_id"],
        "value": table["value"],
    }
    # NaN to null: lags, std and weather alone can be missing.
    nullable = ("lag", "rolling_std", "historical_std", *_WEATHER)
    return pa.table(
        keys | {n: pa.array(c, from_pandas=n.startswith(nullable)) for n, c in features.items()}
    )


def _arrays(table: pa.Table) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    time = np.asarray(table["timestamp"].cast(pa.int64()))
    code = np.asarray(table["asset_id"].combine_chunks().indices)
    value = np.asarray(table["value"]) if "value" in table.column_names else np.empty(0)
    return time, code, value


def _floats(column: pa.ChunkedArray) -> np.ndarray:
    return np.asarray(column.fill_null(float("nan")))


def _dates(time: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Month and day of each day from 1970 to the last."""
    dates = np.arange(int(time.max() // _DAY) + 1).astype("datetime64[D]")
    months = dates.astype("datetime64[M]")
    return months.astype(np.int64) % 12 + 1, (dates - months).astype(np.int64) + 1


@njit(cache=True, inline="always")
def _lag(time, value, first, i, p, by):  # type: ignore[no-untyped-def]
    wanted = time[i] - by
    while p + 1 < i and time[p + 1] <= wanted:
        p += 1
    if p >= first and wanted - HOUR < time[p] <= wanted:
        return p, value[p]
    return p, np.nan


@njit(cache=True, inline="always")
def _end(code, i):  # type: ignore[no-untyped-def]
    end = i + 1
    while end < len(code) and code[end] == code[i]:
        end += 1
    return end


@njit(cache=True, inline="always")
def _calendar(at):  # type: ignore[no-untyped-def]
    hours = at // HOUR
    days = hours // 24
    weekday = (days + 3) % 7
    return days, hours - days * 24, weekday


@njit(cache=True)
def _basic(code, time, value):  # type: ignore[no-untyped-def]
    n = len(code)
    hour, weekday, weekend = np.empty(n, np.int64), np.empty(n, np.int64), np.empty(n, np.int64)
    lag_1h, lag_24h, mean = np.empty(n), np.empty(n), np.empty(n)
    suffix = np.empty(n)
    first = 0
    while first < n:
        end = _end(code, first)
        one = day = first - 1
        low = middle = first
        front = 0.0
        for i in range(first, end):
            _, hour[i], weekday[i] = _calendar(time[i])
            weekend[i] = weekday[i] >= 5
            one, lag_1h[i] = _lag(time, value, first, i, one, HOUR)
            day, lag_24h[i] = _lag(time, value, first, i, day, _DAY)
            front += value[i]
            while time[low] < time[i] - _DAY:
                low += 1
            if low >= middle:
                total = 0.0
                for k in range(i, low - 1, -1):
                    total += value[k]
                    suffix[k] = total
                middle = i + 1
                front = 0.0
            mean[i] = (suffix[low] + front) / (i + 1 - low)
        first = end
    return hour, weekday, weekend, lag_1h, lag_24h, mean


@njit(cache=True, inline="always")
def _moments(time, value, i, low, middle, held, means, squares, front):  # type: ignore[no-untyped-def]
    """One step of the two stacks with (count, mean, squares of deviations), merged by Chan."""
    n, mean, square = front
    n += 1
    off = value[i] - mean
    mean += off / n
    square += off * (value[i] - mean)
    while time[low] < time[i] - _DAY:
        low += 1
    if low >= middle:
        a, q = 0.0, 0.0
        for k in range(i, low - 1, -1):
            m = i - k + 1
            off = value[k] - a
            a += off / m
            q += off * (value[k] - a)
            held[k], means[k], squares[k] = m, a, q
        middle = i + 1
        n, mean, square = 0, 0.0, 0.0
    back = held[low]
    total = back + n
    off = mean - means[low]
    share = n / total
    whole = means[low] + off * share
    spread = squares[low] + square + off * off * share * back
    std = np.sqrt(spread / (total - 1)) if total > 1 else np.nan
    return low, middle, (n, mean, square), whole, std


@njit(cache=True)
def _advanced(code, time, value, wcode, wtime, columns, months, month_days):  # type: ignore[no-untyped-def]
    n = len(code)
    hour, weekday, weekend = np.empty(n, np.int64), np.empty(n, np.int64), np.empty(n, np.int64)
    date, month, business = np.empty(n, np.int64), np.empty(n, np.int64), np.empty(n, np.int64)
    lag_1h, lag_24h, lag_168h = np.empty(n), np.empty(n), np.empty(n)
    mean, std = np.empty(n), np.empty(n)
    temperature, humidity = np.empty(n), np.empty(n)
    held, means, squares = np.empty(n, np.int64), np.empty(n), np.empty(n)
    first = after = 0
    while first < n:
        end = _end(code, first)
        one = day = week = first - 1
        low = middle = first
        front = (0, 0.0, 0.0)
        while after < len(wcode) and wcode[after] < code[first]:
            after += 1
        warm = damp = -1
        for i in range(first, end):
            days, hour[i], weekday[i] = _calendar(time[i])
            weekend[i] = weekday[i] >= 5
            business[i] = weekday[i] < 5 and 9 <= hour[i] < 17
            month[i], date[i] = months[days], month_days[days]
            one, lag_1h[i] = _lag(time, value, first, i, one, HOUR)
            day, lag_24h[i] = _lag(time, value, first, i, day, _DAY)
            week, lag_168h[i] = _lag(time, value, first, i, week, 7 * _DAY)
            low, middle, front, mean[i], std[i] = _moments(
                time, value, i, low, middle, held, means, squares, front
            )
            while after < len(wcode) and wcode[after] == code[i] and wtime[after] <= time[i]:
                if not np.isnan(columns[0, after]):
                    warm = after
                if not np.isnan(columns[1, after]):
                    damp = after
                after += 1
            fresh = time[i] - _DAY
            temperature[i] = columns[0, warm] if warm >= 0 and wtime[warm] > fresh else np.nan
            humidity[i] = columns[1, damp] if damp >= 0 and wtime[damp] > fresh else np.nan
        first = end
    return (
        hour, weekday, weekend, lag_1h, lag_24h, mean, date, month, business, lag_168h, std,
        temperature, humidity,
    )  # fmt: skip


@njit(cache=True)
def _anomaly(code, time, value):  # type: ignore[no-untyped-def]
    n = len(code)
    hour, weekday = np.empty(n, np.int64), np.empty(n, np.int64)
    mean, std, largest, smallest = np.empty(n), np.empty(n), np.empty(n), np.empty(n)
    held, means, squares = np.empty(n, np.int64), np.empty(n), np.empty(n)
    high, deep = np.empty(n, np.int64), np.empty(n, np.int64)
    first = 0
    while first < n:
        end = _end(code, first)
        low = middle = first
        front = (0, 0.0, 0.0)
        top = bottom = first
        top_end = bottom_end = first
        for i in range(first, end):
            _, hour[i], weekday[i] = _calendar(time[i])
            low, middle, front, mean[i], std[i] = _moments(
                time, value, i, low, middle, held, means, squares, front
            )
            while top_end > top and value[high[top_end - 1]] <= value[i]:
                top_end -= 1
            high[top_end] = i
            top_end += 1
            while high[top] < low:
                top += 1
            while bottom_end > bottom and value[deep[bottom_end - 1]] >= value[i]:
                bottom_end -= 1
            deep[bottom_end] = i
            bottom_end += 1
            while deep[bottom] < low:
                bottom += 1
            largest[i], smallest[i] = value[high[top]], value[deep[bottom]]
        first = end
    return hour, weekday, mean, std, largest, smallest, largest - smallest


@njit(cache=True)
def sliding_moments(time, value):  # type: ignore[no-untyped-def]
    """Mean and std over 24 hours of one series, for the accuracy benchmark."""
    n = len(time)
    mean, std = np.empty(n), np.empty(n)
    held, means, squares = np.empty(n, np.int64), np.empty(n), np.empty(n)
    low = middle = 0
    front = (0, 0.0, 0.0)
    for i in range(n):
        low, middle, front, mean[i], std[i] = _moments(
            time, value, i, low, middle, held, means, squares, front
        )
    return mean, std
