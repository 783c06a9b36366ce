"""What those who run a server see: metrics, log, request ids and readiness."""

from __future__ import annotations

import os
import pty
import re
import subprocess
import sys
import time
from pathlib import Path

import pytest

import redis_server
import servers
from acceptance.serving import Server, serving
from ai_hub.feature_store import FeatureStore
from ai_hub.http.watch import Siblings
from ai_hub.metrics import (
    FAMILIES,
    MOST_FEATURES,
    MOST_SETS,
    MOST_TENANTS,
    OTHERS,
    Metrics,
    exposition,
)
from watching import AT, COMMAND, eventually, get, ingest, log, metrics, samples

RANGE = {"start_time": "2025-10-09T00:00:00Z", "end_time": "2025-10-10T00:00:00Z"}


@pytest.fixture
def count(server: Server) -> dict[str, float]:
    """The metrics of the server, as they were before the test; `+` is what came since."""
    return metrics(server)


def since(server: Server, before: dict[str, float]) -> dict[str, float]:
    return {
        name: number - before.get(name, 0)
        for name, number in metrics(server).items()
        if number != before.get(name, 0)
    }


def test_requests_are_counted_by_route_and_class(
    server: Server, tenant: str, count: dict[str, float]
) -> None:
    get(server, tenant)
    get(server, tenant)
    server.call("POST", "/get", {"tenant_id": tenant}, 422)
    server.call("GET", "/sets/forecast_basic")
    server.call("GET", "/sets/nope", status=404)
    server.client.get("/no/such/path")
    came = since(server, count)
    requests = {
        name.removeprefix("ai_hub_request_seconds_count"): number
        for name, number in came.items()
        if name.startswith("ai_hub_request_seconds_count")
    }
    assert requests == {
        "{route=/ai/features/get,status=2xx}": 2,
        "{route=/ai/features/get,status=4xx}": 1,
        "{route=/ai/features/sets/{name},status=2xx}": 1,
        "{route=/ai/features/sets/{name},status=4xx}": 1,
        "{route=/metrics,status=2xx}": 1,
        "{route=other,status=4xx}": 1,
    }
    assert came["ai_hub_request_seconds_bucket{le=+Inf,route=/ai/features/get,status=2xx}"] == 2
    assert 0 < came["ai_hub_request_seconds_sum{route=/ai/features/get,status=2xx}"] < 2


def test_what_the_cache_had_and_what_was_missing_is_counted(
    server: Server, tenant: str, count: dict[str, float]
) -> None:
    ingest(server, tenant)
    for _ in range(3):
        assert get(server, tenant)["missing"] == ["lag_24h"]
    batch = {"tenant_id": tenant, "asset_ids": ["a", "b"], "feature_set": "forecast_basic"}
    server.call("POST", "/batch", {**batch, "timestamp": AT})
    came = since(server, count)
    assert came["ai_hub_cache_hits_total"] == 3
    assert came["ai_hub_cache_misses_total"] == came["ai_hub_computed_vectors_total"] == 2
    missing = "ai_hub_missing_values_total{{feature={},feature_set=forecast_basic@1}}"
    assert came[missing.format("lag_24h")] == 2
    assert came[missing.format("lag_1h")] == 1
    assert "ai_hub_degraded_answers_total" not in came
    assert metrics(server)["ai_hub_cache_state"] == 0
    stats = server.call("GET", "/cache/stats")
    assert 0 < stats["hit_rate"] == stats["hits"] / (stats["hits"] + stats["misses"]) < 1


