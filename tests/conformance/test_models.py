"""Models on every store: bound to a version as it is, which stays, and asked for by their names."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from ai_hub import FeatureStore
from ai_hub.errors import (
    InvalidInput,
    RegistryConflict,
    RetiredFeatureSet,
    UnknownFeatureSet,
    UnknownModel,
)
from ai_hub.stores.registry_table import RegistryChange, StoredRegistry
from conformance.kit import Deployment
from conformance.test_feature_sets import ONE, ROWS, TWO, T, within_a_second

MODEL = "load-model@3"


async def applied(store: FeatureStore) -> None:
    await store.ingest(ROWS, "t")
    await store.apply([ONE, TWO], "me")


async def refusal(work: object) -> str:
    with pytest.raises(InvalidInput) as refused:
        await work  # type: ignore[misc]
    return str(refused.value)


async def test_a_model_is_bound_and_asked_for_by_its_name(
    any_cache: Deployment, tmp_path: Path
) -> None:
    async with any_cache.open(tmp_path) as store:
        await applied(store)
        told = await store.bind_model(MODEL, "own@2", "zero", "me")
        assert {**told, "bound_at": ""} == {
            "model": MODEL, "feature_set": "own@2", "fingerprint": TWO.fingerprint,
            "policy": "zero", "current": True, "bound_at": "", "bound_by": "me",
        }  # fmt: skip
        assert store.models() == [told] == [await store.bind_model(MODEL, "own@2", "zero")]
        assert store.described("own@2")["models"] == [MODEL]
        answer = await store.get(tenant_id="t", asset_id="a", model=MODEL, timestamp=T)
        assert (answer.version, answer.policy, answer.features) == (2, "zero", {"lag": 3.0})
        batch = await store.get_batch(
            tenant_id="t", asset_ids=["a"], model=MODEL, missing="zero", timestamp=T
        )
        assert batch["a"].features == answer.features
        assert batch["a"].cache_hit
        found = await store.get_training_set(
            [{"asset_id": "a", "timestamp": T}], tenant_id="t", model=MODEL
        )
        assert found.to_pandas()["lag"].tolist() == [3.0]
        path = tmp_path / "out.parquet"
        record = await store.export_features_to_parquet(
            "t", None, T - timedelta(hours=5), T, output_path=path, model=MODEL
        )
        assert (record["feature_set"], record["row_count"]) == ("own", 5)
    if any_cache.lasts:
        async with any_cache.open(tmp_path) as store:
            assert store.models() == [told]
            await store.unbind_model(MODEL)
            assert store.models() == []
            with pytest.raises(UnknownModel, match="expected one that is bound, and none is"):
                await store.unbind_model(MODEL)


async def test_a_version_with_a_model_stays(deployment: Deployment, tmp_path: Path) -> None:
    async with deployment.open(tmp_path) as store:
        await applied(store)
        await store.bind_model(MODEL, "own@2")
        await store.bind_model("other.model@1", "own@2")
        assert await refusal(store.retire("own@2")) == (
            "feature_set: got 'own@2', expected a version that no model is bound to. Bound to it: "
            "load-model@3, other.model@1. Unbind what is out of use (ai-hub models unbind "
            "load-model@3)."
        )
        planned = await store.plan([ONE])
        assert planned.document()["changes"][0]["models"] == {
            MODEL: "own@2", "other.model@1": "own@2",
        }  # fmt: skip
        for model in (MODEL, "other.model@1"):
            await store.unbind_model(model)
        await store.retire("own@2")
        with pytest.raises(RetiredFeatureSet):
            await store.bind_model(MODEL, "own@2")
        with pytest.raises(UnknownFeatureSet):
            await store.bind_model(MODEL, "own@3")


async def test_what_does_not_fit_a_model_is_refused(deployment: Deployment, tmp_path: Path) -> None:
    async with deployment.open(tmp_path) as store:
        await applied(store)
        await store.bind_model(MODEL, "own@1", "mean")
        ask = {"tenant_id": "t", "asset_id": "a", "timestamp": T}
        assert await refusal(store.get(**ask, model=MODEL, missing="zero")) == (
            "missing: got 'zero', expected mean, the policy that load-model@3 is bound with"
        )
        assert await refusal(store.get(**ask, model=MODEL, feature_set="own")) == (
            "feature_set: got 'own', expected either model or feature_set, not both"
        )
        assert await refusal(store.get(**ask, model=MODEL, feature_names=["month"])) == (
            "feature_names: got ['month'], expected either model or feature_names, not both"
        )
        with pytest.raises(UnknownModel, match=r"'load-model@4', expected one .*: load-model@3"):
            await store.get(**ask, model="load-model@4")
        assert await refusal(store.bind_model("load-model", "own@1")) == (
            "model: got 'load-model', expected a model's name with its version, such as "
            "load-model@3"
        )
        assert await refusal(store.bind_model(MODEL, "own")) == (
            "feature_set: got 'own', expected a name with its version, such as my_set@1"
        )
        assert await refusal(store.bind_model(MODEL, "own@2", "mean")) == (
            "model: got 'load-model@3', expected a model that is not bound to own@1 with the "
            "policy mean. Unbind it first (ai-hub models unbind load-model@3)."
        )
        assert "got 'often'" in await refusal(store.bind_model(MODEL, "own@1", "often"))
        assert await refusal(store.get_training_set([], tenant_id="t")) == (
            "feature_set: got None, expected a value: the name of a set, or else a model"
        )


async def test_a_model_of_another_fingerprint_is_refused_until_it_is_bound_again(
    deployment: Deployment, tmp_path: Path
) -> None:
    def older(stored: StoredRegistry) -> RegistryChange:
        return RegistryChange(models=(replace(stored.models[0], fingerprint="0" * 16),))

    async with deployment.open(tmp_path) as store:
        await applied(store)
        await store.bind_model(MODEL, "own@1")
        # As an older release has bound it, whose semantics had another number.
        await store._hear(await store._table.change(older))
        ask = {"tenant_id": "t", "asset_id": "a", "timestamp": T, "model": MODEL}
        with pytest.raises(RegistryConflict) as refused:
            await store.get(**ask)
        assert str(refused.value) == (
            "model: got 'load-model@3', expected a model that is bound to own@1 as it is now. It "
            f"was bound to the fingerprint 0000000000000000, and that is {ONE.fingerprint} now. "
            "See that it fits, and bind it again (ai-hub models bind load-model@3 own@1 --policy "
            "mean)."
        )
        assert not store.models()[0]["current"]
        await store.bind_model(MODEL, "own@1")
        assert (await store.get(**ask)).features == {"lag": 2.0}


async def test_other_processes_see_it_within_a_second(
    on_server: Deployment, tmp_path: Path
) -> None:
    async with on_server.open(tmp_path) as writer, on_server.open(tmp_path) as reader:
        await applied(writer)
        await writer.bind_model(MODEL, "own@2")
        await within_a_second(lambda: reader.models() == writer.models())
        answer = await reader.get(tenant_id="t", asset_id="a", model=MODEL, timestamp=T)
        assert answer.features == {"lag": 3.0}
        with pytest.raises(RegistryConflict):
            await reader.retire("own@2")
