"""What one client at its worst costs the others: the tables of docs/reliability.md.

    PYTHONPATH=src:tests python tests/http/worst_client.py [--seconds 10] [--on embedded]
        [--on timescaledb] [--slack 1] [--write] [NAME ...]

Each misuse (misuses.py) goes on for some seconds in a process of its own, beside somebody who asks
for a cached vector and somebody who ingests a row, a hundred times a second between them, now and
then on a new connection. It ends with 1 where a bound does not hold; `--slack` is for busy
machines, on which times may be so much longer. `--write` puts the tables into the page.
"""

from __future__ import annotations

import argparse
import http.client
import json
import math
import os
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

from misuses import ASSETS, MISUSES, TENANT

import redis_server
import servers
from acceptance.serving import Server, serving
from watching import COMMAND

PAGE = Path(__file__).parents[2] / "docs" / "reliability.md"
TITLES = {"embedded": "An embedded file", "plain": "PostgreSQL and Redis",
          "timescaledb": "TimescaleDB and Redis"}  # fmt: skip
GET_MS, INGEST_MS, MEMORY_MB = 50, 500, 1_000
AT = "2025-10-09T14:30:00Z"
ASKED = {
    "get": {"tenant_id": "t", "asset_id": "a", "feature_set": "forecast_basic", "timestamp": AT},
    "ingest": {"tenant_id": "t", "rows": [
        {"timestamp": "2025-10-09T14:00:00Z", "asset_id": "b", "value": 1.0}]},
}  # fmt: skip
_NEW_CONNECTION = 10
HEAD = ("one client does", "gets", "median", "p99", "ingests", "median", "p99", "errors",
        "most memory", "it was told")  # fmt: skip


@dataclass
class Asker:
    """Somebody else, who asks again and again for one thing."""

    port: int
    path: str
    took: list[float] = field(default_factory=list)
    """Milliseconds of each answer."""
    wrong: list[str] = field(default_factory=list)

    def ask(self, stop: threading.Event) -> None:
        content = json.dumps(ASKED[self.path]).encode()
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        while not stop.is_set():
            begin = time.perf_counter()
            try:
                connection.request("POST", f"/ai/features/{self.path}", content)
                answer = connection.getresponse()
                said = answer.read()
                if answer.status != 200:
                    self.wrong.append(f"{answer.status} {said[:100]!r}")
            except (OSError, http.client.HTTPException) as error:
                self.wrong.append(repr(error))
                connection.close()
            self.took.append(1_000 * (time.perf_counter() - begin))
            if len(self.took) % _NEW_CONNECTION == 0:
                connection.close()
            stop.wait(0.02)
        connection.close()

    @property
    def p99(self) -> float:
        if len(self.took) < 2:
            return max(self.took, default=math.inf)
        return statistics.quantiles(self.took, n=100, method="inclusive")[98]


@dataclass(frozen=True)
class Found:
    """What others saw meanwhile."""

    name: str
    get: Asker
    ingest: Asker
    memory: float
    told: dict[str, int]

    @property
    def wrong(self) -> list[str]:
        return self.get.wrong + self.ingest.wrong

    def holds(self, slack: float = 1) -> bool:
        """Whether all bounds do, of times so many times longer."""
        slow = self.get.p99 >= slack * GET_MS or self.ingest.p99 >= slack * INGEST_MS
        return not (slow or self.wrong or self.memory >= MEMORY_MB)

    def cells(self) -> list[str]:
        cells = [self.name]
        for one in (self.get, self.ingest):
            median = statistics.median(one.took or [math.inf])
            cells += [f"{len(one.took):,}", f"{median:.1f} ms", f"{one.p99:.0f} ms"]
        told = ", ".join(f"{what} {times:,}" for what, times in sorted(self.told.items()))
        return [*cells, str(len(self.wrong)), f"{self.memory:.0f} MB", told]


def fill(server: Server) -> None:
    """Readings of those who export."""
    lines = ["timestamp,asset_id,value"]
    for hour in range(24 * 90):
        at = time.strftime("%Y-%m-%dT%H:00:00Z", time.gmtime(1_735_689_600 + 3_600 * hour))
        lines += [f"{at},meter-{asset},{hour % 24}" for asset in range(ASSETS)]
    kind = {"content-type": "text/csv"}
    server.call("POST", f"/ingest?tenant_id={TENANT}", content="\n".join(lines).encode(),
                headers=kind)  # fmt: skip


