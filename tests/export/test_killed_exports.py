"""Exports to object storage that are killed, or met by errors, at any call: nothing half is seen,
and what goes on ends as if nothing had been."""

from __future__ import annotations

import asyncio
import os
import random
import subprocess
import sys
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from ai_hub import FeatureStore
from ai_hub.errors import ExportFailed
from ai_hub.export import output, sweep
from ai_hub.export.place import Places
from ai_hub.export.reading import read_manifest
from ai_hub.export.verify import verify
from ai_hub.storage import objects
from ai_hub.storage.objects import Patience
from ai_hub.stores import chunks
from export import killed_export
from object_server import SECRET, Between, Call, Fault, ObjectServer, between

ASSETS, ROWS = "abcd", 600


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    for place, name in ((chunks, "CHUNK_ROWS"), (output, "PART_ROWS"), (objects, "_PIECE")):
        monkeypatch.setattr(place, name, getattr(place, name))
    killed_export.small()
    monkeypatch.setattr(sweep, "SECONDS", 0.1)


@pytest.fixture
def front(
    s3_server: ObjectServer, bucket: str, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Between]:
    with between(s3_server) as made:
        monkeypatch.setenv("AWS_ENDPOINT_URL", made.endpoint)
        yield made


async def filled(folder: Path) -> None:
    async with FeatureStore(killed_export.settings(folder)) as store:
        for number, asset in enumerate(ASSETS):
            rows = [
                {"asset_id": asset, "timestamp": killed_export.START + timedelta(hours=i),
                 "value": float(i * (number + 1) % 37)}
                for i in range(ROWS)
            ]  # fmt: skip
            await store.ingest(rows, "t")


def whole(place: str) -> dict[str, Any]:
    """What an export says of itself, but for its id."""
    return {name: value for name, value in read_manifest(place).items() if name != "export_id"}


async def ended(store: FeatureStore) -> dict[str, Any] | None:
    """The record of the newest export once it is no more of the process that died, gone on with."""
    for _ in range(600):
        records = await store.exports()
        if not records:
            return None
        if records[0]["status"] != "processing":
            break
        await asyncio.sleep(0.05)
    if records[0]["status"] in ("pending", "failed"):
        await store.resume_export(records[0]["export_id"])
    return await store.wait_for_export(records[0]["export_id"])


def killed(folder: Path, url: str, front: Between, at: int, kind: str) -> bool:
    """Start an export, and kill it at a call before that is done, or after; whether it was."""
    program = [sys.executable, killed_export.__file__, str(folder), url]
    log = folder / "log.txt"
    with log.open("wb") as errors, subprocess.Popen(program, stderr=errors) as process:

        def plan(call: Call) -> Fault | None:
            if call.number != at:
                return None
            if kind == "before":
                process.kill()
                return Fault("drop")
            return Fault("lose")

        front.lost = lambda call: process.kill()
        front.begin(plan)
        process.wait()
        front.begin()
    assert process.returncode in (0, -9), log.read_text()
    return process.returncode == -9


def look(s3_server: ObjectServer, bucket: str, expected: dict[str, Any] | None) -> None:
    """Whoever takes manifests sees whole exports only."""
    keys = s3_server.keys(bucket)
    for key in keys:
        if key.endswith("/manifest.json"):
            found = whole(f"s3://{bucket}/{key.removesuffix('/manifest.json')}")
            assert expected is None or found == expected
            folder = key.removesuffix("manifest.json")
            assert {f"{folder}{part['path']}" for part in found["parts"]} <= {*keys}


@pytest.mark.parametrize("moments", [1, pytest.param(20, marks=pytest.mark.long)])
async def test_a_killed_export_goes_on_and_leaves_nothing(
    s3_server: ObjectServer, bucket: str, front: Between, tmp_path: Path, moments: int
) -> None:
    await filled(tmp_path)
    front.begin()
    await asyncio.to_thread(
        subprocess.run,
        [sys.executable, killed_export.__file__, str(tmp_path), f"s3://{bucket}/first"],
        check=True,
    )
    calls = len(front.calls)
    async with FeatureStore(killed_export.settings(tmp_path)) as store:
        (first,) = await store.exports()
    expected = whole(first["storage_path"])
    assert len(expected["parts"]) == len(ASSETS)
    assert sum("uploads" in call.path for call in front.calls) > 5
    drawn = random.Random(os.urandom(8).hex())
    for moment in range(moments):
        at, kind = drawn.randrange(calls), drawn.choice(["before", "after"])
        url = f"s3://{bucket}/{moment}"
        await asyncio.to_thread(killed, tmp_path, url, front, at, kind)
        look(s3_server, bucket, expected)
        async with FeatureStore(killed_export.settings(tmp_path)) as store:
            record = await ended(store)
            if record is None or not record["storage_path"].startswith(url):
                continue  # it died before it was recorded
            assert record["status"] == "completed", (at, kind, record)
        assert whole(record["storage_path"]) == expected, (at, kind)
        assert verify(Places(), record) == "ok", (at, kind)
        assert s3_server.uploads(bucket) == [], (at, kind)


FAULTS = (
    (Fault("error", 503, "SlowDown", "Reduce your request rate."), "it answered 503 Service"),
    (Fault("error", 507, "InsufficientStorage", "The disk is full."), "The disk is full"),
    (Fault("error", 403, "AccessDenied", "Access Denied."), "it answered 403 Forbidden (AccessDen"),
    (Fault("drop"), "it did not answer as it should"),
    (Fault("slow", seconds=2.5), "in time"),
)


@pytest.mark.parametrize("step", [19, pytest.param(1, marks=pytest.mark.long)])
async def test_errors_at_any_call_leave_nothing_and_say_why(
    s3_server: ObjectServer,
    bucket: str,
    front: Between,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    step: int,
) -> None:
    hasty = Patience(answer=1, retries=1, whole=2, connect=1)
    monkeypatch.setattr(objects, "Patience", lambda: hasty)
    await filled(tmp_path)

    async def export(name: str) -> dict[str, Any]:
        return await store.export_features_to_parquet(
            "t", "forecast_basic", killed_export.START, killed_export.END,
            output_path=f"s3://{bucket}/{name}", parts=True,
        )  # fmt: skip

    async with FeatureStore(killed_export.settings(tmp_path)) as store:
        front.begin()
        expected = whole((await export("first"))["storage_path"])
        calls = len(front.calls)
        keys = s3_server.keys(bucket)
        for at in range(0, calls, step):
            fault, said = FAULTS[at // step % len(FAULTS)]
            if fault.kind != "error" or fault.status == 503:
                # Once, it is tried again, and nobody hears of it.
                front.begin(lambda call, at=at, fault=fault: fault if call.number == at else None)
                assert whole((await export("once"))["storage_path"]) == expected
            front.begin(lambda call, at=at, fault=fault: fault if call.number >= at else None)
            keys = s3_server.keys(bucket)
            why = ""
            try:
                record = await export("on")
            except ExportFailed as error:
                why = str(error)
            front.begin()
            if why:
                assert said in why, (at, fault)
                assert SECRET not in why
            else:  # it was committed before
                assert whole(record["storage_path"]) == expected
                keys = [key for key in s3_server.keys(bucket) if "/_journal/" not in key]
            for _ in range(200):
                if s3_server.keys(bucket) == keys and not s3_server.uploads(bucket):
                    break
                await asyncio.sleep(0.05)
            assert s3_server.uploads(bucket) == [], (at, fault)
            assert s3_server.keys(bucket) == keys, (at, fault)
