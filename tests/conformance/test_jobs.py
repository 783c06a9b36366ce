"""Exports as jobs: whatever is done to them, and to their process, they end in a true state."""

from __future__ import annotations

import asyncio
import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ai_hub import FeatureStore
from ai_hub.definitions.values import HOUR, parse_time, to_datetime
from ai_hub.errors import AiHubError, Busy, InvalidInput, StoreUnavailable, UnknownFeatureSet
from ai_hub.export import exports, jobs, output, sweep, taking
from ai_hub.export.attempt import Attempts
from ai_hub.export.limits import Limits
from ai_hub.export.place import Places
from ai_hub.export.running import Running
from ai_hub.export.verify import verify
from ai_hub.stores import chunks
from ai_hub.stores.export_log import ExportRecord
from ai_hub.stores.postgres import exports as postgres_exports
from conformance.kit import FILE, ON_STORES, Deployment, folder, observation, run

T = parse_time("2025-10-09T14:00:00Z")
ROWS = 40
SPINE = [{"asset_id": "a", "timestamp": to_datetime(T + HOUR)}]
ENDS = {"completed", "no_data", "failed", "cancelled"}
DOINGS = ("one file", "parts", "spine", "cancel", "kill", "restart", "resume", "wait")


@pytest.fixture
def slow(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """Exports of many small pieces that take a moment each, and processes that look often."""
    check = Limits.check_done

    def check_slowly(limits: Limits, rows: int) -> None:
        time.sleep(0.02)
        check(limits, rows)

    monkeypatch.setattr(Limits, "check_done", check_slowly)
    monkeypatch.setattr(chunks, "CHUNK_ROWS", 4)
    monkeypatch.setattr(output, "PART_ROWS", 8)
    monkeypatch.setattr(sweep, "SECONDS", 0.1)
    monkeypatch.setattr(taking, "SECONDS", 0.05)
    monkeypatch.setattr(exports, "LOOK_SECONDS", 0.05)
    monkeypatch.setattr(postgres_exports, "_BEAT_SECONDS", 0.05)
    monkeypatch.setattr(postgres_exports, "_DEAD_AFTER", 700_000)
    return monkeypatch


async def filled(store: FeatureStore, tenant: str = "t") -> None:
    await store.ingest([observation("a", T + i * HOUR, float(i)) for i in range(ROWS)], tenant)


async def begin(store: FeatureStore, path: Path | None = None, **how: Any) -> dict[str, Any]:
    asked = {"tenant_id": "t", "feature_set": "forecast_basic", "output_path": path} | how
    if "spine" not in how:
        asked |= {"start_time": to_datetime(T), "end_time": to_datetime(T + 99 * HOUR)}
    return await store.export_features_to_parquet(**asked, wait_seconds=0)


async def under_way(store: FeatureStore, export_id: str, rows: int = 1) -> dict[str, Any]:
    """The record once so many rows are written, or there is an end."""
    for _ in range(1_000):
        record = await store.export_record(export_id)
        if "progress" not in record or record["progress"]["rows"] >= rows:
            return record
        await asyncio.sleep(0.01)
    raise AssertionError("it did not begin")


async def kill(store: FeatureStore) -> None:
    """The end of a process that records nothing any more."""

    async def nothing(attempts: Attempts, running: Running, error: BaseException) -> ExportRecord:
        running.over = True
        return running.record.again(0)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Attempts, "give_up", nothing)
        await store.close()


