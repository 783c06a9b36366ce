"""A browser, and a server with keys and data of its own, for the tests of the page."""

from __future__ import annotations

import asyncio
import math
import shutil
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from playwright import sync_api

from acceptance.serving import Server, serving
from ai_hub import FeatureStore
from ai_hub.access.grant import SCOPES

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
_SERVE = "from ai_hub.config import Settings\nfrom ai_hub.http import serve\nserve(Settings.load())"
NOW = datetime.now(UTC).replace(minute=0, second=0, microsecond=0)
LOST = (26, 21)
"""Hours before now between which meter-017 has no reading."""


@dataclass
class Shown:
    """A server with a page, the key of who looks at it, and the browser."""

    server: Server
    key: str
    browser: sync_api.Browser
    problems: list[str] = field(default_factory=list)
    """What went to the console, and what was asked of other servers."""

    @property
    def origin(self) -> str:
        return f"http://127.0.0.1:{self.server.port}"

    def page(self, width: int = 1280, scheme: str = "light", height: int = 860) -> sync_api.Page:
        """A page of a browser that nobody has signed in with."""
        size = {"width": width, "height": height}
        context = self.browser.new_context(viewport=size, color_scheme=scheme)
        context.set_default_timeout(30_000)
        page = context.new_page()
        page.on("console", lambda said: self.problems.append(f"console: {said.text}"))
        page.on("pageerror", lambda error: self.problems.append(f"error: {error}"))
        page.on("request", self._looked_at)
        return page

    def signed_in(self, path: str = "/", **more: object) -> sync_api.Page:
        """The same, of somebody with the key."""
        page = self.page(**more)  # type: ignore[arg-type]
        cookie = {"name": "ai_hub_session", "value": self.key, "url": self.origin}
        page.context.add_cookies([cookie])
        page.goto(self.origin + path)
        return page

    def _looked_at(self, request: sync_api.Request) -> None:
        if not request.url.startswith(self.origin + "/"):
            self.problems.append(f"asked elsewhere: {request.url}")


async def _filled(folder: Path) -> str:
    start = NOW - timedelta(days=30)
    rows = [
        {"timestamp": start + timedelta(hours=n), "asset_id": f"meter-{meter:03d}",
         "value": 20 + meter / 4 + 8 * math.sin(n / 12 * math.pi) + (n * meter * 7919 % 13) / 9}
        for meter in range(1, 41)
        for n in range(30 * 24 + 1)
        if not (meter == 17 and 720 - LOST[0] < n < 720 - LOST[1])
    ]  # fmt: skip
    weather = [
        {"timestamp": at, "issued_at": at - timedelta(hours=6 + n % 12), "asset_id": "station-1",
         "temperature": 9.5 + 6 * math.sin(n / 12 * math.pi) + n % 5 / 4, "humidity": 70}
        for n in range(721)
        for at in [start + timedelta(hours=n)]
    ]  # fmt: skip
    meters = [f"meter-{meter:03d}" for meter in range(1, 41)]
    async with FeatureStore.open(f"duckdb:///{folder / 'features.duckdb'}") as store:
        await store.ingest(rows, "acme")
        await store.ingest_weather(weather, "acme")
        await store.assign_weather_source(tenant_id="acme", source_id="station-1", asset_ids=meters)
        await store.ingest_attributes(
            [{"asset_id": one, "capacity": 120} for one in meters], "acme"
        )
        await store.ingest([{**rows[-1], "asset_id": "pump-1"}], "bravo")
        await store.bind_model("load-model@3", "forecast_basic@1")
        await store.drift_baseline("acme", "forecast_basic")
        made = await store.create_key("operations", None, SCOPES)
        return str(made["key"])


@pytest.fixture(scope="module")
def shown(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shown]:
    if CHROMIUM is None:
        pytest.skip("NO TEST OF THE PAGE: there is no chromium on this machine")
    folder = tmp_path_factory.mktemp("page")
    key = asyncio.run(_filled(folder))
    with (
        serving((sys.executable, "-c", _SERVE), folder, auth="keys") as server,
        sync_api.sync_playwright() as playwright,
    ):
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield Shown(server, key, browser)
        browser.close()


@pytest.fixture(autouse=True)
def nothing_is_wrong(shown: Shown) -> Iterator[None]:
    """No test leaves anything in the console, or asks another server."""
    shown.problems.clear()
    yield
    assert shown.problems == []