def test_ingests_and_exports_are_counted_and_logged(tmp_path: Path) -> None:
    # Of a server of all tests there are more tenants than are told.
    with serving(COMMAND, tmp_path) as server:
        tenant, count = "acme", metrics(server)
        ingest(server, tenant, 2.0, "a", "b")
        rows = [{"timestamp": AT, "asset_id": "a", "value": None}]
        server.call("POST", "/ingest", {"tenant_id": tenant, "rows": rows}, 422)
        wanted = {"tenant_id": tenant, "feature_set": "forecast_basic", **RANGE}
        record = server.call("POST", "/export", wanted)
        server.call("POST", "/export", {**wanted, "asset_ids": ["nobody"]})
        came = since(server, count)
        assert came["ai_hub_ingest_rows_total{outcome=accepted,target=observations}"] == 2
        assert came["ai_hub_ingest_rows_total{outcome=rejected,target=observations}"] == 1
        assert came["ai_hub_exports_total{status=completed}"] == 1
        assert came["ai_hub_exports_total{status=no_data}"] == 1
        assert came["ai_hub_export_rows_total"] == 2
        age = metrics(server)[f"ai_hub_newest_observation_age_seconds{{tenant={tenant}}}"]
        assert age == pytest.approx(time.time() - 1_760_014_800, abs=10)
        events = {one["export_id"]: one for one in log(server, "export_features_to_parquet")}
        event = events[record["export_id"]]
        assert event["rows"] == 2
        assert event["seconds"] > 0
        assert (event["status"], event["level"], event["tenant_id"]) == (
            "completed",
            "info",
            tenant,
        )


def test_a_failed_export_is_an_event(tmp_path: Path) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("")
    with serving(COMMAND, tmp_path, export_root=blocked / "exports") as server:
        ingest(server, "acme")
        wanted = {"tenant_id": "acme", "feature_set": "forecast_basic", **RANGE}
        server.call("POST", "/export", wanted, 500)
        (event,) = log(server, "export_features_to_parquet")
        assert (event["status"], event["level"], event["rows"]) == ("failed", "error", 0)
        assert "Not a directory" in event["error"]
        assert metrics(server)["ai_hub_exports_total{status=failed}"] == 1
        ready = server.client.get("/health/ready")
        assert ready.status_code == 200
        assert ready.json()["status"] == ready.json()["parts"]["exports"]["state"] == "degraded"


def test_a_request_has_an_id(server: Server) -> None:
    def ids(path: str, given: str | None = None) -> str:
        headers = {} if given is None else {"x-request-id": given}
        (found,) = server.client.get(path, headers=headers).headers.get_list("x-request-id")
        assert isinstance(found, str)
        return found

    for path in ("/health", "/ai/features/sets", "/nope", "/metrics"):
        assert ids(path, "trace-1:a/b=") == "trace-1:a/b="
        assert ids(path) != ids(path)
        for odd in ("", "a b", "x" * 129, 'a"b', "(a)"):
            assert re.fullmatch(r"[0-9a-f]+-[0-9a-f]+", ids(path, odd)), odd


def test_each_request_is_logged_when_asked_for(tmp_path: Path) -> None:
    with serving(COMMAND, tmp_path, log_level="debug") as server:
        body = {"tenant_id": "t", "asset_id": "a", "feature_set": "forecast_basic"}
        server.call("POST", "/get", body, headers={"x-request-id": "mine"})
        server.call("GET", "/exports/nope", status=404)
        # The line comes after the answer.
        eventually(lambda: len(log(server, "request")) == 2)
        first, second = log(server, "request")
        assert first.items() >= {"method": "POST", "route": "/ai/features/get", "status": 200,
                                 "request_id": "mine", "level": "debug"}.items()  # fmt: skip
        assert (second["route"], second["status"]) == ("/ai/features/exports/{export_id}", 404)
        assert second["request_id"] not in ("mine", None)


def test_the_log_is_quiet_unless_asked(server: Server, tenant: str) -> None:
    get(server, tenant)
    assert log(server, "request") == []
    (event,) = log(server, "serving")
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT[\d:.]+Z", event["timestamp"])


