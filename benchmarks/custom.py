"""A set of 40 features of one's own, beside the same written by hand in Polars; and single answers.

The query by hand takes the data for hourly and complete: it shifts rows and rolls windows, and
computes no fills. Ours takes any data, and runs the default policy, `mean`: from tables in memory,
and from PostgreSQL, with TimescaleDB and without, on private servers that the harness of the tests
starts.
"""

from __future__ import annotations

import asyncio
import logging
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from statistics import median

import numpy as np
import polars as pl
import pyarrow as pa

from ai_hub import FeatureStore
from ai_hub.administration import maintain
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
from ai_hub.definitions.values import MINUTE, to_datetime
from benchmarks.data import HOUR, START, TENANT, observations
from benchmarks.export import export_ours
from benchmarks.measure import Check, Table, Topic, interleaved, median_ratio, ms, percentile

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))
import servers

ZONE = "Europe/Berlin"
_ASSETS, _HOURS = 1000, 1053
_ROUNDS = 3
_TARGET, _MISS = 3.0, 5.0
_ANSWERS = 300
_LAST = START + (_HOURS - 1) * HOUR
_STATS = ("mean", "quantile", "increase", "time_mean", "ewm")

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


@dataclass(frozen=True, slots=True)
class _Figures:
    """What was measured on one store: seconds of exports and of answers."""

    name: str
    ours: list[float]
    theirs: list[float]
    answers: list[float]


def run() -> Topic:
    topic = Topic("custom")
    table = observations(_ASSETS, _HOURS)
    found = [_embedded(table)]
    weeks: list[tuple[str, ...]] = []
    for kind, name in (("timescaledb", "TimescaleDB"), ("plain", "PostgreSQL")):
        if reason := servers.absent(kind):
            topic.tables.append(Table(f"No figures of {name}: {reason}", (), []))
            continue
        try:
            server = servers.server(kind)
            found.append(asyncio.run(_on_server(name, server, table)))
            weeks.append((name, *asyncio.run(_week(server))))
        finally:
            servers.stop_all()
    count = len(FORTY.features)
    for one in found:
        topic.checks += [
            Check(
                f"{one.name}: export of {count} features of one's own, x Polars",
                median_ratio(one.ours, one.theirs),
                _TARGET,
            ),
            Check(f"{one.name}: a miss of them, p50", median(one.answers) * 1e3, _MISS, "ms"),
        ]
    topic.tables += [
        Table(
            f"{count} features of one's own over {table.num_rows:,} hourly readings of "
            f"{_ASSETS:,} assets",
            ("store", "export s", "by hand in Polars s", "ours / Polars", "miss p50 ms", "p99 ms"),
            [
                (
                    one.name,
                    f"{median(one.ours):.2f}",
                    f"{median(one.theirs):.2f}",
                    f"{median_ratio(one.ours, one.theirs):.2f}",
                    ms(median(one.answers)),
                    ms(percentile(one.answers, 0.99)),
                )
                for one in found
            ],
            "The query by hand is for complete hourly data of one zone in memory, and fills "
            "nothing. A miss is one statement on a server, which runs on the same cores.",
        ),
        Table(
            "A stat over 168 h of a reading every minute, of one asset, p50 ms of a miss",
            ("store", *_STATS),
            weeks,
            "TimescaleDB keeps hourly partials of a mean; the others are read from all 10,080 "
            "readings. PostgreSQL computes a quantile; an increase, a mean over time and a "
            "weighted mean are computed by the process that answers.",
        ),
    ]
    return topic


def _embedded(table: pa.Table) -> _Figures:
    def ours() -> None:
        export_ours(FORTY, table, None, Path(folder) / "ours.parquet")

    with tempfile.TemporaryDirectory() as folder:
        took = interleaved({"ours": ours, "theirs": _theirs(table, Path(folder))}, _ROUNDS)
    answers = asyncio.run(_embedded_answers(table))
    return _Figures("embedded", took["ours"], took["theirs"], answers)


def _theirs(table: pa.Table, folder: Path) -> Callable[[], None]:
    frame = pl.from_arrow(table)
    assert isinstance(frame, pl.DataFrame)
    return lambda: by_hand(frame).write_parquet(folder / "polars.parquet")


async def _embedded_answers(table: pa.Table) -> list[float]:
    async with FeatureStore.open("duckdb:///:memory:") as store:
        store.register(FORTY)
        await store.ingest(table, TENANT)
        return await _answers(store)


async def _on_server(name: str, server: servers.Server, table: pa.Table) -> _Figures:
    ours, theirs = [], []
    url = server.fresh()
    with tempfile.TemporaryDirectory() as folder:
        by_polars = _theirs(table, Path(folder))
        async with FeatureStore.open(url) as store:
            store.register(FORTY)
            await store.ingest(table, TENANT)
            await maintain(store.settings)
            server.sql("VACUUM ANALYZE", url.rpartition("/")[2])
            for _ in range(_ROUNDS):
                begin = time.perf_counter()
                await store.export_features_to_parquet(
                    TENANT, FORTY.label, to_datetime(START), to_datetime(_LAST),
                    Path(folder) / "ours.parquet",
                )  # fmt: skip
                ours.append(time.perf_counter() - begin)
                begin = time.perf_counter()
                by_polars()
                theirs.append(time.perf_counter() - begin)
            answers = await _answers(store)
    server.discard(url)
    return _Figures(name, ours, theirs, answers)


async def _week(server: servers.Server) -> list[str]:
    """The median of misses of each stat over a week of a reading every minute, in ms."""
    url, minutes = server.fresh(), 10 * 24 * 60
    stats = [Rolling("increase", "increase", "168h"), Rolling("time_mean", "time_mean", "168h"),
             Rolling("mean", "mean", "168h"), Rolling("quantile", "quantile", "168h", q=0.9),
             Ewm("ewm", "24h", "168h")]  # fmt: skip
    times = START + np.arange(minutes) * MINUTE
    readings = pa.table(
        {
            "timestamp": pa.array(times).cast(pa.timestamp("us", "UTC")),
            "asset_id": ["meter-000000"] * minutes,
            "value": np.random.default_rng(3).normal(50, 10, minutes).cumsum(),
        }
    )
    found = {}
    async with FeatureStore.open(url) as store:
        await store.ingest(readings, TENANT)
        await maintain(store.settings)
        server.sql("VACUUM ANALYZE", url.rpartition("/")[2])
        for feature in stats:
            chosen = FeatureSet(f"week_{feature.name}", 1, (feature,))
            store.register(chosen)
            took = await _answers(store, chosen.label, int(times[-1]), 60, 1)
            found[feature.name] = ms(median(took))
    server.discard(url)
    return [found[stat] for stat in _STATS]


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


async def _answers(
    store: FeatureStore,
    feature_set: str = FORTY.label,
    last: int = _LAST,
    count: int = _ANSWERS,
    assets: int = 100,
) -> list[float]:
    """The seconds of single answers that are not cached, each of another minute before `last`."""
    logging.getLogger("ai_hub").setLevel(logging.ERROR)
    took = []
    # The first ones prepare statements and look up what the rest are asked by.
    for i in range(-10, count):
        begin = time.perf_counter()
        await store.get(
            tenant_id=TENANT, asset_id=f"meter-{i % assets:06d}", feature_set=feature_set,
            timestamp=to_datetime(last - i * MINUTE), exact=True,
        )  # fmt: skip
        took.append(time.perf_counter() - begin)
    return took[10:]
