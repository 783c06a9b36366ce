"""Several processes on one port: one service, whatever happens to one of them."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

import redis_server
import servers
from acceptance.serving import Server, environment, free_port, listens, serving
from watching import AT, COMMAND, eventually, get, ingest, log, metrics

pytestmark = [pytest.mark.postgresql, pytest.mark.redis]
WORKERS = 2


@pytest.fixture(scope="module")
def services(installation: object) -> Iterator[dict[str, object]]:
    """The settings of a database and a cache that processes share."""
    url = servers.server("plain").fresh()
    # Tests share the processor: here slow is not away.
    yield {"database_url": url, "cache_url": redis_server.server().url(), "cache_timeout": "2s",
           "pool_size": 2, "workers": WORKERS}  # fmt: skip
    servers.server("plain").discard(url)


@contextmanager
def running(folder: Path, **settings: object) -> Iterator[Server]:
    with serving(COMMAND, folder, **settings) as server:
        eventually(lambda: len(log(server, "serving")) == WORKERS)
        yield server


@pytest.fixture(scope="module")
def several(
    services: dict[str, object], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Server]:
    with running(tmp_path_factory.mktemp("several"), **services) as server:
        yield server


@pytest.fixture
def ending(services: dict[str, object], tmp_path: Path) -> Iterator[Server]:
    """A service that the test ends."""
    with running(tmp_path, **services) as server:
        yield server


def pids(server: Server) -> list[int]:
    return [one["pid"] for one in log(server, "serving")]


def alive(pid: int) -> bool:
    try:
        # A zombie is gone as well.
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def apart(server: Server) -> httpx.Client:
    """A client with a new connection for each request, so that any worker may get it."""
    limits = httpx.Limits(max_keepalive_connections=0)
    return httpx.Client(base_url=f"http://127.0.0.1:{server.port}", limits=limits, timeout=30,
                        trust_env=False)  # fmt: skip


def test_workers_are_one_service(several: Server, tenant: str) -> None:
    body = {"tenant_id": tenant, "asset_id": "a", "feature_set": "forecast_basic",
            "timestamp": "2025-10-09T14:30:00Z"}  # fmt: skip
    with apart(several) as client:
        for value in range(30):
            ingest(several, tenant, float(value))
            answers = [client.post("/ai/features/get", json=body).json() for _ in range(4)]
            assert [one["features"]["lag_1h"] for one in answers] == [value] * 4
        assert {client.get("/health").status_code for _ in range(20)} == {200}
        # Every worker answered something, and any of them tells what all of them counted.
        counts = [_requests(several, client) for _ in range(20)]
    assert counts == sorted(counts)
    told = metrics(several)
    assert told["ai_hub_request_seconds_count{route=/ai/features/get,status=2xx}"] == 120
    assert told["ai_hub_cache_hits_total"] + told["ai_hub_cache_misses_total"] == 120
    assert told["ai_hub_workers"] == WORKERS
    assert told["ai_hub_ingest_rows_total{outcome=accepted,target=observations}"] == 30


def _requests(server: Server, client: httpx.Client) -> float:
    text = client.get("/metrics").text
    lines = [line for line in text.splitlines() if line.startswith("ai_hub_request_seconds_count")]
    return sum(float(line.split()[-1]) for line in lines)


def test_what_is_applied_every_worker_serves_soon(several: Server, tenant: str) -> None:
    rows = [
        {"timestamp": f"2025-10-09T{hour}:30:00Z", "asset_id": "a", "value": float(hour)}
        for hour in range(10, 15)
    ]
    several.call("POST", "/ingest", {"tenant_id": tenant, "rows": rows})
    name = f"own_{tenant.replace('-', '_')}"
    sets = [
        {"name": name, "version": version, "features": [{"kind": "Lag", "name": "lag", "by": by}]}
        for version, by in ((1, "2h"), (2, "3h"))
    ]

    def answers(asked: str) -> set[tuple[int, int | None, float | None]]:
        """Status, version and value, of twenty connections: whichever worker gets them."""
        body = {"tenant_id": tenant, "asset_id": "a", "feature_set": asked, "timestamp": AT}
        found = set()
        with apart(several) as client:
            for _ in range(20):
                answer = client.post("/ai/features/get", json=body)
                said = answer.json()
                value = said.get("features", {}).get("lag")
                found.add((answer.status_code, said.get("version"), value))
        return found

    several.call("POST", "/sets/apply", {"feature_sets": sets})
    eventually(lambda: answers(name) == {(200, 1, 12.0)})
    assert answers(f"{name}@2") == {(200, 2, 11.0)}
    several.call("POST", "/sets/default", {"feature_set": f"{name}@2"})
    several.call("POST", "/sets/retire", {"feature_set": f"{name}@1"})
    eventually(lambda: answers(name) == {(200, 2, 11.0)})
    eventually(lambda: answers(f"{name}@1") == {(404, None, None)})


def test_a_worker_that_dies_is_replaced_and_its_counts_are_kept(
    several: Server, tenant: str
) -> None:
    with apart(several) as client:
        for _ in range(30):
            assert client.get("/health").status_code == 200
        before = _requests(several, client)
        first = pids(several)
        os.kill(first[0], signal.SIGKILL)
        eventually(lambda: not alive(first[0]))
        time.sleep(0.2)
        # Nobody waits for it: the others answer meanwhile.
        until = time.monotonic() + 1
        while time.monotonic() < until:
            assert client.get("/health").status_code == 200
        eventually(lambda: len(pids(several)) == WORKERS + 1)
        assert alive(pids(several)[-1])
        assert _requests(several, client) > before
    (ended,) = log(several, "worker ended")
    assert (ended["pid"], ended["exit_code"]) == (first[0], -signal.SIGKILL)


def test_the_end_waits_for_requests_under_way(ending: Server, tenant: str) -> None:
    workers = pids(ending)
    wrong: list[object] = []

    def load() -> None:
        """A kept connection sees answers, and then that it is closed."""
        with httpx.Client(base_url=f"http://127.0.0.1:{ending.port}", trust_env=False) as client:
            while True:
                try:
                    response = client.get("/health")
                except httpx.TransportError:
                    return
                if response.status_code != 200:
                    wrong.append(response)

    loads = [threading.Thread(target=load) for _ in range(4)]
    for one in loads:
        one.start()
    body = json.dumps({"tenant_id": tenant, "asset_id": "a"}).encode()
    head = (
        f"POST /ai/features/get HTTP/1.1\r\nhost: localhost\r\ncontent-length: {len(body)}\r\n\r\n"
    )
    # Half sent: each is a request that some worker waits for.
    open_ones = [socket.create_connection(("127.0.0.1", ending.port), 120) for _ in range(12)]
    for one in open_ones:
        one.sendall(head.encode() + body[:10])
    time.sleep(0.5)
    ending.process.send_signal(signal.SIGTERM)
    eventually(lambda: not listens(ending.port))
    assert ending.process.poll() is None
    for one in open_ones:
        one.sendall(body[10:])
    for one in open_ones:
        with one:
            assert one.recv(100).startswith(b"HTTP/1.1 200 OK")
    assert ending.process.wait(120) == 0
    for one in loads:
        one.join(20)
    assert wrong == []
    assert not any(alive(pid) for pid in workers)
    assert len(log(ending, "stopped")) == WORKERS
    assert log(ending, "worker killed") == log(ending, "worker ended") == []


def test_ctrl_c_reaches_every_process_and_does_no_harm(ending: Server) -> None:
    for pid in pids(ending):
        os.kill(pid, signal.SIGINT)
    ending.process.send_signal(signal.SIGINT)
    assert ending.process.wait(120) == 130
    assert len(log(ending, "stopped")) == WORKERS


def test_workers_do_not_outlive_their_supervisor(ending: Server) -> None:
    workers = pids(ending)
    ending.process.kill()
    eventually(lambda: not any(alive(pid) for pid in workers))
    assert len(log(ending, "supervisor gone")) == WORKERS


@pytest.mark.long
def test_a_worker_that_hangs_is_replaced_within_half_a_minute(ending: Server) -> None:
    hanging = pids(ending)[0]
    os.kill(hanging, signal.SIGSTOP)
    begin = time.monotonic()
    eventually(lambda: len(pids(ending)) == WORKERS + 1, seconds=40)
    assert time.monotonic() - begin < 30
    assert [one["pid"] for one in log(ending, "worker hangs")] == [hanging]
    assert not alive(hanging)
    with apart(ending) as client:
        assert {client.get("/health").status_code for _ in range(20)} == {200}
    # Nobody else was ended, not even while all stood still.
    group = [ending.process.pid, *pids(ending)[1:]]
    for pid in group:
        os.kill(pid, signal.SIGSTOP)
    time.sleep(20)
    for pid in reversed(group):
        os.kill(pid, signal.SIGCONT)
    time.sleep(5)
    assert len(log(ending, "worker hangs")) == 1


@pytest.mark.long
def test_a_database_that_goes_away_and_comes_back_costs_no_worker(tmp_path: Path) -> None:
    postgres = servers.Server("plain")
    try:
        url = postgres.fresh()
        cache = redis_server.server().url()
        with running(
            tmp_path, database_url=url, cache_url=cache, workers=WORKERS, pool_size=2
        ) as server:
            postgres.halt()
            os.kill(pids(server)[0], signal.SIGKILL)
            # It cannot open the database, and tries again and again.
            eventually(lambda: len(log(server, "worker ended")) >= 3)
            assert get(server, "acme", "nobody")["degraded"]
            postgres.start()
            eventually(lambda: len(pids(server)) == WORKERS + 1)
            assert "PostgreSQL" in log(server, "worker ended")[-1]["error"]
    finally:
        postgres.stop()


@pytest.mark.long
def test_what_workers_cannot_start_with_is_one_sentence(
    services: dict[str, object], tmp_path: Path
) -> None:
    def refused(**settings: object) -> str:
        command = [sys.executable, "-c", "from ai_hub.cli import main; main()", "serve"]
        done = subprocess.run(
            command, cwd=tmp_path, capture_output=True, text=True, timeout=60,
            env=environment({"port": free_port(), **services, **settings}),
        )  # fmt: skip
        assert done.returncode in (1, 2), done
        assert "Traceback" not in done.stdout + done.stderr
        (line,) = [line for line in done.stderr.splitlines() if line.startswith("ai-hub: ")]
        return line

    embedded = refused(database_url="duckdb:///features.duckdb")
    assert "workers: got 2, expected 1 with the embedded database" in embedded
    assert "AI_HUB_DATABASE_URL" in embedded
    memory = refused(cache_url="memory://")
    assert "workers: got 2, expected 1 with the cache memory://" in memory
    assert "nowhere" in refused(database_url=servers.server("plain").url("nowhere"))
    with socket.create_server(("127.0.0.1", 0)) as taken:
        assert "port: got" in refused(port=taken.getsockname()[1])


def test_a_port_of_other_workers_is_taken(several: Server, services: dict[str, object]) -> None:
    done = subprocess.run(
        [sys.executable, "-c", "from ai_hub.cli import main; main()", "serve"],
        cwd=several.folder, capture_output=True, text=True, timeout=60,
        env=environment({**services, "port": several.port}),
    )  # fmt: skip
    assert done.returncode == 2
    assert f"port: got {several.port}" in done.stderr
