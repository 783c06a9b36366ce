"""The obvious queries of Polars, DuckDB and pandas for the built-in sets (policy `keep`)."""

from __future__ import annotations

from pathlib import Path

import duckdb
import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

_WEATHER = ("temperature", "humidity")
_LAGS = {
    "forecast_basic": (1, 24),
    "forecast_advanced": (1, 24, 168),
    "anomaly_detection": (),
}


def polars_export(name: str, table: pa.Table, weather: pa.Table | None, path: Path) -> None:
    frame = pl.from_arrow(table).with_columns(  # type: ignore[union-attr]
        pl.col("timestamp").set_sorted()
    )
    time, value = pl.col("timestamp"), pl.col("value")
    window = {"by": "timestamp", "window_size": "24h", "closed": "both"}
    mean = value.rolling_mean_by(**window).over("asset_id")
    std = value.rolling_std_by(**window).over("asset_id")
    out = frame.with_columns(hour_of_day=time.dt.hour(), day_of_week=time.dt.weekday() - 1)
    if name == "anomaly_detection":
        out = out.with_columns(
            historical_avg_24h=mean,
            historical_std_24h=std,
            max_24h=value.rolling_max_by(**window).over("asset_id"),
            min_24h=value.rolling_min_by(**window).over("asset_id"),
        ).with_columns(range_24h=pl.col("max_24h") - pl.col("min_24h"))
    else:
        out = out.with_columns(
            is_weekend=(pl.col("day_of_week") >= 5).cast(pl.Int8), rolling_avg_24h=mean
        )
    for hours in _LAGS[name]:
        right = frame.select("asset_id", time.dt.offset_by(f"{hours}h"), value.alias("v"))
        out = out.join_asof(
            right, on="timestamp", by="asset_id", tolerance="59m59s999999us",
            check_sortedness=False,
        ).rename({"v": f"lag_{hours}h"})  # fmt: skip
    if name == "forecast_advanced":
        assert weather is not None
        out = out.with_columns(
            day_of_month=time.dt.day(),
            month=time.dt.month(),
            is_business_hours=(
                (pl.col("day_of_week") < 5) & pl.col("hour_of_day").is_between(9, 16)
            ).cast(pl.Int8),
            rolling_std_24h=std,
        )
        known = pl.from_arrow(weather)
        for column in _WEATHER:
            right = known.select("asset_id", "timestamp", column).drop_nulls(column)  # type: ignore[union-attr]
            out = out.join_asof(
                right, on="timestamp", by="asset_id", tolerance="23h59m59s999999us",
                check_sortedness=False,
            )  # fmt: skip
    out.write_parquet(path, compression="snappy")


