"""Long exports beside all else: so many at a time, a queue with a limit, and no end by leaving."""

from __future__ import annotations

import json
import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest

from acceptance.serving import Server, serving
from watching import COMMAND, eventually

YEAR = {"start_time": "2025-01-01T00:00:00Z", "end_time": "2025-12-31T00:00:00Z"}
LONG = {"tenant_id": "t", "feature_set": "forecast_advanced", "frequency": "2s"} | YEAR
SHORT = {"tenant_id": "t", "feature_set": "forecast_basic"} | YEAR


@pytest.fixture(scope="module")
def narrow(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server that makes one export at a time, while one more waits."""
    how = {"database_url": "duckdb:///:memory:", "export_jobs": 1, "export_queue": 1,
           "export_rows": 20_000_000}  # fmt: skip
    with serving(COMMAND, tmp_path_factory.mktemp("narrow"), **how) as running:
        rows = [{"timestamp": "2025-01-01T00:00:00Z", "asset_id": "a", "value": 1}]
        running.call("POST", "/ingest", {"tenant_id": "t", "rows": rows})
        yield running


@contextmanager
def asking(server: Server, path: str, body: object) -> Iterator[socket.socket]:
    """A client that asks for something and waits, until it leaves."""
    content = json.dumps(body).encode()
    head = f"POST /ai/features{path} HTTP/1.1\r\nhost: localhost\r\ncontent-length: {len(content)}"
    with socket.create_connection(("127.0.0.1", server.port), timeout=120) as connection:
        connection.sendall(head.encode() + b"\r\n\r\n" + content)
        yield connection


def with_status(server: Server, status: str) -> list[dict[str, Any]]:
    found = server.call("GET", "/exports?limit=1000")["exports"]
    return [one for one in found if one["status"] == status]


def test_too_many_exports_are_refused_and_starve_nobody(narrow: Server) -> None:
    with ExitStack() as clients:
        first = clients.enter_context(asking(narrow, "/export", LONG))
        eventually(lambda: with_status(narrow, "processing"))
        waiting = clients.enter_context(asking(narrow, "/export", SHORT))
        time.sleep(0.3)
        spine = {
            "content": b"asset_id,timestamp\na,2025-01-01T00:00:00Z\n",
            "headers": {"content-type": "text/csv"},
        }
        for path, sent in (
            ("/export", {"json": SHORT}),
            ("/training-set?tenant_id=t&feature_set=forecast_basic", spine),
        ):
            refused = narrow.client.post(f"/ai/features{path}", **sent)
            assert refused.status_code == 503, refused.text
            assert int(refused.headers["retry-after"]) > 0
            assert "1 are under way and 1 wait" in refused.json()["detail"]
        # All else goes on, as the exports have threads of their own.
        begin = time.monotonic()
        row = {"timestamp": "2025-01-01T00:00:00Z", "asset_id": "b", "value": 1}
        for _ in range(10):
            narrow.call("POST", "/ingest", {"tenant_id": "u", "rows": [row]})
            narrow.call("POST", "/get", {"tenant_id": "u", "asset_id": "b"})
        assert time.monotonic() - begin < 60
        (long,) = with_status(narrow, "processing")
        (short,) = with_status(narrow, "pending")
        # Whoever leaves ends nothing: its export goes on, and the other waits.
        first.close()
        waiting.close()
        time.sleep(0.3)
        assert [one["export_id"] for one in with_status(narrow, "processing")] == [
            long["export_id"]
        ]
        # The end of the first one is the turn of the next.
        ended = narrow.call("DELETE", f"/exports/{long['export_id']}")
        assert (ended["status"], ended["error"]) == (
            "cancelled",
            f"cancelled by {ended['cancelled_by']}",
        )
    eventually(lambda: with_status(narrow, "completed"))
    (done,) = with_status(narrow, "completed")
    assert done["export_id"] == short["export_id"]
    assert [path.name for path in narrow.exports.glob("**/*") if path.is_file()] == [
        done["storage_path"].rpartition("/")[2]
    ]


def test_one_that_takes_longer_is_looked_at(narrow: Server) -> None:
    asked = narrow.client.post("/ai/features/export", json=LONG | {"wait_seconds": 0})
    assert asked.status_code == 202
    begun = asked.json()
    path = f"/ai/features/exports/{begun['export_id']}"
    assert asked.headers["location"] == path
    assert begun["status"] in ("pending", "processing")
    waiting = narrow.client.post("/ai/features/export", json=SHORT | {"wait_seconds": 0.1})
    assert (waiting.status_code, waiting.json()["status"]) == (202, "pending")
    # Whoever waits in the queue can be cancelled, too, and gives its place to another.
    cancelled = narrow.call("DELETE", f"/exports/{waiting.json()['export_id']}")
    assert (cancelled["status"], "progress" in cancelled) == ("cancelled", False)

    def far() -> bool:
        now = narrow.call("GET", f"/exports/{begun['export_id']}")
        assert now["status"] == "processing"
        progress = now["progress"]
        return bool(
            0 < progress["rows"] < progress["rows_expected"]
            and 0 < progress["share"] < 1
            and progress["rows_per_second"] > 0
            and progress["seconds_left"] > 0
        )

    eventually(far)
    ended = narrow.client.delete(path)
    assert (ended.status_code, ended.json()["status"]) == (200, "cancelled")
    # It stays as it is.
    assert narrow.client.delete(path).json() == ended.json()
    resumed = narrow.client.post(f"{path}/resume")
    assert (resumed.status_code, resumed.headers["location"]) == (202, path)
    assert narrow.call("DELETE", f"/exports/{begun['export_id']}")["status"] == "cancelled"
    sentence = narrow.refusal("POST", "/export", SHORT | {"wait_seconds": 3_601})
    assert sentence == "wait_seconds: got 3601, expected 0 to 3,600 seconds"


def test_more_rows_than_may_be_are_refused_before_anything_is_read(narrow: Server) -> None:
    begin = time.monotonic()
    sentence = narrow.refusal("POST", "/export", LONG | {"frequency": "1s"})
    assert sentence.startswith("frequency: got 'more than 20,000,000 rows'")
    assert "20,000,000 in one export (AI_HUB_EXPORT_ROWS)" in sentence
    assert time.monotonic() - begin < 60
    assert not with_status(narrow, "processing")


def test_a_refused_body_is_let_go_of(narrow: Server) -> None:
    body = b"asset_id,timestamp\n" + b"a,2025-01-01T00:00:00Z\n" * 200_000
    path = "/ai/features/training-set?tenant_id=t&feature_set=forecast_basic&horizons=x"

    def resident() -> int:
        status = Path(f"/proc/{narrow.process.pid}/status").read_text()
        return int(status.partition("VmRSS:")[2].split()[0]) * 1024

    def refuse(times: int) -> int:
        for _ in range(times):
            answer = narrow.client.post(path, content=body, headers={"content-type": "text/csv"})
            assert answer.status_code == 422
        return resident()

    before = refuse(4)
    assert refuse(30) < before + 8 * len(body)
