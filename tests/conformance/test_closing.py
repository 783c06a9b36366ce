"""Rows that land while the store closes: acknowledged and there, or refused; never lost unsaid."""

from __future__ import annotations

import asyncio
import uuid
from datetime import UTC, datetime
from pathlib import Path

from ai_hub.errors import StoreUnavailable
from conformance.kit import Deployment

T = datetime(2025, 10, 9, 14, 30, tzinfo=UTC)


async def test_what_lands_while_the_store_closes_is_there_or_was_refused(
    any_cache: Deployment, tmp_path: Path
) -> None:
    for turns in (0, 1, 2, 5, 20, 80):
        await lands_around_the_close(any_cache, tmp_path, turns)


async def lands_around_the_close(deployment: Deployment, folder: Path, turns: int) -> None:
    """Some ingests begin before and some while the store closes, so many turns apart."""
    tenant = f"closing-{uuid.uuid4().hex}"
    store = await deployment.open(folder).__aenter__()
    refused = 0
    acknowledged: list[str] = []

    async def land(name: str) -> None:
        nonlocal refused
        rows = [{"timestamp": T, "asset_id": f"{name}-{n}", "value": 1.0} for n in range(50)]
        try:
            result = await store.ingest(rows, tenant)
        except StoreUnavailable:
            refused += 1
        else:
            assert result.accepted == 50
            acknowledged.extend(f"{name}-{n}" for n in range(50))

    async def some(name: str) -> list[asyncio.Task[None]]:
        tasks = []
        for number in range(4):
            tasks.append(asyncio.create_task(land(f"{name}-{number}")))
            for _ in range(turns):
                await asyncio.sleep(0)
        return tasks

    async with asyncio.timeout(60):
        tasks = await some("before")
        closing = asyncio.create_task(store.close())
        tasks += await some("while")
        await closing
        tasks += await some("after")
        await asyncio.gather(*tasks)
    assert refused + len(acknowledged) // 50 == 12
    assert refused >= 4
    if deployment.lasts:
        async with deployment.open(folder) as again:
            assert {*acknowledged} <= {*await again.seen_assets(tenant, T)}


async def test_a_landing_that_nobody_waits_for_any_more_is_counted_if_it_landed(
    any_cache: Deployment, tmp_path: Path
) -> None:
    counts = set()
    for turns in (0, 3, 30, 300):
        tenant = f"closing-{uuid.uuid4().hex}"
        async with any_cache.open(tmp_path) as store:
            await store.prepare()
            rows = [{"timestamp": T, "asset_id": f"{n}", "value": 1.0} for n in range(50)]
            landing = asyncio.create_task(store.ingest(rows, tenant))
            for _ in range(turns):
                await asyncio.sleep(0.0001)
            landing.cancel()
            await asyncio.gather(landing, return_exceptions=True)
        # What was handed over lands before the store is closed, and is counted.
        counted = store.metrics.ingested.get(("observations", "accepted"), 0)
        counts.add(counted)
        if any_cache.lasts:
            async with any_cache.open(tmp_path) as again:
                assert len(await again.seen_assets(tenant, T)) == counted
    assert counts == {0, 50}
