"""`ai-hub warm`: some assets, all that were seen, and again and again."""

from __future__ import annotations

import json
import os
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.request import urlopen

import pytest

from ai_hub.cli.failure import NOTHING
from cli.conftest import Run, answer, refused, start, stop, wait_for

WARM = ("warm", "--tenant", "acme", "--set", "forecast_basic")


@pytest.fixture
def seen(server: str, run: Run, workplace: Path) -> str:
    """A server with 450 assets that were seen in the last day, and one that was not."""
    now = datetime.now(UTC)
    lines = ["timestamp,asset_id,value", f"{(now - timedelta(days=2)).isoformat()},old,1"]
    lines += [f"{(now - timedelta(hours=1)).isoformat()},m{n},1" for n in range(450)]
    (workplace / "seen.csv").write_text("\n".join(lines))
    assert run("ingest", "seen.csv", "--tenant", "acme").exit_code == 0
    return server


def stats(url: str) -> dict[str, int]:
    with urlopen(f"{url}/ai/features/cache/stats", timeout=10) as response:
        found: dict[str, int] = json.load(response)
    return found


def test_without_assets_those_are_warmed_that_were_seen(seen: str, run: Run) -> None:
    counts = answer(run(*WARM, "--json"))
    assert counts == {"assets": 450, "warmed": 450, "computed": 450}
    result = run(*WARM, "--asset", "m1", "--asset", "new")
    assert result.stdout == "2 vectors of 2 assets are cached, 1 of them computed now.\n"
    every = answer(run("warm", "--tenant", "acme", "--concurrency", "1", "--json"))
    assert every["assets"] == 450
    assert every["warmed"] == 3 * 450
    nobody = answer(run("warm", "--tenant", "nobody", "--json"), NOTHING)
    assert nobody == {"assets": 0, "warmed": 0, "computed": 0}


def test_wrong_options_are_one_sentence(seen: str, run: Run) -> None:
    refused(run(*WARM, "--asset", "x" * 300), "asset_id")
    refused(run("warm", "--tenant", "", "--every"), "tenant_id")
    refused(run(*WARM, "--ahead", "10s"), "--ahead", "--every")
    refused(run(*WARM, "--every", "--ahead", "30s"), "--ahead", "30s", "less than half")
    refused(run(*WARM, "--every", "--ahead", "soon"), "--ahead", "soon")
    refused(run("warm", "--tenant", "acme", "--set", "nope", "--every"), "feature_set", "'nope'")


@pytest.fixture
def quick(workplace: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """The address of a server with steps of 3 seconds, which is started and stopped by hand."""
    monkeypatch.setenv("AI_HUB_GRANULARITY", "3s")
    return f"http://127.0.0.1:{os.environ['AI_HUB_PORT']}"


@pytest.mark.long
def test_every_step_is_warmed_at_its_start(quick: str, run: Run, workplace: Path) -> None:
    server = start("serve")
    wait_for(quick, server)
    now = datetime.now(UTC).isoformat()
    (workplace / "now.csv").write_text(f"timestamp,asset_id,value\n{now},m1,1\n{now},m2,1\n")
    run("ingest", "now.csv", "--tenant", "acme")
    del os.environ["AI_HUB_GRANULARITY"]  # the server's step counts
    warming = start(*WARM, "--every", "--json")
    try:
        _wait(lambda: stats(quick)["entries"] >= 2)
        before = stats(quick)["misses"]
        time.sleep(9)
        # Two vectors for each of three steps, and none twice.
        assert 4 <= stats(quick)["misses"] - before <= 8
        get = ("get", "--tenant", "acme", "--asset", "m1", "--set", "forecast_basic", "--json")
        os.environ["AI_HUB_GRANULARITY"] = "3s"
        time.sleep(3 - time.time() % 3 + 1)
        assert answer(run(*get))["cache_hit"]
        stop(server)
        time.sleep(4)
        server = start("serve")
        wait_for(quick, server)
        _wait(lambda: stats(quick)["misses"] >= 2)
    finally:
        out, err = stop(warming)
        stop(server)
    assert warming.returncode == 130
    assert "No server answers" in err
    first, _ = json.JSONDecoder().raw_decode(out)
    assert first == {"assets": 2, "warmed": 2, "computed": 2}


def test_every_step_is_warmed_before_its_start(quick: str, run: Run, workplace: Path) -> None:
    server = start("serve")
    wait_for(quick, server)
    now = datetime.now(UTC).isoformat()
    (workplace / "now.csv").write_text(f"timestamp,asset_id,value\n{now},m1,1\n")
    run("ingest", "now.csv", "--tenant", "acme")
    warming = start(*WARM, "--every", "--ahead", "1s", "--json")
    try:
        _wait(lambda: stats(quick)["misses"] >= 3)
        computed, at = stats(quick)["misses"], time.time()
        time.sleep(6)
        # One vector for each step, and a look at each once more.
        steps = (time.time() - at) / 3
        assert stats(quick)["misses"] - computed <= steps + 1
        assert stats(quick)["hits"] >= 1
    finally:
        stop(warming)
        stop(server)


def _wait(true: object) -> None:
    until = time.monotonic() + 20
    while not true():  # type: ignore[operator]
        assert time.monotonic() < until
        time.sleep(0.1)
