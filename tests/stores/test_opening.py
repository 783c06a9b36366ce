"""One owner for a file, clear words for everybody else, and nothing after closing."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

from ai_hub import FeatureStore
from ai_hub.config import Settings
from ai_hub.errors import StoreError, StoreLocked, StoreUnavailable
from ai_hub.stores.embedded.store import EmbeddedStore
from stores.processes import HOLD, Process

T = datetime(2025, 10, 9, 14, 30, tzinfo=UTC)
ROW = {"timestamp": T, "asset_id": "a", "value": 1.0}


def opened(path: Path | str) -> FeatureStore:
    return FeatureStore(Settings(database_url=f"duckdb:///{path}"))


async def enter(store: FeatureStore) -> None:
    async with store:
        pass


async def test_a_file_that_another_process_holds_is_refused_in_one_sentence(
    tmp_path: Path,
) -> None:
    path = tmp_path / "f.duckdb"
    with Process(HOLD, path) as holder:
        assert holder.line() == "ready"
        with pytest.raises(StoreLocked, match="held by another process") as caught:
            await enter(opened(path))
        assert str(path) in str(caught.value)
        assert "\n" not in str(caught.value)
        holder.kill()
    await enter(opened(path))


@pytest.mark.parametrize("spelling", ["same", "relative", "link"])
async def test_two_stores_of_one_process_cannot_share_a_file(
    tmp_path: Path, spelling: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "f.duckdb"
    monkeypatch.chdir(tmp_path)
    other: Path | str = path
    if spelling == "relative":
        other = "f.duckdb"
    async with opened(path) as store:
        if spelling == "link":
            other = tmp_path / "link.duckdb"
            other.symlink_to(path)
        with pytest.raises(StoreLocked):
            await enter(opened(other))
        # The refused one has not taken the file away from its owner.
        with pytest.raises(StoreLocked):
            await enter(opened(other))
        assert (await store.ingest([ROW], "t")).accepted == 1
    await enter(opened(other))


async def test_stores_in_memory_are_each_their_own() -> None:
    async with opened(":memory:") as one, opened(":memory:") as other:
        await one.ingest([ROW], "t")
        names = ["rolling_max_24h"]
        assert (await one.get_features("t", "a", T, names))["rolling_max_24h"] == 1.0
        found = await other.get_features("t", "a", T, names, missing="keep")
        assert found["rolling_max_24h"] is None


async def test_a_file_that_is_no_database_is_refused_and_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "f.duckdb"
    path.write_bytes(b"timestamp,value\n" * 1_000)
    for _ in range(2):
        with pytest.raises(StoreError) as caught:
            await enter(opened(path))
        assert str(path) in str(caught.value)
    assert path.read_bytes() == b"timestamp,value\n" * 1_000


async def test_a_folder_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="nowhere"):
        await enter(opened(tmp_path / "nowhere" / "f.duckdb"))


async def test_a_closed_store_says_so(tmp_path: Path) -> None:
    store = opened(tmp_path / "f.duckdb")
    with pytest.raises(StoreUnavailable, match="async with"):
        await store.get_features("t", "a")
    async with store:
        await store.ingest([ROW], "t")
    with pytest.raises(StoreUnavailable, match=r"closed|not open"):
        await store.ingest([ROW], "t")
    with pytest.raises(StoreUnavailable, match=r"closed|not open"):
        await store.exports()
    with pytest.raises(StoreUnavailable, match=r"closed|not open"):
        await store.export_features_to_parquet("t", "forecast_basic", T, T.replace(year=2026))
    await store.close()


async def test_a_store_that_was_closed_can_be_closed_again(tmp_path: Path) -> None:
    store = EmbeddedStore(tmp_path / "f.duckdb")
    await store.close()
    await store.close()
    again = EmbeddedStore(tmp_path / "f.duckdb")
    await again.close()
