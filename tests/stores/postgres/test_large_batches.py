"""Batches of many rows land part by part: what is made of them on the way takes little memory."""

from __future__ import annotations

import tracemalloc
from pathlib import Path

import pyarrow as pa
import pytest

from ai_hub.intake.checks import check_rows
from ai_hub.stores import attributes
from ai_hub.stores.postgres import write
from ai_hub.stores.postgres.store import PostgresStore
from ai_hub.stores.postgres.write import copy_rows
from stores.postgres.maintained import TENANT, opened

ROWS = 50_000


async def test_attributes_of_many_assets(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(attributes, "_PART_ROWS", 5_000)
    rows = pa.table({
        "asset_id": [f"a{row // 2}" for row in range(ROWS)],
        "key": ["height", "area"] * (ROWS // 2),
        "value": [float(row) for row in range(ROWS)],
    })  # fmt: skip
    batch = check_rows("attributes", rows, TENANT).table
    async with opened("plain", tmp_path) as world:
        store = await PostgresStore.open(world.settings)
        tracemalloc.start()
        landed = await store.append_attributes(batch, 1)
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        # With all of the rows as objects at once it is 38 MB.
        assert peak < 25_000_000
        assert (landed.replaced, landed.unchanged, len(landed.touched)) == (0, 0, ROWS // 2)
        again = await store.append_attributes(batch, 2)
        assert (again.unchanged, len(again.touched)) == (ROWS, 0)
        count, total = await world.sql.fetchrow(
            "SELECT count(*), sum(number) FROM asset_attributes"
        )
        assert (count, total) == (ROWS, ROWS * (ROWS - 1) / 2)
        await store.close()


async def test_rows_are_made_ready_some_at_a_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(write, "_COPY_ROWS", 7)
    sizes = []

    def watched(batch: pa.Table) -> pa.Buffer:
        sizes.append(batch.num_rows)
        return copy_rows(batch)

    monkeypatch.setattr(write, "copy_rows", watched)
    rows = pa.table({
        "timestamp": [f"2025-10-09T14:{row:02}:00Z" for row in range(20)],
        "asset_id": ["a"] * 20,
        "value": [float(row) for row in range(20)],
    })  # fmt: skip
    async with opened("plain", tmp_path) as world:
        await world.store.ingest(rows, TENANT)
        assert sizes == [7, 7, 6]
        assert await world.sql.fetchval("SELECT sum(value) FROM ai_features") == 190
