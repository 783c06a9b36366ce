"""What one request takes of a server's memory: reading its body, landing it, telling of it."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

import servers
from acceptance.serving import Server, serving
from intake.hostile_bodies import HONEST, csv_rows
from watching import COMMAND, eventually, log

MB = 10**6
SPARE = 100 * MB
PATHS = {"weather csv": "/ingest/weather", "attributes csv": "/ingest/attributes"}


def memory(server: Server, field: str) -> int:
    """VmRSS, what it has, or VmHWM, the most that it had."""
    status = Path(f"/proc/{server.process.pid}/status").read_text()
    found = re.search(rf"{field}:\s+(\d+) kB", status)
    assert found is not None
    return int(found[1]) * 1024


def taken(server: Server, path: str, kind: str, body: bytes) -> int:
    """How much more than it had before a server had at most while it answered."""
    Path(f"/proc/{server.process.pid}/clear_refs").write_text("5")  # the most, from here on
    before = memory(server, "VmRSS")
    answer = server.client.post(
        f"/ai/features{path}?tenant_id=acme", content=body, headers={"content-type": kind},
        timeout=300,
    )  # fmt: skip
    assert answer.status_code == 200, answer.text
    assert answer.json()["rejected"] == 0
    return memory(server, "VmHWM") - before


def test_a_body_that_says_much_takes_no_more_than_its_size_allows(tmp_path: Path) -> None:
    kind, make = HONEST["parquet of lengths"]
    body = make()
    with serving(COMMAND, tmp_path) as server:
        eventually(lambda: log(server, "serving"))
        assert taken(server, "/ingest", kind, body) <= 8 * len(body) + SPARE


@pytest.mark.long
@pytest.mark.parametrize("warm", [False, True])
@pytest.mark.parametrize("name", HONEST)
@pytest.mark.parametrize(
    "store", ["embedded", pytest.param("timescaledb", marks=pytest.mark.timescaledb)]
)
def test_every_body_with_all_that_is_done_with_it(
    tmp_path: Path, store: str, name: str, warm: bool
) -> None:
    kind, make = HONEST[name]
    body = make()
    if kind == "application/json":
        body = b'{"tenant_id": "acme", "rows": %s}' % body
    settings = {} if store == "embedded" else {"database_url": servers.server(store).fresh()}
    with serving(COMMAND, tmp_path, **settings) as server:
        eventually(lambda: log(server, "serving"))
        if warm:
            taken(server, "/ingest", "text/csv", csv_rows(1))
        assert taken(server, PATHS.get(name, "/ingest"), kind, body) <= 8 * len(body) + SPARE


def test_a_server_says_where_memory_comes_from_before_arrow_looks() -> None:
    told = "import sys, ai_hub.http, ai_hub.cli.server; print('pyarrow' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", told], capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"


def test_where_arrow_was_there_before_it_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    program = (
        "import pyarrow as pa; from ai_hub.allocation import keep_little; keep_little(); "
        "print(pa.default_memory_pool().backend_name)"
    )
    monkeypatch.delenv("ARROW_DEFAULT_MEMORY_POOL", raising=False)
    for said, pool in (({}, "system"), ({"ARROW_DEFAULT_MEMORY_POOL": "mimalloc"}, "mimalloc")):
        for name, value in said.items():
            monkeypatch.setenv(name, value)
        done = subprocess.run(
            [sys.executable, "-c", program], capture_output=True, text=True, check=True
        )
        assert done.stdout == f"{pool}\n"
