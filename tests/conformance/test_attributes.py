"""Attributes of assets: what a store keeps of what was sent, by a model in plain Python."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ai_hub import FeatureStore
from ai_hub.config import Settings
from ai_hub.definitions.feature_set import FeatureSet
from ai_hub.definitions.kinds import Attribute, Calendar
from ai_hub.definitions.values import (
    DAY,
    FIRST_INSTANT,
    LAST_INSTANT,
    SECOND,
    Entity,
    Granularity,
    parse_time,
    to_datetime,
)
from ai_hub.engines.arrays import AttributeTable, HistoryArrays, Points, axis_of
from ai_hub.engines.plan import Plan
from ai_hub.intake.batch import ATTRIBUTES
from ai_hub.stores.attributes import attribute_tables
from ai_hub.stores.base import Landed, OfflineStore, ScanRequest
from ai_hub.stores.opening import open_store
from conformance.kit import ON_STORES, Deployment, folder, run

T = parse_time("2025-10-09T14:30:00Z")
TENANTS = ("t", "t'2")
ASSETS = ("a", "b", "ä'\\{,}", "z")
KEYS = ("capacity", "timezone", "label")
ZONES = ("Europe/Berlin", "America/St_Johns", "UTC")
TIMES = (FIRST_INSTANT, T - DAY, T - 1, T, T + 1, T + 30 * DAY, LAST_INSTANT)
Value = float | str | None
Model = dict[tuple[str, str, str], dict[int, Value]]


PLAN = Plan.of(
    FeatureSet(
        "attributes",
        1,
        (
            Attribute("capacity", "capacity"),
            Attribute("label", "label"),
            Calendar("hour", "hour_of_day", tz="@asset"),
        ),
    )
)


class Sent(NamedTuple):
    """One row of a batch."""

    tenant_id: str
    asset_id: str
    key: str
    valid_from: int | None
    value: Value


numbers = st.sampled_from((0.0, 1.0, -2.5, 1e300, 120.0))


@st.composite
def sent_rows(draw: st.DrawFn) -> Sent:
    key = draw(st.sampled_from(KEYS))
    values: st.SearchStrategy[Value] = {
        "capacity": st.none() | numbers,
        "timezone": st.none() | st.sampled_from(ZONES),
        "label": st.none() | numbers | st.sampled_from(("x", "1", "'")),
    }[key]
    since = draw(st.none() | st.sampled_from(TIMES))
    tenant, asset = draw(st.sampled_from(TENANTS)), draw(st.sampled_from(ASSETS))
    return Sent(tenant, asset, key, since, draw(values))


batches = st.lists(
    st.lists(sent_rows(), max_size=8, unique_by=lambda row: row[:4]).map(tuple), max_size=5
)
moments = st.sampled_from((T - 2 * DAY, T, T + DAY))


def table_of(rows: Sequence[Sent]) -> pa.Table:
    """A checked batch: one row a key, sorted."""
    ordered = sorted(rows, key=lambda row: (*row[:3], row.valid_from is not None, row.valid_from))
    numbers = [None if isinstance(row.value, str) else row.value for row in ordered]
    texts = [row.value if isinstance(row.value, str) else None for row in ordered]
    since = pa.array([row.valid_from for row in ordered], pa.int64())
    ids = [pa.array([row[i] for row in ordered], pa.string()) for i in range(3)]
    columns = [since.cast(pa.timestamp("us", "UTC")), *ids, pa.array(numbers, pa.float64())]
    return pa.table([*columns, pa.array(texts, pa.string())], schema=ATTRIBUTES)


def holds(model: Model, tenant: str, asset: str, key: str, t: int) -> Value:
    mine = model.get((tenant, asset, key), {})
    before = [since for since in mine if since <= t]
    return mine[max(before)] if before else None


def append(model: Model, rows: Sequence[Sent], now: int) -> Landed:
    """What the model becomes, and what the store should say of it."""
    replaced = unchanged = 0
    touched = set()
    for row in sorted(rows, key=lambda row: row.valid_from is not None):
        mine = model.setdefault((row.tenant_id, row.asset_id, row.key), {})
        since = row.valid_from
        if since is None:
            since = now if mine else FIRST_INSTANT
            if holds(model, *row[:3], since) == row.value:
                unchanged += 1
                continue
        elif since in mine and mine[since] == row.value:
            unchanged += 1
            continue
        replaced += since in mine
        mine[since] = row.value
        touched.add(Entity(row.tenant_id, row.asset_id))
    return Landed(replaced, unchanged, frozenset(touched))


@asynccontextmanager
async def opened(deployment: Deployment, place: Path) -> Any:
    settings = Settings(database_url=deployment.url(place), export_root=place / "exports")
    store = await open_store(settings)
    try:
        yield store
    finally:
        await store.close()


def scanned(store: OfflineStore, tenant: str, assets: Sequence[str]) -> Iterator[Any]:
    """Every asset with its attributes, as an export reads them."""
    request = ScanRequest(tenant, tuple(assets), T, T, ("value",), (), 0, 0, attributes=KEYS)
    for chunk in store.scan(request):
        for code, asset_id in enumerate(chunk.asset_ids):
            yield asset_id, code, chunk.history


def values_at(table: AttributeTable, code: int, times: Sequence[int]) -> list[Value]:
    """What an engine reads at some times; a text that is no zone is nothing to it."""
    points = Points(np.full(len(times), code), np.array(times, np.int64))
    axis = axis_of(points, HistoryArrays({}, None, {"key": table}), 0)
    assert axis is not None
    numbers, zones = table.at(points, axis), table.zone_at(points, axis)
    return [
        table.zones[zone] if zone >= 0 else None if np.isnan(number) else float(number)
        for number, zone in zip(numbers, zones, strict=True)
    ]


def local_hour(zone: Value, t: int) -> int | None:
    return None if zone is None else to_datetime(t).astimezone(ZoneInfo(str(zone))).hour


def read_by_engines(key: str, value: Value) -> Value:
    return value if key == "timezone" or not isinstance(value, str) else None


async def compare(store: OfflineStore, model: Model) -> None:
    for t in (T - 1, T, T + 30 * DAY):
        answers = (await store.compute(PLAN, "keep", TENANTS[1], ASSETS, t)).columns
        for row, asset in enumerate(ASSETS):
            for key in ("capacity", "label"):
                expected = read_by_engines(key, holds(model, TENANTS[1], asset, key, t))
                number = answers[key][row].item()
                assert (None if number != number else number) == expected
            zone = holds(model, TENANTS[1], asset, "timezone", t)
            hour = answers["hour"][row].item()
            assert (None if hour != hour else hour) == local_hour(zone, t)
    # Where all times are close the axis is: rows before and after it count at its ends.
    for times in ((T - DAY, T - 1, T, T + 1), (FIRST_INSTANT,), (LAST_INSTANT - 1, LAST_INSTANT)):
        for tenant in TENANTS:
            seen = []
            for asset, code, history in scanned(store, tenant, ASSETS):
                seen.append(asset)
                for key in KEYS:
                    expected = [
                        read_by_engines(key, holds(model, tenant, asset, key, t)) for t in times
                    ]
                    assert values_at(history.attributes[key], code, times) == expected
            assert seen == sorted(ASSETS)


@ON_STORES
@given(sent=batches, now=moments)
def test_a_store_keeps_what_was_sent(
    deployment: Deployment, sent: list[tuple[Sent, ...]], now: int
) -> None:
    async def example(place: Path) -> None:
        model: Model = {}
        async with opened(deployment, place) as store:
            for shift, rows in enumerate(sent):
                expected = append(model, rows, now + shift)
                assert await store.append_attributes(table_of(rows), now + shift) == expected
            await compare(store, model)
        if deployment.lasts:
            async with opened(deployment, place) as again:
                await compare(again, model)
                for rows in sent:
                    expected = append(model, rows, now)
                    assert await again.append_attributes(table_of(rows), now) == expected
                await compare(again, model)

    with folder() as place:
        run(example(Path(place)))


@given(
    rows=st.lists(
        st.tuples(st.integers(0, 5), st.sampled_from(TIMES), numbers), unique_by=lambda r: r[:2]
    ),
    entities=st.lists(st.integers(0, 6), unique=True),
)
def test_a_table_of_some_entities_has_their_rows(
    rows: list[tuple[int, int, float]], entities: list[int]
) -> None:
    ids = [str(code) for code in range(6)]
    table = attribute_tables(("k",), ids, ((str(i), "k", since, v) for i, since, v in rows))["k"]
    some = table.of(np.array(entities, np.int64))
    times = (T - DAY, T, T + 1)
    for place, entity in enumerate(entities):
        assert values_at(some, place, times) == values_at(table, entity, times)


async def test_a_changed_attribute_drops_the_vectors_of_its_asset(
    any_cache: Deployment, tmp_path: Path
) -> None:
    at = to_datetime(T)

    async def hits(store: FeatureStore) -> list[bool]:
        answers = await store.get_batch(
            tenant_id="t", asset_ids=["a", "b"], feature_set="forecast_basic", timestamp=at
        )
        return [answers[asset].cache_hit for asset in ("a", "b")]

    row = {"asset_id": "a", "key": "capacity", "value": 1.0}
    async with any_cache.open(tmp_path) as store:
        assert await hits(store) == [False, False]
        assert (await store.ingest_attributes([row], "t")).accepted == 1
        assert await hits(store) == [False, True]
        # What changes nothing drops nothing.
        assert (await store.ingest_attributes([row], "t")).unchanged == 1
        assert await hits(store) == [True, True]


@pytest.mark.parametrize("step", ["1m", "1h"])
async def test_a_later_value_holds_from_the_step_of_the_change_on(
    deployment: Deployment, tmp_path: Path, step: str
) -> None:
    store = deployment.open(tmp_path, granularity=step)
    store.now = lambda: T + 30 * SECOND
    async with store:
        for value in (1.0, 2.0):
            await store.ingest_attributes([{"asset_id": "a", "capacity": value}], "t")
        ((_, _, history),) = scanned(store._open.store, "t", ["a"])
    since = Granularity.of(step).truncate(T)
    assert history.attributes["capacity"].since.tolist() == [FIRST_INSTANT, since]
