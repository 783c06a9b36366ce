"""What a server does, second by second."""

from __future__ import annotations

import json
import os
from pathlib import Path
from urllib.request import Request, urlopen

import pytest

from ai_hub.cli.failure import FAILED
from ai_hub.cli.rates import Counted, rates
from ai_hub.definitions.values import SECOND
from ai_hub.metrics import Metrics, exposition, samples_of
from cli.conftest import Run, answer, refused, start, stop, wait_for


def counted(metrics: Metrics, at: float) -> Counted:
    return Counted.of(at, samples_of(exposition(metrics, 100 * SECOND)[0].decode()))


def test_rates_are_what_was_counted_between_two_readings() -> None:
    metrics = Metrics(hits=10, misses=10)
    metrics.answered("/ai/features/get", 200, 0.004)
    metrics.answered("/metrics", 200, 0.004)
    metrics.landed("observations", 5, 0, {"acme": 40 * SECOND, "late": 10 * SECOND})
    before = counted(metrics, 5.0)
    for seconds in (0.004,) * 98 + (3.0,) * 2:
        metrics.answered("/ai/features/get", 200, seconds)
    for _ in range(4):
        metrics.answered("/ai/features/batch", 503, 0.004)
    # The reading itself is no load; another one that looks is.
    for _ in range(3):
        metrics.answered("/metrics", 200, 0.004)
    metrics.answered("/ai/features/exports", 200, 0.004)
    metrics.hits, metrics.misses = 40, 20
    metrics.landed("observations", 30, 2, {"acme": 90 * SECOND})
    found = rates(before, counted(metrics, 7.0))
    requests = found["requests"]
    assert (requests["per_second"], requests["failed_per_second"]) == (53.0, 2.0)
    assert [(one["route"], one["per_second"], one["failed_per_second"])
            for one in requests["routes"]] == [
        ("/ai/features/get", 50.0, 0.0), ("/ai/features/batch", 2.0, 2.0), ("/metrics", 1.0, 0.0)
    ]  # fmt: skip
    get = requests["routes"][0]
    assert 0.0025 < get["p50_seconds"] <= 0.005
    assert 2.5 <= get["p99_seconds"] <= 5.0
    assert found["cache"] == {
        "hits_per_second": 15.0, "misses_per_second": 5.0, "hit_rate": 0.75, "state": "closed"
    }  # fmt: skip
    assert found["rows"] == {"accepted_per_second": 15.0, "rejected_per_second": 1.0}
    assert found["lag"] == [
        {"tenant_id": "late", "seconds": 90.0}, {"tenant_id": "acme", "seconds": 10.0}
    ]  # fmt: skip


def test_a_server_that_began_anew_counts_from_nothing() -> None:
    before, metrics = counted(Metrics(hits=1_000, misses=7), 0.0), Metrics(hits=30, misses=8)
    found = rates(before, counted(metrics, 2.0))
    assert found["cache"]["hits_per_second"] == 15.0
    assert found["cache"]["misses_per_second"] == 0.5
    assert found["requests"]["p99_seconds"] is None
    assert found["requests"]["routes"] == found["lag"] == []


def test_top_once(server: str, run: Run) -> None:
    assert run("ingest", "load.csv", "--tenant", "acme").exit_code == 0
    found = answer(run("top", "--once", "--json"))
    assert found["server"] == server
    assert (found["workers"], found["exports"]) == (1, [])
    assert found["requests"]["per_second"] == 0.0
    (lag,) = found["lag"]
    assert (lag["tenant_id"], lag["seconds"] > 0) == ("acme", True)
    assert answer(run("top", "--once", "--json", "--tenant", "other"))["lag"] == []
    shown = run("top", "--once").stdout
    assert "Newest reading: acme" in shown
    assert "Exports: none under way" in shown


@pytest.mark.parametrize("how", [(), ("--json",)])
def test_in_a_pipe_a_second_is_a_line_until_ctrl_c(how: tuple[str, ...], server: str) -> None:
    process = start("top", *how)
    assert process.stdout is not None
    body = b'{"tenant_id": "acme", "asset_id": "m", "feature_set": "forecast_basic"}'
    process.stdout.readline()
    for _ in range(20):
        with urlopen(Request(f"{server}/ai/features/get", body)):
            pass
        line = process.stdout.readline()
        rate = (
            json.loads(line)["requests"]["per_second"]
            if how
            else float(line.partition("Z  ")[2].partition(" requests/s")[0])
        )
        if rate > 0:
            break
    assert rate > 0
    _, told = stop(process)
    assert process.returncode == 130
    assert told == "ai-hub: Stopped.\n"


def test_a_key_that_may_not_see_exports_sees_the_rest(
    run: Run, workplace: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    reader = run("keys", "create", "k", "--tenant", "acme", "--scope", "read").stdout.strip()
    monkeypatch.setenv("AI_HUB_AUTH", "keys")
    process = start("serve")
    try:
        wait_for(f"http://127.0.0.1:{os.environ['AI_HUB_PORT']}", process)
        refused(run("top", "--once"), "AI_HUB_API_KEY")
        monkeypatch.setenv("AI_HUB_API_KEY", reader)
        assert "may not see" in run("top", "--once").stdout
    finally:
        stop(process)


def test_without_a_server_it_says_so(run: Run) -> None:
    assert run("migrate").exit_code == 0
    refused(run("top"), "No server answers", "ai-hub serve", code=FAILED)