async def test_one_is_looked_at_and_cancelled(
    deployment: Deployment, tmp_path: Path, slow: pytest.MonkeyPatch
) -> None:
    async with deployment.open(tmp_path) as store:
        await filled(store)
        begun = await begin(store, tmp_path / "x", parts=True)
        assert begun["status"] == "processing"
        now = await under_way(store, begun["export_id"])
        assert now["progress"]["heartbeat_at"] is not None
        assert (await store.exports())[0]["export_id"] == begun["export_id"]
        ended = await store.cancel_export(begun["export_id"])
        assert (ended["status"], ended["row_count"]) == ("cancelled", 0)
        assert ended["error"] == f"cancelled by {ended['cancelled_by']}"
        assert "progress" not in ended
        assert await store.cancel_export(begun["export_id"]) == ended
        assert await store.wait_for_export(begun["export_id"]) == ended
        assert not list(tmp_path.glob(".x*"))  # noqa: ASYNC240
        await store.resume_export(begun["export_id"])
        done = await store.wait_for_export(begun["export_id"])
        assert (done["status"], done["row_count"]) == ("completed", ROWS)
        assert "cancelled_by" not in done
        with pytest.raises(InvalidInput, match="export_id"):
            await store.resume_export(begun["export_id"])
        assert await store.cancel_export(begun["export_id"]) == done


async def test_who_waits_may_leave_and_who_runs_ends_it(
    deployment: Deployment, tmp_path: Path, slow: pytest.MonkeyPatch
) -> None:
    async with deployment.open(tmp_path, export_jobs=1, export_queue=1) as store:
        await filled(store)
        begun = await begin(store)
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.05):
                await store.wait_for_export(begun["export_id"])
        waiting = await begin(store)
        assert waiting["status"] == "pending"
        with pytest.raises(Busy):
            await begin(store)
        for one in (begun, waiting):
            done = await store.wait_for_export(one["export_id"])
            assert (done["status"], done["row_count"]) == ("completed", ROWS)
        task = asyncio.create_task(
            store.export_features_to_parquet(
                "t", "forecast_basic", to_datetime(T), to_datetime(T + 99 * HOUR)
            )
        )
        await asyncio.sleep(0.1)
        task.cancel()
        await asyncio.wait([task])
        assert {one["status"] for one in await store.exports()} <= {"completed", "cancelled"}


@pytest.mark.parametrize("how", ["orderly", "killed"])
async def test_another_process_goes_on_from_the_parts(
    deployment: Deployment, tmp_path: Path, slow: pytest.MonkeyPatch, how: str
) -> None:
    if not deployment.lasts:
        pytest.skip("its data ends with its process")
    async with deployment.open(tmp_path) as store:
        await filled(store)
        first = await begin(store, tmp_path / "whole", parts=True)
        await store.wait_for_export(first["export_id"])
        begun = await begin(store, tmp_path / "x", parts=True)
        spine = await begin(
            store, tmp_path / "s", spine=[{"asset_id": "a", "timestamp": to_datetime(T)}] * 99
        )
        await under_way(store, begun["export_id"], 17)
        await (kill(store) if how == "killed" else store.close())
    (partial,) = tmp_path.glob(".x.*.partial")  # noqa: ASYNC240
    part = (partial / "part-00000.parquet").stat().st_ino
    async with deployment.open(tmp_path) as store:
        await store.take_exports()
        done = await store.wait_for_export(begun["export_id"])
        assert (done["status"], done["row_count"]) == ("completed", ROWS)
        lost = await store.wait_for_export(spine["export_id"])
        assert lost["status"] in ("completed", "failed")
    assert (tmp_path / "x" / "part-00000.parquet").stat().st_ino == part
    assert whole(tmp_path / "x") == whole(tmp_path / "whole")


_PROGRAM = """
import asyncio, sys, time
from pathlib import Path
from conformance import test_jobs as t

async def main(url: str, place: Path) -> None:
    async with t.FeatureStore.open(url, export_root=place) as store:
        begun = await t.begin(store, place / "x", parts=True)
        print(begun["export_id"], flush=True)
        await store.wait_for_export(begun["export_id"])

t.slowly(float(sys.argv[3]))
asyncio.run(main(sys.argv[1], Path(sys.argv[2])))
"""


def slowly(seconds: float) -> None:
    """Have every piece of an export take so long in this process, which is there for that."""
    Limits.check_done = lambda limits, rows: time.sleep(seconds)  # type: ignore[method-assign]
    chunks.CHUNK_ROWS, output.PART_ROWS = 4, 8


