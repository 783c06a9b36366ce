"""What the registry of a store is told, it tells: every field, whole changes, one after another."""

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
from ai_hub.stores.base import OfflineStore
from ai_hub.stores.opening import open_store
from ai_hub.stores.registry_table import (
    RegistryChange,
    StoredModel,
    StoredRegistry,
    StoredRollout,
    StoredSet,
)
from conformance.kit import ON_STORES, Deployment, run

texts = st.text(st.characters(min_codepoint=32, codec="utf-8"), max_size=20)
stored_sets = st.builds(
    StoredSet,
    name=st.sampled_from("abcdef"),
    version=st.integers(1, 2**31 - 1),
    state=st.sampled_from(("active", "retired")),
    fingerprint=texts,
    semantics=st.integers(1, 99),
    document=texts.map(lambda text: '{"b":1,  "a":"' + text.translate({34: "", 92: ""}) + '"}'),
    applied_at=st.integers(FIRST_INSTANT, LAST_INSTANT),
    applied_by=texts,
    revision=st.integers(1, 2**62),
)
MODEL = StoredModel("load-model", 3, "own", 1, "f", "mean", 5, "me")
ROLLOUT = StoredRollout("own", 1, 2, 1_234, 5, "me")


def one(name: str, version: int = 1, **more: object) -> StoredSet:
    fixed = {"state": "active", "fingerprint": "f", "semantics": 2, "document": "{}"}
    rest = {"applied_at": 5, "applied_by": "me", "revision": 1, **fixed, **more}
    return StoredSet(name, version, **rest)  # type: ignore[arg-type]


async def opened(deployment: Deployment, place: Path) -> OfflineStore:
    return await open_store(Settings(database_url=deployment.url(place)))


@ON_STORES
@given(drawn=st.lists(stored_sets, max_size=5), defaults=st.dictionaries(texts, st.integers(1, 9)))
def test_every_field_comes_back(
    deployment: Deployment,
    tmp_path_factory: pytest.TempPathFactory,
    drawn: list[StoredSet],
    defaults: dict[str, int],
) -> None:
    place = tmp_path_factory.getbasetemp() / f"registry-{deployment}"
    place.mkdir(exist_ok=True)
    example = uuid.uuid4().hex
    chosen = {(row.name, row.version): StoredSet(row.name + example, *_rest(row)) for row in drawn}
    named = {name + example: version for name, version in defaults.items()}

    async def check() -> None:
        store = await opened(deployment, place)
        try:
            table = store.registry_table
            change = RegistryChange(tuple(chosen.values()), named)
            before = await table.load()
            after = await table.change(lambda seen: change if seen == before else RegistryChange())
            assert after == await table.load()
            assert after.revision == before.revision + bool(change)
            expected = sorted(chosen.values(), key=lambda s: (s.revision, s.name, s.version))
            assert [row for row in after.sets if row.name.endswith(example)] == expected
            assert {k: v for k, v in after.defaults.items() if k.endswith(example)} == named
        finally:
            await store.close()

    run(check())


def _rest(row: StoredSet) -> tuple[object, ...]:
    return tuple(getattr(row, name) for name in StoredSet.__slots__[1:])


async def test_a_row_takes_the_place_of_that_of_its_version(
    deployment: Deployment, tmp_path: Path
) -> None:
    store = await opened(deployment, tmp_path)
    try:
        table = store.registry_table
        await table.change(lambda _: RegistryChange((one("a"), one("a", 2)), {"a": 1}))
        retired = one("a", state="retired", semantics=3)
        after = await table.change(lambda _: RegistryChange((retired,), {"a": 2}))
        assert after == StoredRegistry(2, (retired, one("a", 2)), {"a": 2})
    finally:
        await store.close()


async def test_models_and_rollouts_are_kept_changed_and_gone(
    deployment: Deployment, tmp_path: Path
) -> None:
    store = await opened(deployment, tmp_path)
    try:
        table = store.registry_table
        older, other = replace(MODEL, model_version=2), replace(ROLLOUT, name="other")
        change = RegistryChange(models=(MODEL, older), rollouts=(other, ROLLOUT))
        after = await table.change(lambda _: change)
        expected = StoredRegistry(1, models=(older, MODEL), rollouts=(other, ROLLOUT))
        assert after == replace(
            expected, rollouts=(*sorted((other, ROLLOUT), key=lambda r: r.name),)
        )
        again, raised = replace(MODEL, fingerprint="g"), replace(ROLLOUT, share=10_000)
        change = RegistryChange(models=(again,), rollouts=(raised,), gone=(older, other))
        after = await table.change(lambda _: change)
        assert after == await table.load()
        assert after == StoredRegistry(2, models=(again,), rollouts=(raised,))
        after = await table.change(lambda _: RegistryChange(gone=(MODEL, ROLLOUT)))
        assert after == StoredRegistry(3)
    finally:
        await store.close()


async def test_what_a_decision_raises_leaves_everything(
    deployment: Deployment, tmp_path: Path
) -> None:
    def no(_: StoredRegistry) -> RegistryChange:
        raise LookupError("no")

    store = await opened(deployment, tmp_path)
    try:
        before = await store.registry_table.change(lambda _: RegistryChange((one("a"),)))
        with pytest.raises(LookupError, match="no"):
            await store.registry_table.change(no)
        twice = RegistryChange((one("b"), one("c", state="wrong", document="no json")))
        if deployment.name not in ("memory", "file"):
            with pytest.raises(Exception, match=r"state|json"):
                await store.registry_table.change(lambda _: twice)
        assert await store.registry_table.load() == before
    finally:
        await store.close()


async def test_changes_come_one_after_another_and_none_is_lost(
    deployment: Deployment, tmp_path: Path
) -> None:
    def next_version(seen: StoredRegistry) -> RegistryChange:
        return RegistryChange((one("a", len(seen.sets) + 1, revision=seen.revision + 1),))

    stores = [await opened(deployment, tmp_path)]
    if deployment.name not in ("memory", "file"):
        stores.append(await opened(deployment, tmp_path))
    try:
        tables = [store.registry_table for store in stores]
        await asyncio.gather(*(tables[i % len(tables)].change(next_version) for i in range(8)))
        found = await tables[0].load()
        assert (found.revision, [row.version for row in found.sets]) == (8, [*range(1, 9)])
    finally:
        for store in stores:
            await store.close()


@pytest.mark.parametrize("noticed", [True, False], ids=["noticed", "without a notice"])
async def test_a_change_by_another_process_is_heard_within_a_second(
    on_server: Deployment, tmp_path: Path, noticed: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    from ai_hub.stores.postgres import registry

    writer, reader = [await opened(on_server, tmp_path) for _ in range(2)]
    heard: asyncio.Queue[StoredRegistry] = asyncio.Queue()
    try:
        await reader.registry_table.load()
        if not noticed:
            monkeypatch.setattr(registry, "CHANNEL", "ai_hub_of_nobody")
        await reader.registry_table.watch(heard.put)
        async with asyncio.timeout(5):
            assert (await heard.get()).revision == 0
        await asyncio.sleep(0.1)
        monkeypatch.undo()
        after = await writer.registry_table.change(lambda _: RegistryChange((one("a"),)))
        async with asyncio.timeout(1):
            assert await heard.get() == after
    finally:
        await writer.close()
        await reader.close()
