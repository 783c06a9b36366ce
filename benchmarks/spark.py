"""Five million rows by Spark, Parquet to Parquet, beside its own sort and its window functions.

Its own sort is what moving the rows costs: repartition, sort and write, with no features. Window
functions compute the same features, with means for what is missing as the policy of the set has
them, and, where these would take an hour (one asset with half of the rows), without. Beside the
times is the work of all processors, which tells more where the machine is busy. Runs in the
environment that `make build/env-spark/made` makes: `build/env-spark/bin/python -m benchmarks spark
--write`.
"""

from __future__ import annotations

import os
import re
import sys
import tempfile
import threading
from collections.abc import Callable
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute
import pyarrow.parquet as pq

from benchmarks.data import HOUR, START, TENANT
from benchmarks.measure import Check, Table, Topic, interleaved, median_ratio

_ASSETS = 1_000
_ROUNDS = 3
_MINUTE = HOUR // 60
_CORES = 2
_SORT, _WINDOWS, _SKEWED = 1.7, 0.5, 0.1
_WAYS = {
    "ours": "ours",
    "sort": "Spark's own repartition, sort and write of the same rows",
    "filled": "its window functions, the same values",
    "windows": "its window functions, nothing filled",
}
_MEGABYTES = 300


def run(rows: int = 5_000_000, chunks: int = _ROUNDS) -> Topic:
    """`chunks` are the rounds."""
    topic = Topic("spark")
    with tempfile.TemporaryDirectory() as folder, _Session() as spark, _Workers() as workers:
        even, skewed = Path(folder, "even"), Path(folder, "skewed")
        _write(even, [(_ASSETS, rows // _ASSETS, HOUR)])
        _write(skewed, [(_ASSETS, rows // 2 // _ASSETS, HOUR), (1, rows // 2, _MINUTE)])
        ways: dict[str, Callable[[Any, str, str], None]] = {
            "ours": ours, "sort": own_sort, "filled": filled_windows, "windows": window_functions
        }  # fmt: skip
        small = Path(folder, "small")
        _write(small, [(10, 1_000, HOUR)])
        for way in ways.values():
            way(spark, str(small), str(Path(folder, "warm")))
        workers.reset()
        lines = []
        ratios: dict[tuple[str, str], float] = {}
        for label, source in (("even", even), ("skewed", skewed)):
            cpu: dict[str, list[float]] = {name: [] for name in ways}

            def measured(name: str, source: str, cpu: dict[str, list[float]] = cpu) -> None:
                before = _processor_seconds()
                ways[name](spark, source, str(Path(folder, name)))
                cpu[name].append(_processor_seconds() - before)

            chosen = [name for name in ways if label == "even" or name != "filled"]
            work = {name: partial(measured, name, str(source)) for name in chosen}
            seconds = interleaved(work, chunks if label == "even" else 1)
            for name in chosen:
                ratio = ratios[label, name] = median_ratio(seconds["ours"], seconds[name])
                took, spent = median(seconds[name]), median(cpu[name])
                share = median(cpu["ours"]) / spent
                line = (f"{took:.1f} ({spent:.1f})", f"{ratio:.2f} ({share:.2f})")
                lines.append((label, _WAYS[name], *line))
            if label == "even":
                differing = _differing(Path(folder, "ours"), Path(folder, "filled"))
        megabytes = workers.peak
    topic.tables.append(
        Table(
            f"forecast_basic by Spark on {_CORES} cores, {rows:,} rows, {_ASSETS:,} assets, "
            "Parquet to Parquet",
            ("assets", "what", "s (of all processors)", "ours / this"),
            lines,
            "Even: as many rows of each asset. Skewed: half of all rows are of one more, a reading "
            f"a minute. The largest of Spark's Python workers had {megabytes:,.0f} MB; "
            f"{os.cpu_count()} processors, load {os.getloadavg()[0]:.1f} at the end.",
        )
    )
    topic.checks += [
        Check("Spark, x its own sort", ratios["even", "sort"], _SORT),
        Check("Spark, x its window functions, the same values", ratios["even", "filled"], _WINDOWS),
        Check("Spark, one asset with half of the rows, x windows without fills",
              ratios["skewed", "windows"], _SKEWED),
        Check("Spark, values that differ from those of its window functions", differing, 0),
        Check("Spark, the largest worker", megabytes, _MEGABYTES, "MB"),
    ]  # fmt: skip
    return topic


def ours(spark: Any, source: str, target: str) -> None:
    from ai_hub.spark import training_set

    _put(training_set(spark.read.parquet(source), "forecast_basic"), target)


def own_sort(spark: Any, source: str, target: str) -> None:
    keys = ("tenant_id", "asset_id")
    rows = spark.read.parquet(source).repartition(*keys).sortWithinPartitions(*keys, "timestamp")
    _put(rows, target)


def filled_windows(spark: Any, source: str, target: str) -> None:
    """The same values: a lag that is missing is the mean of the week before, and else 0."""
    window_functions(spark, source, target, filled=True)


def window_functions(spark: Any, source: str, target: str, *, filled: bool = False) -> None:
    spark.read.parquet(source).createOrReplaceTempView("observations")
    day = 24 * HOUR

    def window(first: int, last: int) -> str:
        return (
            "OVER (PARTITION BY tenant_id, asset_id ORDER BY unix_micros(timestamp) "
            f"RANGE BETWEEN {first} PRECEDING AND {last} PRECEDING)"
        )

    def lag(by: int) -> str:
        found = f"last_value(value) {window(by + HOUR - 1, by)}"
        return f"coalesce({found}, avg(value) {window(7 * day, 1)}, 0)" if filled else found

    rows = spark.sql(
        f"""
        SELECT timestamp, tenant_id, asset_id, value,
               CAST(hour(timestamp) AS BIGINT) AS hour_of_day,
               CAST(weekday(timestamp) AS BIGINT) AS day_of_week,
               CAST(weekday(timestamp) >= 5 AS BIGINT) AS is_weekend,
               {lag(HOUR)} AS lag_1h, {lag(day)} AS lag_24h,
               avg(value) {window(day, 0)} AS rolling_avg_24h
        FROM observations
        """
    )
    _put(rows, target)


def _differing(one: Path, other: Path) -> int:
    """Values of two folders that are not the same, but for the last digits."""
    order = [(name, "ascending") for name in ("asset_id", "timestamp")]
    ours, theirs = (pq.read_table(folder).sort_by(order) for folder in (one, other))
    found = 0
    for name in ours.column_names:
        mine, their = ours[name].combine_chunks(), theirs[name].combine_chunks()
        if pa.types.is_floating(mine.type):
            near = np.isclose(np.asarray(mine), np.asarray(their), rtol=1e-9, atol=1e-9)
            found += int((~near).sum())
        else:
            found += len(mine) - int(pa.compute.sum(pa.compute.equal(mine, their)).as_py())
    return found


def _put(rows: Any, target: str) -> None:
    rows.write.mode("overwrite").parquet(target)


def _write(target: Path, kinds: list[tuple[int, int, int]]) -> None:
    """Assets, rows of each and their step, in files of a few hundred thousand rows in any order."""
    draws = np.random.default_rng(0)
    target.mkdir()
    for place, (assets, rows, step) in enumerate(kinds):
        time = START + np.arange(rows) * step
        table = pa.table(
            {
                "timestamp": pa.array(np.tile(time, assets), pa.timestamp("us", "UTC")),
                "tenant_id": pa.DictionaryArray.from_arrays(
                    np.zeros(rows * assets, np.int32), [TENANT]
                ),
                "asset_id": pa.DictionaryArray.from_arrays(
                    np.repeat(np.arange(assets, dtype=np.int32), rows),
                    [f"meter-{place}-{i:05}" for i in range(assets)],
                ),
                "value": np.round(draws.normal(50, 15, rows * assets), 3),
            }
        )
        table = table.take(draws.permutation(len(table)))
        for part, first in enumerate(range(0, len(table), 500_000)):
            pq.write_table(table.slice(first, 500_000), target / f"{place}-{part:03}.parquet")


def _processor_seconds() -> float:
    """What this process, Spark and its workers have computed for so far."""
    found: dict[int, tuple[int, float]] = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text("utf-8").rpartition(")")[2].split()
        except OSError:
            continue
        ticks = sum(map(int, fields[11:15]))
        found[int(stat.parent.name)] = int(fields[1]), ticks / os.sysconf("SC_CLK_TCK")
    total, mine = 0.0, [os.getpid()]
    while mine:
        own = mine.pop()
        total += found[own][1]
        mine += [pid for pid, (parent, _) in found.items() if parent == own]
    return total


class _Session:
    """Spark on two cores of this machine."""

    def __enter__(self) -> Any:
        os.environ["PYSPARK_PYTHON"] = sys.executable
        os.environ.setdefault("SPARK_LOCAL_IP", "127.0.0.1")
        from pyspark.sql import SparkSession

        builder = SparkSession.builder.master(f"local[{_CORES}]")
        for key, value in {
            "spark.ui.enabled": "false",
            "spark.ui.showConsoleProgress": "false",
            "spark.driver.memory": "3g",
            "spark.sql.session.timeZone": "UTC",
        }.items():
            builder = builder.config(key, value)
        self._session = builder.getOrCreate()
        return self._session

    def __exit__(self, *_: object) -> None:
        self._session.stop()


class _Workers:
    """The most memory that any of Spark's Python workers has, in MB."""

    def __enter__(self) -> _Workers:
        self.peak = 0.0
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._look, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._done.set()
        self._thread.join()

    def reset(self) -> None:
        self.peak = 0.0

    def _look(self) -> None:
        while not self._done.wait(0.5):
            for status in Path("/proc").glob("[0-9]*/status"):
                try:
                    command = (status.parent / "cmdline").read_bytes()
                    text = status.read_text("utf-8") if b"pyspark.daemon" in command else ""
                except OSError:
                    continue
                found = re.search(r"VmHWM:\s+(\d+) kB", text)
                if found is not None:
                    self.peak = max(self.peak, int(found[1]) * 1024 / 1e6)
