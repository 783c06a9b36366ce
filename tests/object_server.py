"""An S3-compatible server in a process of its own, and one before it that fails where told to."""

from __future__ import annotations

import http.client
import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Literal, NamedTuple
from urllib.parse import unquote

import httpx

KEY_ID, SECRET = "AKIATESTSONLY", "a-secret-of-the-tests"
_STARTS_WITHIN = 60


@dataclass(frozen=True)
class ObjectServer:
    """A server that keeps all in memory; a bucket is made by name."""

    endpoint: str

    def environment(self, endpoint: str | None = None) -> Mapping[str, str]:
        """What a process needs to find it, or what stands before it."""
        return {
            "AWS_ENDPOINT_URL": endpoint or self.endpoint,
            "AWS_ACCESS_KEY_ID": KEY_ID,
            "AWS_SECRET_ACCESS_KEY": SECRET,
            "AWS_REGION": "us-east-1",
        }

    def make(self, bucket: str) -> None:
        self._client().create_bucket(Bucket=bucket)

    def keys(self, bucket: str) -> list[str]:
        """Whatever is there, by the server's own word."""
        pages = self._client().get_paginator("list_objects_v2").paginate(Bucket=bucket)
        return [one["Key"] for page in pages for one in page.get("Contents", ())]

    def uploads(self, bucket: str) -> list[str]:
        found = self._client().list_multipart_uploads(Bucket=bucket)
        return [one["Key"] for one in found.get("Uploads", ())]

    def get(self, bucket: str, key: str) -> bytes:
        content: bytes = self._client().get_object(Bucket=bucket, Key=key)["Body"].read()
        return content

    def put(self, bucket: str, key: str, content: bytes) -> None:
        self._client().put_object(Bucket=bucket, Key=key, Body=content)

    def delete(self, bucket: str, key: str) -> None:
        self._client().delete_object(Bucket=bucket, Key=key)

    def _client(self) -> Any:
        import boto3

        return boto3.client(
            "s3", endpoint_url=self.endpoint, region_name="us-east-1",
            aws_access_key_id=KEY_ID, aws_secret_access_key=SECRET,
        )  # fmt: skip


@contextmanager
def object_server() -> Iterator[ObjectServer]:
    """A new server, stopped by its process id."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    program = [sys.executable, __file__, str(port)]
    # Pieces of an upload may be as small as tests are.
    environment = os.environ | {"S3_UPLOAD_PART_MIN_SIZE": "1"}
    process = subprocess.Popen(
        program, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        server = ObjectServer(f"http://127.0.0.1:{port}")
        until = time.monotonic() + _STARTS_WITHIN
        while not _answers(server):
            assert process.poll() is None, "moto's server ended"
            assert time.monotonic() < until, "moto's server did not start"
            time.sleep(0.05)
        yield server
    finally:
        process.kill()
        process.wait()


def _answers(server: ObjectServer) -> bool:
    try:
        return httpx.get(f"{server.endpoint}/moto-api/").status_code < 500
    except httpx.TransportError:
        return False


class Call(NamedTuple):
    """A request, by its number from 0 on."""

    number: int
    method: str
    path: str


@dataclass(frozen=True)
class Fault:
    """What becomes of a call.

    - error: it is answered with a status, and not done.
    - drop: the connection ends, and it is not done.
    - lose: it is done, and then the connection ends.
    - slow: it is done after some seconds.
    """

    kind: Literal["error", "drop", "lose", "slow"]
    status: int = 500
    code: str = "InternalError"
    message: str = "We encountered an internal error."
    seconds: float = 0.0


class Between:
    """What stands between a program and a server; `plan` says which calls fail, and how."""

    def __init__(self, endpoint: str, host: str, port: int) -> None:
        self.endpoint = endpoint
        self.host, self.port = host, port
        self.calls: list[Call] = []
        self.plan: Callable[[Call], Fault | None] = lambda call: None
        self.lost: Callable[[Call], None] = lambda call: None
        """Called once a call is done whose answer gets lost."""
        self._lock = threading.Lock()

    def begin(self, plan: Callable[[Call], Fault | None] = lambda call: None) -> None:
        """Count from 0 again."""
        with self._lock:
            self.calls, self.plan = [], plan

    def called(self, method: str, path: str) -> tuple[Call, Fault | None]:
        with self._lock:
            call = Call(len(self.calls), method, unquote(path))
            self.calls.append(call)
        return call, self.plan(call)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    between: Between

    def log_message(self, format: str, *args: object) -> None:
        pass

    def _pass_on(self) -> None:
        body = self.rfile.read(int(self.headers.get("content-length") or 0))
        call, fault = self.between.called(self.command, self.path)
        if fault is not None and fault.kind == "error":
            text = f"<Error><Code>{fault.code}</Code><Message>{fault.message}</Message></Error>"
            return self._answer(fault.status, [("content-type", "application/xml")], text.encode())
        if fault is not None and fault.kind == "drop":
            self.close_connection = True
            return None
        if fault is not None and fault.kind == "slow":
            time.sleep(fault.seconds)
        connection = http.client.HTTPConnection(self.between.host, self.between.port)
        try:
            connection.request(self.command, self.path, body, dict(self.headers.items()))
            answer = connection.getresponse()
            content, headers = answer.read(), answer.getheaders()
        except OSError:
            self.close_connection = True  # its server ended: who asked waits no longer
            return None
        finally:
            connection.close()
        if fault is not None and fault.kind == "lose":
            self.between.lost(call)
            self.close_connection = True
            return None
        return self._answer(answer.status, headers, content)

    def _answer(self, status: int, headers: list[tuple[str, str]], content: bytes) -> None:
        try:
            self.send_response(status)
            for name, value in headers:
                if name.lower() not in ("connection", "transfer-encoding", "content-length", "date",
                                        "server"):  # fmt: skip
                    self.send_header(name, value)
            if self.command != "HEAD" or not any(n.lower() == "content-length" for n, _ in headers):
                self.send_header("content-length", str(len(content)))
            else:
                self.send_header(
                    "content-length", next(v for n, v in headers if n.lower() == "content-length")
                )
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(content)
        except (BrokenPipeError, ConnectionResetError):
            self.close_connection = True  # who asked waits no longer

    do_GET = do_PUT = do_POST = do_DELETE = do_HEAD = _pass_on


@contextmanager
def between(server: ObjectServer) -> Iterator[Between]:
    """A server before another, on this machine alone."""
    host, port = server.endpoint.removeprefix("http://").split(":")
    handler = type("Handler", (_Handler,), {})
    front = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    front.daemon_threads = True
    made = Between(f"http://127.0.0.1:{front.server_address[1]}", host, int(port))
    handler.between = made  # type: ignore[attr-defined]
    thread = threading.Thread(target=front.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield made
    finally:
        front.shutdown()
        front.server_close()
        thread.join()


def _serve(port: int) -> None:
    """moto's server, but of many who put a new object at once one does, as S3 has it."""
    from moto.server import DomainDispatcherApplication, MotoRequestHandler, create_backend_app
    from werkzeug.serving import run_simple

    everything = DomainDispatcherApplication(create_backend_app)
    one_at_a_time = threading.Lock()

    def application(environ: dict[str, Any], start_response: Any) -> Any:
        if "HTTP_IF_NONE_MATCH" not in environ:
            return everything(environ, start_response)
        with one_at_a_time:
            return everything(environ, start_response)

    run_simple("127.0.0.1", port, application, threaded=True, request_handler=MotoRequestHandler)


if __name__ == "__main__":
    _serve(int(sys.argv[1]))
