"""Rollouts on every store: a share of the entities, each with one version, as one finds offline."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ai_hub import FeatureStore
from ai_hub.errors import InvalidInput, RetiredFeatureSet, UnknownFeatureSet, UnknownRollout
from ai_hub.serving.rollouts import PARTS, part_of, share_of
from conformance.kit import MEMORY, Deployment
from conformance.test_feature_sets import ONE, TWO, T, lag, within_a_second
from conformance.test_models import MODEL, applied, refusal

MANY = [f"asset-{i}" for i in range(10_000)]


async def versions(store: FeatureStore, asset_ids: list[str]) -> dict[str, int]:
    found: dict[str, int] = {}
    for first in range(0, len(asset_ids), 1_000):
        answers = await store.get_batch(
            tenant_id="t", asset_ids=asset_ids[first : first + 1_000], feature_set="own",
            timestamp=T,
        )  # fmt: skip
        assert [*answers] == asset_ids[first : first + 1_000]
        for asset_id, answer in answers.items():
            of = {1: ONE, 2: TWO}[answer.version or 0]
            assert (answer.feature_set, answer.fingerprint) == ("own", of.fingerprint)
            found[asset_id] = of.version or 0
    return found


async def test_a_share_of_the_assets_has_the_new_version(
    deployment: Deployment, tmp_path: Path
) -> None:
    assets = MANY if deployment == MEMORY else MANY[:1_000]
    near = 0.01 if deployment == MEMORY else 0.03
    async with deployment.open(tmp_path) as store:
        await applied(store)
        told = await store.roll_out("own", 2, 10, "me")
        assert {**told, "begun_at": ""} == {
            "feature_set": "own", "from": 1, "to": 2, "percent": 10.0, "begun_at": "",
            "begun_by": "me",
        }  # fmt: skip
        assert store.described("own@2")["rollout"] == told == store.rollouts()[0]
        served = await versions(store, assets)
        assert abs(sum(one == 2 for one in served.values()) / len(assets) - 0.10) < near
        # As anybody recomputes it.
        for asset_id, version in served.items():
            digest = hashlib.sha256(f"own\nt\n{asset_id}".encode()).digest()
            assert version == 1 + (int.from_bytes(digest[:8], "big") % 10_000 < 1_000)
        assert store.rollout_split("own", "t", assets) == served
        assert store.metrics.served == {
            f"own@{v}": sum(one == v for one in served.values()) for v in (1, 2)
        }
        for asset_id in MANY[:30]:
            answer = await store.get(tenant_id="t", asset_id=asset_id, feature_set="own")
            assert answer.version == served[asset_id]
        # More of them: none goes back.
        await store.roll_out("own", 2, 35.25)
        more = await versions(store, assets)
        assert abs(sum(one == 2 for one in more.values()) / len(assets) - 0.3525) < near
        assert all(more[one] == 2 for one in assets if served[one] == 2)
        # What is not asked for by the name alone has one version: exports, schemas, named ones.
        assert store.registry.get("own").version == 1
        found = await store.get_training_set(
            [{"asset_id": "a", "timestamp": T}], "own", tenant_id="t"
        )
        assert found.to_pandas()["lag"].tolist() == [2.0]
        assert (await lag(store, "own@1"))[0] == 2.0


async def test_it_is_finished_or_aborted(any_cache: Deployment, tmp_path: Path) -> None:
    async with any_cache.open(tmp_path) as store:
        await applied(store)
        assert await lag(store, "own") == (2.0, False)
        await store.roll_out("own", 2, 100)
        # Nothing that is cached of the one version is served for the other.
        assert await lag(store, "own") == (3.0, False)
        assert await lag(store, "own") == (3.0, True)
        assert await lag(store, "own@1") == (2.0, True)
        await store.roll_out("own", 2, 0)
        assert await lag(store, "own") == (2.0, True)
        await store.abort_rollout("own")
        assert store.rollouts() == []
        assert await lag(store, "own") == (2.0, True)
        await store.roll_out("own", 2, 50)
    if any_cache.lasts:
        async with any_cache.open(tmp_path) as store:
            assert store.rollouts()[0]["percent"] == 50.0
            await store.finish_rollout("own")
            assert (await lag(store, "own"))[0] == 3.0
            assert store.described("own")["version"] == 2
            await store.retire("own@1")
            with pytest.raises(UnknownRollout, match="expected a set with a rollout under way"):
                await store.finish_rollout("own")


async def test_both_versions_are_warmed_and_forgotten(
    deployment: Deployment, tmp_path: Path
) -> None:
    async with deployment.open(tmp_path) as store:
        await applied(store)
        await store.roll_out("own", 2, 50)
        warmed = await store.warm_feature_cache("t", ["a"], "own", T)
        assert (warmed["warmed"], warmed["computed"]) == (2, 2)
        dropped = await store.invalidate_feature_cache("t", "a", feature_set="own")
        assert dropped["invalidated"] == 2


async def test_refusals(deployment: Deployment, tmp_path: Path) -> None:
    async with deployment.open(tmp_path) as store:
        await applied(store)
        for percent in (-1, 100.5, 0.001, True, "10", float("nan")):
            with pytest.raises(InvalidInput, match="a number from 0 to 100 with at most two dec"):
                await store.roll_out("own", 2, percent)  # type: ignore[arg-type]
        assert await refusal(store.roll_out("own@1", 2, 5)) == (
            "name: got 'own@1', expected the name of a feature set, without a version"
        )
        assert await refusal(store.roll_out("own", "2", 5)) == (  # type: ignore[arg-type]
            "to: got '2', expected the number of a version, such as 2"
        )
        assert await refusal(store.roll_out("own", 1, 5)) == (
            "to: got 1, expected another version than the default one of own"
        )
        for name, to in (("own", 3), ("none", 1)):
            with pytest.raises(UnknownFeatureSet):
                await store.roll_out(name, to, 5)
        await store.apply([type(ONE)("own", 3, TWO.features)])
        await store.roll_out("own", 2, 5)
        assert await refusal(store.roll_out("own", 3, 5)) == (
            "to: got 3, expected 2, to which a rollout of own is under way. Finish or abort that "
            "first (ai-hub rollout own --finish, or --abort)."
        )
        assert await refusal(store.retire("own@2")) == (
            "feature_set: got 'own@2', expected a version that is not being rolled out. Abort its "
            "rollout first (ai-hub rollout own --abort)."
        )
        assert await refusal(store.set_default("own@2")) == (
            "feature_set: got 'own@2', expected a set without a rollout under way. Finish or abort "
            "that to own@2 first (ai-hub rollout own --finish, or --abort)."
        )
        await store.abort_rollout("own")
        await store.retire("own@2")
        with pytest.raises(RetiredFeatureSet):
            await store.roll_out("own", 2, 5)
        with pytest.raises(UnknownRollout):
            store.rollout_split("own", "t", ["a"])
        await store.roll_out("own", 3, 50)
        with pytest.raises(InvalidInput, match="at most 1000 assets"):
            await store.get_batch(tenant_id="t", asset_ids=MANY[:1_001], feature_set="own")


async def test_every_process_splits_alike_within_a_second(
    on_server: Deployment, tmp_path: Path
) -> None:
    async with on_server.open(tmp_path) as writer, on_server.open(tmp_path) as reader:
        await applied(writer)
        await within_a_second(lambda: len(reader.registry.versions("own")) == 2)
        assert await lag(reader, "own") == (2.0, False)
        await writer.roll_out("own", 2, 40)
        await within_a_second(lambda: reader.rollouts() == writer.rollouts())
        some = MANY[:200]
        assert await versions(reader, some) == await versions(writer, some)
        await writer.bind_model(MODEL, "own@1")
        await writer.finish_rollout("own")
        await within_a_second(lambda: not reader.rollouts())
        assert await lag(reader, "own") == (3.0, False)


@given(st.decimals(0, 100, places=2, allow_nan=False))
def test_hundredths_of_per_cent_are_exact(percent: Any) -> None:
    assert share_of(float(percent)) == int(percent * 100)


@given(st.text(), st.text())
def test_every_entity_has_a_part(tenant_id: str, asset_id: str) -> None:
    assert 0 <= part_of("own", tenant_id, asset_id) < PARTS
