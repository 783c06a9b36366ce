"""Exports as jobs when two do something about one at the same moment."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from ai_hub import FeatureSet
from ai_hub.definitions.kinds import Lag
from ai_hub.definitions.values import HOUR
from ai_hub.errors import StoreUnavailable
from ai_hub.export.reading import dataset, read_manifest
from ai_hub.stores.export_log import ExportRecord
from ai_hub.stores.postgres import exports as postgres_exports
from conformance.kit import Deployment, observation
from conformance.test_jobs import ROWS, T, begin, filled, slow, under_way

__all__ = ["slow"]


async def test_one_that_is_resumed_twice_at_once_has_one_turn(
    deployment: Deployment, tmp_path: Path, slow: pytest.MonkeyPatch
) -> None:
    async with deployment.open(tmp_path, export_jobs=1) as store:
        await filled(store)
        begun = await begin(store, tmp_path / "x", parts=True)
        await store.cancel_export(begun["export_id"])
        both = [store.resume_export(begun["export_id"]) for _ in range(2)]
        for record in await asyncio.gather(*both):
            assert record["status"] in ("pending", "processing")
        done = await store.wait_for_export(begun["export_id"])
        assert (done["status"], done["row_count"]) == ("completed", ROWS)
        # The turn is free: the next one need not wait for it.
        assert (await begin(store))["status"] == "processing"


async def test_one_that_another_process_has_takes_no_turn_here(
    on_server: Deployment, tmp_path: Path, slow: pytest.MonkeyPatch
) -> None:
    async with (
        on_server.open(tmp_path) as one,
        on_server.open(tmp_path, export_jobs=1) as other,
    ):
        await filled(one)
        begun = await begin(one, tmp_path / "x", parts=True)
        await under_way(one, begun["export_id"])
        shown = await other.resume_export(begun["export_id"])
        assert shown["export_id"] == begun["export_id"]
        assert (await begin(other))["status"] == "processing"
        done = await one.wait_for_export(begun["export_id"])
        assert (done["status"], done["row_count"]) == ("completed", ROWS)


async def test_who_leaves_while_it_is_recorded_ends_it(
    deployment: Deployment, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with deployment.open(tmp_path, export_jobs=1) as store:
        await filled(store)
        log = store._open.store.export_log
        record, recorded = log.record, asyncio.Event()

        async def told(export: ExportRecord, keep: bool = True) -> None:
            await record(export, keep)
            recorded.set()
            await asyncio.sleep(0.05)

        monkeypatch.setattr(log, "record", told)
        asking = asyncio.create_task(begin(store, tmp_path / "x"))
        await recorded.wait()
        asking.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asking
        (left,) = await store.exports()
        assert left["status"] == "cancelled"
        assert (await begin(store))["status"] == "processing"


async def test_one_that_is_cancelled_too_late_is_completed(
    on_server: Deployment, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(postgres_exports, "_BEAT_SECONDS", 600)
    async with on_server.open(tmp_path) as one, on_server.open(tmp_path) as other:
        await filled(one)
        begun = await begin(one)
        await other.cancel_export(begun["export_id"])
        done = await one.wait_for_export(begun["export_id"])
        assert done["status"] == "completed"
        found = await other.export_record(begun["export_id"])
        assert found == done
        assert "cancelled_by" not in found


async def test_one_whose_first_answer_got_lost_is_taken_up(
    on_server: Deployment, tmp_path: Path, slow: pytest.MonkeyPatch
) -> None:
    async with on_server.open(tmp_path) as store:
        await filled(store)
        await store.take_exports()
        sessions = store._open.store.export_log._sessions  # type: ignore[attr-defined]
        write = sessions.write

        async def lost(work: Any) -> None:
            await write(work)
            raise StoreUnavailable("the connection is lost")

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(sessions, "write", lost)
            with pytest.raises(StoreUnavailable):
                await begin(store, tmp_path / "x")
        (left,) = await store.exports()
        done = await store.wait_for_export(left["export_id"])
        assert (done["status"], done["row_count"]) == ("completed", ROWS)


async def test_one_of_another_version_of_the_service_has_its_reason(
    deployment: Deployment, tmp_path: Path, slow: pytest.MonkeyPatch
) -> None:
    async with deployment.open(tmp_path, export_jobs=1) as store:
        await filled(store)
        log = store._open.store.export_log
        begun = await begin(store, detached=True)
        (record,) = await log.find(export_id=begun["export_id"])
        assert await log.take(record)
        await log.record(replace(record, request={"missing": None}), keep=False)
        await store.take_exports()
        failed = await store.wait_for_export(begun["export_id"])
        assert failed["status"] == "failed"
        assert "another version of the service was asked for it" in failed["error"]
        assert (await begin(store))["status"] == "processing"


async def test_one_goes_on_with_its_version_and_the_parts_that_it_has(
    deployment: Deployment, tmp_path: Path, slow: pytest.MonkeyPatch
) -> None:
    if not deployment.lasts:
        pytest.skip("its data ends with its process")
    first, second = (FeatureSet("own", n, (Lag("lag", f"{n}h"),)) for n in (1, 2))
    async with deployment.open(tmp_path) as store:
        await store.apply([first])
        await filled(store)
        begun = await begin(store, tmp_path / "x", parts=True, feature_set="own")
        await under_way(store, begun["export_id"], 17)
    async with deployment.open(tmp_path) as store:
        await store.apply([second])
        changed = [observation("a", T + hour * HOUR, -1.0) for hour in (0, 38)]
        await store.ingest(changed, "t")
        await store.take_exports()
        done = await store.wait_for_export(begun["export_id"])
        assert (done["status"], done["row_count"]) == ("completed", ROWS)
    manifest = read_manifest(str(tmp_path / "x"))
    assert (manifest["feature_set"], manifest["version"]) == ("own", 1)
    lags = dataset(str(tmp_path / "x")).to_table(columns=["timestamp", "lag"]).sort_by("timestamp")
    # What was written before has what was known then.
    assert lags["lag"].to_pylist()[1:3] == [0.0, 1.0]
    assert lags["lag"].to_pylist()[-2:] == [37.0, -1.0]
