"""Servers as processes, a client for one connection, and wrk."""

from __future__ import annotations

import json
import os
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

HOST = "127.0.0.1"
GET = "/ai/features/get"
BATCH = "/ai/features/batch"
_CONSOLE = Path(sys.executable).parent / "ai-hub"
_PATIENCE = 120.0


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        return int(probe.getsockname()[1])


def console(*arguments: str) -> list[str]:
    """The command of `ai-hub` with some arguments."""
    return [str(_CONSOLE), *arguments]


@contextmanager
def running(command: list[str], port: int, **environment: str) -> Iterator[float]:
    """A server for a while; the seconds until its port answered /health."""
    settings = os.environ | environment
    # An installed package is compiled once, and not at every start.
    settings.pop("PYTHONDONTWRITEBYTECODE", None)
    begin = time.perf_counter()
    with tempfile.TemporaryFile() as log:
        process = subprocess.Popen(command, env=settings, stdout=log, stderr=subprocess.STDOUT)
        try:
            while not _healthy(port):
                if process.poll() is not None or time.perf_counter() - begin > _PATIENCE:
                    log.seek(0)
                    raise RuntimeError(f"{command} did not start: {log.read().decode()}")
                time.sleep(0.002)
            yield time.perf_counter() - begin
        finally:
            process.terminate()
            process.wait(_PATIENCE)


def our_server(port: int, database: Path, folder: Path, **environment: str) -> Any:
    """`ai-hub serve` on a database file, as a context manager."""
    return running(
        console("serve", "--host", HOST, "--port", str(port)),
        port,
        AI_HUB_DATABASE_URL=f"duckdb:///{database}",
        AI_HUB_EXPORT_ROOT=str(folder),
        AI_HUB_CACHE_TTL="3600",
        **environment,
    )


def _healthy(port: int) -> bool:
    try:
        with Client(port) as client:
            return client.call("GET", "/health")[0] == 200
    except OSError:
        return False


class Client:
    """One kept-alive HTTP/1.1 connection on a plain socket: little but the server's own time."""

    def __init__(self, port: int) -> None:
        self._socket = socket.create_connection((HOST, port))
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def __enter__(self) -> Client:
        return self

    def __exit__(self, *_: object) -> None:
        self._socket.close()

    def call(self, method: str, path: str, body: object = None) -> tuple[int, bytes]:
        """The status and the body of the answer."""
        sent = b"" if body is None else json.dumps(body).encode()
        head = f"{method} {path} HTTP/1.1\r\nHost: {HOST}\r\nContent-Length: {len(sent)}\r\n"
        self._socket.sendall(head.encode() + b"Content-Type: application/json\r\n\r\n" + sent)
        got = b""
        while (end := got.find(b"\r\n\r\n")) < 0:
            got += self._more()
        size = re.search(rb"(?i)content-length: *(\d+)", got[:end])
        assert size is not None, got[:end]
        while len(got) < end + 4 + int(size[1]):
            got += self._more()
        return int(got[9:12]), got[end + 4 :]

    def post(self, path: str, body: object) -> bytes:
        """The body of a successful answer."""
        status, answer = self.call("POST", path, body)
        if status >= 400:
            raise RuntimeError(f"{path}: {status} {answer.decode()}")
        return answer

    def _more(self) -> bytes:
        got = self._socket.recv(1 << 18)
        if not got:
            raise ConnectionError("the server closed the connection")
        return got


class Load(NamedTuple):
    """What wrk saw: answers a second, and latencies in seconds."""

    throughput: float
    p50: float
    p99: float


def has_wrk() -> bool:
    return shutil.which("wrk") is not None


def wrk(port: int, path: str, body: object, connections: int, seconds: float) -> Load:
    """POST one body again and again, or those of a list in turn."""
    bodies = body if isinstance(body, list) else [body]
    texts = ", ".join(f"[==[{json.dumps(one)}]==]" for one in bodies)
    assert texts.count("]==]") == len(bodies)
    with tempfile.NamedTemporaryFile("w", suffix=".lua") as script:
        script.write(
            f"local bodies, requests, last = {{{texts}}}, {{}}, 0\n"
            'wrk.method = "POST"\nwrk.headers["Content-Type"] = "application/json"\n'
            "init = function()\n  for i, body in ipairs(bodies) do\n"
            "    requests[i] = wrk.format(nil, nil, nil, body)\n  end\nend\n"
            "request = function()\n  last = last % #requests + 1\n"
            "  return requests[last]\nend\n"
            "done = function(summary, latency)\n"
            "  local e = summary.errors\n"
            '  io.write(string.format("%f %f %f %d\\n",\n'
            "    summary.requests / summary.duration * 1e6, latency:percentile(50) / 1e6,\n"
            "    latency:percentile(99) / 1e6, e.connect + e.read + e.write + e.status))\nend\n"
        )
        script.flush()
        out = subprocess.run(
            ["wrk", "-t1", f"-c{connections}", f"-d{seconds:.0f}s", "-s", script.name,
             f"http://{HOST}:{port}{path}"],
            capture_output=True, text=True, check=True,
        ).stdout  # fmt: skip
    rate, p50, p99, errors = map(float, out.strip().splitlines()[-1].split())
    if errors:
        raise RuntimeError(f"{path}: {errors:.0f} requests failed")
    return Load(rate, p50, p99)


def python_load(port: int, path: str, body: object, connections: int, seconds: float) -> Load:
    """The stand-in where there is no wrk: one connection, whatever `connections` says."""
    bodies = body if isinstance(body, list) else [body]
    took: list[float] = []
    with Client(port) as client:
        until = time.perf_counter() + seconds
        while (begin := time.perf_counter()) < until:
            client.post(path, bodies[len(took) % len(bodies)])
            took.append(time.perf_counter() - begin)
    took.sort()
    return Load(len(took) / seconds, took[len(took) // 2], took[int(len(took) * 0.99)])
