"""The front: what it refuses, what it needs to be open for, and how its answers hang together."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from ai_hub import FeatureSet, FeatureStore, Lag, Rolling
from ai_hub.config import Settings
from ai_hub.errors import (
    InvalidInput,
    OutOfRange,
    StoreUnavailable,
    UnknownExport,
    UnknownFeatureSet,
)

T = datetime(2025, 10, 9, 14, 30, tzinfo=UTC)
BEFORE = T - timedelta(hours=1)
ROW = {"timestamp": T - timedelta(minutes=10), "asset_id": "a", "value": 1.0}
SET = "forecast_basic"
OTHER = "anomaly_detection"

Use = Callable[[FeatureStore], Awaitable[object]]


def opened(root: Path) -> FeatureStore:
    return FeatureStore(Settings(database_url="duckdb:///:memory:", export_root=root))


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[FeatureStore]:
    async with opened(tmp_path) as one:
        yield one


USES: dict[str, Use] = {
    "prepare": lambda s: s.prepare(),
    "doctor": lambda s: s.doctor(),
    "archive": lambda s: s.archive(BEFORE, "/tmp/archive"),
    "archives": lambda s: s.archives(),
    "unarchive": lambda s: s.unarchive(),
    "ingest": lambda s: s.ingest([ROW], "t"),
    "ingest_weather": lambda s: s.ingest_weather([{**ROW, "temperature": 1.0}], "t"),
    "ingest_attributes": lambda s: s.ingest_attributes([{"asset_id": "a", "capacity": 1}], "t"),
    "assign_weather_source": lambda s: s.assign_weather_source(
        tenant_id="t", source_id="s", asset_ids=["a"]
    ),
    "get": lambda s: s.get(tenant_id="t", asset_id="a"),
    "explain": lambda s: s.explain(tenant_id="t", asset_id="a"),
    "get_batch": lambda s: s.get_batch(tenant_id="t", asset_ids=["a"]),
    "get_features": lambda s: s.get_features("t", "a"),
    "compute_feature_set": lambda s: s.compute_feature_set("t", "a", SET),
    "get_batch_features": lambda s: s.get_batch_features("t", ["a"]),
    "found": lambda s: s.found(s.specs.of(SET), "t", ["a"], 0),
    "warm_feature_cache": lambda s: s.warm_feature_cache("t", ["a"]),
    "assets": lambda s: s.assets("t"),
    "tenants": lambda s: s.tenants(),
    "freshness": lambda s: s.freshness("t"),
    "asset": lambda s: s.asset("t", "a"),
    "chart": lambda s: s.chart("t", "a", BEFORE, T, feature_set=SET, feature="lag_1h"),
    "history": lambda s: s.history("t", ["a"], BEFORE, T, feature_set=SET, weather=True),
    "seen_assets": lambda s: s.seen_assets("t"),
    "invalidate_feature_cache": lambda s: s.invalidate_feature_cache("t", "a"),
    "cache_stats": lambda s: s.cache_stats(),
    "ready": lambda s: s.ready(),
    "status": lambda s: s.status(),
    "export_features_to_parquet": lambda s: s.export_features_to_parquet("t", SET, BEFORE, T),
    "wait_for_export": lambda s: s.wait_for_export("x"),
    "cancel_export": lambda s: s.cancel_export("x"),
    "resume_export": lambda s: s.resume_export("x"),
    "take_exports": lambda s: s.take_exports(),
    "get_training_set": lambda s: s.get_training_set(
        [{"asset_id": "a", "timestamp": T}], SET, tenant_id="t"
    ),
    "exports": lambda s: s.exports(),
    "drift_baseline": lambda s: s.drift_baseline("t", SET),
    "drift": lambda s: s.drift("t", SET),
    "drifting": lambda s: s.drifting(),
    "export_record": lambda s: s.export_record("none"),
    "plan": lambda s: s.plan([FeatureSet("own", 1, (Lag("lag", "1h"),))]),
    "apply": lambda s: s.apply([FeatureSet("own", 1, (Lag("lag", "1h"),))]),
    "retire": lambda s: s.retire("own@1"),
    "set_default": lambda s: s.set_default(f"{SET}@1"),
    "bind_model": lambda s: s.bind_model("m@1", f"{SET}@1"),
    "create_key": lambda s: s.create_key("k", None, ["read"]),
    "revoke_key": lambda s: s.revoke_key("k"),
    "unbind_model": lambda s: s.unbind_model("m@1"),
    "roll_out": lambda s: s.roll_out(SET, 2, 10),
    "finish_rollout": lambda s: s.finish_rollout(SET),
    "abort_rollout": lambda s: s.abort_rollout(SET),
    "audit": lambda s: s.audit(),
    "delete": lambda s: s.delete("t", ["a"]),
}
# What is about something that is not there yet.
FINDS = {
    *("export_record", "wait_for_export", "cancel_export", "resume_export"),
    *("retire", "revoke_key", "unbind_model"),
    *("roll_out", "finish_rollout", "abort_rollout"),
    *("drift", "drift_baseline", "asset"),
}
# What opens and closes it, what is for a batch that is checked already, and what reads a file.
BESIDE = {"close", "land", "ingest_bulk"}


def test_no_method_that_waits_is_left_out_here() -> None:
    methods = inspect.getmembers(FeatureStore, inspect.iscoroutinefunction)
    assert {name for name, _ in methods if not name.startswith("_")} == {*USES, *BESIDE}


@pytest.mark.parametrize("name", USES)
async def test_what_is_not_open_says_how_to_open_it(name: str, tmp_path: Path) -> None:
    store = opened(tmp_path)
    with pytest.raises(StoreUnavailable, match="not open: use `async with`"):
        await USES[name](store)
    with pytest.raises(StoreUnavailable, match="not open"):
        store.measured()
    await store.close()


@pytest.mark.parametrize("name", USES)
async def test_what_is_closed_says_so(name: str, tmp_path: Path) -> None:
    store = opened(tmp_path)
    async with store:
        await store.get(tenant_id="t", asset_id="a")
    with pytest.raises(StoreUnavailable, match="the feature store is closed"):
        await USES[name](store)
    with pytest.raises(StoreUnavailable, match="closed"):
        store.measured()


@pytest.mark.parametrize("name", [name for name in USES if name not in FINDS])
async def test_everything_is_done_while_it_is_open(name: str, store: FeatureStore) -> None:
    await USES[name](store)


async def test_it_may_be_opened_again(tmp_path: Path) -> None:
    store = opened(tmp_path)
    for _ in range(2):
        async with store as same:
            assert same is store
            assert (await store.ingest([ROW], "t")).accepted == 1
        await store.close()


def test_the_url_of_a_database_is_opened() -> None:
    url: Any = "postgresql://ai_hub:secret@db.example/features"
    with pytest.raises(InvalidInput, match=r"^settings: got 'str', .* FeatureStore\.open\(url\)"):
        FeatureStore(url)


async def test_open_takes_a_url_settings_and_single_ones(tmp_path: Path) -> None:
    url = "duckdb:///:memory:"
    assert FeatureStore.open(url, cache_ttl=7).settings.cache_ttl == 7
    settings = Settings(database_url=url, cache_ttl=8)
    assert FeatureStore.open(settings=settings).settings is settings


LISTS: dict[str, Callable[[FeatureStore, str, Any], Awaitable[object]]] = {
    "batch": lambda s, tenant, ids: s.found(s.specs.of(SET), tenant, ids, 0),
    "assign": lambda s, tenant, ids: s.assign_weather_source(
        tenant_id=tenant, source_id="s", asset_ids=ids
    ),
    "warm": lambda s, tenant, ids: s.warm_feature_cache(tenant, ids),
    "invalidate": lambda s, tenant, ids: s.invalidate_feature_cache(tenant, asset_ids=ids),
    "export": lambda s, tenant, ids: s.export_features_to_parquet(
        tenant, SET, BEFORE, T, asset_ids=ids
    ),
    "history": lambda s, tenant, ids: s.history(tenant, ids, BEFORE, T),
}


@pytest.mark.parametrize("name", LISTS)
async def test_lists_of_assets_are_checked_wherever_they_are_given(
    name: str, store: FeatureStore
) -> None:
    call = LISTS[name]
    with pytest.raises(InvalidInput, match=r"^tenant_id: got ''"):
        await call(store, "", ["a"])
    with pytest.raises(InvalidInput, match=r"^asset_ids: .*at least one asset id"):
        await call(store, "t", [])
    with pytest.raises(InvalidInput, match=r"^asset_ids?: got 'a\\n'"):
        await call(store, "t", ["b", "a\n"])


TEXTS: dict[str, Callable[[FeatureStore, Any], Awaitable[object]]] = {
    **{f"{name} asset_ids": partial(lambda call, s, ids: call(s, "t", ids), call)
       for name, call in LISTS.items() if name != "batch"},
    "get_batch asset_ids": lambda s, ids: s.get_batch(tenant_id="t", asset_ids=ids),
    "get_batch_features asset_ids": lambda s, ids: s.get_batch_features("t", ids),
    "get feature_names": lambda s, names: s.get(
        tenant_id="t", asset_id="a", feature_names=names
    ),
    "get_batch feature_names": lambda s, names: s.get_batch(
        tenant_id="t", asset_ids=["a"], feature_names=names
    ),
    "get_features feature_names": lambda s, names: s.get_features("t", "a", T, names),
    "export horizons": lambda s, widths: s.export_features_to_parquet(
        "t", SET, BEFORE, T, horizons=widths
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", TEXTS)
@pytest.mark.parametrize("one", ["abc", "1h", b"abc", 7, None])
async def test_one_text_is_no_list_of_texts(name: str, one: object, store: FeatureStore) -> None:
    optional = ("warm", "export asset_ids", "feature_names")
    if one is None and any(part in name for part in optional):
        return
    with pytest.raises(InvalidInput, match=rf"^{name.split()[1]}: got "):
        await TEXTS[name](store, one)


COUNTS: dict[str, Callable[[FeatureStore, Any], Awaitable[object]]] = {
    "limit": lambda s, limit: s.exports(limit=limit),
    "abreast": lambda s, abreast: s.warm_feature_cache("t", ["a"], SET, abreast=abreast),
}


@pytest.mark.parametrize("name", COUNTS)
@pytest.mark.parametrize("count", [0, -1, 10**30, 1.0, "1", None, True])
async def test_a_count_is_a_whole_number_from_one(
    name: str, count: object, store: FeatureStore
) -> None:
    async with asyncio.timeout(10):
        with pytest.raises(
            InvalidInput, match=rf"^{name}: got .*expected a whole number from 1 to"
        ):
            await COUNTS[name](store, count)
        await COUNTS[name](store, 1)


async def test_one_version_is_forgotten_and_not_the_one_whose_number_begins_like_it(
    store: FeatureStore,
) -> None:
    for version in (1, 10):
        store.register(FeatureSet("own", version, (Lag("yesterday", f"{version}h"),)))

    async def hits() -> list[bool]:
        asked = {"tenant_id": "t", "asset_id": "a", "timestamp": T}
        names = ("own@1", "own@10")
        return [(await store.get(feature_set=name, **asked)).cache_hit for name in names]

    await hits()
    assert await hits() == [True, True]
    done = await store.invalidate_feature_cache("t", "a", feature_set="own@1")
    assert done == {"assets": 1, "invalidated": 1}
    assert await hits() == [False, True]


async def test_features_of_a_model_and_of_a_set_that_rejects(store: FeatureStore) -> None:
    await store.ingest([{**ROW, "value": 900.0}, {**ROW, "asset_id": "b"}], "t")
    peak = Rolling("peak", "max", "24h", valid=(0, 500))
    await store.apply([FeatureSet("strict", 1, (peak,), on_violation="reject")])
    await store.bind_model("load-model@1", f"{SET}@1", policy="zero")
    one = await store.get_features("t", "a", T, model="load-model@1")
    many = await store.get_batch_features("t", ["a"], timestamp=T, model="load-model@1")
    for features in (one, many["a"]):
        assert (features.feature_set, features.version, features.policy) == (SET, 1, "zero")
        assert (features["lag_24h"], features.error) == (0.0, None)
    strict = await store.get_batch_features("t", ["a", "b"], "strict", T)
    assert (strict["a"], strict["a"].violations) == ({}, ("peak",))
    assert strict["a"].error == "peak: got 900.0, expected 0:500"
    assert (strict["b"], strict["b"].error) == ({"peak": 1.0}, None)
    with pytest.raises(OutOfRange, match=r"peak: got 900\.0, expected 0:500"):
        await store.get_features("t", "a", T, feature_set="strict")


async def test_nothing_that_was_filled_is_silent(
    store: FeatureStore, caplog: pytest.LogCaptureFixture
) -> None:
    await store.ingest([{**ROW, "asset_id": "a"}], "t")
    for _ in range(2):
        one = await store.get_features("t", "a", T, feature_set=SET, missing="zero")
        named = await store.compute_feature_set("t", "a", SET, T, "zero")
        many = await store.get_batch_features("t", ["a", "b"], SET, T, missing="zero")
    answer = await store.get(
        tenant_id="t", asset_id="a", feature_set=SET, timestamp=T, missing="zero"
    )
    for features in (one, named, many["a"]):
        assert features == answer.features
        assert features.missing == answer.missing != ()
        assert (features.degraded, features.violations) == (False, ())
        assert (features.timestamp, features.policy) == (answer.timestamp, "zero")
    assert len(many["b"].missing) == 3
    told = [one for one in caplog.records if one.name == "ai_hub.serving.first_fills"]
    assert [(vars(one)["asset_id"], vars(one)["missing"]) for one in told] == [
        ("a", list(answer.missing)),
        ("b", list(many["b"].missing)),
    ]


async def test_the_doors_that_splice_bytes_are_not_logged_for(
    store: FeatureStore, caplog: pytest.LogCaptureFixture
) -> None:
    await store.found(store.specs.of(SET), "t", ["a"], 0)
    assert not caplog.records


@pytest.mark.parametrize("known", [1.0, 1, 0.0])
async def test_true_is_no_policy_even_after_one(known: float, store: FeatureStore) -> None:
    asked = {"tenant_id": "t", "asset_id": "a", "timestamp": T}
    assert (await store.get(missing=known, **asked)).policy == float(known)
    with pytest.raises(InvalidInput, match=r"^missing: got (True|False)"):
        await store.get(missing=bool(known), **asked)


async def test_the_tenant_of_exports_is_checked(store: FeatureStore) -> None:
    with pytest.raises(InvalidInput, match=r"^tenant_id: got ''"):
        await store.exports("")


async def test_a_batch_has_a_thousand_assets_at_most(store: FeatureStore) -> None:
    ids = [f"a-{i}" for i in range(1_001)]
    assert len(await store.get_batch(tenant_id="t", asset_ids=[*ids[:1_000], ids[0]])) == 1_000
    with pytest.raises(InvalidInput, match=r"^asset_ids: got 1001, expected at most 1000 assets"):
        await store.get_batch(tenant_id="t", asset_ids=ids)
    # What is not one answer has no such bound.
    assert (await store.invalidate_feature_cache("t", asset_ids=ids))["assets"] == 1_001


@pytest.mark.parametrize(
    ("arguments", "fault"),
    [
        ({"timestamp": datetime(2025, 10, 9)}, "^timestamp: .*aware datetime"),
        ({"timestamp": "2025-10-09"}, "^timestamp: .*a time with an offset"),
        ({"feature_set": SET, "feature_names": ["lag_1h"]}, "^feature_names: .*not both"),
        ({"missing": "guess"}, "^missing: got 'guess'"),
    ],
)
async def test_a_wrong_question_is_refused(
    arguments: dict[str, Any], fault: str, store: FeatureStore
) -> None:
    with pytest.raises(InvalidInput, match=fault):
        await store.get(tenant_id="t", asset_id="a", **arguments)
    with pytest.raises(InvalidInput, match=fault):
        await store.get_batch(tenant_id="t", asset_ids=["a"], **arguments)


@pytest.mark.parametrize("exact", [False, True])
async def test_one_question_has_one_answer_however_it_is_asked(
    exact: bool, store: FeatureStore
) -> None:
    await store.ingest([ROW], "t")
    at = T + timedelta(seconds=7)
    asked = {"feature_set": SET, "timestamp": at, "exact": exact}
    one = await store.get(tenant_id="t", asset_id="a", **asked)
    many = await store.get_batch(tenant_id="t", asset_ids=["b", "a", "b"], **asked)
    assert list(many) == ["b", "a"]
    assert (many["a"].features, many["a"].missing) == (one.features, one.missing)
    assert one.timestamp == many["a"].timestamp == (at if exact else T)
    if not exact:
        assert many["a"].cache_hit
        assert await store.get_features("t", "a", at, feature_set=SET) == one.features
        assert await store.compute_feature_set("t", "a", SET, at) == one.features
        found = await store.get_batch_features("t", ["a"], SET, at)
        assert found == {"a": one.features}


async def test_one_set_is_warmed_and_forgotten_or_every_one(store: FeatureStore) -> None:
    count = len(store.registry.sets())
    assert count > 1
    assert (await store.warm_feature_cache("t", ["a", "a"], SET, T))["computed"] == 1
    counts = await store.warm_feature_cache("t", ["a"], timestamp=T)
    assert counts == {"assets": 1, "warmed": count, "computed": count - 1}
    forget = store.invalidate_feature_cache
    assert await forget("t", "a", feature_set=OTHER) == {"assets": 1, "invalidated": 1}
    assert (await store.get(tenant_id="t", asset_id="a", feature_set=SET, timestamp=T)).cache_hit
    done = await forget("t", "a", asset_ids=["a", "b"])
    assert done == {"assets": 2, "invalidated": count - 1}
    with pytest.raises(UnknownFeatureSet):
        await store.warm_feature_cache("t", ["a"], "none")
    with pytest.raises(UnknownFeatureSet):
        await forget("t", "a", feature_set="none")


async def test_a_set_that_is_registered_is_answered_for_from_then_on(store: FeatureStore) -> None:
    own = FeatureSet("own", 1, (Lag("yesterday", "24h"),))
    with pytest.raises(UnknownFeatureSet):
        await store.get_features("t", "a", T, feature_set="own")
    store.register(own)
    names = (await store.get_features("t", "a", T, feature_set="own")).keys()
    assert [*names] == ["yesterday"]
    # A name alone stays the first version that was registered.
    store.register(FeatureSet("own", 2, (Lag("last_week", "7d"),)))
    for name, features in (("own", ["yesterday"]), ("own@2", ["last_week"])):
        names = (await store.get_features("t", "a", T, feature_set=name)).keys()
        assert [*names] == features


async def test_exports_are_found_again_and_counted(store: FeatureStore, tmp_path: Path) -> None:
    await store.ingest([ROW], "t")
    done = await store.export_features_to_parquet("t", SET, BEFORE, T)
    assert (done["status"], done["row_count"]) == ("completed", 1)
    assert Path(done["storage_path"]).parent == tmp_path
    assert await store.export_record(done["export_id"]) == done
    assert await store.exports("t") == [done]
    assert await store.exports("u") == []
    with pytest.raises(UnknownExport):
        await store.export_record("none")
    with pytest.raises(InvalidInput, match="output_path"):
        await store.export_features_to_parquet("t", SET, BEFORE, T, output_path=tmp_path)
    measured = store.measured()
    assert measured.exports == {"completed": 1}
    assert measured.export_rows == 1
