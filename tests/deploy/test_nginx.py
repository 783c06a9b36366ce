"""The sample for nginx in deploy/, run by Debian's: what reaches a server, and what does not."""

from __future__ import annotations

import os
import re
import shutil
import socket
import ssl
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import httpx
import pytest

from acceptance.serving import Server, free_port, listens, serving
from ai_hub.config import Settings
from ai_hub.config_values import size, width
from ai_hub.definitions.values import Duration
from ai_hub.http.description import ROUTES
from deploy.promql import DEPLOY
from watching import COMMAND, eventually, get, ingest

SAMPLE = (DEPLOY / "nginx" / "ai-hub.conf").read_text()
NAME = "features.example.com"
# Those of Debian are where only root looks.
PROGRAM = shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin:/usr/local/sbin")
NO_NGINX = "no nginx in PATH or /usr/sbin; to install it on Debian or Ubuntu: apt-get install nginx"


class _ByName(httpx.HTTPTransport):
    """Asks for the server's name, wherever it is."""

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        request.extensions["sni_hostname"] = NAME
        return super().handle_request(request)


@dataclass(frozen=True)
class Proxy:
    """A running nginx, by its two ports and what its certificate is signed by."""

    tls: int
    plain: int
    certificate: Path

    def client(self) -> httpx.Client:
        """A client that knows the server by its name."""
        return httpx.Client(
            base_url=f"https://127.0.0.1:{self.tls}",
            headers={"Host": NAME},
            transport=_ByName(verify=self._trusted),
            timeout=30,
        )

    def connect(self, name: str = NAME) -> ssl.SSLSocket:
        bare = socket.create_connection(("127.0.0.1", self.tls), timeout=120)
        return self._trusted.wrap_socket(bare, server_hostname=name)

    @property
    def _trusted(self) -> ssl.SSLContext:
        return ssl.create_default_context(cafile=str(self.certificate))


@contextmanager
def nginx(folder: Path, upstream: int) -> Iterator[Proxy]:
    """The sample with ports and files of here, before a server on a port."""
    if PROGRAM is None:
        pytest.skip(NO_NGINX)
    certificate, key = folder / "fullchain.pem", folder / "privkey.pem"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1",
         "-nodes", "-days", "2", "-subj", f"/CN={NAME}", "-addext",
         f"subjectAltName=DNS:{NAME},IP:127.0.0.1", "-keyout", key, "-out", certificate],
        check=True, capture_output=True,
    )  # fmt: skip
    proxy = Proxy(free_port(), free_port(), certificate)
    text = SAMPLE
    for there, here in (
        ("listen 443 ", f"listen 127.0.0.1:{proxy.tls} "),
        ("listen 80;", f"listen 127.0.0.1:{proxy.plain};"),
        ("127.0.0.1:8003", f"127.0.0.1:{upstream}"),
        ("/etc/ssl/ai-hub", str(folder)),
    ):
        assert there in text
        text = text.replace(there, here)
    kinds = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    places = "".join(f"{kind}_temp_path {folder}/{kind};\n" for kind in kinds)
    user = "user root;\n" if os.geteuid() == 0 else ""
    config = folder / "nginx.conf"
    config.write_text(
        f"{user}daemon off;\nworker_processes 1;\npid {folder}/pid;\n"
        f"error_log {folder}/error.log;\n"
        f"events {{}}\nhttp {{\naccess_log off;\n{places}{text}}}\n"
    )
    log = folder / "error.log"
    words = [PROGRAM, "-e", str(log), "-p", str(folder), "-c", str(config)]
    with subprocess.Popen(words) as process:
        try:
            eventually(lambda: process.poll() is not None or listens(proxy.tls))
            assert process.poll() is None, log.read_text()
            yield proxy
        finally:
            process.terminate()
    # How HTTP/2 is chosen is deprecated since 1.25.1, and the new way is unknown before it.
    said = [line for line in log.read_text().splitlines() if "http2" not in line]
    assert not [line for line in said if "[emerg]" in line or "[warn]" in line]


@pytest.fixture(scope="module")
def behind(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Proxy, Server]]:
    folder = tmp_path_factory.mktemp("behind")
    with (
        serving(COMMAND, folder, allowed_hosts=NAME, max_body=100_000) as server,
        nginx(tmp_path_factory.mktemp("nginx"), server.port) as proxy,
    ):
        yield proxy, server


def test_features_come_through(behind: tuple[Proxy, Server]) -> None:
    proxy, direct = behind
    with proxy.client() as client:
        server = Server(client, proxy.tls, direct.folder, direct.process)
        ingest(server, "acme", 7.5)
        assert [get(server, "acme")["cache_hit"] for _ in range(2)] == [False, True]
        assert server.client.get("/health/ready").json()["status"] == "ok"
        answer = client.get("/health")
        assert answer.headers["strict-transport-security"].startswith("max-age=")
        assert client.get("/metrics").status_code == 404
        # Forms of the page go on as they would without a proxy.
        same = client.post("/ai/features/get", json={}, headers={"Origin": f"https://{NAME}"})
        assert same.status_code == 422
        other = client.post("/ai/features/get", json={}, headers={"Origin": "https://evil.example"})
        assert other.status_code == 403


