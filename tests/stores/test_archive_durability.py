"""An archive that is killed at any moment loses nothing, and has nothing twice."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from ai_hub import FeatureStore
from ai_hub.config import Settings
from ai_hub.errors import StorageError
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
