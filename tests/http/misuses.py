"""Everything one client can do wrong, with its load; as a program, one of them until it is ended.

    PYTHONPATH=src:tests python tests/http/misuses.py PORT NAME

It says `ready` once its bytes are made, begins with the first line of its input, goes on until
that ends, and then prints as JSON how often it was told what.
"""

from __future__ import annotations

import io
import itertools
import json
import socket
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cache
from typing import Any

import numpy as np
import pyarrow as pa

from intake.hostile_bodies import ARROW, BOMBS, HONEST, TIME

MIB = 1024 * 1024
TENANT = "worst"
ASSETS = 50
"""Assets of the tenant that a server is filled with, with a reading an hour of 90 days."""
GET = b"GET /health HTTP/1.1\r\nhost: localhost\r\n"
POST = b"POST /ai/features/%b HTTP/1.1\r\nhost: localhost\r\n"
CHUNKED = POST % b"get" + b"transfer-encoding: chunked\r\n\r\n"
_SECONDS = 30.0
_counter = itertools.count()


@dataclass
class Misuser:
    """A client that goes at a server until it is stopped."""

    port: int
    stop: threading.Event = field(default_factory=threading.Event)
    told: Counter[str] = field(default_factory=Counter)

    def connect(self) -> socket.socket:
        return socket.create_connection(("127.0.0.1", self.port), _SECONDS)

    def send(self, parts: Iterable[bytes], stay: float = _SECONDS) -> None:
        """Send a request on a connection of its own and stay for the answer, for so long."""
        with self.connect() as connection:
            with suppress(ConnectionError):
                for part in parts:
                    connection.sendall(part)
                    if self.stop.is_set():
                        return
            connection.settimeout(stay)
            answer = b""
            with suppress(OSError):
                answer = connection.recv(65_536)
            self.told[answer[9:12].decode("ascii", "replace") or "nothing"] += 1


Go = Callable[[Misuser], None]
"""One go of a misuse; it is called again and again."""


@dataclass(frozen=True)
class Misuse:
    go: Go
    threads: int = 4
    make: Callable[[], object] = lambda: None
    """What makes its bytes, once, before it begins."""


def request(
    path: str, content: bytes, kind: str = "application/json", method: bytes = b"POST"
) -> bytes:
    head = b"%b /ai/features/%b HTTP/1.1\r\nhost: localhost\r\ncontent-type: %b\r\n"
    length = b"content-length: %d\r\n\r\n" % len(content)
    return head % (method, path.encode(), kind.encode()) + length + content


def asked(path: str, **named: Any) -> bytes:
    return request(path, json.dumps({"tenant_id": TENANT, **named}).encode())


def sends(make: Callable[[], bytes], threads: int = 4, stay: float = _SECONDS) -> Misuse:
    """The same bytes again and again."""
    made = cache(make)
    return Misuse(lambda client: client.send([made()], stay), threads, made)


def streams(first: bytes, unit: bytes, total: int = 100 * MIB) -> Misuse:
    """Bytes without an end, or as good as."""

    def parts() -> Iterator[bytes]:
        yield first
        yield from itertools.repeat(unit, total // len(unit))

    return Misuse(lambda client: client.send(parts()))


def differs(make: Callable[[int], bytes], threads: int = 4, stay: float = _SECONDS) -> Misuse:
    """Another request each time."""
    return Misuse(lambda client: client.send([make(next(_counter))], stay), threads)


def holds(count: int, first: Callable[[], bytes], then: bytes = b"") -> Misuse:
    """Many connections that are kept, with some bytes more each second and no answer read."""
    made = cache(first)

    def go(client: Misuser) -> None:
        held: list[socket.socket] = []
        while not client.stop.is_set():
            still = []
            for one in held:
                try:
                    if then:
                        one.send(then)
                    still.append(one)
                except BlockingIOError:
                    still.append(one)
                except OSError:
                    client.told["closed"] += 1
                    one.close()
            held = still
            while len(held) < count and not client.stop.is_set():
                try:
                    held.append(client.connect())
                except OSError:
                    client.told["refused"] += 1
                    break
                held[-1].setblocking(False)
                with suppress(OSError):
                    held[-1].send(made())
            client.told["connections"] = max(len(held), client.told["connections"])
            client.stop.wait(1)
        for one in held:
            one.close()

    return Misuse(go, 1, made)


def stays(make: Callable[[], bytes], threads: int) -> Misuse:
    """The same bytes, and then nothing: no answer is read for 5 seconds."""
    made = cache(make)

    def go(client: Misuser) -> None:
        with client.connect() as connection:
            connection.sendall(made())
            client.told["sent"] += 1
            client.stop.wait(5)

    return Misuse(go, threads, made)


def ids(count: int) -> list[str]:
    return [f"{n:x}" for n in range(count)]


def ingest(content: Callable[[], bytes], kind: str = "application/json") -> Misuse:
    return sends(lambda: request(f"ingest?tenant_id={TENANT}", content(), kind))


def listed(name: str) -> Misuse:
    """A body of tests/intake/hostile_bodies.py."""
    kind, make = (BOMBS | HONEST)[name]
    if kind != "application/json":
        return ingest(make, kind)
    return ingest(lambda: b'{"tenant_id":"%b","rows":%b}' % (TENANT.encode(), make()))


def spine(rows: int, first: str, step: int, unit: str = "s") -> bytes:
    """Rows of a training set, as Arrow."""
    times = np.datetime64(first, "us") + np.arange(rows) * np.timedelta64(step, unit)
    table = pa.table({
        "asset_id": pa.array(["meter-1"]).take(pa.array(np.zeros(rows, np.int8))),
        "timestamp": pa.array(times, pa.timestamp("us", "UTC")),
    })  # fmt: skip
    sink = io.BytesIO()
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table)
    return sink.getvalue()