def memory(server: Server) -> float:
    """The most resident memory in MB since `forget`."""
    lines = Path(f"/proc/{server.process.pid}/status").read_text().splitlines()
    (line,) = [line for line in lines if line.startswith("VmHWM")]
    return int(line.split()[1]) / 1_000


def forget(server: Server) -> None:
    Path(f"/proc/{server.process.pid}/clear_refs").write_text("5")


def begun(server: Server, name: str) -> subprocess.Popen[str]:
    """The process of a misuse, which makes its bytes; it goes at the server once it is let."""
    words = [sys.executable, str(Path(__file__).with_name("misuses.py")), str(server.port), name]
    return subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)


def suffered(server: Server, name: str, begun: subprocess.Popen[str], seconds: float) -> Found:
    """A misuse for some seconds, and what two others saw of it."""
    askers = [Asker(server.port, path) for path in ASKED]
    stop = threading.Event()
    threads = [threading.Thread(target=one.ask, args=(stop,)) for one in askers]
    with begun as misuser:
        assert misuser.stdin is not None
        assert misuser.stdout is not None
        try:
            assert misuser.stdout.readline() == "ready\n"
            forget(server)
            print("go", file=misuser.stdin, flush=True)
            for thread in threads:
                thread.start()
            time.sleep(seconds)
        finally:
            stop.set()
            for thread in threads:
                thread.join()
            said, _ = misuser.communicate()
    assert server.process.poll() is None, "the server ended"
    return Found(name, *askers, memory(server), json.loads(said))


def measured(store: str, names: Sequence[str], seconds: float, slack: float) -> list[Found]:
    """Each misuse of a server of its own, in turn."""
    how: dict[str, object] = {}
    if store != "embedded":
        url = servers.server(cast(Any, store)).fresh()
        how = {"database_url": url, "cache_url": redis_server.server().url()}
    found = []
    with tempfile.TemporaryDirectory() as folder, serving(COMMAND, Path(folder), **how) as server:
        fill(server)
        time.sleep(1)
        ready = begun(server, names[0])
        for name, following in zip(names, (*names[1:], None), strict=True):
            found.append(suffered(server, name, ready, seconds))
            if following is not None:
                ready = begun(server, following)
            print("| " + " | ".join(found[-1].cells()) + " |", flush=True)
            if not found[-1].holds(slack):
                print(f"{name} does not hold; errors: {found[-1].wrong[:3]}", file=sys.stderr)
            # What it left behind is not the next one's.
            time.sleep(0.5)
    return found


def table(found: Sequence[Found]) -> str:
    rows = [HEAD, ["---", *["--:"] * 8, "---"], *(one.cells() for one in found)]
    return "\n".join(f"| {' | '.join(row)} |" for row in rows) + "\n"


def written(page: str, store: str, text: str) -> str:
    """The page with the section of a store anew."""
    title = f"### {TITLES[store]}\n"
    before, found, after = page.partition(title)
    assert found, f"{PAGE} has no {title}"
    rest = after.partition("\n#")
    return f"{before}{title}\n{text}{rest[1]}{rest[2]}"


def main() -> int:
    """Measure, print and perhaps write."""
    parser = argparse.ArgumentParser()
    parser.add_argument("names", nargs="*")
    parser.add_argument("--seconds", type=float, default=10)
    parser.add_argument("--on", action="append", choices=[*TITLES])
    parser.add_argument("--slack", type=float, default=1)
    parser.add_argument("--write", action="store_true")
    given = parser.parse_args()
    # The server works in another directory.
    os.environ["PYTHONPATH"] = os.pathsep.join(os.path.abspath(one) for one in sys.path)
    failed = 0
    for store in given.on or ["embedded"]:
        load = os.getloadavg()[0]
        found = measured(store, given.names or [*MISUSES], given.seconds, given.slack)
        failed += sum(not one.holds(given.slack) for one in found)
        said = (
            f"{given.seconds:g} s each, on {os.cpu_count()} cores that the server"
            f"{'' if store == 'embedded' else ', the database'} and the clients share; the load "
            f"average before was {load:.1f}.\n\n"
        )
        if given.write:
            PAGE.write_text(written(PAGE.read_text(), store, said + table(found)))
    print(f"{failed} without its bounds" if failed else "all within the bounds", file=sys.stderr)
    return 1 if failed else 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    finally:
        servers.stop_all()
        redis_server.stop_all()
