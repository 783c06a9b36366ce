"""Exporting five million rows from an embedded store's file on 1, 2, 4 ... cores.

Each export is a process of its own, pinned to so many of the cores that this one may use.
"""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import product
from pathlib import Path
from statistics import median

from ai_hub import FeatureStore
from ai_hub.definitions.builtin import FEATURE_SETS
from benchmarks.data import HOUR, START, TENANT
from benchmarks.measure import Check, Table, Topic, peak
from benchmarks.memory import fill

_ASSETS, _HOURS = 1000, 5263
_ROUNDS = 3
_FORMS = ("one file", "parts")
_MOST = 8
"""Cores up to which parts have to scale."""
_SHARE, _FOUR = 0.7, 2.5
_MEMORY, _MORE_MEMORY = 1000.0, 100.0
"""MB, and for each core."""


def run() -> Topic:
    topic = Topic("cores")
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        database = Path(folder) / "features.duckdb"
        asyncio.run(fill(database, _ASSETS, _HOURS))
        for feature_set, form in product(FEATURE_SETS, _FORMS):
            rows += _lines(database, feature_set.name or "", form, topic)
    topic.tables.append(
        Table(
            f"Export of {_ASSETS:,} assets x {_HOURS:,} h from an embedded store's file",
            ("set", "written", "cores", "rows/s", "x one core", "CPU s", "peak MB"),
            rows,
            "A fresh process each, pinned to its cores; the times are those of the export alone, "
            "its CPU time is that of all its threads. What is written has the same checksum "
            "on any number of cores (parts: that of each part).",
        )
    )
    return topic


def _lines(database: Path, name: str, form: str, topic: Topic) -> Iterator[tuple[str, ...]]:
    numbers = [*_numbers(len(os.sched_getaffinity(0)))]
    found: dict[int, list[list[float]]] = {cores: [] for cores in numbers}
    sums = set()
    for _, cores in product(range(_ROUNDS), numbers):
        *figures, checksum = _export(database, name, form, cores)
        found[cores].append([float(figure) for figure in figures])
        sums.add(checksum)
    if len(sums) > 1:
        raise AssertionError(f"{name}, {form}: it differs with the number of cores")
    alone = median(seconds for _, seconds, _, _ in found[1])
    for cores, runs in found.items():
        count, seconds, processor, memory = (median(one) for one in zip(*runs, strict=True))
        speed = alone / seconds
        yield (name, form, str(cores), f"{count / seconds:,.0f}", f"{speed:.2f}",
               f"{processor:.1f}", f"{memory:.0f}")  # fmt: skip
        what = f"{name}, {form}, {cores} cores"
        if form == "parts" and 1 < cores <= _MOST:
            topic.checks.append(Check(what, speed, _SHARE * cores, "x", least=True))
        if form == "one file" and cores == 4:
            topic.checks.append(Check(what, speed, _FOUR, "x", least=True))
        most = _MEMORY + _MORE_MEMORY * cores
        topic.checks.append(Check(f"memory of {what}", memory, most, "MB"))


def _numbers(most: int) -> Iterator[int]:
    cores = 1
    while cores <= most:
        yield cores
        cores *= 2


def _export(database: Path, name: str, form: str, cores: int) -> list[str]:
    """Rows, seconds, processor seconds, peak MB and checksum of one export."""
    pinned = sorted(os.sched_getaffinity(0))[:cores]
    os.sync()
    return subprocess.run(
        [sys.executable, "-m", "benchmarks.cores", str(database), name, form],
        preexec_fn=lambda: os.sched_setaffinity(0, pinned),
        check=True, capture_output=True, text=True,
    ).stdout.split()  # fmt: skip


async def _one(database: Path, name: str, form: str) -> None:
    start, parts = datetime.fromtimestamp(START / 1e6, UTC), form == "parts"
    path = database.parent / "train"
    async with FeatureStore.open(f"duckdb:///{database}") as store:
        begin, before = time.perf_counter(), time.process_time()
        record = await store.export_features_to_parquet(
            TENANT, name, start, start + timedelta(microseconds=_HOURS * HOUR), path, parts=parts
        )
        seconds, processor = time.perf_counter() - begin, time.process_time() - before
    checksum = record["checksum"]
    if parts:
        # The manifest has the id of the export.
        checksum = _sums(path)
        shutil.rmtree(path)
    else:
        path.unlink()
    print(record["row_count"], seconds, processor, peak(), checksum)


def _sums(folder: Path) -> str:
    parts = json.loads((folder / "manifest.json").read_text("utf-8"))["parts"]
    return ",".join(part["sha256"] for part in parts)


if __name__ == "__main__":
    asyncio.run(_one(Path(sys.argv[1]), sys.argv[2], sys.argv[3]))
