"""An archive that is killed at any moment loses nothing, and has nothing twice."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from ai_hub import FeatureStore
from ai_hub.config import Settings
from ai_hub.errors import StorageError
from ai_hub.storage.local import LocalStorage
from conformance.kit import FILE, PLAIN, TIMESCALEDB, Deployment
from object_server import Call, Fault, ObjectServer, between
from stores.archive_kills import killed

FIRST = datetime(2024, 1, 1, tzinfo=UTC)


@pytest.mark.parametrize(
    ("deployment", "kills"),
    [
        pytest.param(FILE, 3, id="file"),
        *(
            pytest.param(
                one, 40, id=f"{one}-40",
                marks=[pytest.mark.long, *(getattr(pytest.mark, mark) for mark in one.marks)],
            )
            for one in (FILE, PLAIN, TIMESCALEDB)
        ),
    ],
)  # fmt: skip
async def test_killed_at_any_moment(deployment: Deployment, tmp_path: Path, kills: int) -> None:
    assert await killed(deployment, tmp_path, kills) == []


async def test_in_object_storage(bucket: str, s3_server: ObjectServer, tmp_path: Path) -> None:
    settings = Settings(database_url="duckdb:///:memory:", export_root=tmp_path)
    rows = [
        {"timestamp": FIRST + timedelta(hours=i), "asset_id": "a", "value": float(i)}
        for i in range(72)
    ]
    asked = {"start_time": FIRST, "end_time": FIRST + timedelta(days=3), "force": True}
    out = tmp_path / "out.parquet"
    async with FeatureStore(settings) as store:
        await store.ingest(rows, "t")
        await store.export_features_to_parquet("t", "forecast_basic", output_path=out, **asked)
        before = out.read_bytes()
        to = f"s3://{bucket}/history"
        done = await store.archive(FIRST + timedelta(days=3), to, drop=True)
        assert [step["action"] for step in done["steps"]] == ["sealed", "verified", "dropped"]
        await store.export_features_to_parquet("t", "forecast_basic", output_path=out, **asked)
        assert out.read_bytes() == before
        names = s3_server.keys(bucket)
        assert len([one for one in names if one.endswith(".parquet")]) == 3
        await store.delete("t")
        assert s3_server.keys(bucket) == []
        assert s3_server.uploads(bucket) == []


async def test_an_error_of_any_call_is_said_and_gone_on_after(
    bucket: str, s3_server: ObjectServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = Settings(database_url="duckdb:///:memory:", export_root=tmp_path)
    rows = [
        {"timestamp": FIRST + timedelta(hours=i), "asset_id": "a", "value": float(i)}
        for i in range(72)
    ]
    asked = {"start_time": FIRST, "end_time": FIRST + timedelta(days=3), "force": True}
    out, to = tmp_path / "out.parquet", f"s3://{bucket}/history"
    with between(s3_server) as proxy:
        monkeypatch.setenv("AWS_ENDPOINT_URL", proxy.endpoint)
        async with FeatureStore(settings) as store:
            await store.ingest(rows, "t")
            await store.export_features_to_parquet("t", "forecast_basic", output_path=out, **asked)
            before, failed = out.read_bytes(), 0
            for number in range(100):

                def plan(call: Call, number: int = number) -> Fault | None:
                    return Fault("error", 403, "AccessDenied") if call.number == number else None

                proxy.begin(plan)
                try:
                    await store.archive(FIRST + timedelta(days=3), to, drop=True)
                except StorageError:
                    failed += 1
                proxy.begin()
                await store.export_features_to_parquet(
                    "t", "forecast_basic", output_path=out, **asked
                )
                assert out.read_bytes() == before
                if (await store.archives())["dropped_before"]:
                    break
            assert failed > 3
            found = await store.archives()
    named = {one["layer_id"] for one in found["layers"]}
    names = s3_server.keys(bucket)
    assert {name.rpartition("/")[2].partition(".")[0] for name in names} == named
    assert sum(one["rows"] for one in found["layers"]) == len(rows)


@pytest.mark.parametrize("is_there", [False, True])
async def test_what_a_process_left_of_a_manifest_is_removed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, is_there: bool
) -> None:
    settings = Settings(database_url="duckdb:///:memory:", export_root=tmp_path)
    history, put = tmp_path / "history", LocalStorage.put

    def killed(storage: LocalStorage, name: str, content: bytes, *, new: bool = False) -> None:
        """As a process that ends before, or after, its file has the name."""
        if is_there:
            put(storage, name, content, new=new)
        path = history / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.with_name(f".{path.name}.{'0' * 32}.partial").write_bytes(content[:9])
        raise StorageError("killed")

    async with FeatureStore(settings) as store:
        await store.ingest([{"timestamp": FIRST, "asset_id": "a", "value": 1.0}], "t")
        monkeypatch.setattr(LocalStorage, "put", killed)
        with pytest.raises(StorageError, match="killed"):
            await store.archive(FIRST + timedelta(days=3), str(history))
        monkeypatch.setattr(LocalStorage, "put", put)
        assert len([*history.rglob("*.partial")]) == 1
        await store.archive(FIRST + timedelta(days=3), str(history))
        (layer,) = (await store.archives())["layers"]
        assert (layer["state"], layer["rows"]) == ("verified", 1)
    names = sorted(one.name for one in history.rglob("*") if one.is_file())
    assert names == [f"{layer['layer_id']}.json", f"{layer['layer_id']}.parquet"]
