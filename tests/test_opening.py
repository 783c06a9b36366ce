"""The parts of a feature store are opened together and closed together."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from ai_hub import FeatureStore
from ai_hub.config import Settings
from ai_hub.errors import ConfigError
from ai_hub.serving.memory import MemoryCache
from ai_hub.serving.reader import Reader
from ai_hub.serving.readiness import Readiness
from ai_hub.serving.writer import Writer
from ai_hub.stores.embedded.store import EmbeddedStore

ROW = {"timestamp": "2025-10-09T14:00:00Z", "asset_id": "a", "value": 1.0}


def opened(folder: Path, **settings: Any) -> FeatureStore:
    return FeatureStore(Settings(database_url=f"duckdb:///{folder / 'f.duckdb'}", **settings))


async def can_be_opened(folder: Path) -> bool:
    """Whether nobody holds the file, as one process owns it and opens it once."""
    async with opened(folder) as store:
        return (await store.ingest([ROW], "t")).accepted == 1


@pytest.mark.parametrize("part", [Readiness, Writer, Reader, MemoryCache, EmbeddedStore])
async def test_a_part_that_fails_to_close_keeps_no_other_from_it(
    part: type[Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    close, closed = part.close, []

    async def failing(self: Any) -> None:
        await close(self)
        closed.append(self)
        raise OSError("it fails")

    store = opened(tmp_path)
    await store.__aenter__()
    parts = store._open
    await store.get(tenant_id="t", asset_id="a")
    with monkeypatch.context() as patch:
        patch.setattr(part, "close", failing)
        with pytest.raises(OSError, match="it fails"):
            await store.close()
    assert len(closed) == 1
    assert (await parts.cache.stats()).entries == 0
    assert await can_be_opened(tmp_path)


async def test_what_cannot_be_opened_leaves_nothing_open(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cache_url"):
        await opened(tmp_path, cache_url="redis://127.0.0.1/0?nonsense=1").__aenter__()
    assert await can_be_opened(tmp_path)


async def test_who_is_cancelled_waits_for_no_part_that_is_left(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def endless(self: Any) -> None:
        await asyncio.sleep(60)

    store = opened(tmp_path)
    await store.__aenter__()
    parts = store._open
    with monkeypatch.context() as patch:
        for part in (Writer, Reader, EmbeddedStore):
            patch.setattr(part, "close", endless)
        begin = time.monotonic()
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.1):
                await store.close()
        assert time.monotonic() - begin < 10
    await parts.store.close()


async def test_every_cache_hears_of_others(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    told = []

    async def watch(self: EmbeddedStore, changed: Any, followed: Any) -> None:
        told.append((changed, followed))

    monkeypatch.setattr(EmbeddedStore, "watch", watch)
    async with opened(tmp_path) as store:
        cache = store._open.cache
        assert told == [(cache.changed, cache.follow)]
    async with opened(tmp_path, cache_url="redis://127.0.0.1:1") as store:
        assert told[1:] == [(store._open.cache.changed, store._open.cache.follow)]


FIRST_USES = """
import asyncio, sys
from datetime import datetime, timezone
from ai_hub import FeatureStore

async def main(folder):
    rows = [
        {"timestamp": f"2025-10-0{day}T00:00:00Z", "asset_id": "a", "value": 1.0}
        for day in range(1, 9)
    ]
    async with FeatureStore.open(f"duckdb:///{folder}/f.duckdb", export_root=folder) as store:
        await store.prepare()
        before = set(sys.modules)
        await store.ingest(rows, tenant_id="t")
        start, end = (datetime(2025, 10, day, tzinfo=timezone.utc) for day in (1, 8))
        export = store.export_features_to_parquet
        await export("t", "forecast_advanced", start, end, f"{folder}/first.parquet")
        print(*sorted(set(sys.modules) - before))

asyncio.run(main(sys.argv[1]))
"""


def test_the_first_ingest_and_export_import_nothing_more(tmp_path: Path) -> None:
    command = [sys.executable, "-c", FIRST_USES, str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout.split() == []
