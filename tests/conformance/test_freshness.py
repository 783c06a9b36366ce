"""Under drawn interleavings, an answer begun after an acknowledged write reflects it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from ai_hub import FeatureStore
from ai_hub.definitions.builtin import FEATURES
from ai_hub.definitions.feature_set import FeatureSet
from ai_hub.definitions.values import HOUR, MINUTE, parse_time, to_datetime
from ai_hub.testing import WeatherRow
from conformance.kit import (
    Deployment,
    Row,
    folder,
    history_of,
    observation,
    plain,
    run,
    weather_row,
    wrong,
)

ALL = FeatureSet("every_feature", 1, FEATURES)
T = parse_time("2025-10-09T14:30:00Z")
ASSETS = ("a", "b", "c")
SOURCES = (*ASSETS, "station")


@dataclass
class Acknowledged:
    """All that was acknowledged so far."""

    observations: list[Row] = field(default_factory=list)
    weather: list[Row] = field(default_factory=list)
    mappings: dict[str, dict[int, str | None]] = field(default_factory=dict)


@dataclass(frozen=True)
class Step:
    """Something to do beside others, after `wait` turns of the event loop."""

    what: str
    asset: str
    at: int
    value: float
    source: str
    wait: int


steps = st.builds(
    Step,
    st.sampled_from(("get", "get", "batch", "ingest", "ingest", "weather", "assign", "invalidate")),
    st.sampled_from(ASSETS),
    st.sampled_from((T, T - MINUTE, T - HOUR, T - 24 * HOUR, T + HOUR)),
    st.sampled_from((1.0, 2.0, 5.0)),
    st.sampled_from(SOURCES),
    st.integers(0, 3),
)
groups = st.lists(
    # Writes of one key side by side would have no order to hold anyone to.
    st.lists(steps, min_size=1, max_size=5, unique_by=lambda s: (s.what, s.asset, s.at)),
    min_size=1,
    max_size=6,
)


@settings(max_examples=settings.default.max_examples // 4)
@given(groups=groups)
def test_what_is_answered_after_each_round_reflects_all_that_was_acknowledged(
    any_cache: Deployment, groups: list[list[Step]]
) -> None:
    async def example(place: Path) -> None:
        known = Acknowledged()
        async with any_cache.open(place, ALL) as store:
            for group in groups:
                await asyncio.gather(*(do(store, known, step) for step in _one_source(group)))
                await check(store, known)

    with folder() as place:
        run(example(Path(place)))


def _one_source(group: list[Step]) -> list[Step]:
    """An asset is assigned, and a station's time written, once in a round."""
    seen: set[object] = set()
    kept = []
    for step in group:
        key = {"assign": step.asset, "weather": (step.source, step.at)}.get(step.what, id(step))
        if key not in seen:
            seen.add(key)
            kept.append(step)
    return kept


async def do(store: FeatureStore, known: Acknowledged, step: Step) -> None:
    for _ in range(step.wait):
        await asyncio.sleep(0)
    asked: dict[str, Any] = {
        "tenant_id": "t", "feature_set": "every_feature", "timestamp": to_datetime(T)
    }  # fmt: skip
    work: Awaitable[object]
    match step.what:
        case "get":
            await store.get(asset_id=step.asset, **asked)
        case "batch":
            await store.get_batch(asset_ids=ASSETS, **asked)
        case "invalidate":
            await store.invalidate_feature_cache("t", step.asset)
        case "ingest":
            row = observation(step.asset, step.at, step.value)
            await store.ingest([row], "t")
            known.observations.append(row)
        case "weather":
            values = {"temperature": step.value}
            row = weather_row(step.source, WeatherRow(step.at, step.at - HOUR, values))
            await store.ingest_weather([row], "t")
            known.weather.append(row)
        case "assign":
            source = None if step.value == 5.0 else step.source
            work = store.assign_weather_source(
                tenant_id="t", source_id=source, asset_ids=[step.asset],
                valid_from=to_datetime(step.at),
            )  # fmt: skip
            await work
            known.mappings.setdefault(step.asset, {})[step.at] = source


async def check(store: FeatureStore, known: Acknowledged) -> None:
    for asset in ASSETS:
        answer = await store.get(
            tenant_id="t", asset_id=asset, feature_set="every_feature", timestamp=to_datetime(T)
        )
        mappings = known.mappings.get(asset)
        history = history_of(known.observations, known.weather, asset, mappings)
        assert not wrong(ALL, T, history, plain(answer))
