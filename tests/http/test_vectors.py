"""`get` and `batch`: shapes, times, policies, the cache as a client sees it."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest

from acceptance.serving import Server
from ai_hub.definitions.builtin import FEATURE_SETS
from watching import eventually, metrics

AT = "2025-10-09T14:30:59.9Z"
BASIC = ["hour_of_day", "day_of_week", "is_weekend", "lag_1h", "lag_24h", "rolling_avg_24h"]
VECTOR = {
    "tenant_id", "asset_id", "timestamp", "feature_set", "version", "fingerprint", "policy",
    "features", "feature_count", "missing", "violations", "degraded", "cache_hit", "computed_at",
}  # fmt: skip


def ask(server: Server, tenant: str, asset: str = "a", **more: Any) -> Any:
    body = {"tenant_id": tenant, "asset_id": asset, "timestamp": AT} | more
    if "feature_names" not in more:
        body = {"feature_set": "forecast_basic"} | body
    return server.call("POST", "/get", body)


POLICIES = [
    (None, "mean"), ("mean", "mean"), ("zero", "zero"), ("keep", "keep"), (-2.5, -2.5), (0, 0.0),
]  # fmt: skip


@pytest.mark.parametrize(("asked", "applied"), POLICIES)
def test_an_answer_names_the_policy_that_applied(
    server: Server, tenant: str, asked: object, applied: object
) -> None:
    policy = {} if asked is None else {"missing": asked}
    for hit in (False, True):
        single = ask(server, tenant, **policy)
        assert (single["policy"], single["cache_hit"]) == (applied, hit)
    body = {"tenant_id": tenant, "asset_ids": ["a"], "timestamp": AT, **policy}
    for names in ({"feature_set": "forecast_basic"}, {"feature_names": ["lag_1h"]}):
        batch = server.call("POST", "/batch", {**body, **names})
        assert batch["policy"] == applied


def observe(server: Server, tenant: str, time: str, value: float, asset: str = "a") -> Any:
    row = {"timestamp": time, "asset_id": asset, "value": value}
    return server.call("POST", "/ingest", {"tenant_id": tenant, "rows": [row]})


def test_a_vector_has_all_there_is_to_know(server: Server, tenant: str) -> None:
    observe(server, tenant, "2025-10-09T13:20:00Z", 43.5)
    answer = ask(server, tenant)
    assert answer.keys() == VECTOR
    assert answer["tenant_id"] == tenant
    assert answer["asset_id"] == "a"
    assert answer["timestamp"] == "2025-10-09T14:30:00Z"
    assert (answer["feature_set"], answer["version"]) == ("forecast_basic", 1)
    assert list(answer["features"]) == BASIC
    assert answer["features"] == {
        "hour_of_day": 14, "day_of_week": 3, "is_weekend": 0,
        "lag_1h": 43.5, "lag_24h": 43.5, "rolling_avg_24h": 43.5,
    }  # fmt: skip
    assert answer["feature_count"] == 6
    assert answer["missing"] == ["lag_24h"]
    assert answer["degraded"] is False
    assert answer["cache_hit"] is False
    assert answer["computed_at"].endswith("Z")


@pytest.mark.parametrize(
    ("path", "ids", "message"),
    [("get", {"asset_id": "a"}, "FeatureVector"), ("batch", {"asset_ids": ["a"]}, "BatchVectors")],
)
def test_the_framework_answers_as_the_hot_routes_do(
    path: str, ids: dict[str, object], message: str, server: Server, tenant: str
) -> None:
    body = {"tenant_id": tenant, "timestamp": AT} | ids
    route = f"/ai/features/{path}"
    server.call("POST", f"/{path}", body)
    # No hot route is called that, so the framework gets it.
    hot, framework = (server.client.post(route + end, json=body) for end in ("", "/"))
    assert (framework.status_code, framework.content) == (200, hot.content)
    assert framework.headers["content-type"] == hot.headers["content-type"]
    described = server.client.get("/docs/openapi.json").json()["paths"][route]["post"]
    (media,) = described["responses"]["200"]["content"].items()
    assert media[0] == "application/json"
    assert media[1]["schema"]["$ref"].endswith(f"/{message}")


def test_times_are_truncated_to_the_granularity(server: Server, small: Server, tenant: str) -> None:
    assert ask(server, tenant)["timestamp"] == "2025-10-09T14:30:00Z"
    assert ask(server, tenant, timestamp="2025-10-09T16:30:59+02:00")["cache_hit"] is True
    assert ask(small, tenant)["timestamp"] == "2025-10-09T14:00:00Z"


def test_now_is_the_time_when_none_is_given(server: Server, tenant: str) -> None:
    first, second = (ask(server, tenant, timestamp=None) for _ in range(2))
    assert first["computed_at"] >= first["timestamp"]
    assert second["timestamp"] in (first["timestamp"], second["computed_at"][:16] + ":00Z")


def test_without_a_set_or_names_every_feature_is_answered(server: Server, tenant: str) -> None:
    body = {"tenant_id": tenant, "asset_id": "a"}
    answer = server.call("POST", "/get", body)
    assert answer["feature_set"] is None
    assert answer["version"] is None
    assert answer["feature_count"] == len(answer["features"]) == 36
    # The built-in ones: sets of one's own may have others by the same names.
    named = {name for each in FEATURE_SETS for name in each.feature_names}
    assert named <= set(answer["features"])


def test_named_features_come_in_the_order_asked_for(server: Server, tenant: str) -> None:
    names = ["rolling_avg_24h", "month", "lag_1h"]
    answer = ask(server, tenant, feature_names=names)
    assert list(answer["features"]) == names
    assert answer["feature_set"] is None
    assert answer["version"] is None


@pytest.mark.parametrize(
    ("policy", "lag", "mean"), [("mean", 6.0, 0.0), ("zero", 0.0, 0.0), (-7.25, -7.25, -7.25)]
)
def test_a_missing_policy_fills(
    server: Server, tenant: str, policy: object, lag: float, mean: float
) -> None:
    observe(server, tenant, "2025-10-05T00:00:00Z", 6.0)
    answer = ask(server, tenant, missing=policy)
    assert answer["features"]["lag_1h"] == lag
    assert answer["missing"] == ["lag_1h", "lag_24h", "rolling_avg_24h"]
    assert ask(server, tenant, "unknown", missing=policy)["features"]["lag_1h"] == mean


def test_keep_leaves_null_and_every_policy_has_its_own_cache_field(
    server: Server, tenant: str
) -> None:
    assert ask(server, tenant, missing="keep")["features"]["lag_1h"] is None
    assert ask(server, tenant, missing=1)["cache_hit"] is False
    assert ask(server, tenant, missing=1.0)["cache_hit"] is True
    assert ask(server, tenant, missing="keep")["cache_hit"] is True


def test_an_answer_is_kept_until_its_asset_is_written_to(server: Server, tenant: str) -> None:
    for asset in "ab":
        assert ask(server, tenant, asset)["cache_hit"] is False
        assert ask(server, tenant, asset)["cache_hit"] is True
    observe(server, tenant, "2025-10-09T13:30:00Z", 2.5)
    fresh = ask(server, tenant)
    assert fresh["cache_hit"] is False
    assert fresh["features"]["lag_1h"] == 2.5
    assert ask(server, tenant, "b")["cache_hit"] is True


def test_weather_and_a_change_of_its_source_refresh_answers(server: Server, tenant: str) -> None:
    def advanced() -> Any:
        return ask(server, tenant, feature_set="forecast_advanced")

    def weather(source: str, degrees: float) -> None:
        row = {"timestamp": "2025-10-09T14:00:00Z", "asset_id": source, "temperature": degrees}
        server.call("POST", "/ingest/weather", {"tenant_id": tenant, "rows": [row]})

    def follow(source: str) -> Any:
        body = {"tenant_id": tenant, "source_id": source, "asset_ids": ["a", "b", "a"]}
        return server.call("PUT", "/weather-sources", body)

    def temperature(hit: bool) -> object:
        answer = advanced()
        assert answer["cache_hit"] is hit
        return answer["features"]["temperature"]

    assert temperature(False) == 0.0
    weather("a", 5.0)
    assert temperature(False) == 5.0
    weather("station", 12.5)
    assert temperature(True) == 5.0
    assert follow("station") == {
        "tenant_id": tenant, "source_id": "station", "assets": 2, "changed": 2,
    }  # fmt: skip
    assert temperature(False) == 12.5
    weather("station", 13.5)
    assert temperature(False) == 13.5
    assert temperature(True) == 13.5
    assert follow("station")["changed"] == 0


def test_a_source_may_be_that_of_a_while(server: Server, tenant: str) -> None:
    def follow(source: str | None, since: str) -> Any:
        body = {"tenant_id": tenant, "source_id": source, "asset_ids": ["a"], "valid_from": since}
        return server.call("PUT", "/weather-sources", body)["changed"]

    row = {"timestamp": "2025-10-09T14:00:00Z", "asset_id": "station", "temperature": 5.0}
    server.call("POST", "/ingest/weather", {"tenant_id": tenant, "rows": [row]})
    assert follow("station", "2025-10-09T14:10:00Z") == 1
    assert follow(None, "2025-10-09T16:20:00+02:00") == 1
    for minute, expected in ((9, None), (10, 5.0), (19, 5.0), (20, None)):
        found = ask(
            server, tenant, feature_names=["temperature"], missing="keep",
            timestamp=f"2025-10-09T14:{minute:02}:00Z",
        )  # fmt: skip
        assert found["features"]["temperature"] == expected


@pytest.mark.parametrize("path", ["/batch", "/batch/"])
def test_an_asset_that_is_named_twice_is_there_once(server: Server, tenant: str, path: str) -> None:
    body = {"tenant_id": tenant, "asset_ids": ["b", "a", "b", "b", "a"], "timestamp": AT,
            "feature_names": ["hour_of_day"]}  # fmt: skip
    for _ in range(2):
        answer = server.client.post(f"/ai/features{path}", json=body).content
        # A reader of JSON would hide a member that is there twice.
        assert [answer.count(b'"%b":{"features"' % name) for name in (b"a", b"b")] == [1, 1]
        assert answer.index(b'"b":{') < answer.index(b'"a":{')


def test_a_batch_answers_each_asset_once(server: Server, tenant: str) -> None:
    observe(server, tenant, "2025-10-09T13:30:00Z", 1.5, "b")
    single = ask(server, tenant, "b")
    body = {
        "tenant_id": tenant, "asset_ids": ["b", "a", "b"], "feature_set": "forecast_basic",
        "timestamp": AT,
    }  # fmt: skip
    answer = server.call("POST", "/batch", body)
    assert answer.keys() == {
        "tenant_id", "timestamp", "feature_set", "version", "fingerprint", "policy", "results",
    }  # fmt: skip
    assert {k: single[k] for k in answer.keys() - {"results"}} == {
        k: v for k, v in answer.items() if k != "results"
    }
    assert list(answer["results"]) == ["b", "a"]
    for one in answer["results"].values():
        assert one.keys() == {"features", "missing", "violations", "degraded", "cache_hit"}
    assert answer["results"]["b"] == {
        "features": single["features"], "missing": ["lag_24h"], "violations": [],
            "degraded": False,
        "cache_hit": True,
    }  # fmt: skip
    assert answer["results"]["a"]["cache_hit"] is False


def test_a_batch_takes_1000_assets_and_no_more(server: Server, tenant: str) -> None:
    ids = [f"meter-{number}" for number in range(1_001)]
    body = {"tenant_id": tenant, "asset_ids": ids[:1_000], "feature_set": "forecast_basic"}
    assert list(server.call("POST", "/batch", body)["results"]) == ids[:1_000]
    refusal = server.refusal("POST", "/batch", body | {"asset_ids": ids})
    assert refusal.startswith("asset_ids: got 1001, expected at most 1000")


@pytest.mark.parametrize(
    "odd",
    ["a:b*c", "x" * 256, "😀" * 256, "'; DROP TABLE ai_features; --", '"q"', "é\u0301", "a b",
     "\\", "a/b", "null", "ﬁ\u202e", "{}", "[0]"],
)  # fmt: skip
def test_ids_are_taken_as_they_are(server: Server, tenant: str, odd: str) -> None:
    tenant = f"{tenant}{odd}"[:256]
    observe(server, tenant, "2025-10-09T13:30:00Z", 4.5, odd)
    answer = ask(server, tenant, odd)
    assert (answer["tenant_id"], answer["asset_id"]) == (tenant, odd)
    assert answer["features"]["lag_1h"] == 4.5
    body = {"tenant_id": tenant, "asset_ids": [odd], "feature_set": "forecast_basic"}
    result = server.call("POST", "/batch", body | {"timestamp": AT})["results"]
    assert result[odd]["cache_hit"] is True


def test_identical_requests_at_once_compute_once(server: Server, tenant: str) -> None:
    observe(server, tenant, "2025-10-09T13:30:00Z", 4.5)
    for minute in range(5):
        at = f"2025-10-09T14:{minute:02}:00Z"
        with ThreadPoolExecutor(8) as pool:
            same = list(pool.map(lambda _, at=at: ask(server, tenant, timestamp=at), range(8)))
        # Every computation stamps its own time.
        assert len({one["computed_at"] for one in same}) == 1


def test_warm_and_invalidate_count_what_they_do(server: Server, tenant: str) -> None:
    body = {"tenant_id": tenant, "asset_ids": ["a", "b", "a"]}
    before = server.call("GET", "/cache/stats")
    assert before.keys() == {
        "kind", "entries", "bytes", "max_bytes", "ttl_seconds", "hits", "misses", "evicted",
        "hit_rate",
    }  # fmt: skip
    sets = len(server.call("GET", "/sets")["feature_sets"])
    warmed = server.call("POST", "/cache/warm", body)
    assert warmed == {"assets": 2, "warmed": 2 * sets, "computed": 2 * sets}
    after = server.call("GET", "/cache/stats")
    assert after["entries"] == before["entries"] + 2 * sets
    assert after["misses"] == before["misses"] + 2 * sets
    one_set = body | {"feature_set": "forecast_basic"}
    assert server.call("POST", "/cache/invalidate", one_set) == {"assets": 2, "invalidated": 2}
    dropped = server.call("POST", "/cache/invalidate", body)
    assert dropped == {"assets": 2, "invalidated": 2 * (sets - 1)}
    assert server.call("GET", "/cache/stats")["entries"] == before["entries"]


def test_the_end_of_a_client_ends_its_warming(server: Server, tenant: str) -> None:
    def computed() -> float:
        return metrics(server)["ai_hub_computed_vectors_total"]

    before = computed()
    asset_ids = [f"a{n}" for n in range(10_000)]
    with pytest.raises(httpx.ReadTimeout):
        server.client.post(
            "/ai/features/cache/warm", json={"tenant_id": tenant, "asset_ids": asset_ids},
            timeout=0.3,
        )  # fmt: skip
    # It waits for the turn of the one that was left, which ends within a part of it.
    answer = server.call("POST", "/cache/warm", {"tenant_id": tenant, "asset_ids": ["b"]})
    sets = len(server.call("GET", "/sets")["feature_sets"])
    assert answer == {"assets": 1, "warmed": sets, "computed": sets}
    counts = [computed()]

    def ended() -> bool:
        time.sleep(1)
        counts.append(computed())
        return counts[-1] == counts[-2]

    eventually(ended, 60)
    assert counts[-1] - before < sets * len(asset_ids) / 2


def test_without_assets_those_are_warmed_that_were_seen_in_the_last_day(
    server: Server, tenant: str
) -> None:
    now = datetime.now(UTC)
    ages = {"new": timedelta(hours=1), "old": timedelta(days=2), "ahead": -timedelta(hours=1)}
    rows = [
        {"timestamp": (now - age).isoformat(), "asset_id": asset_id, "value": 1.0}
        for asset_id, age in ages.items()
    ]
    assert server.call("GET", f"/assets?tenant_id={tenant}")["asset_ids"] == []
    server.call("POST", "/ingest", {"tenant_id": tenant, "rows": rows})
    found = server.call("GET", f"/assets?tenant_id={tenant}")
    assert found == {"tenant_id": tenant, "asset_ids": ["ahead", "new"]}
    at = "2025-10-09T14:30:00Z"
    wanted = {"tenant_id": tenant, "feature_set": "forecast_basic", "timestamp": at}
    assert server.call("POST", "/cache/warm", wanted)["warmed"] == 2
    assert ask(server, tenant, "new", feature_set="forecast_basic", timestamp=at)["cache_hit"]
    assert not ask(server, tenant, "old", feature_set="forecast_basic", timestamp=at)["cache_hit"]
    server.refusal("POST", "/cache/warm", wanted | {"timestamp": "2025-10-09"})
    server.refusal("GET", "/assets?tenant_id=")
    server.refusal("GET", "/assets")