def duckdb_export(name: str, table: pa.Table, weather: pa.Table | None, path: Path) -> None:
    con = duckdb.connect()
    con.execute("SET TimeZone = 'UTC'")
    con.register("o", table)
    w = "w AS (PARTITION BY asset_id ORDER BY timestamp RANGE INTERVAL 24 HOURS PRECEDING)"
    calendar = "hour(timestamp) AS hour_of_day, isodow(timestamp) - 1 AS day_of_week"
    joins = ""
    if name == "anomaly_detection":
        columns = (
            f"{calendar}, avg(value) OVER w AS historical_avg_24h, "
            "stddev_samp(value) OVER w AS historical_std_24h, max(value) OVER w AS max_24h, "
            "min(value) OVER w AS min_24h, "
            "max(value) OVER w - min(value) OVER w AS range_24h"
        )
        query = f"SELECT *, {columns} FROM o WINDOW {w}"
    else:
        inner = f"SELECT *, {calendar}, avg(value) OVER w AS rolling_avg_24h"
        if name == "forecast_advanced":
            con.register("weather", weather)
            inner += (
                ", stddev_samp(value) OVER w AS rolling_std_24h, "
                "day(timestamp) AS day_of_month, month(timestamp) AS month"
            )
        columns = "b.*, CAST(day_of_week >= 5 AS INT) AS is_weekend"
        for hours in _LAGS[name]:
            by = f"INTERVAL {hours} HOURS"
            fresh = f"l{hours}.timestamp > b.timestamp - {by} - INTERVAL 1 HOUR"
            columns += f", CASE WHEN {fresh} THEN l{hours}.value END AS lag_{hours}h"
            joins += (
                f" ASOF LEFT JOIN o l{hours} ON b.asset_id = l{hours}.asset_id "
                f"AND b.timestamp - {by} >= l{hours}.timestamp"
            )
        if name == "forecast_advanced":
            columns += (
                ", CAST(day_of_week < 5 AND hour_of_day BETWEEN 9 AND 16 AS INT) "
                "AS is_business_hours"
            )
            for column in _WEATHER:
                fresh = f"{column}_.timestamp > b.timestamp - INTERVAL 24 HOURS"
                columns += f", CASE WHEN {fresh} THEN {column}_.{column} END AS {column}"
                joins += (
                    f" ASOF LEFT JOIN (SELECT * FROM weather WHERE {column} IS NOT NULL) "
                    f"{column}_ ON b.asset_id = {column}_.asset_id "
                    f"AND b.timestamp >= {column}_.timestamp"
                )
        query = f"SELECT {columns} FROM ({inner} FROM o WINDOW {w}) b {joins}"
    con.execute(f"COPY ({query}) TO '{path}' (FORMAT parquet, COMPRESSION snappy)")
    con.close()


def pandas_export(name: str, table: pa.Table, weather: pa.Table | None, path: Path) -> None:
    frame = table.to_pandas()
    times = frame["timestamp"].dt
    frame["hour_of_day"], frame["day_of_week"] = times.hour, times.dayofweek
    grouped = frame.set_index("timestamp").groupby("asset_id", observed=True)["value"]
    window = grouped.rolling("24h", closed="both")
    if name == "anomaly_detection":
        frame["historical_avg_24h"] = window.mean().to_numpy()
        frame["historical_std_24h"] = window.std().to_numpy()
        frame["max_24h"] = window.max().to_numpy()
        frame["min_24h"] = window.min().to_numpy()
        frame["range_24h"] = frame["max_24h"] - frame["min_24h"]
    else:
        frame["is_weekend"] = (frame["day_of_week"] >= 5).astype("int64")
        frame["rolling_avg_24h"] = window.mean().to_numpy()
    if name == "forecast_advanced":
        frame["day_of_month"], frame["month"] = times.day, times.month
        frame["is_business_hours"] = (
            (frame["day_of_week"] < 5) & frame["hour_of_day"].between(9, 16)
        ).astype("int64")
        frame["rolling_std_24h"] = window.std().to_numpy()
    # merge_asof wants the whole frame in order of time.
    if name != "anomaly_detection":
        base = frame[["timestamp", "asset_id", "value"]].sort_values("timestamp")
        frame = frame.sort_values("timestamp")
    for hours in _LAGS[name]:
        right = base.assign(timestamp=base["timestamp"] + pd.Timedelta(hours=hours))
        frame = pd.merge_asof(
            frame,
            right.rename(columns={"value": f"lag_{hours}h"}),
            on="timestamp",
            by="asset_id",
            tolerance=pd.Timedelta(hours=1) - pd.Timedelta(microseconds=1),
        )
    if name == "forecast_advanced":
        assert weather is not None
        known = weather.to_pandas().sort_values("timestamp")
        for column in _WEATHER:
            frame = pd.merge_asof(
                frame,
                known[["timestamp", "asset_id", column]].dropna(),
                on="timestamp",
                by="asset_id",
                tolerance=pd.Timedelta(hours=24) - pd.Timedelta(microseconds=1),
            )
    if name != "anomaly_detection":
        frame = frame.sort_values(["asset_id", "timestamp"])
    pq.write_table(pa.Table.from_pandas(frame, preserve_index=False), path)
