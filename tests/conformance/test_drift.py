"""Drift on every store: what is kept of exports and of what is served, and what they say."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest

from ai_hub import FeatureSet, FeatureStore, Lag, Rolling
from ai_hub.definitions.values import to_micros
from ai_hub.drift.baseline import Baseline
from ai_hub.stores.drift_table import StoredBaseline, set_of
from conformance.kit import Deployment

START = datetime(2025, 1, 6, tzinfo=UTC)
OWN = FeatureSet("own", 1, (Lag("lag", "1h", valid=(0, 40)), Rolling("mean", "mean", "24h")))


async def ingested(store: FeatureStore, start: datetime, hours: int, factor: float = 1.0) -> None:
    """Hourly readings of two assets, of a daily shape with noise that an hour keeps half of."""
    drawn = np.random.default_rng(hours)
    rows = []
    for asset, level in (("a", 20.0), ("b", 25.0)):
        noise = 0.0
        for n in range(hours):
            at = start + timedelta(hours=n)
            noise = 0.5 * noise + drawn.normal()
            value = factor * (level + 8 * np.sin(at.hour / 12 * np.pi) + noise)
            rows.append({"timestamp": at, "asset_id": asset, "value": value})
    await store.ingest(rows, "t")


async def kept(store: FeatureStore, baseline_id: str | None = None) -> StoredBaseline | None:
    of = set_of("t", store.registry.get("own@1"))
    assert of is not None
    return await store._open.store.drift_table.baseline(of, baseline_id)


@pytest.mark.parametrize("how", ["range", "spine", "parts"])
async def test_an_export_keeps_a_baseline(deployment: Deployment, tmp_path: Path, how: str) -> None:
    async with deployment.open(tmp_path, OWN) as store:
        await ingested(store, START, 200)
        end = START + timedelta(hours=199)
        if how == "spine":
            times = [START + timedelta(hours=n) for n in range(200)]
            spine = [{"asset_id": one, "timestamp": at} for one in "ab" for at in times]
            record = await store.export_features_to_parquet("t", "own@1", spine=spine)
        else:
            record = await store.export_features_to_parquet(
                "t", "own@1", START, end, parts=how == "parts"
            )
        found = await kept(store, record["export_id"])
        assert found is not None
        assert (found.of_export, found.row_count) == (True, 400)
        assert (found.start_time, found.end_time) == (to_micros(START), to_micros(end))
        baseline = Baseline.from_bytes(found.document)
        assert baseline.features == ("lag", "mean")
        assert baseline.whole.rows.sum(1).tolist() == [400, 400]
        # The first rows have no hour before them, and what is filled is no value.
        assert baseline.whole.missing.sum(1).tolist() == [2, 0]
        assert baseline.whole.violations.sum(1).tolist() == [0, 0]


async def test_an_export_without_rows_keeps_none(deployment: Deployment, tmp_path: Path) -> None:
    async with deployment.open(tmp_path, OWN) as store:
        record = await store.export_features_to_parquet("t", "own@1", START, START)
        assert record["status"] == "no_data"
        assert await kept(store) is None