def test_a_terminal_gets_words_and_values() -> None:
    program = (
        "import logging, sys\nfrom ai_hub import logs\nlogs.configure('info')\n"
        "log = logging.getLogger('ai_hub.x')\n"
        "log.info('store recovered', extra={'seconds': 1.5, 'why': 'a b'})\nlog.debug('no')\n"
        "logging.getLogger('uvicorn').warning('%s went', 'it')\n"
        "logging.getLogger('uvicorn').info('no')\n"
    )
    ours, theirs = pty.openpty()
    subprocess.run([sys.executable, "-c", program], stdout=theirs, check=True)
    os.close(theirs)
    first, second = os.read(ours, 10_000).decode().splitlines()
    os.close(ours)
    assert re.fullmatch(
        r'timestamp=\S+Z level=info event="store recovered" logger=ai_hub.x seconds=1.5 why="a b"',
        first,
    )
    assert 'level=warning event="it went" logger=uvicorn' in second


def test_ready_names_each_part(server: Server) -> None:
    response = server.client.get("/health/ready")
    assert response.status_code == 200
    found = response.json()
    assert found["status"] == "ok"
    assert {name: part["state"] for name, part in found["parts"].items()} == {
        "database": "ok", "cache": "ok", "exports": "ok",
    }  # fmt: skip
    assert all(part["detail"].endswith(".") for part in found["parts"].values())


@pytest.mark.postgresql
@pytest.mark.redis
def test_what_is_away_is_told_counted_and_logged_once(tmp_path: Path) -> None:
    postgres, redis = servers.Server("plain"), redis_server.RedisServer()
    try:
        url = postgres.fresh()
        with serving(COMMAND, tmp_path, database_url=url, cache_url=redis.url()) as server:
            _away_and_back(server, postgres, redis)
    finally:
        postgres.stop()
        redis.stop()


def _away_and_back(
    server: Server, postgres: servers.Server, redis: redis_server.RedisServer
) -> None:
    def states(status: int) -> dict[str, str]:
        begin = time.monotonic()
        response = server.client.get("/health/ready")
        assert time.monotonic() - begin < 20
        assert response.status_code in (200, 503)
        if response.status_code != status:
            return {}
        return {name: part["state"] for name, part in response.json()["parts"].items()}

    fine = {"database": "ok", "cache": "ok", "exports": "ok"}
    ingest(server, "acme")
    assert states(200) == fine
    redis.halt()
    eventually(lambda: states(200) == fine | {"cache": "degraded"})
    assert not get(server, "acme")["degraded"]
    assert metrics(server)["ai_hub_cache_state"] == 2
    assert metrics(server)["ai_hub_cache_errors_total{error=lost}"] >= 1
    redis.start()
    eventually(lambda: states(200) == fine)
    eventually(lambda: metrics(server)["ai_hub_cache_state"] == 0)

    for times, asset in enumerate(("one", "two"), 1):
        postgres.pause()
        eventually(lambda: states(503) == fine | {"database": "down"})
        assert get(server, "acme", asset)["degraded"]
        # It is asked once more before it counts as away.
        eventually(lambda: len(log(server, "store unavailable")) == times)  # noqa: B023
        postgres.resume()
        eventually(lambda: states(200) == fine)
        eventually(lambda: not get(server, "acme", f"{asset}-after")["degraded"])  # noqa: B023
    assert metrics(server)["ai_hub_degraded_answers_total"] >= 2

    postgres.halt()
    eventually(lambda: states(503) == fine | {"database": "down"})
    for number in range(5):
        assert get(server, "acme", f"other-{number}")["degraded"]
    rows = [{"timestamp": AT, "asset_id": "a", "value": 1.0}]
    server.call("POST", "/ingest", {"tenant_id": "acme", "rows": rows}, 503)
    assert metrics(server)["ai_hub_ingest_failures_total{target=observations}"] == 1
    postgres.start()
    eventually(lambda: states(200) == fine)
    eventually(lambda: not get(server, "acme", "other-0")["degraded"])
    assert server.client.get("/health").status_code == 200

    assert len(log(server, "store unavailable")) == len(log(server, "store recovered")) == 3
    assert all(one["level"] == "warning" for one in log(server, "store unavailable"))
    (failed,) = log(server, "ingest failed")
    assert (failed["rows"], failed["tenant_id"], failed["level"]) == (1, "acme", "error")
    assert "PostgreSQL" in failed["error"]