def asked_for(rows: int, first: str, step: int) -> bytes:
    path = f"training-set?tenant_id={TENANT}&feature_set=forecast_advanced&horizons=24h"
    return request(path, spine(rows, first, step), ARROW)


def joined(rows: int, first: str, step: int) -> Misuse:
    return sends(lambda: asked_for(rows, first, step))


def header(more: int) -> bytes:
    return b"timestamp,asset_id,value" + b"".join(b",%x" % n for n in range(more))


def millennia() -> bytes:
    lines = (b"%04d-%02d-01T00:00:00Z,meter-1,1\n" % (y, m)
             for y in range(1, 10_000) for m in range(1, 13))  # fmt: skip
    return b"timestamp,asset_id,value\n" + b"".join(lines)


def minute(at: int, year: int) -> str:
    return f"{year:04}-01-{1 + at // 1440 % 28:02}T{at // 60 % 24:02}:{at % 60:02}:00Z"


def exported(**named: Any) -> bytes:
    begin, end = "2025-01-01T00:00:00Z", "2025-03-01T00:00:00Z"
    times = {"start_time": begin, "end_time": end}
    return asked("export", **{"feature_set": "forecast_advanced", **times, **named})


WARM: dict[str, Any] = {"feature_set": "forecast_basic", "timestamp": TIME}
ZEROS = b'{"tenant_id":"a","x":[' + b"0," * (MIB // 2 - 20) + b"NaN]}"
LINES = b"x-1: a\r\n" * 8_000
UPGRADE = b"connection: Upgrade\r\nupgrade: "
SMALL = b'{"tenant_id":"worst","asset_id":"a","feature_names":["hour_of_day"]}'


def upgrading(to: bytes) -> Misuse:
    whole = POST % b"get" + UPGRADE + to + b"\r\ncontent-length: %d\r\n\r\n" % len(SMALL) + SMALL
    return sends(lambda: whole * 50)


MISUSES: dict[str, Misuse] = {
    "nothing": Misuse(lambda client: time.sleep(0.1), 1),
    # Bodies: each on 4 connections at once, over and over.
    **{f"a body: {name}": listed(name) for name in (*BOMBS, *HONEST)},
    "a body: 1 MiB of an unknown field, wrong at its end": sends(lambda: request("get", ZEROS)),
    "a body: 20 MB of an unknown field to ingest": ingest(lambda: ZEROS[:-5] * 1 + b"0," * 10**7),
    "a body: 20 MB for a route that takes 1 MiB": sends(lambda: request("get", b" " * 20 * MIB)),
    "a body: one id, 200,000 times, in a batch": sends(
        lambda: asked("batch", asset_ids=["a"] * 200_000)),
    "a body: a header of 50,000 columns": ingest(lambda: header(49_997), "text/csv"),
    "a body: a header of 100,000 columns": ingest(lambda: header(100_000), "text/csv"),
    # Lists.
    "a list: 10,000 ids to forget": sends(lambda: asked("cache/invalidate", asset_ids=ids(10_000))),
    "a list: 10,001 ids to forget": sends(lambda: asked("cache/invalidate", asset_ids=ids(10_001))),
    "a list: 10,000 ids to warm": differs(
        lambda n: asked("cache/warm", asset_ids=ids(10_000), feature_set="forecast_basic",
                        timestamp=minute(n, 2025))),
    "a list: 10,000 assets of one station": differs(
        lambda n: request("weather-sources", json.dumps({
            "tenant_id": TENANT, "source_id": f"station-{n}", "asset_ids": ids(10_000),
        }).encode(), method=b"PUT")),
    "a list: 10,000 horizons": sends(lambda: exported(horizons=["1h"] * 10_000)),
    "a list: 50,000 names of features": sends(
        lambda: asked("get", asset_id="a", feature_names=["lag_1h"] * 50_000)),
    "a list: an export of 10,000 assets": sends(
        lambda: exported(asset_ids=ids(10_000), output_path="worst.parquet")),
    "a list: 1,000 assets at another minute each time": differs(
        lambda n: asked("batch", asset_ids=ids(1_000), feature_set="forecast_basic",
                        timestamp=minute(n, 2025))),
    # Heads, trailers and connections.
    "a head: 100 MB in one header": streams(GET + b"x: ", b"a" * 65_536),
    "a head: 100 MB of headers": streams(GET, LINES),
    "a head: 100 MB of a target": streams(b"GET /", b"a" * 65_536),
    "a body: 100 MB of trailers": streams(CHUNKED + b"0\r\n", LINES),
    "a body: 100 MB of chunks of one byte": streams(CHUNKED, b"1\r\na\r\n" * 10_000),
    "a body: 100 MB of an extension of a chunk": streams(CHUNKED + b"5;", b"a" * 65_536),
    "bytes that are no HTTP": sends(lambda: b"\x00\xff" * 30_000),
    "500 heads, a byte a second": holds(500, lambda: GET, b"x"),
    "500 bodies, a byte a second": holds(
        500, lambda: POST % b"ingest" + b"content-length: 60000000\r\n\r\n", b"1"),
    "100 bodies, of 1 MB each, that stop": holds(
        100, lambda: POST % b"ingest" + b"content-length: 60000000\r\n\r\n" + b"1" * MIB),
    "1,000 silent connections": holds(1_000, lambda: b""),
    "1,000 idle connections": holds(1_000, lambda: GET + b"\r\n"),
    "1,000 requests in one go": sends(lambda: (GET + b"\r\n") * 1_000),
    "50 pipelines of 200 batches, whose answers nobody reads": holds(
        50, lambda: asked("batch", asset_ids=[f"meter-{n}" for n in range(ASSETS)], **WARM) * 200),
    "50 requests with an offer of h2c": upgrading(b"h2c"),
    "50 requests with an offer of websocket": upgrading(b"websocket"),
    # Time.
    "times: vectors of the year 1": differs(
        lambda n: asked("get", asset_id="meter-1", timestamp=minute(n, 1))),
    "times: vectors of 1,000 assets in the year 9999": differs(
        lambda n: asked("batch", asset_ids=ids(1_000), timestamp=minute(n, 9_999))),
    "times: 120,000 readings over ten millennia": ingest(millennia, "text/csv"),
    "times: a spine over ten millennia": joined(9_000, "0990-01-01", 365 * 86_400),
    # Exports.
    "exports: one second of 12 clients that leave": Misuse(
        lambda client: client.send([exported(frequency="1s", end_time="2025-01-21T00:00:00Z")], 2),
        12),
    "exports: over ten millennia": sends(
        lambda: exported(start_time="0001-01-01T00:00:00Z", end_time="9999-01-01T00:00:00Z",
                         frequency="1h"), 12),
    "exports: 12 that are waited for": sends(lambda: exported(frequency="1h"), 12),
    "training sets: spines of 1,000,000 rows, 4 at once": joined(1_000_000, "2025-01-01", 7),
    "training sets: spines of 1,000,000 rows, 8 at once, whose answers nobody reads": stays(
        lambda: asked_for(1_000_000, "2025-01-01", 7), 8),
    "training sets: spines that 12 clients leave": Misuse(
        lambda client: client.send([_large()], 0.5), 12, lambda: _large()),
}  # fmt: skip
"""What one client does wrong, and on how many connections (4 where nothing else is said)."""


@cache
def _large() -> bytes:
    path = f"training-set?tenant_id={TENANT}&feature_set=forecast_advanced"
    return request(path, spine(300_000, "2025-01-01", 20), ARROW)


def _again(misuse: Misuse, client: Misuser) -> None:
    while not client.stop.is_set():
        try:
            misuse.go(client)
        except OSError as error:
            client.told[type(error).__name__] += 1
        client.stop.wait(0.005)


def main(port: int, name: str) -> None:
    misuse, client = MISUSES[name], Misuser(port)
    misuse.make()
    print("ready", flush=True)
    sys.stdin.readline()
    threads = [
        threading.Thread(target=_again, args=(misuse, client), daemon=True)
        for _ in range(misuse.threads)
    ]
    for thread in threads:
        thread.start()
    sys.stdin.read()
    client.stop.set()
    patience = time.monotonic() + 0.5
    for thread in threads:
        thread.join(max(patience - time.monotonic(), 0))
    print(json.dumps(client.told), flush=True)


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2])
