"""The audit log on every store: each kind of change leaves a record of who, what and how many."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from ai_hub import FeatureStore
from ai_hub.access.actor import Actor, act_as, user
from ai_hub.access.grant import Grant
from ai_hub.definitions.feature_set import FeatureSet
from ai_hub.definitions.kinds import Lag
from ai_hub.definitions.values import parse_time, to_datetime
from ai_hub.errors import AiHubError, Forbidden, InvalidInput, RegistryConflict
from conformance.kit import Deployment, Row, observation

AT = 1_760_000_000_000_000
HOUR = 3_600_000_000
OWN = [FeatureSet("own", version, (Lag("lag", f"{version}h"),)) for version in (1, 2)]
OF_ACME = Grant("lead", frozenset({"acme"}), frozenset({"admin"}))
Do = Callable[[FeatureStore], Awaitable[object]]


def rows(count: int, **more: Any) -> list[Row]:
    return [{**observation("a", AT + i * HOUR, float(i)), **more} for i in range(count)]


WEATHER = [{"timestamp": to_datetime(AT), "asset_id": "station", "temperature": 1.0}]
CHANGES: list[tuple[Do, str, str | None, int, dict[str, Any]]] = [
    (lambda s: s.ingest(rows(3), "acme"), "ingest", "acme", 3, {"replaced": 0, "unchanged": 0}),
    (lambda s: s.ingest(rows(3, value=1.0), "acme"), "ingest", "acme", 3,
     {"replaced": 2, "unchanged": 1}),
    (lambda s: s.ingest_weather(WEATHER, "acme"), "ingest-weather", "acme", 1,
     {"replaced": 0, "unchanged": 0}),
    (lambda s: s.ingest_attributes([{"asset_id": "a", "capacity": 2.0}], "acme"),
     "ingest-attributes", "acme", 1, {"replaced": 0, "unchanged": 0}),
    (lambda s: s.assign_weather_source(tenant_id="acme", source_id="station",
                                       asset_ids=["a", "b"]),
     "weather-source", "acme", 2, {"source_id": "station"}),
    (lambda s: s.apply(OWN), "apply", None, 2, {"sets": ["own@1", "own@2"]}),
    (lambda s: s.apply([FeatureSet("other", 1, (Lag("lag", "1h"),))], "me"), "apply", None, 1,
     {"sets": ["other@1"], "said_by": "me"}),
    (lambda s: s.roll_out("own", 2, 12.5), "rollout", None, 1,
     {"feature_set": "own", "to": 2, "percent": 12.5}),
    (lambda s: s.finish_rollout("own"), "rollout", None, 1,
     {"feature_set": "own", "ended": "finished"}),
    (lambda s: s.roll_out("own", 1, 5), "rollout", None, 1,
     {"feature_set": "own", "to": 1, "percent": 5}),
    (lambda s: s.abort_rollout("own"), "rollout", None, 1,
     {"feature_set": "own", "ended": "aborted"}),
    (lambda s: s.bind_model("m@1", "own@2"), "bind", None, 1,
     {"model": "m@1", "feature_set": "own@2"}),
    (lambda s: s.unbind_model("m@1"), "unbind", None, 1, {"model": "m@1"}),
    (lambda s: s.retire("own@1"), "retire", None, 1, {"feature_set": "own@1"}),
    (lambda s: s.apply([FeatureSet("other", 2, (Lag("lag", "2h"),))]), "apply", None, 1,
     {"sets": ["other@2"]}),
    (lambda s: s.set_default("other@2"), "default", None, 1, {"feature_set": "other@2"}),
]  # fmt: skip


async def newest(store: FeatureStore) -> dict[str, Any]:
    (found,) = (await store.audit(limit=1))["records"]
    assert isinstance(found, dict)
    return found


async def test_every_change_leaves_a_record(deployment: Deployment, tmp_path: Path) -> None:
    async with deployment.open(tmp_path) as store:
        for place, (do, what, tenant_id, count, details) in enumerate(CHANGES, 1):
            await do(store)
            found = (await store.audit())["records"]
            assert len(found) == place, (what, found)
            told = {key: found[0][key] for key in ("what", "tenant_id", "count", "details", "who")}
            assert told == {
                "what": what, "tenant_id": tenant_id, "count": count, "details": details,
                "who": user(),
            }  # fmt: skip
            assert found[0]["who_id"] == ""
        # What changes nothing leaves none.
        await store.apply(OWN[1:])
        await store.assign_weather_source(tenant_id="acme", source_id="station", asset_ids=["a"])
        assert len((await store.audit())["records"]) == len(CHANGES)
    if deployment.lasts:
        async with deployment.open(tmp_path) as again:
            before = (await again.audit())["records"]
            await again.ingest(rows(1), "acme")
            after = (await again.audit())["records"]
            assert after[1:] == before
            assert after[0]["id"] > before[0]["id"]


async def test_a_change_that_fails_leaves_none(deployment: Deployment, tmp_path: Path) -> None:
    async with deployment.open(tmp_path) as store:
        await store.apply(OWN)
        before = await store.audit()
        other = FeatureSet("own", 1, (Lag("lag", "5h"),))
        with pytest.raises(RegistryConflict):
            await store.apply([other])
        for wrong in ("retire", "set_default", "unbind_model", "revoke_key"):
            with pytest.raises(AiHubError):
                await getattr(store, wrong)("nothing@9")
        assert await store.audit() == before


async def test_keys_are_told_of_and_never_shown(deployment: Deployment, tmp_path: Path) -> None:
    async with deployment.open(tmp_path) as store:
        made = await store.create_key("ops", ["acme", "bravo"], ["read"])
        every = await store.create_key("every", None, ["admin", "read"])
        await store.revoke_key(made["id"])
        await store.revoke_key(made["id"])
        page = await store.audit()
        assert made["key"][17:] not in repr(page)
        assert every["key"][17:] not in repr(page)
        told = [(one["what"], one["tenant_id"], one["details"]["name"]) for one in page["records"]]
        assert sorted(told, key=repr) == [
            ("create-key", "acme", "ops"), ("create-key", "bravo", "ops"),
            ("create-key", None, "every"),
            ("revoke-key", "acme", "ops"), ("revoke-key", "bravo", "ops"),
        ]  # fmt: skip
        assert {one["details"]["key"] for one in page["records"]} == {made["id"], every["id"]}


async def test_who_has_a_key_is_called_by_it(deployment: Deployment, tmp_path: Path) -> None:
    async with deployment.open(tmp_path) as store:
        act_as(Actor("grafana", "k1", known=True))
        await store.apply(OWN, "somebody else")
        assert store.described("own@1")["applied_by"] == "grafana"
        found = await newest(store)
        assert (found["who"], found["who_id"]) == ("grafana", "k1")
        assert found["details"]["said_by"] == "somebody else"
        made = await store.create_key("k", None, ["read"], created_by="somebody else")
        assert made["created_by"] == "grafana"
        assert (await newest(store))["who"] == "grafana"
        act_as(Actor("anybody", "192.0.2.7"))
        await store.ingest(rows(1), "acme")
        found = await newest(store)
        assert (found["who"], found["who_id"]) == ("anybody", "192.0.2.7")
        for who, count in (("grafana", 2), ("k1", 2), ("192.0.2.7", 1), ("nobody", 0)):
            assert len((await store.audit(who=who))["records"]) == count


async def test_a_baseline_that_was_asked_for_leaves_one(
    deployment: Deployment, tmp_path: Path
) -> None:
    async with deployment.open(tmp_path) as store:
        await store.ingest(rows(5), "acme")
        made = await store.drift_baseline(
            "acme", "forecast_basic", to_datetime(AT), to_datetime(AT + 5 * HOUR)
        )
        found = await newest(store)
        assert (found["what"], found["tenant_id"], found["count"]) == ("drift-baseline", "acme", 5)
        assert found["details"] == {
            "feature_set": "forecast_basic@1", "baseline_id": made["baseline_id"],
        }  # fmt: skip


async def test_records_are_found_page_by_page(deployment: Deployment, tmp_path: Path) -> None:
    async with deployment.open(tmp_path) as store:
        for place in range(7):
            await store.ingest(rows(place + 1), ("acme", "bravo")[place % 2])
        await store.apply(OWN)
        every = (await store.audit())["records"]
        assert [one["count"] for one in every] == [2, 7, 6, 5, 4, 3, 2, 1]
        found, before = [], None
        while True:
            page = await store.audit(limit=3, before=before)
            found += page["records"]
            before = page["next"]
            if before is None:
                break
        assert found == every
        mine = (await store.audit("acme"))["records"]
        assert [one["count"] for one in mine] == [7, 5, 3, 1]
        assert (await store.audit("nobody"))["records"] == []
        assert (await store.audit(what="apply"))["records"] == every[:1]
        # What is of no tenant, or of another one, is for those who have all of them.
        assert (await store.audit(by=OF_ACME))["records"] == mine
        assert (await store.audit("acme", by=OF_ACME))["records"] == mine
        with pytest.raises(Forbidden):
            await store.audit("bravo", by=OF_ACME)
        times = [to_datetime(_micros(one["done_at"])) for one in every]
        inside = (await store.audit(start_time=times[5], end_time=times[2]))["records"]
        assert inside == [one for one in every if times[5] <= _time(one) < times[2]]
        for wrong in ({"what": "ingests"}, {"limit": 0}, {"before": 0}, {"who": "\0"}):
            with pytest.raises(InvalidInput):
                await store.audit(**wrong)  # type: ignore[arg-type]


async def test_a_batch_of_several_tenants_has_a_record_of_each(
    deployment: Deployment, tmp_path: Path
) -> None:
    async with deployment.open(tmp_path) as store:
        mixed = [{**one, "tenant_id": f"t{i % 3}"} for i, one in enumerate(rows(5))]
        await store.ingest(mixed)
        found = (await store.audit())["records"]
        assert sorted((one["tenant_id"], one["count"]) for one in found) == [
            ("t0", 2), ("t1", 2), ("t2", 1),
        ]  # fmt: skip


def _micros(text: str) -> int:
    return parse_time(text)


def _time(one: dict[str, Any]) -> Any:
    return to_datetime(_micros(one["done_at"]))