def test_what_is_too_large_is_refused_by_the_server(behind: tuple[Proxy, Server]) -> None:
    proxy, _ = behind
    with proxy.client() as client:
        body = b'{"tenant_id": "acme", "rows": [' + b" " * 200_000 + b"]}"
        answer = client.post("/ai/features/ingest", content=body)
        assert (answer.status_code, "detail" in answer.json()) == (413, True)


def test_other_names_and_plain_requests_lead_nowhere(behind: tuple[Proxy, Server]) -> None:
    proxy, _ = behind
    with pytest.raises(ssl.SSLError):
        proxy.connect("other.example.com")
    answer = httpx.get(
        f"http://127.0.0.1:{proxy.plain}/docs?a=b", headers={"Host": NAME}, trust_env=False
    )
    assert (answer.status_code, answer.headers["location"]) == (308, f"https://{NAME}/docs?a=b")


class _Heard(BaseHTTPRequestHandler):
    """Answers all, and keeps what came: of each request its connection and its headers."""

    protocol_version = "HTTP/1.1"
    heard: list[tuple[int, str, dict[str, str]]]
    begun: threading.Event

    def do_GET(self) -> None:
        kept = {name.lower(): value for name, value in self.headers.items()}
        self.heard.append((self.client_address[1], self.request_version, kept))
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def do_POST(self) -> None:
        # A chunk: its length, itself, and a line's end.
        self.rfile.read(int(self.rfile.readline(), 16) + 2)
        self.begun.set()
        while length := int(self.rfile.readline(), 16):
            self.rfile.read(length + 2)
        self.rfile.readline()
        self.do_GET()

    def log_message(self, *_: object) -> None:
        """Nothing is said."""


def test_a_server_is_told_who_asks_on_connections_that_stay(tmp_path: Path) -> None:
    handler = type("Handler", (_Heard,), {"heard": [], "begun": threading.Event()})
    heard, begun = handler.heard, handler.begun  # type: ignore[attr-defined]
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            with nginx(tmp_path, server.server_address[1]) as proxy:
                forged = {"X-Forwarded-For": "6.6.6.6", "X-Forwarded-Proto": "http",
                          "Forwarded": "for=6.6.6.6", "X-Request-Id": "mine"}  # fmt: skip
                for _ in range(3):
                    with proxy.client() as client:
                        assert client.get("/health", headers=forged).status_code == 200
                with proxy.connect() as connection:
                    # The first part arrives while the rest has not been sent.
                    head = f"POST /ai/features/ingest HTTP/1.1\r\nHost: {NAME}\r\n"
                    head += "Transfer-Encoding: chunked\r\n\r\n"
                    connection.sendall(head.encode() + b"5\r\nfirst\r\n")
                    assert begun.wait(20)
                    connection.sendall(b"0\r\n\r\n")
                    assert connection.recv(1000).startswith(b"HTTP/1.1 200")
        finally:
            server.shutdown()
    assert len({port for port, _, _ in heard}) == 1
    for _, version, headers in heard:
        assert version == "HTTP/1.1"
        assert headers["host"] == NAME
        assert headers["x-forwarded-for"] == "127.0.0.1"
        assert headers["x-forwarded-proto"] == "https"
        assert headers.keys().isdisjoint({"forwarded", "connection"})
    assert heard[0][2]["x-request-id"] == "mine"


# Without nginx.


def said(name: str) -> list[str]:
    return re.findall(rf"^\s*{name} ([^;]+);", SAMPLE, re.MULTILINE)


def test_times_and_sizes_are_those_of_the_settings() -> None:
    settings = Settings()
    upstream, downstream = map(width, said("keepalive_timeout"))
    assert upstream < settings.keep_alive == downstream
    assert [width(one) for one in said("client_header_timeout")] == [settings.head_timeout]
    assert [width(one) for one in said("client_body_timeout")] == [settings.body_timeout]
    usual, long = map(width, said("proxy_read_timeout"))
    assert settings.statement_timeout < usual < long == Duration.of("1h")
    (most,) = said("client_max_body_size")
    assert settings.max_body < size(most.replace("m", "MiB")) <= 1.1 * settings.max_body
    count, each = said("large_client_header_buffers")[0].split()
    assert int(count) * size(each.replace("k", "KiB")) == settings.max_head
    assert f":{settings.port} " in SAMPLE
    assert said("proxy_request_buffering") == ["off"]


def test_what_works_for_long_is_known() -> None:
    (pattern,) = re.findall(r"location ~ (\S+) \{", SAMPLE)
    paths = {route.path for route in ROUTES}
    long = {path.removeprefix("/ai/features/") for path in paths if re.match(pattern, path)}
    assert long == {
        "archive", "cache/warm", "delete", "drift", "drift/baseline", "export", "ingest",
        "ingest/attributes", "ingest/weather", "training-set",
    }  # fmt: skip
