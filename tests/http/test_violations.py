"""Values outside their range, as clients and commands see them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from acceptance.serving import Server, serving
from watching import COMMAND

AT = "2025-10-09T14:30:00Z"
PEAK = {"kind": "Rolling", "name": "peak", "stat": "max", "window": "3h", "valid": [0, 500]}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """One for these tests: what they apply stays."""
    with serving(COMMAND, tmp_path_factory.mktemp("violations")) as running:
        yield running


def test_a_value_outside_its_range_is_named_or_refused(server: Server, tenant: str) -> None:
    sets: list[dict[str, Any]] = [
        {"name": "limited", "version": 1, "features": [PEAK]},
        {"name": "limited", "version": 2, "features": [PEAK], "on_violation": "reject"},
    ]
    server.call("POST", "/sets/apply", {"feature_sets": sets})
    assert server.call("GET", "/sets/limited@2")["on_violation"] == "reject"
    rows = [
        {"timestamp": "2025-10-09T14:00:00Z", "asset_id": asset, "value": value}
        for asset, value in (("good", 90.0), ("bad", 612.5))
    ]
    server.call("POST", "/ingest", {"tenant_id": tenant, "rows": rows})
    one = {"tenant_id": tenant, "asset_id": "bad", "timestamp": AT}
    for hit in (False, True):
        named = server.call("POST", "/get", {**one, "feature_set": "limited@1"})
        assert (named["violations"], named["features"]) == (["peak"], {"peak": 612.5})
        assert named["cache_hit"] is hit
        refused = server.client.post("/ai/features/get", json={**one, "feature_set": "limited@2"})
        assert refused.status_code == 422
        assert refused.json() == {
            "detail": f"asset 'bad' at {AT}: peak: got 612.5, expected 0:500",
            "field": "feature_set",
        }
    many = {"tenant_id": tenant, "asset_ids": ["good", "bad"], "timestamp": AT}
    results = server.call("POST", "/batch", {**many, "feature_set": "limited@2"})["results"]
    assert results == {
        "good": {
            "features": {"peak": 90.0}, "missing": [], "violations": [], "degraded": False,
            "cache_hit": False,
        },
        "bad": {
            "error": "peak: got 612.5, expected 0:500", "features": {}, "missing": [],
            "violations": ["peak"], "degraded": False, "cache_hit": True,
        },
    }  # fmt: skip
    told = server.client.get("/metrics").text
    for version in (1, 2):
        family = "ai_hub_violations_total"
        assert f'{family}{{feature="peak",feature_set="limited@{version}"}} 1.0' in told
    asked = {"tenant_id": tenant, "feature_set": "limited@2",
             "start_time": "2025-10-09T00:00:00Z", "end_time": AT}  # fmt: skip
    refused = server.client.post("/ai/features/export", json=asked)
    assert refused.status_code == 422
    assert refused.json()["detail"].startswith("asset 'bad' at 2025-10-09T14:00:00Z: peak: got")
    record = server.call("POST", "/export", {**asked, "feature_set": "limited@1"})
    assert (record["row_count"], record["violations"]) == (2, {"peak": 1})
