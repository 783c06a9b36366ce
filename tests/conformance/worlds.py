"""Drawn worlds: what was written about a few assets, in which order, and what to ask then."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

from hypothesis import strategies as st

from ai_hub import FeatureStore
from ai_hub.testing import Case, History, cases
from conformance.kit import Row, history_of, observation, weather_row

TENANT = "tenant-1"


@dataclass(frozen=True)
class World:
    """Rows in their order of writing, and the weather source of each asset that has another's."""

    observations: tuple[Row, ...]
    weather: tuple[Row, ...]
    sources: dict[str, str]
    instants: dict[str, tuple[int, ...]]

    @property
    def assets(self) -> list[str]:
        return sorted(self.instants)

    def history(self, asset_id: str) -> History:
        source = self.sources.get(asset_id)
        return history_of(self.observations, self.weather, asset_id, source)

    def with_rows(self, observations: Sequence[Row] = (), weather: Sequence[Row] = ()) -> World:
        return replace(
            self,
            observations=(*self.observations, *observations),
            weather=(*self.weather, *weather),
        )


@st.composite
def worlds(draw: st.DrawFn, most_assets: int = 3, max_size: int = 15) -> World:
    """One to three assets with several series, unusable rows and rewrites; weather of a station."""
    n = draw(st.integers(1, most_assets))
    drawn: list[Case] = [draw(cases(max_size=max_size, max_instants=4)) for _ in range(n)]
    observations: list[Row] = []
    weather: list[Row] = []
    instants: dict[str, tuple[int, ...]] = {}
    sources: dict[str, str] = {}
    names = draw(st.permutations([f"asset-{i}" for i in range(n)]))
    for name, case in zip(names, drawn, strict=True):
        instants[name] = case.instants
        bad = draw(st.sets(st.integers(0, 20), max_size=2))
        for series, log in case.logs.items():
            observations += [
                observation(name, o.timestamp, o.value, series, quality=0 if i in bad else 1)
                for i, o in enumerate(log.writes)
            ]
        source = draw(st.sampled_from((name, "station", *names)))
        if source != name:
            sources[name] = source
        owner = draw(st.sampled_from((name, "station")))
        weather += [weather_row(owner, row) for row in case.history.weather]
    return World(tuple(observations), tuple(weather), sources, instants)


@st.composite
def batches(draw: st.DrawFn, rows: Sequence[Row]) -> list[list[Row]]:
    """The rows in batches, rows of one key in their order, all others in any order."""
    places: dict[tuple[object, ...], list[int]] = {}
    for i, row in enumerate(rows):
        key = tuple(row.get(name) for name in ("asset_id", "feature_type", "timestamp",
                                               "issued_at"))  # fmt: skip
        places.setdefault(key, []).append(i)
    keys = draw(st.permutations([key for key, mine in places.items() for _ in mine]))
    turn = {key: iter(mine) for key, mine in places.items()}
    ordered = [rows[next(turn[key])] for key in keys]
    cuts = sorted(draw(st.sets(st.integers(0, len(ordered)), max_size=4)))
    edges = [0, *cuts, len(ordered)]
    return [ordered[a:b] for a, b in pairwise(edges) if a < b]


async def write(store: FeatureStore, world: World, tenant_id: str = TENANT) -> None:
    """All of a world, in two batches."""
    for asset_id, source in world.sources.items():
        await store.assign_weather_source(
            tenant_id=tenant_id, source_id=source, asset_ids=[asset_id]
        )
    if world.observations:
        await store.ingest(list(world.observations), tenant_id)
    if world.weather:
        await store.ingest_weather(list(world.weather), tenant_id)
