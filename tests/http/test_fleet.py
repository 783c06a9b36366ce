"""Servers, workers and commands on one database and one Redis: what becomes of versions there."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

import asyncpg
import httpx
import pyarrow.parquet as pq
import pytest

import redis_server
import servers
from acceptance.serving import Server, environment, serving
from ai_hub.serving.rollouts import part_of
from watching import AT, COMMAND, eventually, log, metrics

pytestmark = [pytest.mark.postgresql, pytest.mark.redis]

WORKERS = 2
NOTICED = 1.0
"""Seconds within which every process serves what was changed."""
LISTENERS = (
    "SELECT pid FROM pg_stat_activity WHERE datname = current_database() "
    "AND query = 'SELECT revision FROM registry_revision'"
)
YAML = """
feature_sets:
  - {name: commanded, version: 1, features: [{kind: Lag, name: lag, by: 2h}]}
  - {name: commanded, version: 2, features: [{kind: Lag, name: lag, by: 3h}]}
"""
VALUES = {1: 12.0, 2: 11.0}
"""What the one feature of each version is at AT: its name is the same, its value is not."""


@dataclass(frozen=True)
class Fleet:
    """Several workers on one port and a server beside them, on the same database and Redis."""

    url: str
    settings: dict[str, str]
    servers: tuple[Server, ...]

    def command(self, *words: object, url: bool = False) -> str:
        """What a command says, on the database itself or through a server."""
        through = ("--url", f"http://127.0.0.1:{self.servers[0].port}") if url else ()
        done = subprocess.run(
            [sys.executable, "-c", "from ai_hub.cli import main; main()", *map(str, words),
             *through],
            env=self.settings, cwd=self.servers[0].folder, capture_output=True, text=True,
            timeout=60,
        )  # fmt: skip
        assert done.returncode == 0, done
        return done.stdout

    def post(self, path: str, body: object) -> list[httpx.Response]:
        """Answers of every process: eight connections to the workers, and one beside them."""
        found = []
        for server, count in zip(self.servers, (8, 1), strict=True):
            with apart(server) as client:
                found += [client.post(f"/ai/features{path}", json=body) for _ in range(count)]
        return found

    def sql(self, text: str) -> list[Any]:
        async def ask() -> list[Any]:
            connection = await asyncpg.connect(self.url)
            try:
                return list(await connection.fetch(text))
            finally:
                await connection.close()

        return asyncio.run(ask())


@contextmanager
def apart(server: Server) -> Iterator[httpx.Client]:
    """A client with a new connection for each request, so that any worker may get it."""
    limits = httpx.Limits(max_keepalive_connections=0)
    with httpx.Client(
        base_url=f"http://127.0.0.1:{server.port}", limits=limits, timeout=30, trust_env=False
    ) as client:
        yield client


@pytest.fixture(scope="module")
def fleet(installation: object, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fleet]:
    url = servers.server("plain").fresh()
    # Tests share the processor: here slow is not away.
    shared = {"database_url": url, "cache_url": redis_server.server().url(), "cache_timeout": "2s",
              "pool_size": 2}  # fmt: skip
    with ExitStack() as stack:
        started = [
            stack.enter_context(
                serving(COMMAND, tmp_path_factory.mktemp("fleet"), workers=workers, **shared)
            )
            for workers in (WORKERS, 1)
        ]
        for server, workers in zip(started, (WORKERS, 1), strict=True):
            eventually(lambda s=server, n=workers: len(log(s, "serving")) == n)  # type: ignore[misc]
        yield Fleet(url, environment(shared), tuple(started))
    servers.server("plain").discard(url)


def fill(fleet: Fleet, tenant: str, assets: list[str]) -> None:
    for hour in (11, 12):
        rows = [
            {"timestamp": f"2025-10-09T{hour}:30:00Z", "asset_id": asset, "value": float(hour)}
            for asset in assets
        ]
        fleet.servers[0].call("POST", "/ingest", {"tenant_id": tenant, "rows": rows})


def applied(fleet: Fleet, name: str) -> None:
    """Two versions of a set, applied through the server beside the workers."""
    sets = [
        {"name": name, "version": version, "features": [{"kind": "Lag", "name": "lag", "by": by}]}
        for version, by in ((1, "2h"), (2, "3h"))
    ]
    fleet.servers[1].call("POST", "/sets/apply", {"feature_sets": sets})


def told(answers: list[httpx.Response]) -> set[tuple[int, int | None, float | None]]:
    """Status, version and value of some answers."""
    documents = [(one.status_code, one.json()) for one in answers]
    return {(s, d.get("version"), d.get("features", {}).get("lag")) for s, d in documents}


def soon(found: Callable[[], object], expected: object) -> None:
    """What was asked for within the second after a change may be as it was, and no later."""
    changed = time.monotonic()
    while True:
        asked = time.monotonic()
        now = found()
        if now == expected:
            return
        assert asked < changed + NOTICED, now


def test_what_a_command_applies_every_process_serves(fleet: Fleet, tenant: str) -> None:
    fill(fleet, tenant, ["a"])
    file = fleet.servers[0].folder / "features.yaml"
    file.write_text(YAML)
    assert "2 changes applied." in fleet.command("apply", file)
    ask = {"tenant_id": tenant, "asset_id": "a", "timestamp": AT}

    def served(label: str) -> set[tuple[int, int | None, float | None]]:
        return told(fleet.post("/get", {**ask, "feature_set": label}))

    soon(lambda: served("commanded"), {(200, 1, 12.0)})
    assert served("commanded@1") == {(200, 1, 12.0)}
    assert served("commanded@2") == {(200, 2, 11.0)}
    fleet.command("sets", "default", "commanded@2", url=True)
    fleet.command("sets", "retire", "commanded@1")
    soon(lambda: served("commanded@1"), {(404, None, None)})
    assert served("commanded") == {(200, 2, 11.0)}


def test_a_model_keeps_its_version_policy_and_fingerprint_in_every_process(
    fleet: Fleet, tenant: str
) -> None:
    fill(fleet, tenant, ["a"])
    applied(fleet, "bound")
    bind = {"model": "load-model@3", "feature_set": "bound@2", "policy": "zero"}
    soon(lambda: {one.status_code for one in fleet.post("/models/bind", bind)}, {200})
    ask = {"tenant_id": tenant, "asset_id": "a", "timestamp": AT, "model": "load-model@3"}

    def statuses(path: str, body: object) -> set[int]:
        return {one.status_code for one in fleet.post(path, body)}

    soon(lambda: told(fleet.post("/get", ask)), {(200, 2, 11.0)})
    assert {one.json()["policy"] for one in fleet.post("/get", ask)} == {"zero"}
    assert statuses("/get", {**ask, "missing": "mean"}) == {409}
    refused = fleet.post("/sets/retire", {"feature_set": "bound@2"})
    assert {one.status_code for one in refused} == {409}
    assert all("Bound to it: load-model@3." in one.json()["detail"] for one in refused)
    # As a release with other semantics has bound it.
    fleet.sql("UPDATE feature_models SET fingerprint = repeat('0', 16)")
    fleet.sql("UPDATE registry_revision SET revision = revision + 1")
    soon(lambda: statuses("/get", ask), {409})
    fleet.servers[1].call("POST", "/models/unbind", {"model": "load-model@3"})
    soon(lambda: statuses("/get", ask), {404})


@pytest.mark.parametrize("count", [500, pytest.param(10_000, marks=pytest.mark.long)])
def test_a_tenth_of_the_assets_has_the_new_version_as_the_split_says(
    fleet: Fleet, tenant: str, count: int
) -> None:
    assets = [f"meter-{i:05d}" for i in range(count)]
    name = f"rolled_{count}"
    fill(fleet, tenant, assets)
    applied(fleet, name)
    before = [metrics(server) for server in fleet.servers]
    fleet.command("rollout", name, "--to", 2, "--percent", 10)
    changed = time.monotonic()
    split = fleet.servers[0].folder / "split.parquet"
    fleet.command("rollout", "split", name, "--tenant", tenant, "-o", split)
    expected = dict(zip(*pq.read_table(split).to_pydict().values(), strict=True))
    assert [*expected] == assets
    newer = sum(version == 2 for version in expected.values())
    assert abs(newer / count - 0.10) < (0.01 if count == 10_000 else 0.05)
    prints = {
        version: fleet.servers[0].call("GET", f"/sets/{name}@{version}")["fingerprint"]
        for version in (1, 2)
    }
    time.sleep(max(0.0, changed + NOTICED - time.monotonic()))
    # Computed by the workers, and then from the cache, by the server beside them too.
    for server in (fleet.servers[0], *fleet.servers):
        with apart(server) as client:
            for first in range(0, count, 1_000):
                some = assets[first : first + 1_000]
                body = {"tenant_id": tenant, "asset_ids": some, "feature_set": name,
                        "timestamp": AT}  # fmt: skip
                results = client.post("/ai/features/batch", json=body).json()["results"]
                for asset, one in results.items():
                    version = expected[asset]
                    assert (one["version"], one["fingerprint"]) == (version, prints[version])
                    assert one["features"] == {"lag": VALUES[version]}
    for asset in (next(one for one in assets if expected[one] == v) for v in (1, 2)):
        ask = {"tenant_id": tenant, "asset_id": asset, "feature_set": name, "timestamp": AT}
        version = expected[asset]
        assert told(fleet.post("/get", ask)) == {(200, version, VALUES[version])}
    # Of the last two requests eight go to the workers, and one beside them.
    expected_counts = {
        1: [2 * (count - newer) + 8, count - newer + 1],
        2: [2 * newer + 8, newer + 1],
    }

    def counts(version: int) -> list[float]:
        label = f"ai_hub_served_vectors_total{{feature_set={name}@{version}}}"
        after = [metrics(server) for server in fleet.servers]
        return [b.get(label, 0) - a.get(label, 0) for a, b in zip(before, after, strict=True)]

    # A worker tells the others what it counted now and then.
    for version, many in expected_counts.items():
        with suppress(AssertionError):
            eventually(lambda v=version, m=many: counts(v) == m)  # type: ignore[misc]
        assert counts(version) == many
    fleet.servers[0].call("POST", f"/sets/{name}/rollout", {"abort": True})


@dataclass
class Clients:
    """Clients at work that hold every answer to what its version says."""

    fleet: Fleet
    tenant: str
    assets: list[str]
    name: str
    answers: int = 0
    wrong: list[object] = field(default_factory=list)
    over: threading.Event = field(default_factory=threading.Event)

    def work(self, server: Server) -> None:
        ask = {"tenant_id": self.tenant, "timestamp": AT}
        with apart(server) as client:
            while not self.over.is_set():
                for label in (self.name, f"{self.name}@1", f"{self.name}@2"):
                    body = ask | {"asset_ids": self.assets, "feature_set": label}
                    batch = client.post("/ai/features/batch", json=body).json()
                    alone = ask | {"asset_id": self.assets[0], "feature_set": label}
                    one = client.post("/ai/features/get", json=alone).json()
                    for found in (one, *batch["results"].values()):
                        version = found.get("version", batch["version"])
                        named = label.partition("@")[2]
                        right = found["features"]["lag"] == VALUES.get(version)
                        if not right or named not in ("", str(version)):
                            self.wrong.append((label, found))
                        self.answers += 1


@contextmanager
def clients(fleet: Fleet, tenant: str, assets: list[str], name: str) -> Iterator[Clients]:
    at_work = Clients(fleet, tenant, assets, name)
    threads = [threading.Thread(target=at_work.work, args=[server]) for server in fleet.servers]
    for one in threads:
        one.start()
    try:
        yield at_work
    finally:
        at_work.over.set()
        for one in threads:
            one.join()


def test_nothing_cached_of_one_version_is_served_for_the_other(fleet: Fleet, tenant: str) -> None:
    assets = [f"meter-{i}" for i in range(20)]
    fill(fleet, tenant, assets)
    applied(fleet, "mixed")
    time.sleep(NOTICED)
    body = {"tenant_id": tenant, "asset_ids": assets, "feature_set": "mixed", "timestamp": AT}

    def share(version: int) -> set[int]:
        """How many assets have a version, as each process says it."""
        answers = [one.json() for one in fleet.post("/batch", body)]
        return {
            sum(one.get("version", answer["version"]) == version
                for one in answer["results"].values())
            for answer in answers
        }  # fmt: skip

    with clients(fleet, tenant, assets, "mixed") as at_work:
        change = "/sets/mixed/rollout"
        call = fleet.servers[0].call
        half = sum(part_of("mixed", tenant, asset) < 5_000 for asset in assets)
        call("POST", change, {"to": 2, "percent": 50})
        soon(lambda: share(2), {half})
        # What is written anew is what both say from now on.
        fill(fleet, tenant, assets)
        call("POST", change, {"to": 2, "percent": 100})
        soon(lambda: share(2), {len(assets)})
        call("POST", change, {"abort": True})
        soon(lambda: share(1), {len(assets)})
        fleet.servers[1].call("POST", change, {"to": 2, "percent": 50})
        soon(lambda: share(2), {half})
        fleet.servers[1].call("POST", change, {"finish": True})
        soon(lambda: share(2), {len(assets)})
        call("POST", "/sets/default", {"feature_set": "mixed@1"})
        soon(lambda: share(1), {len(assets)})
    assert at_work.wrong == []
    assert at_work.answers > 200


def cut(fleet: Fleet) -> Callable[[], None]:
    """Every connection on which a process looks and listens is ended, twice."""
    for _ in range(2):
        found = fleet.sql(LISTENERS.replace("pid", "pg_terminate_backend(pid)", 1))
        assert all(row[0] for row in found)
    return lambda: None


def freeze(fleet: Fleet) -> Callable[[], None]:
    """None of them is ended, and none answers."""
    pids = [row[0] for row in fleet.sql(LISTENERS)]
    for pid in pids:
        os.kill(pid, signal.SIGSTOP)

    def thaw() -> None:
        for pid in pids:
            os.kill(pid, signal.SIGCONT)

    return thaw


@pytest.mark.parametrize("fault", [cut, freeze])
def test_who_misses_a_notice_serves_nothing_retired_for_longer_than_a_second(
    fleet: Fleet, tenant: str, fault: Callable[[Fleet], Callable[[], None]]
) -> None:
    fill(fleet, tenant, ["a"])
    name = f"missed_{fault.__name__}"
    applied(fleet, name)
    ask = {"tenant_id": tenant, "asset_id": "a", "feature_set": f"{name}@2", "timestamp": AT}
    soon(lambda: told(fleet.post("/get", ask)), {(200, 2, 11.0)})

    def all_listen() -> bool:
        return len(fleet.sql(LISTENERS)) == WORKERS + 1

    eventually(all_listen)
    heal = fault(fleet)
    try:
        # Nobody is told: the row alone changes, as if the notice were lost.
        fleet.sql(
            f"WITH retired AS (UPDATE feature_sets SET state = 'retired' WHERE name = '{name}' "
            "AND version = 2) UPDATE registry_revision SET revision = revision + 1"
        )
        soon(lambda: told(fleet.post("/get", ask)), {(404, None, None)})
    finally:
        heal()
    eventually(all_listen)