# The counts themselves.


def test_tenants_beyond_the_most_share_one_age() -> None:
    counted = Metrics()
    for number in range(MOST_TENANTS + 5):
        counted.landed("observations", 1, 0, {f"t{number}": number})
    counted.landed("observations", 1, 0, {"t0": 50, f"t{MOST_TENANTS}": 3})
    assert len(counted.newest) == MOST_TENANTS + 1
    assert (counted.newest["t0"], counted.newest[OTHERS]) == (50, MOST_TENANTS + 4)


def test_versions_beyond_the_most_share_one_count() -> None:
    counted = Metrics()
    for number in range(MOST_SETS + 5):
        counted.answered_by(f"own@{number}", 2)
    counted.answered_by("own@0", 3)
    assert len(counted.served) == MOST_SETS + 1
    assert (counted.served["own@0"], counted.served[OTHERS]) == (5, 10)


def test_features_beyond_the_most_share_one_count() -> None:
    counted = Metrics()
    for count, table in ((counted.filled, counted.missing), (counted.violated, counted.violations)):
        for number in range(MOST_FEATURES + 5):
            count(f"own@{number}", "lag", 2)
        count("own@0", "lag", 3)
        assert len(table) == MOST_FEATURES + 1
        assert (table["own@0", "lag"], table[OTHERS, OTHERS]) == (5, 10)


def test_counts_of_workers_add_up_and_the_worst_state_is_told() -> None:
    one, other = Metrics(), Metrics(workers=1)
    for counted, state in ((one, "closed"), (other, "open")):
        counted.answered("/x", 200, 0.003)
        counted.of_cache(state, {"lost": 2}, near_hits=3, near_bytes=100)
        counted.landed("observations", 3, 1, {"t": 5 if state == "open" else 7})
        counted.filled("own@1", "lag_1h", 2)
        counted.answered_by("own@1", 6)
        counted.exported("completed", 10)
        counted.hits += 4
    both = Metrics(workers=0)
    both.add(one)
    both.add(other)
    body, _ = exposition(both, 10_000_007)
    told = samples(body.decode())
    assert told["ai_hub_request_seconds_count{route=/x,status=2xx}"] == 2
    assert told["ai_hub_request_seconds_sum{route=/x,status=2xx}"] == 0.006
    assert told["ai_hub_cache_errors_total{error=lost}"] == 4
    assert told["ai_hub_cache_state"] == 2
    assert told["ai_hub_newest_observation_age_seconds{tenant=t}"] == 10
    assert told["ai_hub_missing_values_total{feature=lag_1h,feature_set=own@1}"] == 4
    assert told["ai_hub_served_vectors_total{feature_set=own@1}"] == 12
    assert told["ai_hub_export_rows_total"] == 20
    assert told["ai_hub_cache_hits_total"] == 8
    assert told["ai_hub_cache_first_level_hits_total"] == 6
    assert told["ai_hub_cache_first_level_bytes"] == 200
    assert told["ai_hub_workers"] == 2


def test_a_counter_says_so_in_its_name() -> None:
    for family in FAMILIES:
        assert family.name.startswith("ai_hub_")
        assert family.name.endswith("_total") == (family.kind == "counter")
        assert family.help.endswith(".")


async def test_metrics_are_told_when_their_file_cannot_be_written(tmp_path: Path) -> None:
    gone = tmp_path / "gone"
    async with FeatureStore.open("duckdb:///:memory:") as store:
        siblings = Siblings(gone, 0, store)
        await store.get(tenant_id="t", asset_id="a")
        with pytest.raises(OSError, match="gone"):
            await siblings.publish()
        assert (await siblings.total()).computed == 1
        gone.mkdir()
        (gone / "1.metrics").write_bytes(b"\xc1")
        assert (await siblings.total()).computed == 1
        await siblings.publish_last()
    # A store that is closed still says what it counted.
    assert (await Siblings(gone, 1, store).total()).computed == 2
