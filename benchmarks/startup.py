"""What starting costs: the import, the help of the console, and a server's first requests."""

from __future__ import annotations

import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median

from ai_hub.definitions.values import iso
from benchmarks.data import HOUR, START, TENANT
from benchmarks.measure import Check, Table, Topic, ms
from benchmarks.server import GET, Client, console, free_port, our_server

_ROUNDS = 11
_SERVERS = 5


def run() -> Topic:
    topic = Topic("startup")
    commands = {
        "python -c pass": [sys.executable, "-c", "pass"],
        "import ai_hub": [sys.executable, "-c", "import ai_hub"],
        "ai-hub --help": console("--help"),
    }
    spent: dict[str, list[tuple[float, float]]] = {name: [] for name in commands}
    for _ in range(_ROUNDS):
        for name, command in commands.items():
            spent[name].append(_cost(command))
    cpu = {name: median(one for one, _ in costs[1:]) for name, costs in spent.items()}
    wall = {name: median(one for _, one in costs[1:]) for name, costs in spent.items()}
    above = cpu["import ai_hub"] - cpu["python -c pass"]
    topic.checks.append(Check("import ai_hub, CPU above bare Python", above, 0.06, "s"))
    topic.checks.append(Check("ai-hub --help, CPU", cpu["ai-hub --help"], 0.3, "s"))
    topic.tables.append(
        Table(
            f"Commands, medians of {_ROUNDS - 1} interleaved runs",
            ("command", "CPU ms", "wall ms"),
            [(name, ms(cpu[name]), ms(wall[name])) for name in commands],
        )
    )
    _servers(topic)
    return topic


def _cost(command: list[str]) -> tuple[float, float]:
    """CPU and wall seconds of a command."""
    before, begin = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    subprocess.run(command, check=True, capture_output=True)
    wall, after = time.perf_counter() - begin, resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime, wall


def _servers(topic: Topic) -> None:
    times: dict[str, list[float]] = {}
    for first in _REQUESTS:
        for _ in range(_SERVERS):
            with tempfile.TemporaryDirectory() as folder:
                _one_server(Path(folder), first, times)
    shown = {name: (median(seconds), max(seconds)) for name, seconds in times.items()}
    topic.checks.append(Check("ai-hub serve answers /health", shown["ready"][0], 1.0, "s"))
    for name, (middle, _) in shown.items():
        if name.startswith("first "):
            topic.checks.append(Check(f"{name} request of a server", middle, 0.25, "s"))
    topic.tables.append(
        Table(
            f"A server's first requests, {_SERVERS} fresh servers for each",
            ("what", "median ms", "largest ms"),
            [(name, ms(middle), ms(most)) for name, (middle, most) in shown.items()],
            "First: sent as soon as /health answers, before any other request; the same request "
            "again follows it.",
        )
    )


def _one_server(folder: Path, first: str, times: dict[str, list[float]]) -> None:
    database = folder / "features.duckdb"
    with our_server(port := free_port(), database, folder), Client(port) as client:
        _REQUESTS["ingest"](client, 0)
    with our_server(port := free_port(), database, folder) as ready, Client(port) as client:
        times.setdefault("ready", []).append(ready)
        for name in (f"first {first}", f"{first}, again"):
            begin = time.perf_counter()
            _REQUESTS[first](client, 1 if name.startswith("first") else 2)
            times.setdefault(name, []).append(time.perf_counter() - begin)


def _get(client: Client, day: int) -> None:
    at = iso(START + (48 + 24 * day) * HOUR)
    client.post(
        GET,
        {"tenant_id": TENANT, "asset_id": "m", "feature_set": "forecast_advanced", "timestamp": at},
    )


def _ingest(client: Client, day: int) -> None:
    hours = range(24 * day, 24 * day + 24 * 9)
    rows = [
        {"timestamp": iso(START + hour * HOUR), "asset_id": "m", "value": float(hour % 24)}
        for hour in hours
    ]
    client.post("/ai/features/ingest", {"tenant_id": TENANT, "rows": rows})


def _export(client: Client, day: int) -> None:
    client.post(
        "/ai/features/export",
        {
            "tenant_id": TENANT,
            "feature_set": "forecast_advanced",
            "start_time": iso(START),
            "end_time": iso(START + (day + 9) * 24 * HOUR),
            "output_path": f"first-{day}.parquet",
        },
    )


_REQUESTS: dict[str, Callable[[Client, int], None]] = {
    "get": _get,
    "ingest": _ingest,
    "export": _export,
}
