"""Years from a file in bulk, killed half-way: each store has the rows of a plain ingest then."""

from __future__ import annotations

import time
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from ai_hub.administration import run_query
from ai_hub.config import Settings
from ai_hub.definitions.values import HOUR
from ai_hub.intake import bulk
from conformance.kit import FILE, PLAIN, TIMESCALEDB, Deployment
from stores.processes import BULK, GATHERED, Process

ROWS = 15_000
TABLES = {
    "timeseries_data": "tenant_id, asset_id, feature_type, timestamp, value, quality",
    "ai_features": "tenant_id, asset_id, feature_type, timestamp, value",
}


def history(path: Path) -> None:
    """Two years up to now of some assets, in no order, some rows twice, some of them bad later."""
    chance = np.random.default_rng(3)
    now = time.time_ns() // 1_000 // HOUR * HOUR
    hour = chance.choice(2 * 365 * 24, ROWS) * chance.choice((0, 1, 1, 1), ROWS)
    names = np.array(["a", "b", "c"])
    table = {
        "timestamp": pa.array(now - hour * HOUR).cast(pa.timestamp("us", "UTC")),
        "tenant_id": np.array(["t", "u"])[chance.integers(0, 2, ROWS)],
        "asset_id": names[chance.integers(0, 3, ROWS)],
        "value": chance.integers(0, 3, ROWS).astype(float),
        "quality": chance.choice((0, 1, 1, 1), ROWS),
    }
    pq.write_table(pa.table(table), path)


async def stored(settings: Settings) -> dict[str, list[tuple[object, ...]]]:
    found = {}
    for name, columns in TABLES.items():
        rows = await run_query(settings, f"SELECT {columns} FROM {name} ORDER BY {columns}")
        found[name] = [tuple(row) for row in rows.rows]
    return found


@pytest.mark.parametrize(
    "deployment",
    [
        FILE,
        pytest.param(PLAIN, marks=[pytest.mark.postgresql, pytest.mark.long]),
        pytest.param(TIMESCALEDB, marks=pytest.mark.timescaledb),
    ],
    ids=str,
)
async def test_a_load_that_is_killed_goes_on_and_stores_what_a_plain_one_does(
    deployment: Deployment, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bulk, "GATHERED_ROWS", GATHERED)
    monkeypatch.setattr(bulk, "PART_ROWS", 1_000)
    monkeypatch.setattr(bulk, "BATCH_ROWS", 1_500)
    file, other = tmp_path / "history.parquet", tmp_path / "other"
    other.mkdir()
    since = time.time_ns() // 1_000 - 9 * HOUR
    history(file)
    async with deployment.open(other) as store:
        once = await store.ingest(file)
        plain, lately = store.settings, await store._open.store.seen("t", since)
    with Process(BULK, deployment.url(tmp_path), file) as process:
        assert process.line() == "ready"
        kept = int(process.line())
        process.kill()
    assert GATHERED <= kept < ROWS
    mark = tmp_path / "history.parquet.bookmark"
    assert mark.exists()
    async with deployment.open(tmp_path) as store:
        asked = {"tenant_id": "t", "asset_id": "a", "feature_names": ["rolling_avg_24h"]}
        await store.get(**asked)
        told: list[int] = []
        result = await store.ingest_bulk(file, progress=told.append)
        cached, exact = await store.get(**asked), await store.get(**asked, exact=True)
        assert cached.features == exact.features
        in_bulk = store.settings
        assert await store._open.store.seen("t", since) == lately != []
    assert told[0] > kept
    assert (result.rows, result.accepted) == (ROWS, once.accepted)
    assert not mark.exists()
    found = await stored(in_bulk)
    assert found == await stored(plain)
    assert all(found.values())
