"""Drawn worlds: what was written about a few assets, in which order, and what to ask then."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise

from hypothesis import strategies as st

from ai_hub import FeatureStore
from ai_hub.definitions.values import DAY, FIRST_INSTANT, HOUR, to_datetime
from ai_hub.testing import AttributeValue, Case, History, cases
from conformance.kit import Row, history_of, observation, weather_row

TENANT = "tenant-1"


@dataclass(frozen=True)
class Mapping:
    """Whose weather an asset has from an instant on (None: always); no source: its own."""

    asset_id: str
    source_id: str | None
    valid_from: int | None = None


@dataclass(frozen=True)
class World:
    """Rows, mappings to weather sources and attributes of assets in their order of writing."""

    observations: tuple[Row, ...]
    weather: tuple[Row, ...]
    mappings: tuple[Mapping, ...]
    instants: dict[str, tuple[int, ...]]
    attributes: dict[str, Sequence[AttributeValue]] = field(default_factory=dict)

    @property
    def assets(self) -> list[str]:
        return sorted(self.instants)

    def history(self, asset_id: str) -> History:
        mappings = self._mappings_of(asset_id)
        found = history_of(self.observations, self.weather, asset_id, mappings)
        return replace(found, attributes=self.attributes.get(asset_id, ()))

    def source_of(self, asset_id: str, t: int) -> str:
        """Whose weather an asset has at an instant."""
        mine = self._mappings_of(asset_id)
        holding = max((since for since in mine if since <= t), default=None)
        return asset_id if holding is None else mine[holding] or asset_id

    def mapped_alone(self) -> World:
        """The mappings and attributes without rows."""
        return World((), (), self.mappings, {}, self.attributes)

    def _mappings_of(self, asset_id: str) -> dict[int, str | None]:
        return {
            FIRST_INSTANT if one.valid_from is None else one.valid_from: one.source_id
            for one in self.mappings
            if one.asset_id == asset_id
        }

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
    mappings: list[Mapping] = []
    names = draw(st.permutations([f"asset-{i}" for i in range(n)]))
    for name, case in zip(names, drawn, strict=True):
        instants[name] = case.instants
        bad = draw(st.sets(st.integers(0, 20), max_size=2))
        for series, log in case.logs.items():
            observations += [
                observation(name, o.timestamp, o.value, series, quality=0 if i in bad else 1)
                for i, o in enumerate(log.writes)
            ]
        mappings += draw(_mappings(name, (None, name, "station", *names), case.instants))
        owner = draw(st.sampled_from((name, "station")))
        weather += [weather_row(owner, row) for row in case.history.weather]
    attributes = {name: case.history.attributes for name, case in zip(names, drawn, strict=True)}
    return World(tuple(observations), tuple(weather), tuple(mappings), instants, attributes)


@st.composite
def _mappings(
    draw: st.DrawFn, asset_id: str, sources: Sequence[str | None], instants: Sequence[int]
) -> list[Mapping]:
    """None, one that holds always, and some that begin at instants or beside them, in any order."""
    source = st.sampled_from(tuple(sources))
    shift = st.sampled_from((0, 1, -1, HOUR, -HOUR, -30 * DAY))
    since = st.builds(int.__add__, st.sampled_from(tuple(instants)), shift)
    changes = draw(st.lists(st.builds(Mapping, st.just(asset_id), source, since), max_size=3))
    always = [Mapping(asset_id, draw(source))] if draw(st.booleans()) else []
    return always + changes


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


def attribute_rows(asset_id: str, attributes: Iterable[AttributeValue]) -> list[Row]:
    return [
        {
            "asset_id": asset_id,
            "key": one.key,
            "value": one.value,
            "valid_from": to_datetime(one.valid_from),
        }
        for one in attributes
    ]


async def write(store: FeatureStore, world: World, tenant_id: str = TENANT) -> None:
    """All of a world, in two batches."""
    for one in world.mappings:
        await store.assign_weather_source(
            tenant_id=tenant_id,
            source_id=one.source_id,
            asset_ids=[one.asset_id],
            valid_from=None if one.valid_from is None else to_datetime(one.valid_from),
        )
    held = [row for name, some in world.attributes.items() for row in attribute_rows(name, some)]
    if held:
        await store.ingest_attributes(held, tenant_id)
    if world.observations:
        await store.ingest(list(world.observations), tenant_id)
    if world.weather:
        await store.ingest_weather(list(world.weather), tenant_id)
