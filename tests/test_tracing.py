"""Spans: of what there are some, below which others, and that there are none where nobody asks."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from acceptance.serving import Server, serving
from ai_hub import tracing
from ai_hub.config import Settings
from ai_hub.feature_store import FeatureStore
from watching import AT, COMMAND, eventually, get, ingest, log

pytest.importorskip("opentelemetry.sdk", reason="no OpenTelemetry: the extra otel is not there")

RANGE = {"start_time": "2025-10-09T00:00:00Z", "end_time": "2025-10-10T00:00:00Z"}
TRACE = "0af7651916cd43dd8448eb211c80319c"
CALLER = "b7ad6b7169203331"


@pytest.fixture
def exporter() -> Iterator[Any]:
    """An exporter that keeps what it is given, in use."""
    from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

    made = InMemorySpanExporter()
    assert tracing.begin(made)
    yield made
    tracing.end()


async def test_misses_ingests_and_exports_have_spans_and_hits_have_none(
    exporter: Any, tmp_path: Path
) -> None:
    settings = Settings(database_url="duckdb:///:memory:", export_root=tmp_path)
    rows = [{"timestamp": "2025-10-09T13:00:00Z", "asset_id": "a", "value": 1.0}]
    wanted = {"tenant_id": "t", "asset_id": "a", "feature_set": "forecast_basic", "timestamp": AT}
    async with FeatureStore(settings) as store:
        await store.ingest(rows, "t")
        for _ in range(3):
            await store.get_features(**wanted)
        await store.export_features_to_parquet(tenant_id="t", feature_set="forecast_basic", **RANGE)
    found = {one.name: dict(one.attributes) for one in exporter.get_finished_spans()}
    assert len(found) == len(exporter.get_finished_spans())
    assert found.pop("export").pop("ai_hub.export_id")
    assert found == {
        "ingest": {"ai_hub.target": "observations", "ai_hub.tenant_id": "t", "ai_hub.rows": 1},
        "compute": {
            "ai_hub.tenant_id": "t", "ai_hub.feature_set": "forecast_basic@1", "ai_hub.assets": 1,
        },
    }  # fmt: skip


async def test_an_error_is_noted(exporter: Any, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="no"), tracing.span("x", n=1):
        raise ValueError("no")
    (one,) = exporter.get_finished_spans()
    assert (one.status.is_ok, one.events[0].name) == (False, "exception")


def test_nothing_of_it_is_there_where_nobody_asks(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"):
        monkeypatch.delenv(name, raising=False)
    assert tracing.begin() is False
    assert tracing.span("x") is tracing.span("y")
    program = (
        "import sys\nfrom ai_hub import tracing\nassert tracing.begin() is False\n"
        "from ai_hub.http import server\nassert 'opentelemetry' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", program], check=True)


def test_it_may_be_switched_off_and_lack_its_library(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:9")
    monkeypatch.setenv("OTEL_SDK_DISABLED", "true")
    assert tracing.begin() is False
    monkeypatch.delenv("OTEL_SDK_DISABLED")
    monkeypatch.setitem(sys.modules, "opentelemetry.sdk.trace", None)
    assert tracing.begin() is False


@contextmanager
def collector() -> Iterator[tuple[str, Callable[[], list[Any]]]]:
    """Where spans are sent over HTTP, and what came: each span, with its resource's name."""
    from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

    bodies: list[bytes] = []

    class Taken(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            assert self.path == "/v1/traces"
            bodies.append(self.rfile.read(int(self.headers["content-length"])))
            self.send_response(200)
            self.send_header("content-length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Nothing is said."""

    def came() -> list[Any]:
        found = []
        for body in bodies:
            for of_one in ExportTraceServiceRequest.FromString(body).resource_spans:
                named = {one.key: one.value.string_value for one in of_one.resource.attributes}
                assert named["service.name"] == "ai-hub"
                found += [span for scope in of_one.scope_spans for span in scope.spans]
        return found

    with ThreadingHTTPServer(("127.0.0.1", 0), Taken) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_address[1]}", came
        server.shutdown()


@contextmanager
def traced(folder: Path, monkeypatch: pytest.MonkeyPatch, url: str) -> Iterator[Server]:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", url)
    with serving(COMMAND, folder) as server:
        eventually(lambda: log(server, "serving"))
        yield server


def test_a_request_has_a_span_where_its_caller_samples_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def parent(flags: str) -> dict[str, str]:
        return {"traceparent": f"00-{TRACE}-{CALLER}-{flags}"}

    with collector() as (url, came):
        with traced(tmp_path, monkeypatch, url) as server:
            ingest(server, "t")
            get(server, "t")
            get(server, "t")
            asked = {"tenant_id": "t", "feature_set": "forecast_basic", "timestamp": AT}
            for asset, flags in (("a", "00"), ("b", "00"), ("a", "01"), ("c", "01")):
                body = {**asked, "asset_id": asset}
                server.call("POST", "/get", body, headers=parent(flags))
            server.call("GET", "/sets/nope", status=404, headers=parent("01"))
            server.client.get("/nowhere", headers=parent("01"))
            server.client.get("/health", headers={"traceparent": "nonsense"})
        # What was not sent yet is at the end.
        spans = came()
    outside = [one.name for one in spans if one.trace_id.hex() != TRACE]
    assert outside == ["ingest", "compute"]
    of_caller = [one for one in spans if one.trace_id.hex() == TRACE]
    status = "http.response.status_code"
    told = sorted(
        (one.name, sum(own.value.int_value for own in one.attributes if own.key == status))
        for one in of_caller
    )
    assert told == [
        ("GET", 404),
        ("GET /ai/features/sets/{name}", 404),
        ("POST /ai/features/get", 200),
        ("POST /ai/features/get", 200),
        ("compute", 0),
    ]
    (below,) = [one for one in of_caller if one.name == "compute"]
    above = {one.span_id: one for one in of_caller}
    assert above[below.parent_span_id].name == "POST /ai/features/get"
    assert {one.parent_span_id.hex() for one in of_caller if one is not below} == {CALLER}


@pytest.mark.long
def test_a_collector_that_is_away_keeps_nobody(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with traced(tmp_path, monkeypatch, "http://127.0.0.1:9") as server:
        ingest(server, "t")
        get(server, "t")
    assert server.process.returncode == 0
    assert log(server, "stopped")