async def test_a_killed_process_leaves_what_another_ends_the_same(
    tmp_path: Path, slow: pytest.MonkeyPatch
) -> None:
    await killed(FILE, tmp_path, 1)


@pytest.mark.long
@pytest.mark.parametrize("moment", range(6))
async def test_a_process_killed_at_any_moment(
    deployment: Deployment, tmp_path: Path, slow: pytest.MonkeyPatch, moment: int
) -> None:
    if not deployment.lasts:
        pytest.skip("its data ends with its process")
    await killed(deployment, tmp_path, moment)


async def killed(deployment: Deployment, place: Path, moment: int) -> None:
    """Kill a process amid its export, and have this one go on."""
    async with deployment.open(place) as store:
        await filled(store)
        await store.wait_for_export((await begin(store, place / "y", parts=True))["export_id"])
    program = [sys.executable, "-c", _PROGRAM, deployment.url(place), str(place), "0.05"]
    paths = [*sys.path, str(Path(__file__).parent.parent)]
    process = await asyncio.create_subprocess_exec(
        *program,
        stdout=subprocess.PIPE,
        env=os.environ | {"PYTHONPATH": os.pathsep.join(paths)},
    )
    assert process.stdout is not None
    export_id = (await process.stdout.readline()).decode().strip()
    await asyncio.sleep(random.Random(moment).random() * 0.7)
    process.send_signal(signal.SIGKILL)
    await process.wait()
    async with deployment.open(place) as store:
        await store.take_exports()
        done = await store.wait_for_export(export_id)
        assert (done["status"], done["row_count"]) == ("completed", ROWS)
    assert whole(place / "x") == whole(place / "y")
    assert not [name for name in os.listdir(place) if name.startswith(".")]


def whole(path: Path) -> dict[str, Any]:
    """What a folder has, but for the id of its export."""
    found: dict[str, Any] = {one.name: one.read_bytes() for one in path.iterdir()}
    said = json.loads(found["manifest.json"])
    del said["export_id"]
    return found | {"manifest.json": said}


async def test_one_is_cancelled_before_its_first_step(
    deployment: Deployment, tmp_path: Path
) -> None:
    async with deployment.open(tmp_path) as store:
        await filled(store)
        begun = await begin(store, tmp_path / "x")
        assert (await store.cancel_export(begun["export_id"]))["status"] == "cancelled"
        assert (await store.wait_for_export(begun["export_id"]))["status"] == "cancelled"
        assert not (tmp_path / "x").exists()


def test_a_process_that_ends_amid_one_has_nothing_to_say_of_it(
    tmp_path: Path, slow: pytest.MonkeyPatch
) -> None:
    slow.setattr(jobs, "_ENDING_SECONDS", 0.0)
    said: list[dict[str, Any]] = []

    async def process() -> None:
        asyncio.get_running_loop().set_exception_handler(lambda _, told: said.append(told))
        async with FILE.open(tmp_path) as store:
            await filled(store)
            begun = await begin(store, tmp_path / "x", parts=True)
            await under_way(store, begun["export_id"])

    asyncio.run(process())
    assert said == []


async def test_a_job_is_taken_by_one_process_and_cancelled_from_another(
    on_server: Deployment, tmp_path: Path, slow: pytest.MonkeyPatch
) -> None:
    async with on_server.open(tmp_path) as one, on_server.open(tmp_path) as other:
        await filled(one)
        left = [(await begin(one, detached=True))["export_id"] for _ in range(6)]
        assert {one["status"] for one in await one.exports()} == {"pending"}
        await one.take_exports()
        await other.take_exports()
        for export_id in left:
            assert (await one.wait_for_export(export_id))["status"] == "completed"
        begun = await begin(other, tmp_path / "x", parts=True)
        await under_way(other, begun["export_id"])
        await one.cancel_export(begun["export_id"])
        ended = await one.wait_for_export(begun["export_id"])
        assert ended["status"] == "cancelled"
        assert ended == await other.export_record(begun["export_id"])


