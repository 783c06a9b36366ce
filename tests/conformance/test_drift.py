"""Drift on every store: what is kept of exports and of what is served, and what they say."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest

from ai_hub import FeatureSet, FeatureStore, Lag, Rolling
from ai_hub.access.grant import Grant
from ai_hub.definitions.values import HOUR, to_micros
from ai_hub.drift.sample import baseline_of
from ai_hub.drift.sketch import Sketch
from ai_hub.errors import InvalidInput, NoRows, UnknownBaseline
from ai_hub.stores.drift_table import StoredBaseline, set_of
from conformance.kit import Deployment

START = datetime(2025, 1, 6, tzinfo=UTC)
OWN = FeatureSet("own", 1, (Lag("lag", "1h", valid=(0, 40)), Rolling("mean", "mean", "24h")))


async def ingested(store: FeatureStore, start: datetime, hours: int, factor: float = 1.0) -> None:
    """Hourly readings of two assets, of a daily shape with noise that an hour keeps half of."""
    drawn = np.random.default_rng(hours)
    rows = []
    for asset, level in (("a", 20.0), ("b", 25.0)):
        noise = 0.0
        for n in range(hours):
            at = start + timedelta(hours=n)
            noise = 0.5 * noise + drawn.normal()
            value = factor * (level + 8 * np.sin(at.hour / 12 * np.pi) + noise)
            rows.append({"timestamp": at, "asset_id": asset, "value": value})
    await store.ingest(rows, "t")


async def kept(store: FeatureStore, baseline_id: str | None = None) -> StoredBaseline | None:
    await store._open.exports.baselines.settle()
    of = set_of("t", store.registry.get("own@1"))
    assert of is not None
    return await store._open.store.drift_table.baseline(of, baseline_id)


@pytest.mark.parametrize("how", ["range", "spine", "parts"])
async def test_an_export_keeps_a_baseline(deployment: Deployment, tmp_path: Path, how: str) -> None:
    async with deployment.open(tmp_path, OWN) as store:
        await ingested(store, START, 200)
        end = START + timedelta(hours=199)
        if how == "spine":
            times = [START + timedelta(hours=n) for n in range(200)]
            spine = [{"asset_id": one, "timestamp": at} for one in "ab" for at in times]
            record = await store.export_features_to_parquet("t", "own@1", spine=spine)
        else:
            record = await store.export_features_to_parquet(
                "t", "own@1", START, end, parts=how == "parts"
            )
        found = await kept(store, record["export_id"])
        assert found is not None
        assert (found.of_export, found.row_count) == (True, 400)
        assert (found.start_time, found.end_time) == (to_micros(START), to_micros(end))
        baseline = baseline_of(found.document, ())
        assert baseline.features == ("lag", "mean")
        assert baseline.whole.rows.sum(1).tolist() == [400, 400]
        # The first rows have no hour before them, and what is filled is no value.
        assert baseline.whole.missing.sum(1).tolist() == [2, 0]
        assert baseline.whole.violations.sum(1).tolist() == [0, 0]


async def test_an_export_without_rows_keeps_none(deployment: Deployment, tmp_path: Path) -> None:
    async with deployment.open(tmp_path, OWN) as store:
        record = await store.export_features_to_parquet("t", "own@1", START, START)
        assert record["status"] == "no_data"
        assert await kept(store) is None


def served_at(hours: int) -> datetime:
    return START + timedelta(hours=hours, minutes=7)


async def serve(store: FeatureStore, first: int, last: int) -> None:
    """Ask for the vectors of both assets at every hour of [first, last), some of them twice."""
    for n in range(first, last):
        for _ in range(1 + n % 2):
            await store.get_batch(
                tenant_id="t", asset_ids=["a", "b"], feature_set="own@1", timestamp=served_at(n)
            )


async def sketch(store: FeatureStore, first: int, last: int) -> Sketch:
    await store._open.served.flush()
    of = set_of("t", store.registry.get("own@1"))
    assert of is not None
    start, end = (to_micros(START) + n * HOUR for n in (first, last))
    hours = await store._open.store.drift_table.served(of, start, end)
    return Sketch.merged([Sketch.from_bytes(one.document) for one in hours])


async def by_hand(store: FeatureStore, first: int, last: int) -> Sketch:
    made = Sketch(["lag", "mean"])
    for n in range(first, last):
        answers = await store.get_batch(
            tenant_id="t", asset_ids=["a", "b"], feature_set="own@1", timestamp=served_at(n),
            missing="keep",
        )  # fmt: skip
        features = [one.features for one in answers.values()]
        columns = {
            name: np.array([np.nan if one[name] is None else one[name] for one in features])
            for name in made.features
        }
        wrong = {name: np.array([name in one.violations for one in answers.values()])
                 for name in made.features}  # fmt: skip
        made.add(np.full(2, to_micros(served_at(n))), columns, wrong)
    return made


async def test_what_is_served_is_sketched_once_whatever_the_cache_gives(
    deployment: Deployment, tmp_path: Path
) -> None:
    async with deployment.open(tmp_path, OWN, drift_flush="1h") as store:
        await ingested(store, START, 60, factor=1.4)
        await serve(store, 0, 50)
        found = await sketch(store, 0, 50)
        # The same set under another policy: other vectors, of the same values.
        hand = await by_hand(store, 0, 50)
        assert found.rows.sum(1).tolist() == [100, 100]
        assert found.to_bytes() == Sketch.merged([hand]).to_bytes()
        assert found.violations.sum() > 0
        assert found.missing.sum() > 0
        assert (await sketch(store, 0, 50)).rows.sum(1).tolist() == [200, 200]
        assert store.metrics.unsketched == 0


async def test_several_processes_add_to_one_sketch(on_server: Deployment, tmp_path: Path) -> None:
    one, other = (on_server.open(tmp_path, OWN, drift_flush="1h") for _ in range(2))
    async with one, other:
        await ingested(one, START, 60)
        for store in (one, other):
            await serve(store, 0, 30)
        await asyncio.gather(*(store._open.served.flush() for store in (one, other)))
        assert (await sketch(one, 0, 50)).rows.sum(1).tolist() == [120, 120]
    # What was left is added when a process ends.
    async with on_server.open(tmp_path, OWN, drift_flush="1h") as store:
        await serve(store, 30, 33)
    async with on_server.open(tmp_path, OWN) as store:
        assert (await sketch(store, 0, 50)).rows.sum(1).tolist() == [126, 126]


WEEKS = 12


async def test_what_is_explained_is_not_served(deployment: Deployment, tmp_path: Path) -> None:
    async with deployment.open(tmp_path, OWN) as store:
        await store.explain(tenant_id="t", asset_id="a", feature_set="own@1")
        await store._open.served.flush()
        assert await store.drifting() == []
        await store.get(tenant_id="t", asset_id="a", feature_set="own@1", exact=True)
        assert len(await store.drifting()) == 1


@pytest.mark.parametrize("source", ["served", "history"])
async def test_a_change_of_unit_and_a_stuck_sensor_are_alarms_and_nothing_else_is(
    deployment: Deployment, tmp_path: Path, source: str
) -> None:
    first, last = WEEKS * 168, (WEEKS + 1) * 168
    end = START + timedelta(hours=last)
    async with deployment.open(tmp_path, OWN, drift_flush="1h") as store:
        await ingested(store, START, last)
        learned = await store.export_features_to_parquet(
            "t", "own@1", START, START + timedelta(hours=first - 1)
        )
        if source == "served":
            with pytest.raises(NoRows, match="expected a time with vectors that were served"):
                await store.drift("t", "own@1", end_time=end, source="served")
            await serve(store, first, last)
        usual = await store.drift("t", "own@1", end_time=end, source=source)
        assert (usual["source"], usual["rows"]) == (source, 336)
        assert usual["baseline"]["baseline_id"] == learned["export_id"]
        assert usual["baseline"]["of_export"]
        assert usual["enough"], usual["reference"]
        assert not usual["alarm"], usual["features"]
        counted = store.metrics.drifts
        assert {key: found[1] for key, found in counted.items()} == {
            ("t", "own@1", "lag"): 0.0, ("t", "own@1", "mean"): 0.0,
        }  # fmt: skip
        # From here on a meter counts Wh, as it were, and the other one is stuck.
        rows = [
            {"timestamp": START + timedelta(hours=n), "asset_id": one, "value": value}
            for n in range(last, last + 168)
            for one, value in (("a", 20_000.0 + n % 24), ("b", 25.0))
        ]
        await store.ingest(rows, "t")
        end += timedelta(days=7)
        if source == "served":
            await serve(store, last, last + 168)
        changed = await store.drift("t", "own@1", end_time=end, source=source)
        assert changed["alarm"]
        assert {one["name"]: one["alarm"] for one in changed["features"]} == {
            "lag": True, "mean": True,
        }  # fmt: skip
        assert all(one["sentence"] for one in changed["features"])
        assert store.metrics.drifts["t", "own@1", "lag"][1] == 1.0


async def test_what_is_not_there_is_said(deployment: Deployment, tmp_path: Path) -> None:
    async with deployment.open(tmp_path, OWN) as store:
        with pytest.raises(UnknownBaseline, match="one of own@1, which has none"):
            await store.drift("t", "own@1")
        with pytest.raises(NoRows, match="expected a time with rows of history"):
            await store.drift_baseline("t", "own@1")
        await ingested(store, START, 400)
        end = START + timedelta(hours=400)
        made = await store.drift_baseline("t", "own@1", START, end)
        assert (made["rows"], made["of_export"]) == (800, False)
        with pytest.raises(UnknownBaseline, match=made["baseline_id"]):
            await store.drift("t", "own@1", end_time=end, baseline_id="other")
        with pytest.raises(InvalidInput, match="baseline_id: got "):
            await store.drift("t", "own@1", end_time=end, baseline_id="a\0b")
        # Of another tenant there is nothing.
        with pytest.raises(UnknownBaseline, match="which has none"):
            await store.drift("u", "own@1", end_time=end, baseline_id=made["baseline_id"])
        with pytest.raises(NoRows, match="has none of own@1"):
            await store.drift("t", "own@1")
        with pytest.raises(InvalidInput, match="by at most seven days"):
            await store.drift("t", "own@1", START, end)
        with pytest.raises(InvalidInput, match="source: got 'else'"):
            await store.drift("t", "own@1", source="else")
        found = await store.drift("t", "own@1", end_time=end)
        assert found["source"] == "history"
        assert found["baseline"]["baseline_id"] == made["baseline_id"]
        assert not found["alarm"]


async def test_a_tenant_need_not_be_named_where_there_is_one(
    deployment: Deployment, tmp_path: Path
) -> None:
    async with deployment.open(tmp_path, OWN) as store:
        end = START + timedelta(hours=400)
        with pytest.raises(InvalidInput, match="tenant_id: got None, expected a tenant with data"):
            await store.drift_baseline(feature_set="own@1")
        await ingested(store, START, 400)
        made = await store.drift_baseline(None, "own@1", START, end)
        assert made["tenant_id"] == "t"
        assert (await store.drift(feature_set="own@1", end_time=end))["tenant_id"] == "t"
        await store.ingest([{"timestamp": START, "asset_id": "a", "value": 1.0}], "u")
        with pytest.raises(InvalidInput, match=r"got None, expected one of t, u\. Name it"):
            await store.drift(feature_set="own@1", end_time=end)
        mine = Grant("k", frozenset({"t"}), frozenset({"read"}))
        assert (await store.drift(feature_set="own@1", end_time=end, by=mine))["tenant_id"] == "t"
