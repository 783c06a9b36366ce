"""Rows of training sets held to the reference, wherever they were made, and a world as tables."""

from __future__ import annotations

from collections.abc import Sequence

import pyarrow as pa
from hypothesis import strategies as st

from ai_hub.definitions.feature_set import FeatureSet
from ai_hub.definitions.target import Target
from ai_hub.definitions.values import DAY, to_datetime, to_micros
from ai_hub.definitions.vocabulary import WEATHER_COLUMNS, Missing
from ai_hub.engines.plan import Plan
from ai_hub.testing import Observation, Vector, close, target_value, targets
from conformance.kit import UNSAID, Row, wrong
from conformance.worlds import TENANT, World

Pair = tuple[str, int]
_EXACT = (None, "min", "max", "range", "count")
_TIME = pa.timestamp("us", "UTC")
_ID = ("asset_id", pa.string())
OBSERVATIONS = pa.schema(
    [("timestamp", _TIME), _ID, ("feature_type", pa.string()), ("value", pa.float64())]
)
WEATHER = pa.schema(
    [("timestamp", _TIME), ("issued_at", _TIME), _ID, *((c, pa.float64()) for c in WEATHER_COLUMNS)]
)
SOURCES = pa.schema([_ID, ("source_id", pa.string()), ("valid_from", _TIME)])
ATTRIBUTES = pa.schema(
    [_ID, ("key", pa.string()), ("valid_from", _TIME), ("number", pa.float64()),
     ("text", pa.string())]
)  # fmt: skip


def chosen_targets() -> st.SearchStrategy[tuple[Target, ...]]:
    return st.tuples(targets("first_target"), targets("second_target"))


def check_targets(
    wanted: Sequence[Target], t: int, series: Sequence[Observation], row: Row
) -> None:
    for target in wanted:
        expected = target_value(target, t, series)
        width = target.horizon.micros if target.window is None else target.window.micros
        end = t + target.horizon.micros
        values = [o.value for o in series if end - width < o.timestamp <= end]
        largest = max(map(abs, values), default=0.0)
        exact = target.stat in _EXACT
        got = row[target.name]
        assert close(got, expected, len(values), largest, exact=exact), (target, t, got, expected)


def vector_of(feature_set: FeatureSet, row: Row) -> Vector:
    unsure = [f.name for f in feature_set.features if f.name in Plan.of(feature_set).unsure]
    return Vector(
        {name: row[name] for name in feature_set.feature_names},
        tuple(name for name in unsure if row[f"{name}__missing"]),
        UNSAID,
    )


def check_row(
    feature_set: FeatureSet,
    wanted: Sequence[Target],
    missing: Missing | None,
    world: World,
    pair: Pair,
    row: Row,
) -> None:
    """One row by the reference: the series at its time, the vector, the targets."""
    asset_id, t = pair
    history = world.history(asset_id)
    series = history.series.get(feature_set.series, ())
    assert row["tenant_id"] == TENANT
    assert row["value"] == {o.timestamp: o.value for o in series}.get(t)
    found = wrong(feature_set, t, history, vector_of(feature_set, row), missing)
    assert not found, found
    check_targets(wanted, t, series, row)


@st.composite
def pairs(draw: st.DrawFn, world: World) -> list[Pair]:
    """Rows of a spine in any order: known and unknown assets, far times, rows that come twice."""
    every = [(asset, t) for asset, times in world.instants.items() for t in times]
    every += [(row["asset_id"], to_micros(row["timestamp"])) for row in world.observations]
    far = [(asset, t - 90 * 365 * DAY) for asset, t in every[:1]]
    one = st.sampled_from([*every, *far, ("nobody", every[0][1])])
    return draw(st.lists(one, min_size=1, max_size=12))


def tables_of(world: World) -> dict[str, pa.Table]:
    """What a store has once a world is written, by the names that workers and Spark take."""
    histories = {asset_id: world.history(asset_id) for asset_id in world.assets}
    issues = {
        (row["asset_id"], row["timestamp"], row.get("issued_at") or row["timestamp"]): row
        for row in world.weather
    }
    rows: dict[str, tuple[pa.Schema, list[Row]]] = {
        "observations": (OBSERVATIONS, [
            {"timestamp": to_datetime(o.timestamp), "asset_id": asset_id, "feature_type": name,
             "value": o.value}
            for asset_id, history in histories.items()
            for name, log in history.series.items()
            for o in log
        ]),
        "weather": (WEATHER, [*issues.values()]),
        "weather_sources": (SOURCES, [
            {"asset_id": one.asset_id, "source_id": one.source_id,
             "valid_from": None if one.valid_from is None else to_datetime(one.valid_from)}
            for one in {(m.asset_id, m.valid_from): m for m in world.mappings}.values()
        ]),
        "attributes": (ATTRIBUTES, [
            {"asset_id": asset_id, "key": one.key, "valid_from": to_datetime(one.valid_from),
             "number": one.value if isinstance(one.value, float) else None,
             "text": one.value if isinstance(one.value, str) else None}
            for asset_id, history in histories.items()
            for one in history.attributes
        ]),
    }  # fmt: skip
    return {name: pa.Table.from_pylist(mine, schema) for name, (schema, mine) in rows.items()}
