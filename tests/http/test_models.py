"""Models and rollouts over HTTP: bound, asked for by name, split by entity, and every refusal."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from acceptance.serving import Server, serving
from ai_hub.serving.rollouts import part_of
from watching import COMMAND

MODEL = "load-model@3"
ASSETS = [f"meter-{i}" for i in range(100)]
BATCH = {"tenant_id": "t", "asset_ids": ASSETS, "feature_set": "own"}
LAG = {"kind": "Lag", "name": "lag_2h", "by": "2h"}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """One for these tests: what they bind stays."""
    with serving(COMMAND, tmp_path_factory.mktemp("models")) as running:
        sets = [
            {"name": name, "version": version, "features": ["hour_of_day", LAG][:version]}
            for name in ("own", "whole", "gone")
            for version in (1, 2)
        ]
        running.call("POST", "/sets/apply", json={"feature_sets": sets})
        yield running


def refused(server: Server, path: str, asked: object, status: int) -> dict[str, Any]:
    answer = server.client.post(f"/ai/features/{path}", json=asked)
    assert answer.status_code == status, answer.text
    problem: dict[str, Any] = answer.json()
    return problem


def test_a_model_is_bound_asked_for_and_unbound(server: Server) -> None:
    asked = {"model": MODEL, "feature_set": "whole@2", "policy": "zero", "bound_by": "me"}
    told = server.call("POST", "/models/bind", json=asked)
    assert (told["policy"], told["current"], told["bound_by"]) == ("zero", True, "me")
    assert server.call("GET", "/models")["models"] == [told]
    assert server.call("GET", "/sets/whole@2")["models"] == [MODEL]

    get = {"tenant_id": "t", "asset_id": "a", "model": MODEL}
    for more in ({}, {"missing": "zero"}):
        answer = server.call("POST", "/get", json=get | more)
        assert (answer["feature_set"], answer["version"]) == ("whole", 2)
        assert answer["policy"] == "zero"
    batch = {"tenant_id": "t", "asset_ids": ["a"], "model": MODEL}
    assert server.call("POST", "/batch", json=batch)["version"] == 2
    day = {"start_time": "2025-10-09T00:00:00Z", "end_time": "2025-10-10T00:00:00Z"}
    assert server.call("POST", "/export", json={"tenant_id": "t", "model": MODEL} | day)
    spine = server.client.post(
        "/ai/features/training-set",
        params={"tenant_id": "t", "model": MODEL},
        content="asset_id,timestamp\na,2025-10-09T00:00:00Z\n",
        headers={"content-type": "text/csv"},
    )
    assert spine.status_code == 200
    assert "lag_2h" in spine.text

    for path, body in (("get", get), ("batch", batch), ("export", {"tenant_id": "t", **day})):
        asked = body | {"model": MODEL, "missing": "mean"}
        assert refused(server, path, asked, 409) == {
            "detail": f"missing: got 'mean', expected zero, the policy that {MODEL} is bound with",
            "field": "missing",
        }
        both = body | {"model": MODEL, "feature_set": "whole"}
        assert "either model or feature_set" in refused(server, path, both, 422)["detail"]
        assert refused(server, path, body | {"model": "m@1"}, 404)["field"] == "model"
    assert refused(server, "export", {"tenant_id": "t", **day}, 422)["field"] == "feature_set"

    problem = refused(server, "sets/retire", {"feature_set": "whole@2"}, 409)
    assert f"Bound to it: {MODEL}." in problem["detail"]
    assert server.call("POST", "/models/unbind", json={"model": MODEL}) == told
    server.call("POST", "/sets/retire", json={"feature_set": "whole@2"})
    assert server.call("GET", "/models") == {"models": []}


def test_a_rollout_splits_a_batch_by_entity(server: Server) -> None:
    whole = server.call("POST", "/batch", json=BATCH)
    assert whole["version"] == 1
    assert "version" not in whole["results"][ASSETS[0]]

    told = server.call("POST", "/sets/own/rollout", json={"to": 2, "percent": 30.5})
    assert (told["rollout"]["from"], told["rollout"]["percent"]) == (1, 30.5)
    answer = server.call("POST", "/batch", json=BATCH)
    assert [*answer["results"]] == ASSETS
    assert [answer[name] for name in ("version", "fingerprint", "policy")] == [None] * 3
    assert answer["feature_set"] == "own"
    prints = [server.call("GET", f"/sets/own@{version}")["fingerprint"] for version in (1, 2)]
    for asset_id, one in answer["results"].items():
        expected = 1 + (part_of("own", "t", asset_id) < 3_050)
        assert (one["version"], one["policy"]) == (expected, "mean")
        assert one["fingerprint"] == prints[expected - 1]
        assert len(one["features"]) == expected
        alone = {"tenant_id": "t", "asset_id": asset_id, "feature_set": "own"}
        vector = server.call("POST", "/get", json=alone)
        assert (vector["version"], vector["features"]) == (expected, one["features"])
    # Where all have the same version, the answer names it.
    olds = [one for one in ASSETS if part_of("own", "t", one) >= 3_050]
    assert server.call("POST", "/batch", json=BATCH | {"asset_ids": olds})["version"] == 1
    assert server.call("POST", "/batch", json=BATCH | {"feature_set": "own@2"})["version"] == 2
    assert 'ai_hub_served_vectors_total{feature_set="own@2"}' in server.client.get("/metrics").text

    assert refused(server, "sets/retire", {"feature_set": "own@2"}, 409)["field"] == "feature_set"
    assert refused(server, "batch", BATCH | {"asset_ids": []}, 422)["field"] == "asset_ids"
    server.call("POST", "/sets/own/rollout", json={"finish": True})
    assert server.call("GET", "/sets/own")["version"] == 2
    assert server.call("POST", "/batch", json=BATCH)["version"] == 2
    server.call("POST", "/sets/own/rollout", json={"to": 1, "percent": 1})
    assert server.call("POST", "/sets/own/rollout", json={"abort": True})["rollout"] is None


@pytest.mark.parametrize(
    ("path", "asked", "status", "field"),
    [
        ("models/bind", {"model": "m", "feature_set": "own@1"}, 422, "model"),
        ("models/bind", {"model": "m@1", "feature_set": "own"}, 422, "feature_set"),
        ("models/bind", {"model": "m@1", "feature_set": "own@9"}, 404, "feature_set"),
        ("models/bind", {"model": "m@1", "feature_set": "own@1", "policy": "x"}, 422, "policy"),
        ("models/unbind", {"model": "m@1"}, 404, "model"),
        ("models/unbind", {}, 422, "model"),
        ("sets/gone/rollout", {}, 422, "rollout"),
        ("sets/gone/rollout", {"to": 2, "percent": 5, "abort": True}, 422, "rollout"),
        ("sets/gone/rollout", {"to": 2}, 422, "percent"),
        ("sets/gone/rollout", {"percent": 2}, 422, "to"),
        ("sets/gone/rollout", {"to": 2, "percent": 101}, 422, "percent"),
        ("sets/gone/rollout", {"to": 1, "percent": 10}, 409, "to"),
        ("sets/gone/rollout", {"to": 1.0, "percent": 10}, 409, "to"),
        ("sets/gone/rollout", {"to": 1.5, "percent": 10}, 422, "to"),
        ("sets/gone/rollout", {"to": 2, "percent": 10.001}, 422, "percent"),
        ("sets/gone/rollout", {"to": 3, "percent": 10}, 404, "feature_set"),
        ("sets/gone@1/rollout", {"to": 2, "percent": 10}, 422, "name"),
        ("sets/gone/rollout", {"finish": True}, 404, "name"),
        ("sets/gone/rollout", {"abort": True}, 404, "name"),
    ],
)
def test_refusals(server: Server, path: str, asked: object, status: int, field: str) -> None:
    assert refused(server, path, asked, status)["field"] == field
