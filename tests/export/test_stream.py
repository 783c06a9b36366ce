"""Rows of all kinds in one stream, cut and ordered anyhow, give the rows of the whole tables."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ai_hub import FeatureSet
from ai_hub.definitions.target import Target
from ai_hub.definitions.values import (
    DAY,
    FIRST_INSTANT,
    HOUR,
    LAST_INSTANT,
    to_datetime,
    to_micros,
)
from ai_hub.definitions.vocabulary import WEATHER_COLUMNS, Missing
from ai_hub.errors import ExportFailed
from ai_hub.export import stream
from ai_hub.export.recipe import Recipe
from ai_hub.export.stream import (
    ATTRIBUTE,
    EDGES,
    KEYS,
    OBSERVATION,
    SPINE,
    WEATHER,
    training_stream,
)
from ai_hub.testing import feature_sets, observed_times, policies
from conformance.kit import Row
from conformance.rows import Pair, check_row, chosen_targets, pairs
from conformance.worlds import TENANT, World, worlds

_TIME = pa.timestamp("us", "UTC")
LAYOUT = pa.schema(
    [
        ("tenant_id", pa.string()),
        ("source_id", pa.string()),
        ("share", pa.int64()),
        ("window_start", pa.int64()),
        ("window_end", pa.int64()),
        ("asset_id", pa.string()),
        ("kind", pa.int8()),
        ("timestamp", _TIME),
        ("value", pa.float64()),
        ("feature_type", pa.string()),
        ("issued_at", _TIME),
        *((name, pa.float64()) for name in WEATHER_COLUMNS),
        ("key", pa.string()),
        ("number", pa.float64()),
        ("text", pa.string()),
        ("last", _TIME),
        ("labels", pa.struct([("label", pa.int64())])),
    ]
)


def windows(world: World, asset_id: str, width: int | None) -> Iterator[tuple[str, int, int]]:
    """The slices of an asset, each with one source of weather."""
    mapped = {m.valid_from or FIRST_INSTANT for m in world.mappings if m.asset_id == asset_id}
    times = [o.timestamp for log in world.history(asset_id).series.values() for o in log]
    cuts = {FIRST_INSTANT, LAST_INSTANT + 1} | mapped
    if width is not None and times:
        steps = range(min(times) // width, max(times) // width + 1)
        cuts |= {step * width for step in [*steps][:40]}
    for first, following in pairwise(sorted(cuts)):
        yield world.source_of(asset_id, first), first, following - 1


def layout(
    world: World, recipe: Recipe, width: int | None, spine: Sequence[Pair] = ()
) -> list[Row]:
    """The rows of a world as an engine would send them to workers."""
    found: list[Row] = []
    needs = recipe.needs()
    own = recipe.feature_set.series
    weather = {(w["asset_id"], w["timestamp"], w["issued_at"]): w for w in world.weather}
    for asset_id in sorted({*world.assets, *(asset for asset, _ in spine)}):
        history = world.history(asset_id)
        for source, start, end in windows(world, asset_id, width):
            key: Row = {
                "tenant_id": TENANT,
                "source_id": source,
                "share": sum(map(ord, asset_id)) % 2,
                "window_start": start,
                "window_end": end,
            }
            read = (start - needs.lookback, end + needs.lookahead)
            found += [
                key | {"asset_id": asset_id, "kind": OBSERVATION, "feature_type": name,
                       "timestamp": to_datetime(o.timestamp), "value": o.value}
                for name in needs.series
                for o in history.series.get(name, ())
                if read[0] <= o.timestamp <= read[1]
            ]  # fmt: skip
            found += [
                key | row | {"asset_id": "", "kind": WEATHER}
                for (owner, at, _), row in weather.items()
                if owner == source and start - needs.weather_lookback <= to_micros(at) <= end
            ]
            found += [
                key | {"asset_id": asset_id, "kind": ATTRIBUTE, "key": one.key,
                       "timestamp": to_datetime(one.valid_from),
                       "number": one.value if isinstance(one.value, float) else None,
                       "text": one.value if isinstance(one.value, str) else None}
                for one in history.attributes
            ]  # fmt: skip
            times = [o.timestamp for o in history.series.get(own, ())]
            if times:
                found.append(
                    key | {"asset_id": asset_id, "kind": EDGES,
                           "timestamp": to_datetime(min(times)), "last": to_datetime(max(times))}
                )  # fmt: skip
            found += [
                key | {"asset_id": asset_id, "kind": SPINE, "timestamp": to_datetime(t),
                       "labels": {"label": place}}
                for place, (asset, t) in enumerate(spine)
                if asset == asset_id and start <= t <= end
            ]  # fmt: skip
    # Of a group the weather comes once.
    once = {repr(row): row for row in found if row["kind"] == WEATHER}
    return [*once.values(), *(row for row in found if row["kind"] != WEATHER)]


def in_order(rows: list[Row]) -> list[Row]:
    return sorted(rows, key=lambda row: tuple(row[name] for name in (*KEYS, "kind", "timestamp")))


def given_out(
    recipe: Recipe, rows: list[Row], cuts: Sequence[int], **how: Any
) -> list[dict[str, Any]]:
    edges = [0, *sorted(cut % (len(rows) + 1) for cut in cuts), len(rows)]
    batches = [
        batch
        for a, b in pairwise(edges)
        for batch in pa.Table.from_pylist(rows[a:b], LAYOUT).to_batches()
    ]
    return [row for one in training_stream(recipe, batches, **how) for row in one.to_pylist()]


WIDTHS = st.sampled_from((None, None, 9 * HOUR, 5 * DAY, 365 * DAY))
CUTS = st.lists(st.integers(0, 500), max_size=12)


@given(
    feature_set=feature_sets(asset_zone=True),
    wanted=chosen_targets(),
    missing=policies(),
    world=worlds(),
    width=WIDTHS,
    cuts=CUTS,
    most=st.sampled_from((1, 5, 40)),
    data=st.data(),
)
def test_any_slices_and_batches_give_the_references_rows(
    feature_set: FeatureSet,
    wanted: tuple[Target, ...],
    missing: Missing | None,
    world: World,
    width: int | None,
    cuts: list[int],
    most: int,
    data: st.DataObject,
) -> None:
    how: dict[str, Any] = {"horizons": wanted, "missing": missing, "indicators": True}
    spine = data.draw(st.none() | pairs(world))
    recipe = Recipe.of(feature_set, spine=None if spine is None else ["label"], **how)
    rows = in_order(layout(world, recipe, width, spine or ()))
    expected: list[Pair] = spine or [
        (asset, t)
        for asset in world.assets
        for t in observed_times(feature_set, world.history(asset), FIRST_INSTANT, LAST_INSTANT)
    ]
    shuffled = data.draw(st.permutations(rows))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(stream, "CHUNK_ROWS", most)
        found = given_out(recipe, rows, cuts)
        again = given_out(recipe, shuffled, cuts, order="any")
        mended = rows_or_none(recipe, shuffled, cuts)
    for some in (found, again, found if mended is None else mended):
        assert sorted(map(pair_of, some)) == sorted(expected)
        for row in some:
            check_row(recipe.feature_set, wanted, missing, world, pair_of(row), row)
            assert spine is None or spine[row["label"]] == pair_of(row)


def rows_or_none(
    recipe: Recipe, rows: list[Row], cuts: Sequence[int]
) -> list[dict[str, Any]] | None:
    """The rows of a stream in any order; None where it was noticed too late, and was refused."""
    try:
        return given_out(recipe, rows, cuts)
    except ExportFailed:
        return None


def hours_of(assets: str) -> list[Row]:
    """60 hours of each of some assets, in order."""
    return [
        {"tenant_id": TENANT, "source_id": "", "share": 0, "window_start": FIRST_INSTANT,
         "window_end": LAST_INSTANT, "asset_id": asset_id, "kind": OBSERVATION,
         "timestamp": to_datetime(n * HOUR), "value": float(n), "feature_type": "value"}
        for asset_id in assets
        for n in range(-30, 30)
    ]  # fmt: skip


@pytest.fixture
def hours() -> list[Row]:
    return hours_of("abc")


def test_a_lost_order_is_put_right(hours: list[Row]) -> None:
    recipe = Recipe.of("forecast_basic")
    expected = given_out(recipe, hours, [])
    mixed = [hours[i * 77 % 180] for i in range(180)]
    assert mixed != hours
    assert given_out(recipe, mixed, [50, 100]) == expected
    backwards = [*hours[120:], *hours[60:120], *hours[:60]]
    assert given_out(recipe, backwards, [60, 120]) == expected


@given(order=st.permutations("abc"), seed=st.integers(0, 99), cuts=CUTS)
def test_assets_may_come_together_in_any_order(
    order: list[str], seed: int, cuts: list[int]
) -> None:
    recipe, rows = Recipe.of("forecast_basic"), hours_of("abc")
    expected = given_out(recipe, rows, [])
    random.Random(seed).shuffle(rows)
    rows.sort(key=lambda row: order.index(row["asset_id"]))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(stream, "CHUNK_ROWS", 20)
        found = given_out(recipe, rows, cuts, order="together")
    assert sorted(found, key=pair_of) == expected


def test_assets_that_come_twice_are_put_right_or_refused(
    hours: list[Row], monkeypatch: pytest.MonkeyPatch
) -> None:
    recipe = Recipe.of("forecast_basic")
    expected = given_out(recipe, hours, [])
    mixed = [hours[i * 77 % 180] for i in range(180)]
    torn = [*hours[:50], *hours[60:], *hours[50:60]]
    for rows in (mixed, torn):
        for cuts in ([], [50, 100], [170]):
            assert given_out(recipe, rows, cuts, order="together") == expected
    monkeypatch.setattr(stream, "CHUNK_ROWS", 20)
    with pytest.raises(ExportFailed, match=r"rows of a .* in_order=False"):
        given_out(recipe, torn, [170], order="together")


def test_what_comes_after_those_behind_it_were_given_out_is_refused(
    hours: list[Row], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stream, "CHUNK_ROWS", 20)
    recipe = Recipe.of("forecast_basic")
    late = [*hours[:50], *hours[60:], *hours[50:60]]
    with pytest.raises(ExportFailed, match=r"rows of a .* in_order=False"):
        given_out(recipe, late, [120])
    expected = given_out(recipe, hours, [])
    assert given_out(recipe, late, [120], order="any") == expected


def pair_of(row: Row) -> Pair:
    return row["asset_id"], to_micros(row["timestamp"])
