"""Exporting a million rows from Arrow in memory, beside a compiled floor and the obvious queries.

The floor is one compiled pass over the whole table and then the best bare Parquet write of the
same columns, not overlapped. It computes the policy `keep`; ours runs the default, `mean`.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path
from statistics import median

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

from ai_hub.definitions.builtin import FEATURE_SETS
from ai_hub.definitions.feature_set import FeatureSet
from ai_hub.definitions.values import TimeRange
from ai_hub.definitions.vocabulary import Missing
from ai_hub.engines.plan import Plan
from ai_hub.export.job import ExportJob
from ai_hub.export.parquet import write_export
from ai_hub.export.place import Places
from ai_hub.export.rows import Rows
from ai_hub.stores.tables import Tables
from benchmarks.data import HOUR, START, TENANT, observations, weather
from benchmarks.floor import floor_columns, floor_table
from benchmarks.measure import Check, Table, Topic, interleaved, median_ratio
from benchmarks.peers import duckdb_export, pandas_export, polars_export

_ASSETS, _HOURS = 1000, 1053
_ROUNDS = 9
_PEER_ROUNDS = 3
_TARGET = 1.4
_EXACT = ("lag", "max_", "min_", "range_", "temperature", "humidity")


def run() -> Topic:
    topic = Topic("export")
    table, known = observations(_ASSETS, _HOURS), weather(_ASSETS, _HOURS)
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        for feature_set in FEATURE_SETS:
            line, ratio = _one_set(feature_set, table, known, Path(folder))
            rows.append(line)
            topic.checks.append(Check(f"export of {feature_set.name}, x floor", ratio, _TARGET))
    topic.tables.append(
        Table(
            f"Export of {table.num_rows:,} rows from Arrow in memory to snappy Parquet",
            ("set", "rows/s", "ours s", "floor s", "kernel", "write (by)", "ours / floor",
             "Polars", "DuckDB", "pandas"),
            rows,
            "Ours computes the policy mean and ends with an fsync; the floor and the others "
            "compute keep. Polars, DuckDB and pandas: their time divided by the floor's.",
        )
    )  # fmt: skip
    return topic


def export_ours(
    feature_set: FeatureSet,
    table: pa.Table,
    known: pa.Table | None,
    path: Path,
    missing: Missing | None = None,
) -> None:
    span = TimeRange(START, START + 100_000 * HOUR)
    job = ExportJob(Rows(TENANT, Plan.of(feature_set), missing), span)
    weather_table = known if job.rows.plan.weather else None
    chunks = Tables(table, weather_table).scan(job.scan_request())
    with Places().place(path, force=True).draft("benchmark") as draft:
        write_export(job, chunks, draft)
        draft.publish()


def _one_set(
    feature_set: FeatureSet, table: pa.Table, known: pa.Table, folder: Path
) -> tuple[tuple[str, ...], float]:
    name = feature_set.name or ""
    path = folder / f"{name}.parquet"
    needed = known if Plan.of(feature_set).weather else None
    disagreements(feature_set, table, needed, path)

    holder: dict[str, pa.Table] = {}

    def kernel() -> None:
        holder["table"] = floor_table(table, floor_columns(name, table, needed), TENANT)

    kernel()
    writers = {
        f"write {label}": partial(write, holder, folder / "floor.parquet")
        for label, write in WRITERS.items()
    }
    seconds = interleaved(
        {"ours": partial(export_ours, feature_set, table, needed, path), "kernel": kernel}
        | writers,
        _ROUNDS + 1,
    )
    seconds = {label: times[1:] for label, times in seconds.items()}  # The first warms up.
    best = min(writers, key=lambda label: median(seconds[label]))
    floor = [a + b for a, b in zip(seconds["kernel"], seconds[best], strict=True)]
    ratio = median_ratio(seconds["ours"], floor)
    peers: dict[str, Callable[[], None]] = {
        label: partial(query, name, table, needed, folder / "peer.parquet")
        for label, query in (
            ("Polars", polars_export), ("DuckDB", duckdb_export), ("pandas", pandas_export)
        )
    }  # fmt: skip
    others = interleaved(peers, _PEER_ROUNDS)
    ours = median(seconds["ours"])
    line = (
        name,
        f"{table.num_rows / ours:,.0f}",
        f"{ours:.3f}",
        f"{median(floor):.3f}",
        f"{median(seconds['kernel']):.3f}",
        f"{median(seconds[best]):.3f} ({best.removeprefix('write ')})",
        f"{ratio:.2f}",
        *(f"{median(others[label]) / median(floor):.1f}" for label in peers),
    )
    return line, ratio


def disagreements(
    feature_set: FeatureSet, table: pa.Table, known: pa.Table | None, path: Path
) -> None:
    """Raise unless ours and the floor agree on every value and every null."""
    export_ours(feature_set, table, known, path, "keep")
    ours = pq.read_table(path)
    expected = floor_columns(feature_set.name or "", table, known)
    for name, wanted in expected.items():
        found = np.asarray(ours[name].cast(pa.float64()).fill_null(float("nan")))
        wanted = wanted.astype(np.float64)
        nulls = np.isnan(wanted)
        if not np.array_equal(np.isnan(found), nulls):
            raise AssertionError(f"{name}: nulls differ")
        limit = 0.0 if name.startswith(_EXACT) else 1e-9
        off = np.abs(found - wanted) / np.maximum(1, np.abs(wanted))
        if np.nanmax(off) > limit:
            raise AssertionError(f"{name}: off by {np.nanmax(off)}")


def _low(table: pa.Table) -> list[str]:
    """The columns that a dictionary is worth it for."""
    return [f.name for f in table.schema if not pa.types.is_floating(f.type)][1:]


def _pyarrow(statistics: bool | list[str], holder: dict[str, pa.Table], path: Path) -> None:
    table = holder["table"]
    pq.write_table(
        table, path, compression="snappy", use_dictionary=_low(table), write_statistics=statistics
    )


def _polars(statistics: bool, size: int, holder: dict[str, pa.Table], path: Path) -> None:
    frame = pl.from_arrow(holder["table"])
    frame.write_parquet(  # type: ignore[union-attr]
        path, compression="snappy", statistics=statistics, row_group_size=size
    )


WRITERS: dict[str, Callable[[dict[str, pa.Table], Path], None]] = {
    "pyarrow": partial(_pyarrow, True),
    "pyarrow, key statistics": partial(_pyarrow, ["timestamp", "tenant_id", "asset_id"]),
    "Polars": partial(_polars, True, 131_072),
    "Polars, no statistics": partial(_polars, False, 131_072),
}
