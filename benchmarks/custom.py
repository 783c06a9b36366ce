"""A set of 40 features of one's own, beside the same written by hand in Polars; and single answers.

The query by hand takes the data for hourly and complete: it shifts rows and rolls windows, and
computes no fills. Ours takes any data, and runs the default policy, `mean`.
"""

from __future__ import annotations

import asyncio
import logging
import tempfile
import time
from pathlib import Path
from statistics import median

import numpy as np
import polars as pl

from ai_hub import FeatureStore
from ai_hub.definitions.feature_set import FeatureSet
from ai_hub.definitions.freezing import frozen
from ai_hub.definitions.kinds import (
    Age,
    Bucket,
    Calendar,
    Derived,
    Ewm,
    Feature,
    Lag,
    Rolling,
    Seasonal,
)
from ai_hub.definitions.values import to_datetime
from benchmarks.data import HOUR, START, TENANT, observations
from benchmarks.export import export_ours
from benchmarks.measure import Check, Table, Topic, interleaved, median_ratio

ZONE = "Europe/Berlin"
_ASSETS, _HOURS = 1000, 1053
_ROUNDS = 3
_TARGET = 3.0
_ANSWERS = 300
_MISS_TARGET = 5.0

FORTY = frozen(
    FeatureSet(
        "forty",
        1,
        (
            *(
                Calendar(f"local_{part}", part, ZONE)
                for part in (
                    "hour_of_day",
                    "day_of_week",
                    "month",
                    "day_sin",
                    "day_cos",
                    "year_sin",
                )
            ),
            Calendar("holiday", "is_holiday", ZONE, country="DE"),
            Calendar("holiday_tomorrow", "is_holiday", ZONE, "P1D", country="DE"),
            *(Lag(f"lag_{days}d", f"P{days}D", tz=ZONE) for days in (1, 2, 7, 14, 21, 28)),
            Lag("lag_1", "1h"),
            Lag("lag_2", "2h"),
            *(
                Rolling(f"{stat}_24", stat, "24h")
                for stat in ("mean", "std", "min", "max", "first", "delta")
            ),
            Rolling("mean_48", "mean", "48h"),
            Rolling("mean_168", "mean", "168h"),
            *(Rolling(f"q{round(q * 100)}_24", "quantile", "24h", q=q) for q in (0.1, 0.5, 0.9)),
            Rolling("mean_week", "mean", "P7D", tz=ZONE),
            Rolling("max_week", "max", "P7D", tz=ZONE),
            Seasonal("same_hour_4w", "mean", "P7D", 4, tz=ZONE),
            Seasonal("spread_4w", "std", "P7D", 4, tz=ZONE),
            Seasonal("same_hour_7d", "mean", "P1D", 7, tz=ZONE),
            Bucket("today_mean", "mean", "P1D", tz=ZONE),
            Bucket("today_max", "max", "P1D", tz=ZONE),
            Bucket("month_mean", "mean", "P1M", tz=ZONE),
            Ewm("recent", "6h", "24h"),
            Age("age", "24h"),
            Derived("ratio", "lag_1 / mean_48"),
            Derived("deviation", "where(std_24 > 0, (lag_1 - mean_24) / std_24, 0)"),
            Derived("step", "coalesce(lag_1 - lag_2, 0)"),
        ),
    )
)


def run() -> Topic:
    topic = Topic("custom")
    table = observations(_ASSETS, _HOURS)
    frame = pl.from_arrow(table)
    assert isinstance(frame, pl.DataFrame)
    with tempfile.TemporaryDirectory() as folder:
        took = interleaved(
            {
                "ours": lambda: export_ours(FORTY, table, None, Path(folder) / "ours.parquet"),
                "theirs": lambda: by_hand(frame).write_parquet(Path(folder) / "polars.parquet"),
            },
            _ROUNDS,
        )
    ours, theirs = took["ours"], took["theirs"]
    ratio = median_ratio(ours, theirs)
    count = len(FORTY.features)
    topic.checks.append(Check(f"export of {count} features of one's own, x Polars", ratio, _TARGET))
    miss = asyncio.run(_misses())
    topic.checks.append(Check("a miss of it on the embedded store, ms", miss, _MISS_TARGET))
    topic.tables.append(
        Table(
            f"{count} features of one's own over {table.num_rows:,} rows",
            ("what", "ours", "by hand in Polars", "ours / Polars"),
            [
                ("export, s", f"{median(ours):.2f}", f"{median(theirs):.2f}", f"{ratio:.2f}"),
                ("one answer, not cached, p50 ms", f"{miss:.2f}", "", ""),
            ],
            "The query by hand is for complete hourly data of one zone, and fills nothing.",
        )
    )
    return topic


