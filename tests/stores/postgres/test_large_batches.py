"""Batches of many rows land part by part: what is made of them on the way takes little memory."""

from __future__ import annotations

import asyncio
import gc
import time
import tracemalloc
from pathlib import Path
from typing import Self

import pyarrow as pa
import pytest

from ai_hub.intake.checks import check_rows
from ai_hub.stores import attributes
from ai_hub.stores.postgres import write
from ai_hub.stores.postgres.store import PostgresStore
from ai_hub.stores.postgres.write import copy_rows
from stores.postgres.maintained import TENANT, opened

ROWS = 50_000
AT = "2025-10-09T14:00:00Z"


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


class Turns:
    """How long one turn of the event loop takes, in processor time of its thread."""

    def __init__(self) -> None:
        self.longest = 0.0

    async def __aenter__(self) -> Self:
        # A collection over all that tests made would count. A server has frozen what it began with.
        gc.disable()
        self._task = asyncio.create_task(self._watch())
        await asyncio.sleep(0)
        return self

    async def __aexit__(self, *error: object) -> None:
        self._task.cancel()
        gc.enable()

    async def _watch(self) -> None:
        while True:
            before = time.thread_time()
            await asyncio.sleep(0)
            self.longest = max(self.longest, time.thread_time() - before)


async def test_others_have_their_turn_between_the_parts_of_a_large_write(tmp_path: Path) -> None:
    count = 20_000
    ids, ones = [f"asset-{n}" for n in range(count)], [1.0] * count
    timed = {"timestamp": [AT] * count, "asset_id": ids}
    readings = pa.table({**timed, "value": ones})
    weather = pa.table({**timed, "temperature": ones})
    attributes = pa.table({"asset_id": ids, "key": ["area"] * count, "value": ones})
    async with opened("plain", tmp_path) as world:
        store = await PostgresStore.open(world.settings)
        longest = {}
        checked = {
            "readings": check_rows("observations", readings, TENANT).table,
            "weather": check_rows("weather", weather, TENANT).table,
            "attributes": check_rows("attributes", attributes, TENANT).table,
        }
        for name, work in {
            "readings": store.append(checked["readings"]),
            "weather": store.append_weather(checked["weather"]),
            "attributes": store.append_attributes(checked["attributes"], 1),
            "mapping": store.assign_weather_source(TENANT, "station", ids[:10_000], None, 1),
        }.items():
            async with Turns() as turns:
                await work
            longest[name] = turns.longest
        assert max(longest.values()) < 0.06, longest
        await store.close()
