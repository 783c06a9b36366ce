"""What the log of exports is told, it tells: every field, on every store."""

from __future__ import annotations

import asyncio
import uuid
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ai_hub.config import Settings
from ai_hub.definitions.values import FIRST_INSTANT, LAST_INSTANT
from ai_hub.stores.export_log import ExportRecord
from ai_hub.stores.opening import open_store
from conformance.kit import ON_STORES, Deployment, run

ENDS = ("completed", "no_data", "failed")

texts = st.text(st.characters(min_codepoint=32, codec="utf-8"), min_size=1, max_size=20)
instants = st.integers(FIRST_INSTANT, LAST_INSTANT)
counts = st.integers(0, 2**62)
violations = st.dictionaries(st.sampled_from(("peak", "lag_1h")), st.integers(1, 2**62))
checksums = st.binary(min_size=32, max_size=32).map(bytes.hex)
begun = st.builds(
    lambda first, last, **rest: ExportRecord(
        start_time=min(first, last), end_time=max(first, last), **rest
    ),
    instants,
    instants,
    export_id=st.uuids().map(str),
    tenant_id=st.sampled_from("tu"),
    feature_set=texts,
    version=st.none() | st.integers(1, 2**31 - 1),
    status=st.just("processing"),
    storage_path=texts,
    asset_ids=st.none() | st.lists(texts, max_size=3).map(tuple),
    started_at=instants,
)


@st.composite
def exports(draw: st.DrawFn) -> ExportRecord:
    """An export under way, or one that has ended."""
    export = draw(begun)
    match draw(st.sampled_from(("processing", *ENDS))):
        case "completed":
            return written(draw, export).completed(draw(instants))
        case "no_data":
            return export.without_data(draw(instants))
        case "failed":
            return export.failed(draw(instants), draw(texts))
        case _:
            return written(draw, export) if draw(st.booleans()) else export


def written(draw: st.DrawFn, export: ExportRecord) -> ExportRecord:
    return export.written(draw(counts), draw(counts), draw(checksums), draw(violations))


@ON_STORES
@given(records=st.lists(exports(), max_size=5, unique_by=lambda one: one.export_id))
def test_every_field_comes_back(
    deployment: Deployment, tmp_path_factory: pytest.TempPathFactory, records: list[ExportRecord]
) -> None:
    # One database for all examples, which have tenants of their own.
    place = tmp_path_factory.getbasetemp() / f"export-log-{deployment}"
    place.mkdir(exist_ok=True)
    example = uuid.uuid4().hex
    records = [
        replace(one, tenant_id=one.tenant_id + example, storage_path=f"/{example}/{place}")
        for place, one in enumerate(records)
    ]
    newest = sorted(records, key=lambda one: (-one.started_at, one.export_id))

    async def check() -> None:
        store = await open_store(Settings(database_url=deployment.url(place)))
        try:
            log = store.export_log
            for record in records:
                await log.record(record)
            everything = await log.find(limit=100_000)
            assert [one for one in everything if one.tenant_id.endswith(example)] == newest
            for tenant in ("t" + example, "u" + example):
                own = [one for one in newest if one.tenant_id == tenant]
                assert await log.find([tenant]) == own
                assert await log.find([tenant], limit=1) == own[:1]
            for record in records:
                assert await log.find(export_id=record.export_id) == [record]
                assert await log.find(["x"], record.export_id) == []
        finally:
            await store.close()

    run(check())


async def test_an_export_that_is_recorded_again_is_replaced(
    deployment: Deployment, tmp_path: Path
) -> None:
    begun = ExportRecord(
        "550e8400-e29b-41d4-a716-446655440000", "t", "s", 1, "processing", "/x", 1, 2, None, 3
    )
    store = await open_store(Settings(database_url=deployment.url(tmp_path)))
    try:
        await store.export_log.record(begun)
        done = begun.written(5, 6, "ab" * 32, {"peak": 2}).completed(4)
        await asyncio.gather(*(store.export_log.record(done) for _ in range(3)))
        assert await store.export_log.find() == [done]
        assert await store.export_log.interrupted() == []
    finally:
        await store.close()


async def test_the_newest_file_of_a_place_is_named_by_those_before(
    deployment: Deployment, tmp_path: Path
) -> None:
    def record(path: str, at: int) -> ExportRecord:
        return ExportRecord(str(uuid.uuid4()), "t", "s", 1, "processing", path, 1, 2, None, at)

    long = "/" + "x" * 3_900
    store = await open_store(Settings(database_url=deployment.url(tmp_path)))
    try:
        log = store.export_log
        first, failed, second, third = (record(long, at) for at in range(4))
        other = record("/other", 4)
        for one in (first, other, second):
            await log.record(one.written(1, 2, "ab" * 32, {}))
            await log.record(one.written(1, 2, "ab" * 32, {}).completed(9))
        await log.record(failed.failed(9, "no"))
        await log.record(third.without_data(9))
        named = {one.export_id: one.replaced_by for one in await log.find()}
        assert named == {
            one.export_id: second.export_id if one is first else None
            for one in (first, failed, second, third, other)
        }
    finally:
        await store.close()


async def test_what_this_process_has_under_way_is_not_interrupted(
    deployment: Deployment, tmp_path: Path
) -> None:
    begun = ExportRecord(str(uuid.uuid4()), "t", "s", 1, "processing", "/x", 1, 2, None, 3)
    settings = Settings(database_url=deployment.url(tmp_path))
    store = await open_store(settings)
    try:
        await store.export_log.record(begun)
        assert await store.export_log.interrupted() == []
    finally:
        await store.close()
