"""Thirty exports at once, with cancels, deaths, restarts and a lost database.

    pytest -m long -s tests/http/test_many_jobs.py

prints what another client sees meanwhile on a server that exports too.
"""

from __future__ import annotations

import random
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import httpx
import pytest

import servers
from acceptance.serving import Server, serving
from ai_hub.export.place import Places
from ai_hub.export.verify import verify
from watching import COMMAND, eventually

pytestmark = pytest.mark.long
JOBS = 30
ASSETS, HOURS = 20, 24 * 60
ASKED = {
    "tenant_id": "acme", "feature_set": "forecast_advanced", "frequency": "1m",
    "start_time": "2025-01-01T00:00:00Z", "end_time": "2025-03-01T00:00:00Z", "wait_seconds": 0,
}  # fmt: skip
GET = {"tenant_id": "acme", "asset_id": "meter-1", "feature_set": "forecast_basic",
       "timestamp": "2025-02-01T00:00:00Z"}  # fmt: skip
ENDS = {"completed", "failed", "cancelled"}


@pytest.fixture
def database() -> Iterator[servers.Server]:
    servers.require("timescaledb")
    on = servers.Server("timescaledb")
    yield on
    on.stop()


class Other(threading.Thread):
    """Another client, who gets and ingests all the while."""

    def __init__(self, server: Server) -> None:
        super().__init__()
        self.url = str(server.client.base_url)
        self.took: dict[str, list[float]] = {"get": [], "ingest": []}
        self.refused: Counter[int] = Counter()
        self.over = threading.Event()

    def run(self) -> None:
        row = {"timestamp": "2025-02-01T00:00:00Z", "asset_id": "other", "value": 1.0}
        asked: dict[str, Any] = {"get": GET, "ingest": {"tenant_id": "u", "rows": [row]}}
        with httpx.Client(base_url=self.url, timeout=60, trust_env=False) as client:
            while not self.over.wait(0.01):
                for path, body in asked.items():
                    begin = time.perf_counter()
                    status = client.post(f"/ai/features/{path}", json=body).status_code
                    self.took[path].append((time.perf_counter() - begin) * 1_000)
                    if status != 200:
                        self.refused[status] += 1

    def figures(self) -> str:
        said = []
        for path, took in self.took.items():
            took.sort()
            p99, most = took[int(len(took) * 0.99)], took[-1]
            said.append(f"{path} {len(took):,}: p99 {p99:.0f} ms, most {most:.0f} ms")
        return "; ".join([*said, f"refused {dict(self.refused)}"])


def fill(server: Server) -> None:
    times = [f"2025-{1 + h // 720:02}-{1 + h // 24 % 30:02}T{h % 24:02}:00:00Z"
             for h in range(HOURS) if h // 720 != 1 or h // 24 % 30 < 28]  # fmt: skip
    for asset in range(ASSETS):
        rows = [{"timestamp": t, "asset_id": f"meter-{asset}", "value": float(i % 24)}
                for i, t in enumerate(times)]  # fmt: skip
        server.call("POST", "/ingest", {"tenant_id": "acme", "rows": rows})


@pytest.mark.postgresql
def test_thirty_jobs_end_in_a_true_state(database: servers.Server, tmp_path: Path) -> None:
    chance = random.Random(30)
    how = {
        "database_url": database.fresh(), "export_queue": JOBS, "export_root": tmp_path / "exports",
    }  # fmt: skip
    folders = [tmp_path / name for name in ("stays", "dies", "ends", "last")]
    for one in folders:
        one.mkdir()
    begin = time.monotonic()
    with serving(COMMAND, folders[0], **how) as stays, ExitStack() as rest:
        fill(stays)
        other = Other(stays)
        other.start()
        with serving(COMMAND, folders[1], **how) as dies:
            ids = [begun((stays, dies)[n % 2], n) for n in range(JOBS)]
            to_cancel = chance.sample(ids, 6)
            for export_id in to_cancel[:3]:
                stays.client.delete(f"/ai/features/exports/{export_id}")
            time.sleep(3)
            dies.process.kill()
        with serving(COMMAND, folders[2], **how) as ends:
            time.sleep(3)
            for export_id in to_cancel[3:]:
                ends.client.delete(f"/ai/features/exports/{export_id}")
        database.restart(crash=True)
        last = rest.enter_context(serving(COMMAND, folders[3], **how))
        records = ended(last)
        other.over.set()
        other.join()
    check(records, ids, to_cancel, tmp_path)
    print(f"{time.monotonic() - begin:.0f} s; {other.figures()}")
    assert set(other.refused) <= {503}


def test_thirty_jobs_on_a_database_file_end_in_a_true_state(tmp_path: Path) -> None:
    chance = random.Random(30)
    how = {
        "database_url": f"duckdb:///{tmp_path / 'f.duckdb'}", "export_queue": JOBS,
        "export_root": tmp_path / "exports",
    }  # fmt: skip
    begin = time.monotonic()
    with serving(COMMAND, tmp_path, **how) as dies:
        fill(dies)
        ids = [begun(dies, n, frequency="5m") for n in range(JOBS)]
        to_cancel = chance.sample(ids, 6)
        for export_id in to_cancel[:3]:
            dies.client.delete(f"/ai/features/exports/{export_id}")
        time.sleep(3)
        dies.process.kill()
    with serving(COMMAND, tmp_path, **how) as ends:
        for export_id in to_cancel[3:]:
            ends.client.delete(f"/ai/features/exports/{export_id}")
        time.sleep(3)
    with serving(COMMAND, tmp_path, **how) as last:
        other = Other(last)
        other.start()
        records = ended(last)
        other.over.set()
        other.join()
    check(records, ids, to_cancel, tmp_path)
    print(f"{time.monotonic() - begin:.0f} s; {other.figures()}")
    assert not other.refused


def begun(server: Server, number: int, **how: Any) -> str:
    asked = ASKED | {"parts": number % 3 > 0, "output_path": f"x{number}"} | how
    export_id: str = server.call("POST", "/export", asked, 202)["export_id"]
    return export_id


def ended(server: Server) -> dict[str, dict[str, Any]]:
    """The records by id once all have ended."""

    def found() -> dict[str, dict[str, Any]]:
        records = server.call("GET", "/exports?tenant_id=acme&limit=1000")["exports"]
        return {one["export_id"]: one for one in records}

    eventually(lambda: {one["status"] for one in found().values()} <= ENDS, 900)
    return found()


def check(
    records: dict[str, dict[str, Any]], ids: list[str], to_cancel: list[str], place: Path
) -> None:
    """Each is what its record says, and nothing half is left."""
    assert set(records) == set(ids)
    counts = Counter(one["status"] for one in records.values())
    print(f"\n{dict(counts)}")
    for export_id, record in records.items():
        if record["status"] == "completed":
            assert verify(Places(), record) == "ok"
        else:
            assert record["error"]
            assert record["status"] == "failed" or export_id in to_cancel
            assert not Path(record["storage_path"]).exists()
    assert counts["completed"] >= JOBS - len(to_cancel)
    assert not [*(place / "exports").glob("**/.*")]
