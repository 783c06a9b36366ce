"""Real exports of a store that holds a signal, a noise and nothing else, and models of them."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import pytest
from threadpoolctl import threadpool_limits

from ai_hub import Derived, FeatureSet, FeatureStore, Lag, Rolling

FIRST = datetime(2024, 1, 1, tzinfo=UTC)
DAYS = 300
TRAINED = FIRST + timedelta(days=200)
LAST = FIRST + timedelta(days=DAYS)
SIGNALS = FeatureSet(
    "signals",
    1,
    ("hour_of_day", Lag("signal", "23h"), Lag("noise", "1h", series="noise")),
)
DERIVED = FeatureSet(
    "derived",
    1,
    (
        *("hour_of_day", "lag_24h", "rolling_avg_24h", "rolling_std_24h"),
        Lag("noise", "1h", series="noise"),
        Rolling("peak", "max", "48h"),
        Derived("of_own", "noise * 0.5"),
        Derived("of_built_in", "lag_24h - rolling_avg_24h"),
    ),
)


class World(NamedTuple):
    """Files of exports, before and after the time that models are trained with."""

    train: Path
    test: Path
    derived: Path
    several: Path
    plain: Path
    set: FeatureSet

    def columns(self, file: Path) -> tuple[pd.DataFrame, Any]:
        """What a model is trained with: features and target, in the file's order."""
        rows = pd.read_parquet(file).dropna()
        return rows[list(SIGNALS.feature_names)], rows["target_1h"]


def readings() -> pd.DataFrame:
    """Each hour is 0.9 of the same hour a day before, and something new; a noise beside it."""
    random = np.random.default_rng(7)
    count = DAYS * 24
    value = random.normal(size=count)
    for i in range(24, count):
        value[i] += 0.9 * value[i - 24]
    time = pd.date_range(FIRST, periods=count, freq="h")
    noise = random.normal(size=count)
    return pd.concat(
        pd.DataFrame({"timestamp": time, "asset_id": "a", "feature_type": name, "value": values})
        for name, values in (("value", value), ("noise", noise))
    )


async def _export(folder: Path) -> World:
    def to(name: str) -> Path:
        return folder / f"{name}.parquet"

    async with FeatureStore.open("duckdb:///:memory:") as store:
        await store.ingest(readings(), tenant_id="t")
        await store.apply([SIGNALS, DERIVED], applied_by="tests")
        ahead: dict[str, Any] = {"tenant_id": "t", "horizons": ["1h"]}
        after = {"start_time": TRAINED, "end_time": LAST}
        for name, times in (("train", {"start_time": FIRST, "end_time": TRAINED}), ("test", after)):
            await store.export_features_to_parquet(
                feature_set="signals@1", output_path=to(name), **times, **ahead
            )
        await store.export_features_to_parquet(
            feature_set="derived@1", output_path=to("derived"), **after, **ahead
        )
        await store.export_features_to_parquet(
            feature_set="signals@1",
            output_path=to("several"),
            tenant_id="t",
            horizons=["1h", "2h"],
            **after,
        )
        await store.export_features_to_parquet(
            feature_set="signals@1", output_path=to("plain"), tenant_id="t", **after
        )
    names = ("train", "test", "derived", "several", "plain")
    return World(*map(to, names), SIGNALS)


@pytest.fixture(scope="session", autouse=True)
def one_thread() -> Iterator[None]:
    """Threads of OpenMP that wait for each other take most of the time where others work too."""
    with threadpool_limits(1):
        yield


@pytest.fixture(scope="session")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    """The exports."""
    return asyncio.run(_export(tmp_path_factory.mktemp("world")))


def written_anew(file: Path, to: Path) -> Path:
    """The rows of an export without what it says of itself."""
    pd.read_parquet(file).to_parquet(to)
    return to
