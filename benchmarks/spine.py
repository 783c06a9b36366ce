"""Spines of a million rows over 876,000 observations, beside pandas and its `merge_asof`.

pandas has everything in memory already, and it sorts, joins and puts the rows back in their order;
ours reads the embedded store's file. With more assets the same observations are of more meters.
"""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Coroutine
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

from ai_hub import FeatureStore
from ai_hub.definitions.feature_set import FeatureSet
from ai_hub.definitions.kinds import Lag, Latest
from benchmarks.data import HOUR, START, TENANT, asset_names, observations, weather
from benchmarks.measure import Check, Table, Topic, interleaved, median_ratio

_ROWS = 1_000_000
_OBSERVATIONS = 876_000
_ASSETS = (100, 2_000, 20_000)
_ROUNDS = 5
_TO_PANDAS = 1.5
_SECONDS = 2.0
_APART = 1.5
LAGS_AND_WEATHER = FeatureSet(
    "lags_and_weather",
    1,
    (
        Lag("lag_1h", "1h"),
        Lag("lag_24h", "24h"),
        Latest("temperature", "temperature", measured_within="0"),
    ),
    missing="keep",
)


def run() -> Topic:
    topic = Topic("spine")
    found = {assets: _measured(assets) for assets in _ASSETS}
    rows = []
    for assets, seconds in found.items():
        ratio = median_ratio(seconds["lags and weather"], seconds["pandas"])
        rows.append(
            (f"{assets:,}", *(f"{median(some):.2f}" for some in seconds.values()), f"{ratio:.2f}")
        )
        topic.checks.append(Check(f"spine of {assets:,} assets, x pandas", ratio, _TO_PANDAS))
        basic = median(seconds["forecast_basic"])
        topic.checks.append(Check(f"spine of {assets:,} assets, basic", basic, _SECONDS, "s"))
    times = [median(seconds["forecast_basic"]) for seconds in found.values()]
    topic.checks.append(
        Check("spines of few and many assets apart", max(times) / min(times), _APART)
    )
    topic.tables.append(
        Table(
            f"Spines of {_ROWS:,} rows over {_OBSERVATIONS:,} observations",
            ("assets", "lags and weather s", "pandas s", "forecast_basic s", "ours / pandas"),
            rows,
            "Rows in no order, a label each. pandas: merge_asof for each of the three columns.",
        )
    )
    return topic


def spine_of(assets: int, hours: int) -> pa.Table:
    """Rows of any asset at any time, in no order."""
    random = np.random.default_rng(assets)
    time = START + random.integers(0, hours * HOUR, _ROWS)
    code = pa.array(random.integers(0, assets, _ROWS))
    return pa.table(
        {
            "timestamp": pa.array(time).cast(pa.timestamp("us", "UTC")),
            "asset_id": pa.array(asset_names(assets)).take(code),
            "label": random.normal(size=_ROWS),
        }
    )


def _measured(assets: int) -> dict[str, list[float]]:
    hours = _OBSERVATIONS // assets
    table = observations(assets, hours, missing=0.0)
    known = weather(assets, hours, missing=0.0)
    spine = spine_of(assets, hours)
    with tempfile.TemporaryDirectory() as folder, asyncio.Runner() as runner:
        store = runner.run(_filled(Path(folder), table, known))
        wait = partial(_training_set, store, spine)
        _compared(runner.run(wait(LAGS_AND_WEATHER.label)), pandas_spine(spine, table, known))
        seconds = interleaved(
            {
                "lags and weather": lambda: runner.run(wait(LAGS_AND_WEATHER.label)),
                "pandas": lambda: pandas_spine(spine, table, known),
                "forecast_basic": lambda: runner.run(wait("forecast_basic")),
            },
            _ROUNDS,
        )
        runner.run(store.close())
    return seconds


async def _filled(folder: Path, table: pa.Table, known: pa.Table) -> FeatureStore:
    url = f"duckdb:///{folder / 'features.duckdb'}"
    store = await FeatureStore.open(url, export_root=folder).__aenter__()
    store.register(LAGS_AND_WEATHER)
    await store.ingest(table, TENANT)
    await store.ingest_weather(known, TENANT)
    return store


def _training_set(store: FeatureStore, spine: pa.Table, name: str) -> Coroutine[Any, Any, pa.Table]:
    async def work() -> pa.Table:
        return (await store.get_training_set(spine, name, tenant_id=TENANT)).to_arrow()

    return work()


def pandas_spine(spine: pa.Table, table: pa.Table, known: pa.Table) -> pd.DataFrame:
    """The same rows by merge_asof, in the order of the spine."""
    frame = spine.to_pandas().reset_index(names="row").sort_values("timestamp")
    right = table.to_pandas().astype({"asset_id": "object"}).sort_values("timestamp")
    frame["asset_id"] = frame["asset_id"].astype("object")
    micro = pd.Timedelta(1, "us")
    for hours in (1, 24):
        moved = right.assign(timestamp=right["timestamp"] + pd.Timedelta(hours=hours))
        frame = pd.merge_asof(
            frame,
            moved.rename(columns={"value": f"lag_{hours}h"}),
            on="timestamp",
            by="asset_id",
            tolerance=pd.Timedelta(hours=1) - micro,
        )
    warm = known.select(["timestamp", "asset_id", "temperature"]).to_pandas().dropna()
    frame = pd.merge_asof(
        frame,
        warm.astype({"asset_id": "object"}).sort_values("timestamp"),
        on="timestamp",
        by="asset_id",
        tolerance=pd.Timedelta(hours=24) - micro,
    )
    return frame.sort_values("row")


def _compared(ours: pa.Table, theirs: pd.DataFrame) -> None:
    """Raise unless both have the same rows in the same order, labels and all."""
    for name in ("label", *LAGS_AND_WEATHER.feature_names):
        found = np.asarray(ours[name].fill_null(float("nan")), np.float64)
        if not np.array_equal(found, theirs[name].to_numpy(np.float64), equal_nan=True):
            raise AssertionError(f"{name}: ours and pandas' differ")
