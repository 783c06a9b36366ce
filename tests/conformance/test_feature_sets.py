"""Applying definitions: on every store, for every process, and no version in place of another."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from ai_hub import Attribute, FeatureSet, FeatureStore, Lag, Latest, Rolling
from ai_hub.definitions.feature_set import SEMANTICS
from ai_hub.errors import InvalidInput, RetiredFeatureSet, StoreError, UnknownFeatureSet
from ai_hub.stores.registry_table import RegistryChange, StoredRegistry
from conformance.kit import Deployment

T = datetime(2025, 10, 9, 14, 30, tzinfo=UTC)
ROWS = [
    {"timestamp": T - timedelta(hours=hours), "asset_id": "a", "value": float(hours)}
    for hours in range(1, 30)
]
ONE = FeatureSet("own", 1, (Lag("lag", "2h"),), owner="grid-team")  # type: ignore[arg-type]
TWO = FeatureSet("own", 2, (Lag("lag", "3h"),))  # type: ignore[arg-type]


async def lag(store: FeatureStore, name: str) -> tuple[Any, bool]:
    answer = await store.get(tenant_id="t", asset_id="a", feature_set=name, timestamp=T)
    return answer.features["lag"], answer.cache_hit


async def within_a_second(holds: Callable[[], bool]) -> None:
    """Of a machine with nothing else to do; a busy one has longer."""
    for _ in range(3_000):
        if holds():
            return
        await asyncio.sleep(0.01)
    raise AssertionError("not within a second")


async def test_what_is_applied_is_served_and_lasts(any_cache: Deployment, tmp_path: Path) -> None:
    async with any_cache.open(tmp_path) as store:
        await store.ingest(ROWS, "t")
        planned = await store.plan([ONE, TWO])
        assert [(one.label, one.action) for one in planned.changes] == [
            ("own@1", "create"), ("own@2", "create"),
        ]  # fmt: skip
        with pytest.raises(UnknownFeatureSet):
            await lag(store, "own")
        done = await store.apply([ONE, TWO], "me")
        assert (done.changes, done.revision) == (planned.changes, planned.revision + 1)
        assert [await lag(store, name) for name in ("own", "own@1", "own@2")] == [
            (2.0, False), (2.0, True), (3.0, False),
        ]  # fmt: skip
        again = await store.apply([ONE])
        assert [one.action for one in again.changes] == ["none"]
        assert again.revision == done.revision
        told = store.described("own@1")
        assert (told["state"], told["default"], told["applied_by"]) == ("active", True, "me")
    if any_cache.lasts:
        async with any_cache.open(tmp_path) as store:
            assert [(await lag(store, name))[0] for name in ("own", "own@2")] == [2.0, 3.0]
            assert store.described("own@1")["owner"] == "grid-team"


async def test_all_of_a_file_is_applied_or_nothing(deployment: Deployment, tmp_path: Path) -> None:
    changed = FeatureSet("own", 1, TWO.features)
    async with deployment.open(tmp_path) as store:
        await store.apply([ONE])
        planned = await store.plan([TWO, changed])
        assert not planned.is_allowed
        with pytest.raises(InvalidInput, match=r"(?s)own@1.*as own@2\.\n.*~ lag\.by: 2h -> 3h"):
            await store.apply([TWO, changed])
        with pytest.raises(UnknownFeatureSet):
            store.described("own@2")
        with pytest.raises(InvalidInput, match="each version of a set once"):
            await store.plan([TWO, TWO])


async def test_a_version_is_the_default_until_another_one_is_made_that_and_retired_after(
    deployment: Deployment, tmp_path: Path
) -> None:
    async with deployment.open(tmp_path) as store:
        await store.ingest(ROWS, "t")
        await store.apply([ONE, TWO])
        with pytest.raises(InvalidInput, match=r"not the default one\. Make another version"):
            await store.retire("own@1")
        await store.set_default("own@2")
        assert await lag(store, "own") == (3.0, False)
        assert (await lag(store, "own@1"))[0] == 2.0
        await store.retire("own@1")
        await store.retire("own@1")
        with pytest.raises(RetiredFeatureSet):
            await lag(store, "own@1")
        with pytest.raises(RetiredFeatureSet):
            await store.set_default("own@1")
        assert store.described("own@1")["state"] == "retired"
        # What a file still has of it is no change, and does not bring it back.
        planned = await store.apply([ONE])
        assert [(one.action, one.is_retired) for one in planned.changes] == [("none", True)]
        assert [await lag(store, name) for name in ("own", "own@2")] == [(3.0, True)] * 2


async def test_a_built_in_version_stays_and_a_name_of_one_may_have_others(
    deployment: Deployment, tmp_path: Path
) -> None:
    basic = FeatureSet("forecast_basic", 2, TWO.features)
    async with deployment.open(tmp_path) as store:
        await store.ingest(ROWS, "t")
        with pytest.raises(InvalidInput, match=r"as forecast_basic@2\."):
            await store.apply([FeatureSet("forecast_basic", 1, TWO.features)])
        await store.apply([basic])
        assert store.registry.get("forecast_basic").version == 1
        await store.set_default("forecast_basic@2")
        assert await lag(store, "forecast_basic") == (3.0, False)
        with pytest.raises(InvalidInput, match="no built-in version, which stays"):
            await store.retire("forecast_basic@1")
        await store.set_default("forecast_basic@1")
        await store.retire("forecast_basic@2")
        assert len(await store.get_features("t", "a", T, feature_set="forecast_basic")) == 6


async def test_a_name_without_its_version_and_an_unknown_one_are_refused(
    deployment: Deployment, tmp_path: Path
) -> None:
    async with deployment.open(tmp_path) as store:
        for work in (store.retire, store.set_default):
            with pytest.raises(InvalidInput, match="a name with its version, such as my_set@1"):
                await work("forecast_basic")
            with pytest.raises(UnknownFeatureSet):
                await work("own@1")


async def test_a_series_that_nobody_has_is_doubted(deployment: Deployment, tmp_path: Path) -> None:
    doubtful = FeatureSet(
        "doubtful",
        1,
        (
            Rolling("avg", "mean", "1h"),  # type: ignore[arg-type]
            Rolling("warmth", "mean", "1h", series="temperature"),  # type: ignore[arg-type]
            Latest("wind_speed", "wind_speed"),
            Latest("humidity", "humidity"),
            Attribute("capacity", "capacity"),
            Attribute("area", "area"),
        ),
    )
    async with deployment.open(tmp_path) as store:
        await store.ingest(ROWS, "t")
        await store.ingest_weather([{"timestamp": T, "asset_id": "s", "humidity": 5.0}], "t")
        await store.ingest_attributes([{"asset_id": "a", "capacity": 5.0}], "t")
        planned = await store.plan([doubtful])
        assert planned.warnings == (
            "doubtful@1: warmth reads the series 'temperature', of which no asset has a reading. "
            "The weather's temperature is Latest('warmth', 'temperature').",
            "doubtful@1: wind_speed reads the weather's wind_speed, of which no station or asset "
            "has a value.",
            "doubtful@1: area reads the attribute 'area', which no asset has.",
        )
        document = planned.document()["changes"][0]
        assert document["reads"] == {
            "series": {"value": "1h", "temperature": "1h"},
            "weather": {"wind_speed": "24h", "humidity": "24h"},
            "attributes": ["capacity", "area"],
            "views": {},
        }
        assert document["features"]["warmth"] == "1h of temperature"


async def test_every_process_serves_it_within_a_second(
    on_server: Deployment, tmp_path: Path
) -> None:
    async with on_server.open(tmp_path) as writer, on_server.open(tmp_path) as reader:
        await writer.ingest(ROWS, "t")
        await writer.apply([ONE, TWO])
        sets = writer.registry.sets()
        await within_a_second(lambda: len(reader.registry.sets()) == len(sets))
        assert await lag(reader, "own") == (2.0, False)
        await writer.set_default("own@2")
        await within_a_second(lambda: reader.registry.get("own").version == 2)
        await writer.retire("own@1")
        await within_a_second(lambda: len(reader.registry.sets()) < len(sets))
        with pytest.raises(RetiredFeatureSet):
            await lag(reader, "own@1")
        assert (await lag(reader, "own"))[0] == 3.0


async def test_what_one_process_registered_gives_way_to_what_was_applied(
    deployment: Deployment, tmp_path: Path
) -> None:
    async with deployment.open(tmp_path) as store:
        store.register(FeatureSet("own", 1, TWO.features))
        await store.apply([ONE])
        assert store.registry.get("own@1") == ONE
        with pytest.raises(InvalidInput, match="a version whose definition is unchanged"):
            store.register(FeatureSet("own", 1, TWO.features))
        store.register(ONE)


async def test_a_version_of_older_semantics_is_taken_by_applying_it_again(
    deployment: Deployment, tmp_path: Path
) -> None:
    def older(seen: StoredRegistry) -> RegistryChange:
        (row,) = seen.sets
        return RegistryChange((replace(row, semantics=1, fingerprint="0" * 16),))

    async with deployment.open(tmp_path) as store:
        await store.ingest(ROWS, "t")
        await store.apply([ONE])
        table = store._open.store.registry_table
        await table.change(older)
        # It is served as this release means it, and the plan says so.
        assert (await lag(store, "own"))[0] == 2.0
        assert [one.action for one in (await store.plan([ONE])).changes] == ["update semantics"]
        await store.apply([ONE])
        (row,) = (await table.load()).sets
        assert (row.semantics, row.fingerprint) == (SEMANTICS, ONE.fingerprint)
        assert [one.action for one in (await store.plan([ONE])).changes] == ["none"]


async def test_other_words_about_a_version_are_taken_and_it_stays_what_it_is(
    deployment: Deployment, tmp_path: Path
) -> None:
    async with deployment.open(tmp_path) as store:
        await store.ingest(ROWS, "t")
        await store.apply([ONE, TWO])
        assert await lag(store, "own") == (2.0, False)
        done = await store.apply([replace(ONE, owner="other-team")])
        assert [one.action for one in done.changes] == ["describe"]
        assert store.described("own@1")["owner"] == "other-team"
        assert await lag(store, "own") == (2.0, True)


async def test_a_definition_of_a_newer_release_is_said_to_be_one(
    deployment: Deployment, tmp_path: Path
) -> None:
    def newer(seen: StoredRegistry) -> RegistryChange:
        (row,) = seen.sets
        return RegistryChange((replace(row, document=row.document.replace("Lag", "Lead")),))

    if not deployment.lasts:
        return
    async with deployment.open(tmp_path) as store:
        await store.apply([ONE])
        await store._open.store.registry_table.change(newer)
        # Whoever is open already goes on with what it knows.
        assert store.registry.get("own@1") == ONE
    with pytest.raises(StoreError, match=r"own@1, which this release cannot read .*Lead.*Upgrade"):
        await deployment.open(tmp_path).__aenter__()
