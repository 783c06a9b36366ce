"""`ai-hub maintain`, `ai-hub status` and what `ai-hub serve --maintain` refuses."""

from __future__ import annotations

import json
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

import servers
from ai_hub.cli.failure import NOTHING
from ai_hub.stores.postgres.refreshers import AGGREGATES
from cli.conftest import Run, answer, refused, start, stop
from servers import Kind, Server


@pytest.fixture(
    params=[
        pytest.param("plain", marks=pytest.mark.postgresql),
        pytest.param("apache", marks=pytest.mark.timescaledb),
        pytest.param("timescaledb", marks=pytest.mark.timescaledb),
    ]
)
def server(request: pytest.FixtureRequest) -> Server:
    kind: Kind = request.param
    return servers.server(kind)


@pytest.fixture
def url(server: Server, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """A migrated database that the settings name."""
    made = server.fresh()
    monkeypatch.setenv("AI_HUB_DATABASE_URL", made)
    yield made
    server.discard(made)


def test_maintain_says_what_it_did(server: Server, url: str, run: Run) -> None:
    assert run("ingest", "load.csv", "--tenant", "acme").exit_code == 0
    first = run("maintain")
    assert first.exit_code == 0, first.output
    lines = first.stdout.splitlines()
    (notice,) = [line for line in lines if line.startswith("notice ai_features: ")]
    assert "ai-hub retention set ai_features none" in notice
    assert [line for line in lines if "Traceback" in line] == []
    refreshed = [line for line in lines if line.startswith("refresh hourly_features: up to ")]
    assert len(refreshed) == (server.kind == "timescaledb")
    steps = answer(run("maintain", "--now", "--json"))["steps"]
    # With time hours and days go, too.
    deleted = {one["relation"]: one["count"] for one in steps if one["action"] == "delete"}
    assert deleted["ai_features"] > 0
    gone = run("get", "--tenant", "acme", "--asset", "meter-001", "--feature", "lag_1h",
               "--missing", "keep", "--at", "2025-10-09T14:30:00Z", "--json")  # fmt: skip
    assert answer(gone, gone.exit_code)["features"] == {"lag_1h": None}


def test_maintain_says_how_far_it_is(server: Server, url: str, run: Run) -> None:
    with open("year.csv", "w", encoding="utf-8") as file:
        file.write("timestamp,asset_id,value\n")
        file.writelines(f"2025-{month:02}-03T12:00:00Z,a,{month}\n" for month in range(1, 10))
    assert run("ingest", "year.csv", "--tenant", "acme").exit_code == 0
    if server.kind != "timescaledb":
        assert "step" not in run("maintain", "--within", "1us").stdout
        return
    hurried = run("maintain", "--within", "1us", "--connections", "1").stdout.splitlines()
    (plan,) = [line for line in hurried if line.startswith("plan hourly_features: ")]
    count = int(plan.split()[2])
    assert count > 8
    assert f"{count} of what was never refreshed, from 2025-01-02T00:00:00Z to 20" in plan
    first = f"step hourly_features: 1 of {count}: from 2025-01-02T00:00:00Z to 2025-"
    assert [line.startswith(first) for line in hurried if line.startswith("step ")] == [True]
    left = f"time is up: {count - 1} of {count} steps are left for the next run"
    assert f"wait hourly_features: {left}" in hurried
    steps = answer(run("maintain", "--json"))["steps"]
    told = [one["said"] for one in steps if one["action"] == "step"]
    assert len(told) == count - 1
    assert told[-1].startswith(f"{count - 1} of {count - 1}: from ")


def test_maintain_rebuilds_a_time(server: Server, url: str, run: Run) -> None:
    run("ingest", "load.csv", "--tenant", "acme")
    first, end = "2025-10-09T00:00:00Z", "2025-10-10T00:00:00Z"
    told = run("maintain", "--rebuild", first, end)
    assert f"rebuild ai_features: what follows from rows from {first} to {end}" in told.stdout
    refused(run("maintain", "--rebuild", end, first), "--rebuild", "a time and a later one")
    refused(run("maintain", "--rebuild", "yesterday", end), "--rebuild: got 'yesterday'")
    refused(run("maintain", "--rebuild", first, end, "--every", "1m"), "--rebuild", "--every")


@pytest.mark.postgresql
def test_maintain_goes_on_until_it_is_stopped(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AI_HUB_DATABASE_URL", servers.server("plain").fresh())
    process = start("maintain", "--every", "200ms", "--json")
    assert process.stdout is not None
    with pytest.raises(subprocess.TimeoutExpired):
        process.wait(4)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=120)
    assert process.returncode == 130, err
    assert err == "ai-hub: Stopped.\n"
    # One document a turn.
    documents, rest = [], out.lstrip()
    while rest:
        document, end = json.JSONDecoder().raw_decode(rest)
        documents.append(document)
        rest = rest[end:].lstrip()
    assert len(documents) > 1
    assert all(document["steps"] for document in documents)


@pytest.mark.postgresql
def test_maintain_every_outlives_a_failure(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AI_HUB_DATABASE_URL", servers.server("plain").url("nowhere"))
    refused(run("maintain"), "nowhere", "createdb")
    process = start("maintain", "--every", "100ms")
    with pytest.raises(subprocess.TimeoutExpired):
        process.wait(3)
    _, err = stop(process)
    assert err.count("createdb") > 1
    assert "Traceback" not in err


def test_status_shows_what_a_database_is_like(server: Server, url: str, run: Run) -> None:
    run("ingest", "load.csv", "--tenant", "acme")
    run("maintain")
    found = answer(run("status", "--json"))
    assert found["mode"] == server.kind
    assert found["postgresql"]
    assert (found["timescaledb"] is None) == (server.kind == "plain")
    assert found["bytes"] > 1_000_000
    relations = {one["relation"]: one for one in found["relations"]}
    assert relations["ai_features"]["bytes"] > 0
    if server.kind != "plain":
        assert relations["ai_features"]["chunks"] == 1
    named = {"tenant_id": "acme", "feature_type": "value", "assets": 2}
    assert found["series"] == [named | {"first_day": "2025-10-09", "last_day": "2025-10-09"}]
    times = {"oldest": "2025-10-09T12:00:00Z", "newest": "2025-10-09T14:00:00Z"}
    assert answer(run("status", "--exact", "--json"))["series"] == [named | {"rows": 4} | times]
    kept = {one["relation"]: one["keep"] for one in found["retention"]}
    assert kept["ai_features"] == "90 days"
    policies = {(one["relation"], one["policy"], one["scheduled"]) for one in found["policies"]}
    if server.kind == "timescaledb":
        assert ("ai_features", "policy_retention", False) in policies
        assert ("hourly_features", "policy_refresh_continuous_aggregate", True) in policies
        assert found["aggregates"]["refreshed_to"] is not None
        assert 0 < found["aggregates"]["lag_seconds"] < 3 * 3600
        assert found["aggregates"]["late_series"] == 0
        by = {"who": "ai-hub maintain", "why": "its policy did not run yet"}
        assert found["aggregates"]["refreshed_by"] == dict.fromkeys(AGGREGATES, by)
        assert relations["ai_features"]["compressed"] == 1
        assert relations["hourly_features"]["chunks"] == 1
    else:
        assert policies == set()
    used = {one["relation"] for one in found["index_use"]}
    assert "ai_features" in used

    shown = run("status")
    assert shown.exit_code == 0, shown.output
    for word in (f"mode: {server.kind}", "size: ", "acme", "90 days", "index use"):
        assert word in shown.stdout
    assert ("hourly partials: up to 20" in shown.stdout) == (server.kind == "timescaledb")
    assert shown.stdout.count("refreshed by ai-hub maintain") == 2 * (server.kind == "timescaledb")


def test_retention_is_shown_and_set(server: Server, url: str, run: Run) -> None:
    relations = ["ai_features", "timeseries_data", "weather_features"]
    if server.kind == "timescaledb":
        relations[1:1] = ["daily_features", "hourly_features"]
    found = answer(run("retention", "show", "--json"))["retention"]
    assert [one["relation"] for one in found] == relations
    made = answer(run("retention", "set", "ai_features", "36h", "--json"))
    assert (made["relation"], made["keep"], made["before"]) == ("ai_features", "36h", "90d")
    told = run("retention", "set", "ai_features", "none")
    assert told.stdout == "ai_features: kept for ever from now on, kept for 36h until now.\n"
    shown = run("retention")
    assert shown.stdout == run("retention", "show").stdout
    assert "none" in shown.stdout
    assert "365d" in shown.stdout
    refused(run("retention", "set", "raw", "1d"), "relation: got 'raw', expected one of ai_feat")
    refused(run("retention", "set", "ai_features", "1 d"), "keep: got '1 d'", "none")


def test_status_of_one_who_may_only_read(server: Server, url: str, run: Run,
                                         monkeypatch: pytest.MonkeyPatch) -> None:  # fmt: skip
    name = url.rpartition("/")[2]
    role = f"looks_{name}"
    server.role(role)
    monkeypatch.setenv("AI_HUB_DATABASE_URL", server.url(name, role))
    refused(run("maintain"), role, "'ai_hub'", "owner")
    refused(run("status"), f"GRANT SELECT ON ai_hub_migrations TO {role};")
    server.sql(f'GRANT SELECT ON ALL TABLES IN SCHEMA public TO "{role}"', name)
    assert answer(run("status", "--json"))["mode"] == server.kind
    refused(run("maintain"), role, "'ai_hub'", "owner")


@pytest.mark.postgresql
def test_a_database_that_is_not_migrated(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    server = servers.server("plain")
    monkeypatch.setenv("AI_HUB_DATABASE_URL", server.create("cli_upkeep_empty"))
    try:
        for command in ("status", "maintain", "serve"):
            refused(run(command), "ai-hub migrate", code=NOTHING)
    finally:
        server.drop("cli_upkeep_empty")


def test_an_embedded_database(run: Run, workplace: Path) -> None:
    run("ingest", "load.csv", "--tenant", "acme")
    found = answer(run("status", "--json"))
    assert (found["mode"], found["series"][0]["rows"]) == ("embedded", 4)
    assert "mode: embedded" in run("status").stdout
    refused(run("maintain"), "embedded", "no maintenance", code=0)
    refused(run("retention"), "embedded", "keeps all rows", code=0)
    refused(run("retention", "set", "ai_features", "1d"), "embedded", "keeps all rows", code=0)
    refused(run("serve", "--maintain", "15m"), "--maintain", "features.duckdb", "PostgreSQL")


@pytest.mark.parametrize(
    ("command", "words"),
    [
        (["maintain", "--every", "often"], ["--every", "'often'"]),
        (["maintain", "--every", "1h", "--now"], ["--now", "--every"]),
        (["maintain", "--within", "soon"], ["--within", "'soon'"]),
        (["maintain", "--every", "1h", "--within", "1h"], ["--within", "--every"]),
        (["serve", "--maintain", "often"], ["--maintain", "'often'"]),
    ],
)
def test_what_is_malformed(command: list[str], words: list[str], run: Run) -> None:
    refused(run(*command), *words)
