"""Exports as jobs when two do something about one at the same moment."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from ai_hub.errors import StoreUnavailable
from ai_hub.stores.export_log import ExportRecord
from conformance.kit import Deployment
from conformance.test_jobs import ROWS, begin, filled, slow, under_way

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
