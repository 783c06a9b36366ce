"""An export in parts has the rows of the one file, in their order, and a manifest of them."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ai_hub import FeatureStore
from ai_hub.definitions.builtin import FORECAST_BASIC
from ai_hub.definitions.values import HOUR, MINUTE, parse_time, to_datetime
from ai_hub.export import output
from ai_hub.stores import chunks
from conformance.kit import MEMORY, Deployment, folder, observation, run
from conformance.worlds import TENANT

T = parse_time("2025-10-09T14:00:00Z")


async def both(
    store: FeatureStore, place: Path, end: int, **how: Any
) -> tuple[pa.Table, list[pa.Table], dict[str, Any]]:
    """The one file, the parts, and the manifest."""
    made = [
        await store.export_features_to_parquet(
            TENANT, FORECAST_BASIC.label, to_datetime(T - 400 * 24 * HOUR), to_datetime(end),
            output_path=place / name, parts=parts, horizons=["1h"], indicators=True, **how,
        )
        for name, parts in (("one.parquet", False), ("parts", True))
    ]  # fmt: skip
    assert made[0]["row_count"] == made[1]["row_count"]
    if not made[0]["row_count"]:
        assert [one["status"] for one in made] == ["no_data"] * 2
        assert not (place / "parts").exists()
        return pa.table({}), [], {}
    manifest = (place / "parts" / "manifest.json").read_bytes()
    assert made[1]["checksum"] == hashlib.sha256(manifest).hexdigest()
    said = json.loads(manifest)
    for part in said["parts"]:
        content = (place / "parts" / part["path"]).read_bytes()
        assert (len(content), hashlib.sha256(content).hexdigest()) == (
            part["bytes"],
            part["sha256"],
        )
    paths = sorted((place / "parts").glob("*.parquet"))
    assert [path.name for path in paths] == [part["path"] for part in said["parts"]]
    assert made[1]["file_size_bytes"] == said["bytes"] + len(manifest)
    return pq.read_table(place / "one.parquet"), [pq.read_table(path) for path in paths], said


def same(one: pa.Table, parts: list[pa.Table], said: dict[str, Any], most: int) -> None:
    assert pa.concat_tables([part.replace_schema_metadata() for part in parts]).equals(
        one.replace_schema_metadata()
    )
    assert [len(part) for part in parts] == [part["rows"] for part in said["parts"]]
    assert said["row_count"] == len(one)
    assert [column["name"] for column in said["columns"]] == one.column_names
    assert said["fingerprint"] == FORECAST_BASIC.fingerprint
    assert all(len(part) >= most for part in parts[:-1])


@pytest.mark.parametrize("frequency", [None, "30m"])
async def test_parts_are_the_one_file(
    deployment: Deployment, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, frequency: str | None
) -> None:
    monkeypatch.setattr(chunks, "CHUNK_ROWS", 4)
    monkeypatch.setattr("ai_hub.export.job.PART_ROWS", 4)
    monkeypatch.setattr(output, "PART_ROWS", 9)
    async with deployment.open(tmp_path) as store:
        for asset, count in (("a", 30), ("b", 3), ("c", 1), ("d", 20)):
            rows = [observation(asset, T + i * HOUR, float(i)) for i in range(count)]
            await store.ingest(rows, TENANT)
        one, parts, said = await both(store, tmp_path, T + 40 * HOUR, frequency=frequency)
        assert len(parts) > 3
        same(one, parts, said, 9)


@settings(max_examples=settings.default.max_examples // 3)
@given(
    readings=st.dictionaries(
        st.sampled_from("abcd"), st.sets(st.integers(0, 3000), max_size=25), max_size=4
    ),
    most=st.integers(1, 12),
    chunk=st.integers(1, 9),
)
def test_any_history_in_parts_is_the_one_file(
    readings: dict[str, set[int]], most: int, chunk: int
) -> None:
    rows = [
        observation(asset, T + minute * MINUTE, minute / 7)
        for asset, minutes in readings.items()
        for minute in minutes
    ]

    async def example(place: Path) -> None:
        async with MEMORY.open(place) as store:
            await store.ingest(rows, TENANT)
            with pytest.MonkeyPatch.context() as patch:
                patch.setattr(chunks, "CHUNK_ROWS", chunk)
                patch.setattr(output, "PART_ROWS", most)
                one, parts, said = await both(store, place, T + 3000 * MINUTE)
        assert len(one) == len(rows)
        if rows:
            same(one, parts, said, most)

    with folder() as place:
        run(example(Path(place)))


async def test_a_spine_in_parts_is_the_one_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ai_hub.export.training_set.PART_ROWS", 4)
    monkeypatch.setattr(output, "PART_ROWS", 9)
    async with MEMORY.open(tmp_path) as store:
        await store.ingest([observation("a", T + i * HOUR, 1.0 * i) for i in range(9)], TENANT)
        spine = [
            {"asset_id": "a", "timestamp": to_datetime(T + i % 11 * HOUR), "label": str(i)}
            for i in range(30)
        ]
        for name, parts in (("one.parquet", False), ("parts", True)):
            await store.export_features_to_parquet(
                TENANT, FORECAST_BASIC.label, spine=spine, output_path=tmp_path / name, parts=parts
            )
    paths = sorted((tmp_path / "parts").glob("*.parquet"))
    found = pa.concat_tables([pq.read_table(path) for path in paths])
    one = pq.read_table(tmp_path / "one.parquet")
    assert [pq.read_metadata(path).num_rows for path in paths] == [12, 12, 6]
    assert found.replace_schema_metadata().equals(one.replace_schema_metadata())
    said = json.loads((tmp_path / "parts" / "manifest.json").read_text())
    assert (said["row_count"], said["feature_set"]) == (30, "forecast_basic")
    ours = pq.read_metadata(paths[2]).metadata
    assert ours[b"ai_hub.row_count"] == b"6"
