"""What one client sees while another starts as many long exports as it can.

    PYTHONPATH=src:tests python tests/http/export_load.py [SECONDS] [plain|timescaledb]

Prints a row of a table for `docs/reliability.md` for a server alone and one beside exports; with a
kind of PostgreSQL on a server of that kind, with Redis, else on an embedded file.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, cast

import httpx

import redis_server
import servers
from acceptance.serving import Server, serving
from watching import COMMAND

EXPORTS = 12
ASSETS, HOURS = 50, 24 * 90
LONG = {
    "tenant_id": "acme", "feature_set": "forecast_advanced", "frequency": "10s",
    "start_time": "2025-01-01T00:00:00Z", "end_time": "2025-03-01T00:00:00Z",
}  # fmt: skip
GET = {"tenant_id": "acme", "asset_id": "meter-1", "feature_set": "forecast_basic",
       "timestamp": "2025-02-01T00:00:00Z"}  # fmt: skip
ROW = {"timestamp": "2025-02-01T00:00:00Z", "asset_id": "other", "value": 1.0}


def fill(server: Server) -> None:
    """Some months of hourly readings."""
    times = [f"2025-{1 + h // 720:02}-{1 + h // 24 % 30:02}T{h % 24:02}:00:00Z"
             for h in range(HOURS) if h // 720 != 1 or h // 24 % 30 < 28]  # fmt: skip
    for asset in range(ASSETS):
        rows = [{"timestamp": t, "asset_id": f"meter-{asset}", "value": float(i % 24)}
                for i, t in enumerate(times)]  # fmt: skip
        server.call("POST", "/ingest", {"tenant_id": "acme", "rows": rows})


def measured(server: Server, seconds: float) -> str:
    """The answers of another client in some seconds: how many, how slow, how many errors."""
    gets: list[float] = []
    ingests: list[float] = []
    errors, until = 0, time.monotonic() + seconds
    with httpx.Client(base_url=str(server.client.base_url), timeout=30, trust_env=False) as client:
        while time.monotonic() < until:
            for i in range(20):
                path, body, into = "get", cast(Any, GET), gets
                if i == 0:
                    path, body, into = "ingest", {"tenant_id": "u", "rows": [ROW]}, ingests
                begin = time.perf_counter()
                answer = client.post(f"/ai/features/{path}", json=body)
                into.append((time.perf_counter() - begin) * 1000)
                errors += answer.status_code != 200
    cells = [f"{len(gets) + len(ingests):,}", f"{errors}"]
    for found in (gets, ingests):
        found.sort()
        cells += [f"{found[int(len(found) * 0.99)]:.0f} ms", f"{found[-1]:.0f} ms"]
    return " | ".join([*cells, f"{peak(server)} MB"])


def peak(server: Server) -> int:
    """The most resident memory that the server's process had."""
    for line in Path(f"/proc/{server.process.pid}/status").read_text().splitlines():
        if line.startswith("VmHWM"):
            return int(line.split()[1]) // 1000
    raise AssertionError("no VmHWM")


@contextmanager
def exporting(server: Server) -> Iterator[list[int]]:
    """A client that asks for exports on many connections, again whenever one was refused."""
    stop = threading.Event()
    statuses: list[int] = []

    def ask() -> None:
        with httpx.Client(base_url=str(server.client.base_url), timeout=2) as client:
            while not stop.is_set():
                try:
                    statuses.append(client.post("/ai/features/export", json=LONG).status_code)
                except httpx.HTTPError:
                    statuses.append(0)

    threads = [threading.Thread(target=ask) for _ in range(EXPORTS)]
    for thread in threads:
        thread.start()
    time.sleep(3)
    try:
        yield statuses
    finally:
        stop.set()
        for thread in threads:
            thread.join()


def main(seconds: float, kind: str | None) -> None:
    """Measure a server alone, then beside exports."""
    with tempfile.TemporaryDirectory() as folder:
        how: dict[str, object] = {}
        if kind is not None:
            postgres = servers.server(cast(Any, kind))
            how = {"database_url": postgres.fresh(), "cache_url": redis_server.server().url()}
        with serving(COMMAND, Path(folder), **how) as server:
            fill(server)
            store = "an embedded file" if kind is None else f"{kind} and Redis"
            print(f"| {store}, alone | {measured(server, seconds)} |", flush=True)
            with exporting(server) as statuses:
                row = measured(server, seconds)
            print(f"| {store}, beside exports | {row} |", flush=True)
            told = {status: statuses.count(status) for status in sorted({*statuses})}
            print(json.dumps({"load": os.getloadavg()[0], "exports, by status": told}))
            begin = time.monotonic()
            while [*server.exports.glob("**/.*")]:
                time.sleep(0.05)
            print(f"no half file is left after {time.monotonic() - begin:.1f} s")


if __name__ == "__main__":
    try:
        main(float(sys.argv[1]) if len(sys.argv) > 1 else 20, *sys.argv[2:3] or [None])
    finally:
        servers.stop_all()
        redis_server.stop_all()
