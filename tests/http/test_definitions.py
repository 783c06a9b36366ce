"""Definitions over HTTP: planned, applied, made the default and retired, and every refusal."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from acceptance.serving import Server, serving
from watching import COMMAND

SETS = "/ai/features/sets"
LAG = {"kind": "Lag", "name": "lag_2h", "by": "2h"}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """One for these tests: what they apply stays."""
    with serving(COMMAND, tmp_path_factory.mktemp("definitions")) as running:
        yield running


def own(name: str, version: int = 1, *features: object) -> dict[str, Any]:
    return {"name": name, "version": version, "features": list(features) or ["hour_of_day", LAG]}


def test_a_set_is_planned_applied_served_and_retired(server: Server) -> None:
    asked = {"feature_sets": [own("whole"), own("whole", 2, LAG)], "schema": 1}
    planned = server.call("POST", "/sets/plan", json=asked)
    assert planned["allowed"]
    assert [(one["feature_set"], one["action"], one["default"]) for one in planned["changes"]] == [
        ("whole@1", "create", True), ("whole@2", "create", False),
    ]  # fmt: skip
    assert planned["changes"][0]["reads"] == {
        "series": {"value": "3h"},
        "weather": {},
        "attributes": [],
        "views": {},
    }
    assert server.client.get(f"{SETS}/whole").status_code == 404

    done = server.call("POST", "/sets/apply", json={**asked, "applied_by": "me"})
    assert done["revision"] == planned["revision"] + 1
    told = server.call("GET", "/sets/whole")
    assert (told["version"], told["state"], told["default"]) == (1, "active", True)
    assert told["applied_by"] == "me"
    assert server.call("GET", "/sets/whole/versions/2")["features"] == ["lag_2h"]
    get = {"tenant_id": "t", "asset_id": "a", "feature_set": "whole"}
    assert server.call("POST", "/get", json=get)["version"] == 1

    server.call("POST", "/sets/default", json={"feature_set": "whole@2"})
    assert server.call("POST", "/get", json=get)["version"] == 2
    told = server.call("POST", "/sets/retire", json={"feature_set": "whole@1"})
    assert told["state"] == "retired"
    states = {
        f"{one['name']}@{one['version']}": one["state"]
        for one in server.call("GET", "/sets")["feature_sets"]
    }
    assert (states["whole@1"], states["whole@2"]) == ("retired", "active")
    answer = server.client.post("/ai/features/get", json={**get, "feature_set": "whole@1"})
    assert answer.status_code == 404
    assert "The default version is whole@2." in answer.json()["detail"]
    described = server.client.get("/docs/openapi.json").text
    assert '"whole@2"' in described
    assert '"whole@1"' not in described


def refused(server: Server, path: str, asked: object, status: int) -> dict[str, Any]:
    answer = server.client.post(f"{SETS}/{path}", json=asked)
    assert answer.status_code == status, answer.text
    problem: dict[str, Any] = answer.json()
    return problem


def test_another_definition_of_a_version_is_a_conflict(server: Server) -> None:
    server.call("POST", "/sets/apply", json={"feature_sets": [own("kept")]})
    changed = {"feature_sets": [own("kept", 1, LAG), own("not_there")]}
    planned = server.call("POST", "/sets/plan", json=changed)
    assert not planned["allowed"]
    assert [one["text"] for one in planned["changes"][0]["differences"]] == [
        "- hour_of_day: Calendar(part=hour_of_day, tz=UTC)"
    ]
    problem = refused(server, "apply", changed, 409)
    assert "Raise the version: apply the new definition as kept@2." in problem["detail"]
    assert server.client.get(f"{SETS}/not_there").status_code == 404


@pytest.mark.parametrize(
    ("path", "asked", "status", "field"),
    [
        ("apply", {}, 422, "feature_sets"),
        ("apply", {"feature_sets": "x"}, 422, "feature_sets"),
        ("apply", {"feature_sets": [], "schema": 2}, 422, "schema"),
        ("plan", {"feature_sets": [], "more": 1}, 422, "more"),
        ("plan", {"feature_sets": [1]}, 422, "feature_sets[0]"),
        ("plan", {"feature_sets": [own("a", 1, "lag_9h")]}, 422, "a@1.features"),
        ("plan", {"feature_sets": [own("a", 1, {**LAG, "by": 5})]}, 422, "a@1.lag_2h.by"),
        ("plan", {"feature_sets": [own("a"), own("a")]}, 422, "a@1.version"),
        ("apply", {"feature_sets": [], "applied_by": "x" * 201}, 422, "applied_by"),
        ("retire", {"feature_set": "forecast_basic@1"}, 409, "feature_set"),
        ("retire", {"feature_set": "forecast_basic"}, 422, "feature_set"),
        ("retire", {"feature_set": "none@1"}, 404, "feature_set"),
        ("default", {"feature_set": "none@1"}, 404, "feature_set"),
        ("default", {"feature_set": 5}, 422, "feature_set"),
    ],
)
def test_refusals(server: Server, path: str, asked: object, status: int, field: str) -> None:
    assert refused(server, path, asked, status)["field"] == field


def test_nothing_is_no_change(server: Server) -> None:
    planned = server.call("POST", "/sets/apply", json={"feature_sets": []})
    assert (planned["allowed"], planned["changes"], planned["warnings"]) == (True, [], [])


def test_many_definitions_leave_the_others_answered(server: Server) -> None:
    """As many as a body holds are planned beside the event loop."""
    features = [{"kind": "Lag", "name": f"lag_{i}", "by": f"{i + 1}m"} for i in range(1_000)]
    asked = {"feature_sets": [own("many", i + 1, *features) for i in range(15)]}
    planned = server.call("POST", "/sets/plan", json=asked)
    assert len(planned["changes"]) == 15
    features.append({"kind": "Lag", "name": "one_more", "by": "1h"})
    problem = refused(server, "plan", {"feature_sets": [own("many", 1, *features)]}, 422)
    assert "a list of at most 1,000 features" in problem["detail"]
