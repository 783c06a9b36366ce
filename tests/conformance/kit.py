"""Engines and stores behind one face each, and drawn worlds to hold them to the reference.

An engine computes the vectors of histories that lie side by side. A deployment is a FeatureStore on
some store and cache. A new one of either is one more value in ENGINES or DEPLOYMENTS.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, TypeVar

import numpy as np
import pyarrow.parquet as pq
from hypothesis import settings

from ai_hub import FeatureStore
from ai_hub.config import Settings
from ai_hub.definitions.feature_set import FeatureSet
from ai_hub.definitions.registry import Registry
from ai_hub.definitions.values import FIRST_INSTANT, to_datetime, to_micros
from ai_hub.definitions.vocabulary import WEATHER_COLUMNS, Missing
from ai_hub.engines import arrays
from ai_hub.engines.plan import Plan
from ai_hub.engines.reference import Mapped
from ai_hub.engines.vectors import vectors
from ai_hub.serving import answer as serving
from ai_hub.stores.base import Vectors
from ai_hub.testing import History, Observation, Vector, WeatherRow, differences, vector
from conformance.caches import MEMORY_CACHE, REDIS_CACHE, CacheKind
from servers import Kind, server

ON_STORES = settings(max_examples=settings.default.max_examples // 5)
"""For properties each example of which opens a store, which takes a server a second."""

T = TypeVar("T")
Point = tuple[int, int]
"""Which history, and the instant."""
Change = tuple[int, int, int]
"""Which history, the instant, and whose weather it has from then on."""


@dataclass(frozen=True)
class Engine:
    """Vectors of a set at some points of some histories, which lie side by side."""

    name: str
    vectors: Callable[..., list[Vector]]

    def __str__(self) -> str:
        return self.name


def kernel_vectors(
    feature_set: FeatureSet,
    missing: Missing | None,
    histories: Sequence[History],
    source_of: Sequence[int],
    points: Sequence[Point],
    chosen: Sequence[int] | None = None,
    dense: bool | None = None,
    changes: Sequence[Change] = (),
) -> list[Vector]:
    """The columnar kernel's vectors; `source_of[i]` is whose weather history i has before the first
    of its changes.

    All points are computed at once; `chosen` are those whose vectors are wanted (None: all).
    """
    plan = Plan.of(feature_set)
    names = {name for history in histories for name in history.series} | set(plan.series)
    held = arrays.HistoryArrays(
        {name: _series(name, histories) for name in names},
        _weather(histories, source_of, changes),
        {key: _attribute(key, histories) for key in plan.attributes},
    )
    order = sorted(range(len(points)), key=lambda i: points[i])
    code, time = np.array([points[i] for i in order], np.int64).reshape(-1, 2).T
    at = arrays.Points(np.ascontiguousarray(code), np.ascontiguousarray(time))
    found = Vectors(*vectors(plan, at, held, missing, dense=dense))
    place = {i: row for row, i in enumerate(order)}
    wanted = range(len(points)) if chosen is None else chosen
    return [vector_at(feature_set, found, place[i]) for i in wanted]


def vector_at(feature_set: FeatureSet, found: Vectors, row: int) -> Vector:
    """One of some computed vectors, as the reference gives it."""

    def named(masks: Mapping[str, Any]) -> tuple[str, ...]:
        return tuple(name for name in found.columns if name in masks and masks[name][row])

    violations = named(found.violations)
    if violations and feature_set.on_violation == "reject":
        return Vector({}, (), violations)
    features = {name: values[row].item() for name, values in found.columns.items()}
    plain = {name: None if value != value else value for name, value in features.items()}
    return Vector(plain, named(found.masks), violations)


def _series(name: str, histories: Sequence[History]) -> arrays.Series:
    rows = [
        (code, o.timestamp, o.value)
        for code, history in enumerate(histories)
        for o in sorted(history.series.get(name, ()), key=lambda o: o.timestamp)
    ]
    code = np.array([row[0] for row in rows], np.int64)
    time = np.array([row[1] for row in rows], np.int64)
    return arrays.Series(code, time, np.array([row[2] for row in rows], np.float64))


def _attribute(key: str, histories: Sequence[History]) -> arrays.AttributeTable:
    rows = [
        (code, one.valid_from, one.value)
        for code, history in enumerate(histories)
        for one in sorted(history.attributes, key=lambda one: one.valid_from)
        if one.key == key
    ]
    zones = tuple(dict.fromkeys(value for _, _, value in rows if isinstance(value, str)))
    return arrays.AttributeTable(
        np.array([row[0] for row in rows], np.int64),
        np.array([row[1] for row in rows], np.int64),
        np.array([v if isinstance(v, float) else np.nan for _, _, v in rows], np.float64),
        np.array([zones.index(v) if isinstance(v, str) else -1 for _, _, v in rows], np.int64),
        zones,
    )


def _weather(
    histories: Sequence[History], source_of: Sequence[int], changes: Sequence[Change]
) -> arrays.Weather:
    rows = [
        (code, row.timestamp, row.issued_at, row.values)
        for code, history in enumerate(histories)
        for row in sorted(history.weather, key=lambda row: (row.timestamp, row.issued_at))
    ]
    columns = {
        name: np.array([_or_nan(row[3].get(name)) for row in rows], np.float64)
        for name in WEATHER_COLUMNS
    }
    code, time, issued = np.array([row[:3] for row in rows], np.int64).reshape(-1, 3).T.copy()
    first = [(i, FIRST_INSTANT, source) for i, source in enumerate(source_of)]
    table = np.array([*first, *changes], np.int64)
    entity, since, source = table[np.lexsort((table[:, 1], table[:, 0]))].T.copy()
    return arrays.Weather(code, time, issued, columns, arrays.SourceTable(entity, since, source))


def _or_nan(value: float | None) -> float:
    return float("nan") if value is None else value


ENGINES = (
    Engine("columnar", kernel_vectors),
    Engine("columnar-sliding", partial(kernel_vectors, dense=True)),
    Engine("columnar-ranges", partial(kernel_vectors, dense=False)),
)


@dataclass(frozen=True)
class Deployment:
    """How to open a feature store for a test; `lasts` if another opening finds the same data."""

    name: str
    url: Callable[[Path], str]
    lasts: bool
    marks: tuple[str, ...] = ()
    cache: CacheKind = MEMORY_CACHE

    def open(self, folder: Path, *sets: FeatureSet, **settings: Any) -> FeatureStore:
        registry = Registry()
        for feature_set in sets:
            registry = registry.with_set(feature_set)
        chosen = Settings(
            database_url=self.url(folder),
            export_root=folder / "exports",
            # Tests share the processor: here slow is not away.
            patience="30s",
            **(self.cache.settings() | settings),
        )
        return FeatureStore(chosen, registry)

    def __str__(self) -> str:
        return self.name


MEMORY = Deployment("memory", lambda folder: "duckdb:///:memory:", False)
FILE = Deployment("file", lambda folder: f"duckdb:///{folder / 'features.duckdb'}", True)
_databases: dict[tuple[Kind, Path], str] = {}


def database_of(kind: Kind, folder: Path) -> str:
    """The database on a server that belongs to a folder; it goes when the folder is gone."""
    for known, place in [*_databases]:
        if not place.exists():
            server(known).discard(_databases.pop((known, place)))
    if (kind, folder) not in _databases:
        _databases[kind, folder] = server(kind).fresh()
    return _databases[kind, folder]


def _on(kind: Kind, *marks: str) -> Deployment:
    return Deployment(kind, partial(database_of, kind), True, marks)


PLAIN = _on("plain", "postgresql")
TIMESCALEDB = _on("timescaledb", "timescaledb")
APACHE = _on("apache", "timescaledb")
SERVERS = (PLAIN, TIMESCALEDB, APACHE)
DEPLOYMENTS = (MEMORY, FILE, *SERVERS)
# What a cache has to do with: which entity, and how fresh.
WITH_REDIS = replace(PLAIN, name="plain-redis", marks=(*PLAIN.marks, "redis"), cache=REDIS_CACHE)


def folder() -> AbstractContextManager[str]:
    """A folder for one drawn example."""
    return TemporaryDirectory(prefix="ai-hub-test-")


def run(work: Coroutine[Any, Any, T]) -> T:
    """Run one example to its end, in an event loop of its own."""
    return asyncio.run(work)


Row = dict[str, Any]


def observation(
    asset_id: str, at: int, value: float, series: str = "value", quality: int = 1
) -> Row:
    return {
        "timestamp": to_datetime(at),
        "asset_id": asset_id,
        "value": value,
        "feature_type": series,
        "quality": quality,
    }


def weather_row(source_id: str, row: WeatherRow) -> Row:
    return {
        "timestamp": to_datetime(row.timestamp),
        "issued_at": to_datetime(row.issued_at),
        "asset_id": source_id,
        **row.values,
    }


def history_of(
    observations: Sequence[Row],
    weather: Sequence[Row],
    asset_id: str,
    mappings: Mapping[int, str | None] | None = None,
) -> History:
    """What some acknowledged rows leave of an asset: the last write of a key, if it is usable.

    `mappings` say since when it has the weather of which source (None: its own).
    """
    kept: dict[tuple[str, int], Row] = {}
    for row in observations:
        if row["asset_id"] == asset_id:
            kept[row.get("feature_type", "value"), to_micros(row["timestamp"])] = row
    series: dict[str, list[Observation]] = {}
    for (name, at), row in sorted(kept.items()):
        if row.get("quality", 1) >= 1:
            series.setdefault(name, []).append(Observation(at, row["value"]))
    mapped = tuple(
        Mapped(since, _weather_of(weather, source_id or asset_id))
        for since, source_id in (mappings or {}).items()
    )
    return History(series, _weather_of(weather, asset_id), mapped)


def _weather_of(weather: Sequence[Row], source_id: str) -> tuple[WeatherRow, ...]:
    """What some acknowledged rows leave of a source: the last write of a time and issue."""
    issues: dict[tuple[int, int], WeatherRow] = {}
    for row in weather:
        if row["asset_id"] == source_id:
            at = to_micros(row["timestamp"])
            issued = to_micros(row.get("issued_at") or row["timestamp"])
            values = {name: row.get(name) for name in WEATHER_COLUMNS}
            issues[at, issued] = WeatherRow(at, issued, values)
    return tuple(issues.values())


def plain(answer: serving.Answer) -> Vector:
    """An answer of `get` as the reference gives it."""
    assert not answer.degraded
    assert answer.feature_count == len(answer.features)
    return Vector(answer.features, answer.missing, answer.violations)


UNSAID = ("what is outside its range",)
"""The violations of a row of a file, which does not say them: its record counts them."""


def wrong(
    feature_set: FeatureSet, t: int, history: History, got: Vector, missing: Missing | None = None
) -> list[str]:
    """What is wrong with a vector, by the reference."""
    expected = vector(feature_set, t, history, missing)
    return row_differences(feature_set, t, history, expected, got, missing)


def row_differences(
    feature_set: FeatureSet,
    t: int,
    history: History,
    expected: Vector,
    got: Vector,
    missing: Missing | None = None,
) -> list[str]:
    """What is wrong with a vector that may be a row of a file."""
    found = differences(feature_set, t, history, expected, got, missing)
    return [one for one in found if not one.startswith(f"violations: got {UNSAID}")]


@dataclass(frozen=True)
class Exported:
    """A row of an export made with indicators."""

    asset_id: str
    timestamp: int
    value: float | None
    vector: Vector
    rest: Row


def read_export(path: str | Path, feature_set: FeatureSet) -> list[Exported]:
    """The rows of a file, in its order."""
    rows = pq.read_table(path).to_pylist()
    unsure = [f.name for f in feature_set.features if f.name in Plan.of(feature_set).unsure]
    return [
        Exported(
            row["asset_id"],
            to_micros(row["timestamp"]),
            row["value"],
            Vector(
                {name: row[name] for name in feature_set.feature_names},
                tuple(name for name in unsure if row[f"{name}__missing"]),
                UNSAID,
            ),
            {name: value for name, value in row.items() if name.startswith("target_")},
        )
        for row in rows
    ]
