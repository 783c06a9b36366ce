"""One owner for a file, clear words for everybody else, and nothing after closing."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import duckdb
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


def _of_another_schema(path: Path) -> None:
    with duckdb.connect(str(path)) as other:
        other.execute("CREATE TABLE timeseries_data (x INTEGER)")


def _without_a_column(path: Path) -> None:
    with duckdb.connect(str(path)) as other:
        other.execute("CREATE TABLE asset_weather_source (source_id VARCHAR)")


def _damaged(path: Path) -> None:
    with duckdb.connect(str(path)) as other:
        other.execute("CREATE TABLE t AS SELECT range AS x FROM range(100000)")
    whole = path.read_bytes()
    path.write_bytes(whole[:20] + bytes(len(whole) - 20))


@pytest.mark.parametrize("spoil", [_of_another_schema, _without_a_column, _damaged])
async def test_what_could_not_be_opened_is_not_held(
    spoil: Callable[[Path], None], tmp_path: Path
) -> None:
    path = tmp_path / "f.duckdb"
    spoil(path)
    for _ in range(2):
        with pytest.raises(StoreError) as caught:
            await enter(opened(path))
        assert not isinstance(caught.value, StoreLocked)
    path.unlink()
    async with opened(path) as store:
        assert (await store.ingest([ROW], "t")).accepted == 1


async def test_one_of_two_that_open_a_file_at_once_gets_it(tmp_path: Path) -> None:
    path = tmp_path / "f.duckdb"
    stores = [opened(path) for _ in range(8)]
    found = await asyncio.gather(*(s.__aenter__() for s in stores), return_exceptions=True)
    refused = [one for one in found if isinstance(one, StoreLocked)]
    assert len(refused) == 7
    for store in stores:
        await store.close()
    await enter(opened(path))


async def test_a_file_of_an_earlier_release_has_mappings_that_hold_always(tmp_path: Path) -> None:
    path = tmp_path / "f.duckdb"
    with duckdb.connect(str(path)) as earlier:
        columns = (
            "tenant_id VARCHAR NOT NULL, asset_id VARCHAR NOT NULL, source_id VARCHAR NOT NULL"
        )
        earlier.execute(f"CREATE TABLE asset_weather_source ({columns})")
        earlier.execute("INSERT INTO asset_weather_source VALUES ('t', 'a', 's')")
    # Killed before it could write the file anew: what DuckDB then does again must be possible.
    with Process(HOLD, path) as holder:
        assert holder.line() == "ready"
        holder.kill()
    long_ago = datetime(1, 1, 2, tzinfo=UTC)
    rows = [{"timestamp": at, "asset_id": "s", "temperature": 7.0} for at in (long_ago, T)]
    for replaced in (False, True):
        async with opened(path) as store:
            await store.ingest_weather(rows, "t")
            for at in (long_ago, T):
                found = await store.get_features("t", "a", at, ["temperature"], missing="keep")
                assert found["temperature"] == (None if replaced else 7.0)
            # In place of the one that held always.
            first = datetime(1, 1, 1, tzinfo=UTC)
            await store.assign_weather_source(
                tenant_id="t", source_id=None, asset_ids=["a"], valid_from=first
            )


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
