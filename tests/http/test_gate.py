"""Who may ask: names of the server, pages of the web, and addresses it listens on."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest

from acceptance.serving import Server, environment, free_port, serving
from ai_hub.http.gate import Gate, name_of
from watching import COMMAND

GET = {"tenant_id": "t", "asset_id": "a", "feature_set": "forecast_basic"}


def status(server: Server, headers: dict[str, str], path: str = "/ai/features/get") -> int:
    content = json.dumps(GET).encode()
    answer = server.client.post(path, content=content, headers=headers)
    if answer.status_code != 200:
        assert answer.json().keys() == {"detail", "field"}
    return answer.status_code


@pytest.mark.parametrize(
    "host", ["localhost", "LocalHost:1", "127.0.0.1", "[::1]:8003", "localhost."]
)
def test_names_of_this_machine_are_taken(server: Server, host: str) -> None:
    assert status(server, {"host": host}) == 200


@pytest.mark.parametrize(
    "host",
    ["evil.example", "localhost.evil.example", "evil.example:8003", "127.0.0.1.nip.io", "",
     "0.0.0.0", "localhost,evil.example", "evil.example#localhost", "a@localhost",
     "[::1].evil.example", "[::1]evil", "[::1]:evil"],
)  # fmt: skip
def test_other_names_are_421(server: Server, host: str) -> None:
    assert status(server, {"host": host}) == 421
    answer = server.client.get("/health", headers={"host": host})
    assert answer.status_code == 421
    assert "AI_HUB_ALLOWED_HOSTS" in answer.json()["detail"]


def test_a_connection_is_asked_by_its_name_each_time(server: Server) -> None:
    one = b"GET /health HTTP/1.1\r\nhost: %b\r\n\r\n"
    answer = server.raw(one % b"localhost" + one % b"localhost" + one % b"evil.example")
    assert answer.count(b" 200 OK") == 2
    assert b" 421 " in answer
    for sent in (
        b"GET /health HTTP/1.1\r\n\r\n",
        b"GET /health HTTP/1.1\r\nhost: localhost\r\nhost: localhost\r\n\r\n",
    ):
        assert server.raw(sent).startswith(b"HTTP/1.1 400 ")
    assert server.raw(b"GET /health HTTP/1.0\r\n\r\n").startswith(b"HTTP/1.1 200 ")


def test_pages_of_other_sites_are_403(server: Server) -> None:
    here = f"http://127.0.0.1:{server.port}"
    assert status(server, {"origin": here}) == 200
    for origin in ("http://evil.example", "null", "", "http://127.0.0.1.evil.example", "file://"):
        for path in ("/ai/features/get", "/ai/features/ingest", "/ai/features/cache/warm"):
            assert status(server, {"origin": origin}, path) == 403
    both = b"origin: http://evil.example", f"origin: {here}".encode()
    for two in (both, both[::-1]):
        head = b"\r\n".join([b"GET /health HTTP/1.1", b"host: localhost", *two])
        assert server.raw(head + b"\r\n\r\n").startswith(b"HTTP/1.1 403 ")


def test_a_target_with_a_host_of_its_own_is_asked_by_that(server: Server) -> None:
    one = b"GET %b HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n"
    for target in (b"http://localhost/health", b"http://127.0.0.1:8003/health", b"//evil/x"):
        assert b" 421 " not in server.raw(one % target)[:20]
    for target in (b"http://evil.example/health", b"http://localhost@evil.example/health",
                   b"https://[::1].evil.example/", b"http:///health"):  # fmt: skip
        # What is no target at all is no HTTP.
        assert server.raw(one % target)[9:12] in (b"421", b"400")


def test_what_a_page_of_another_site_loads_is_403_and_a_link_to_this_one_is_not(
    server: Server,
) -> None:
    for site, mode, expected in (
        ("cross-site", "no-cors", 403), ("cross-site", "cors", 403), ("Cross-Site", "", 403),
        ("cross-site", "navigate", 200), ("same-origin", "cors", 200), ("none", "navigate", 200),
    ):  # fmt: skip
        said = {"sec-fetch-site": site, "sec-fetch-mode": mode}
        assert server.client.get("/docs", headers=said).status_code == expected


@pytest.mark.parametrize(
    "kind",
    ["application/x-www-form-urlencoded", "text/plain; charset=utf-8", "multipart/form-data"],
)
def test_forms_are_taken_from_programs_and_not_from_browsers(server: Server, kind: str) -> None:
    assert status(server, {"content-type": kind}) == 200
    here = f"http://127.0.0.1:{server.port}"
    for sign in ({"origin": here}, {"sec-fetch-site": "none"}, {"sec-fetch-mode": "navigate"}):
        assert status(server, {"content-type": kind} | sign) == 415
        assert status(server, {"content-type": "application/json"} | sign) == 200


def test_other_names_are_a_setting(tmp_path: Path) -> None:
    with serving(
        COMMAND, tmp_path, database_url="duckdb:///:memory:", allowed_hosts="ai-hub, Hub.Example"
    ) as server:
        for host in ("ai-hub:8003", "hub.example", "127.0.0.1"):
            assert status(server, {"host": host}) == 200
        for host in ("localhost", "evil.example"):
            assert status(server, {"host": host}) == 421


def test_all_names() -> None:
    assert Gate(["*"], "0.0.0.0").refused_host(b"evil.example", "10.0.0.1") is None
    assert Gate([], "0.0.0.0").refused_host(b"10.0.0.1:8003", "10.0.0.1") is None
    assert Gate([], "0.0.0.0").refused_host(b"10.0.0.2", "10.0.0.1") is not None
    assert [name_of(one) for one in (b"[FE80::1]:1", b"A.b.:80", b"a:b")] == [
        "fe80::1",
        "a.b",
        "a:b",
    ]


def test_other_machines_are_let_in_by_name_alone(tmp_path: Path) -> None:
    port = free_port()
    for host in ("0.0.0.0", "::"):
        settings = {"host": host, "port": port, "database_url": "duckdb:///:memory:"}
        done = subprocess.run(
            COMMAND, cwd=tmp_path, env=environment(settings), capture_output=True, text=True,
            timeout=30, check=False,
        )  # fmt: skip
        assert done.returncode != 0
        assert "AI_HUB_INSECURE=1" in done.stderr
    with serving(
        COMMAND, tmp_path, host="0.0.0.0", insecure=1, database_url="duckdb:///:memory:"
    ) as server:
        assert server.client.get("/health").status_code == 200
