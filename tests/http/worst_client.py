"""What one client at its worst costs the others: a table for docs/reliability.md.

    python tests/http/worst_client.py [seconds]

Each misuse runs in two threads for some seconds, beside somebody who asks for a cached vector and
somebody who ingests a row, a hundred times a second between them.
"""

from __future__ import annotations

import json
import socket
import statistics
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import httpx

sys.path.insert(0, str(Path(__file__).parents[1]))

from acceptance.serving import Server, serving
from watching import COMMAND

MIB = 1024 * 1024
AT = "2025-10-09T14:30:00Z"
HEAD = b"POST /ai/features/%b HTTP/1.1\r\nhost: localhost\r\n"
GET = b"GET /health HTTP/1.1\r\nhost: localhost\r\n"
CHUNKED = HEAD % b"get" + b"transfer-encoding: chunked\r\n\r\n"


def body(path: bytes, content: bytes) -> bytes:
    return HEAD % path + b"content-length: %d\r\n\r\n" % len(content) + content


def listed(count: int) -> bytes:
    return json.dumps({"tenant_id": "t", "asset_ids": [f"{n:x}" for n in range(count)]}).encode()


def endless(first: bytes, unit: bytes) -> Iterator[bytes]:
    yield first
    for _ in range(100 * MIB // len(unit)):
        yield unit


ZEROS = b'{"tenant_id":"a","x":[' + b"0," * (MIB // 2 - 20) + b"NaN]}"
SAME = json.dumps({"tenant_id": "t", "asset_ids": ["a"] * 200_000}).encode()
MISUSES: dict[str, Callable[[], Iterator[bytes]]] = {
    "nothing": lambda: iter(()),
    "100 MB in one header": lambda: endless(GET + b"x: ", b"a" * 65_536),
    "100 MB of headers": lambda: endless(GET, b"x-1: a\r\n" * 8_000),
    "100 MB of trailers": lambda: endless(CHUNKED + b"0\r\n", b"x-1: a\r\n" * 8_000),
    "100 MB of chunks of one byte": lambda: endless(CHUNKED, b"1\r\na\r\n" * 10_000),
    "a body of 1 MiB, wrong at its end": lambda: iter([body(b"get", ZEROS)]),
    "a batch of one id, 200,000 times": lambda: iter([body(b"batch", SAME)]),
    "10,001 ids to forget": lambda: iter([body(b"cache/invalidate", listed(10_001))]),
    "10,000 ids to forget": lambda: iter([body(b"cache/invalidate", listed(10_000))]),
    "20 MB for a route that takes 1 MiB": lambda: iter([body(b"get", b" " * (20 * MIB))]),
    "bytes that are no HTTP": lambda: iter([b"\x00\xff" * 30_000]),
    "1,000 requests in one go": lambda: iter([(GET + b"\r\n") * 1_000]),
}


def misuse(server: Server, sent: Callable[[], Iterator[bytes]], stop: threading.Event) -> None:
    while not stop.is_set():
        with suppress(OSError), socket.create_connection(("127.0.0.1", server.port), 5) as client:
            for part in sent():
                client.sendall(part)
                if stop.is_set():
                    return
            client.recv(65_536)
        time.sleep(0.005)


def ask(
    url: str, path: str, content: bytes, stop: threading.Event, took: list[float], wrong: list[int]
) -> None:
    with httpx.Client(base_url=url, trust_env=False, timeout=30) as client:
        while not stop.is_set():
            begin = time.perf_counter()
            if client.post(path, content=content).status_code != 200:
                wrong.append(1)
            took.append(1_000 * (time.perf_counter() - begin))
            time.sleep(0.02)


def resident(server: Server) -> float:
    (line,) = [
        line
        for line in Path(f"/proc/{server.process.pid}/status").read_text().splitlines()
        if line.startswith("VmHWM")
    ]
    return int(line.split()[1]) / 1024


def measured(server: Server, sent: Callable[[], Iterator[bytes]], seconds: float) -> str:
    vector = {"tenant_id": "t", "asset_id": "a", "feature_set": "forecast_basic", "timestamp": AT}
    rows = [{"timestamp": "2025-10-09T14:00:00Z", "asset_id": "b", "value": 1.0}]
    asked = {
        "/ai/features/get": json.dumps(vector).encode(),
        "/ai/features/ingest": json.dumps({"tenant_id": "t", "rows": rows}).encode(),
    }
    stop, wrong = threading.Event(), []
    took: dict[str, list[float]] = {path: [] for path in asked}
    url = f"http://127.0.0.1:{server.port}"
    threads = [
        threading.Thread(target=ask, args=(url, path, content, stop, took[path], wrong))
        for path, content in asked.items()
    ]
    threads += [threading.Thread(target=misuse, args=(server, sent, stop)) for _ in range(2)]
    for one in threads:
        one.start()
    time.sleep(seconds)
    stop.set()
    for one in threads:
        one.join()
    cells = []
    for times in took.values():
        p99 = statistics.quantiles(times, n=100)[98]
        cells += [f"{len(times):,}", f"{statistics.median(times):.1f} ms", f"{p99:.0f} ms"]
    return " | ".join([*cells, str(len(wrong)), f"{resident(server):.0f} MB"])


def main(seconds: float) -> None:
    print(
        "| one client does | gets | median | p99 | ingests | median | p99 | errors | most memory |"
    )
    print("|---|--:|--:|--:|--:|--:|--:|--:|--:|")
    with tempfile.TemporaryDirectory() as folder, serving(COMMAND, Path(folder)) as server:
        time.sleep(3)
        for name, sent in MISUSES.items():
            print(f"| {name} | {measured(server, sent, seconds)} |", flush=True)


if __name__ == "__main__":
    main(float(sys.argv[1]) if len(sys.argv) > 1 else 10)