async def test_what_cannot_be_made_again_has_its_reason(
    deployment: Deployment, tmp_path: Path, slow: pytest.MonkeyPatch
) -> None:
    async with deployment.open(tmp_path) as store:
        await filled(store)
        log = store._open.store.export_log
        with pytest.raises(InvalidInput, match="detached"):
            await begin(
                store, detached=True, spine=[{"asset_id": "a", "timestamp": to_datetime(T)}]
            )
        begun = await begin(store, tmp_path / "x", detached=True)
        (record,) = await log.find(export_id=begun["export_id"])
        assert await log.take(record)
        await log.record(ExportRecord(**{**_fields(record), "version": 9}), keep=False)
        with pytest.raises(UnknownFeatureSet):
            await store.resume_export(begun["export_id"])
        failed = await store.export_record(begun["export_id"])
        assert failed["status"] == "failed"
        assert "forecast_basic@9" in failed["error"]
        # Who is first is not made again over who came later.
        old = await begin(store, tmp_path / "y", detached=True)
        new = await begin(store, tmp_path / "y")
        assert (await store.wait_for_export(new["export_id"]))["status"] == "completed"
        assert (await store.export_record(old["export_id"]))["replaced_by"] == new["export_id"]
        await store.take_exports()
        over = await store.wait_for_export(old["export_id"])
        assert over["status"] == "failed"
        assert f"the export {new['export_id']} has its place since" in over["error"]


def _fields(record: ExportRecord) -> dict[str, Any]:
    return {name: getattr(record, name) for name in record.__slots__}


@ON_STORES
@given(doings=st.lists(st.sampled_from(DOINGS), min_size=2, max_size=8), which=st.integers(0, 99))
def test_whatever_is_done_every_job_ends_in_a_true_state(doings: list[str], which: int) -> None:
    async def example(place: Path) -> None:
        ids: list[str] = []
        store = await FILE.open(place).__aenter__()
        await filled(store)
        for number, doing in enumerate(doings):
            chosen = ids[(which + number) % len(ids)] if ids else None
            match doing:
                case "one file" | "parts":
                    begun = await begin(store, place / f"{number}", parts=doing == "parts")
                    ids.append(begun["export_id"])
                case "spine":
                    begun = await begin(store, place / f"{number}", spine=SPINE * 50)
                    ids.append(begun["export_id"])
                case "kill" | "restart":
                    await (kill(store) if doing == "kill" else store.close())
                    store = await FILE.open(place).__aenter__()
                case "cancel" if chosen is not None:
                    await store.cancel_export(chosen)
                case "resume" if chosen is not None:
                    try:
                        await store.resume_export(chosen)
                    except InvalidInput:
                        assert chosen is not None
                case _:
                    await asyncio.sleep(0.05)
        await store.take_exports()
        for export_id in ids:
            try:
                await asyncio.wait_for(store.wait_for_export(export_id), 60)
            except (AiHubError, StoreUnavailable):
                continue  # what went wrong is in its record too
        await check(store, place, ids)
        await store.close()

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(chunks, "CHUNK_ROWS", 4)
        patch.setattr(output, "PART_ROWS", 8)
        patch.setattr(taking, "SECONDS", 0.02)
        patch.setattr(sweep, "SECONDS", 0.05)
        patch.setattr(exports, "LOOK_SECONDS", 0.02)
        with folder() as place:
            run(example(Path(place)))


async def check(store: FeatureStore, place: Path, ids: list[str]) -> None:
    """Each job has ended, and is what its record says; nothing half is left."""
    records = {one["export_id"]: one for one in await store.exports(limit=1_000)}
    assert set(records) == set(ids)
    for record in records.values():
        assert record["status"] in ENDS, json.dumps(record)
        path = Path(record["storage_path"])
        if record["status"] == "completed":
            assert verify(Places(), record) == "ok"
            assert record["row_count"] in (ROWS, 50)
        else:
            assert record["error"]
            assert not path.exists()  # noqa: ASYNC240
    assert not [name for name in os.listdir(place) if name.startswith(".")]
