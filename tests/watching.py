"""Running servers as those who run them see them: what they count, log and say of themselves."""

from __future__ import annotations

import json
import resource
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from prometheus_client.parser import text_string_to_metric_families

from acceptance.serving import Server

_SERVE = """
from ai_hub.config import Settings
from ai_hub.http import serve
try:
    serve(Settings.load())
except KeyboardInterrupt:
    raise SystemExit(130) from None
"""
COMMAND = (sys.executable, "-c", _SERVE)
AT = "2025-10-09T14:30:00Z"


def metrics(server: Server) -> dict[str, float]:
    """Every sample, such as `ai_hub_exports_total{status=failed}`, and its number."""
    response = server.client.get("/metrics")
    assert response.status_code == 200
    assert response.headers["content-type"].startswith("text/plain")
    return samples(response.text)


def samples(exposition: str) -> dict[str, float]:
    return {
        named(one.name, one.labels): one.value
        for family in text_string_to_metric_families(exposition)
        for one in family.samples
    }


def named(name: str, labels: Mapping[str, str]) -> str:
    inside = ",".join(f"{key}={labels[key]}" for key in sorted(labels))
    return f"{name}{{{inside}}}" if inside else name


def log(server: Server, event: str | None = None) -> list[dict[str, Any]]:
    """The events of a server's log, all or those of one name."""
    # Up to the last line that is whole: another may be being written.
    lines = (server.folder / "log.txt").read_text().rpartition("\n")[0].splitlines()
    events = [json.loads(line) for line in lines if line.startswith("{")]
    return [one for one in events if event is None or one["event"] == event]


def resident(server: Server) -> int:
    """Bytes of memory of a server that has started in full."""
    eventually(lambda: log(server, "serving"))
    server.client.get("/metrics")
    pages = Path(f"/proc/{server.process.pid}/statm").read_text().split()[1]
    return int(pages) * resource.getpagesize()


def eventually(true: Callable[[], object], seconds: float = 120) -> None:
    """Wait until something is so."""
    until = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < until, "it did not come true"
        time.sleep(0.05)


def get(server: Server, tenant: str, asset: str = "a", **more: Any) -> Any:
    body = {"tenant_id": tenant, "asset_id": asset, "feature_set": "forecast_basic"}
    return server.call("POST", "/get", {**body, "timestamp": AT, **more})


def ingest(server: Server, tenant: str, value: object = 1.0, *assets: str) -> Any:
    rows = [
        {"timestamp": "2025-10-09T13:00:00Z", "asset_id": asset, "value": value}
        for asset in assets or ("a",)
    ]
    return server.call("POST", "/ingest", {"tenant_id": tenant, "rows": rows})
