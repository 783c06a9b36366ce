"""The page: what the server takes to make each of its pages, with many assets and readings."""

from __future__ import annotations

import asyncio
import tempfile
import time
from pathlib import Path
from statistics import median

from ai_hub import FeatureStore
from ai_hub.access.grant import EVERYTHING
from ai_hub.page.asked import Asked
from ai_hub.page.pages import PAGES, page
from benchmarks.data import HOUR, START, TENANT, asset_names, observations
from benchmarks.measure import Check, Table, Topic, ms, percentile

_ASSETS, _ROWS = 20_000, 20_000_000
_ROUNDS = 20
_AT_ONCE = 1_000


def run(rows: int = _ROWS, assets: int = _ASSETS) -> Topic:
    topic = Topic("looked_at")
    with tempfile.TemporaryDirectory() as folder:
        asyncio.run(_measured(topic, Path(folder), rows, assets))
    return topic


async def _measured(topic: Topic, folder: Path, rows: int, assets: int) -> None:
    hours = rows // assets
    async with FeatureStore.open(f"duckdb:///{folder / 'features.duckdb'}") as store:
        for first in range(0, assets, _AT_ONCE):
            await store.ingest(observations(_AT_ONCE, hours, first=first, missing=0.0), TENANT)
        store.now = lambda: START + hours * HOUR
        middle = asset_names(assets)[assets // 2]
        lines, worst = [], 0.0
        for one in PAGES:
            for words in _asked(one.name, middle):
                asked = Asked(store, EVERYTHING, words, "http://localhost", _counted(store))
                begin = time.perf_counter()
                content = await page(one, asked)
                before = time.perf_counter() - begin
                taken = []
                for _ in range(_ROUNDS if before < 1 else 3):
                    begin = time.perf_counter()
                    await page(one, asked)
                    taken.append(time.perf_counter() - begin)
                if one.name in ("catalog", "assets"):
                    worst = max(worst, median(taken))
                said = ", ".join(f"{name}={word}" for name, word in words.items() if name != "at")
                lines.append(
                    (
                        one.title,
                        said,
                        ms(before),
                        ms(median(taken)),
                        ms(percentile(taken, 0.99)),
                        f"{len(content) / 1_000:.0f} kB",
                    )
                )
    topic.checks.append(Check("the first pages, median", worst, 0.1, "s"))
    topic.tables.append(
        Table(
            f"Pages of an embedded database of {assets:,} assets and {rows:,} readings",
            ("page", "asked", "first ms", "median ms", "p99 ms", "HTML"),
            lines,
        )
    )


def _asked(name: str, asset_id: str) -> list[dict[str, str]]:
    match name:
        case "asset":
            return [{"asset_id": asset_id}]
        case "assets":
            return [{}, {"search": asset_id[-4:]}, {"after": asset_id}]
        case _:
            return [{}]


def _counted(store: FeatureStore):  # type: ignore[no-untyped-def]
    async def counted():  # type: ignore[no-untyped-def]
        return store.measured()

    return counted