def by_hand(frame: pl.DataFrame) -> pl.DataFrame:
    """The same features by a query for complete hourly data."""
    local = pl.col("timestamp").dt.convert_time_zone(ZONE)
    value, over = pl.col("value"), "asset_id"
    holidays = _holidays()

    def lag(hours: int) -> pl.Expr:
        return value.shift(hours).over(over)

    def rolled(function: str, window: str, **more: object) -> pl.Expr:
        expression = getattr(value, f"rolling_{function}_by")
        found: pl.Expr = expression("timestamp", window_size=window, closed="both", **more)
        return found.over(over)

    seasons = [lag(168 * k) for k in range(1, 5)]
    days = [lag(24 * k) for k in range(1, 8)]
    weights = [2 ** (-k / 6) for k in range(25)]
    lazy = frame.lazy().sort("asset_id", "timestamp").with_columns(local=local)
    lazy = lazy.with_columns(
        local_hour_of_day=pl.col("local").dt.hour(),
        local_day_of_week=pl.col("local").dt.weekday() - 1,
        local_month=pl.col("local").dt.month(),
        local_day_sin=(pl.col("local").dt.hour() / 24 * 2 * np.pi).sin(),
        local_day_cos=(pl.col("local").dt.hour() / 24 * 2 * np.pi).cos(),
        local_year_sin=(pl.col("local").dt.ordinal_day() / 365 * 2 * np.pi).sin(),
        holiday=pl.col("local").dt.date().is_in(holidays),
        holiday_tomorrow=pl.col("local").dt.offset_by("1d").dt.date().is_in(holidays),
        **{f"lag_{d}d": lag(24 * d) for d in (1, 2, 7, 14, 21, 28)},
        lag_1=lag(1),
        lag_2=lag(2),
        **{f"{stat}_24": rolled(stat, "24h") for stat in ("mean", "std", "min", "max")},
        first_24=lag(24),
        delta_24=value - lag(24),
        mean_48=rolled("mean", "48h"),
        mean_168=rolled("mean", "168h"),
        **{
            f"q{round(q * 100)}_24": rolled("quantile", "24h", quantile=q, interpolation="linear")
            for q in (0.1, 0.5, 0.9)
        },
        mean_week=rolled("mean", "7d"),
        max_week=rolled("max", "7d"),
        same_hour_4w=pl.mean_horizontal(seasons),
        spread_4w=pl.concat_list(seasons).list.std(),
        same_hour_7d=pl.mean_horizontal(days),
        today_mean=value.cum_sum().over(over, pl.col("local").dt.date())
        / value.cum_count().over(over, pl.col("local").dt.date()),
        today_max=value.cum_max().over(over, pl.col("local").dt.date()),
        month_mean=value.cum_sum().over(over, pl.col("local").dt.truncate("1mo"))
        / value.cum_count().over(over, pl.col("local").dt.truncate("1mo")),
        recent=pl.sum_horizontal([lag(k) * w for k, w in enumerate(weights)]) / sum(weights),
        age=pl.lit(0.0),
    )
    return lazy.with_columns(
        ratio=pl.col("lag_1") / pl.col("mean_48"),
        deviation=pl.when(pl.col("std_24") > 0)
        .then((pl.col("lag_1") - pl.col("mean_24")) / pl.col("std_24"))
        .otherwise(0),
        step=(pl.col("lag_1") - pl.col("lag_2")).fill_null(0),
    ).collect()


def _holidays() -> list[object]:
    dates: list[Feature] = [f for f in FORTY.features if f.name == "holiday"]
    (holiday,) = dates
    assert isinstance(holiday, Calendar)
    assert holiday.holidays is not None
    return [to_datetime(day * 24 * HOUR).date() for day in holiday.holidays.days]


async def _misses() -> float:
    """The median of single answers that are not cached, in milliseconds."""
    logging.getLogger("ai_hub").setLevel(logging.ERROR)
    async with FeatureStore.open("duckdb:///:memory:") as store:
        store.register(FORTY)
        await store.ingest(observations(100, _HOURS), TENANT)
        took = []
        for i in range(_ANSWERS):
            at = START + (_HOURS - 1) * HOUR + i * 60_000_000
            start = time.perf_counter()
            await store.get(
                tenant_id=TENANT, asset_id=f"meter-{i % 100:06d}", feature_set="forty",
                timestamp=to_datetime(at), exact=True,
            )  # fmt: skip
            took.append(time.perf_counter() - start)
        return median(took) * 1000
