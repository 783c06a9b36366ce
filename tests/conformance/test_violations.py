"""Values outside their range: named, missing or refused, the same served and exported."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from ai_hub import Derived, FeatureSet, FeatureStore, Lag, Rolling
from ai_hub.definitions.vocabulary import ON_VIOLATION, OnViolation
from ai_hub.errors import OutOfRange
from conformance.kit import Deployment

T = datetime(2025, 10, 9, 14, 30, tzinfo=UTC)
READ = {"good": (30.0, 60.0, 90.0), "bad": (30.0, 120.0, 612.5)}
ROWS = [
    {"timestamp": datetime(2025, 10, 9, 12 + i, tzinfo=UTC), "asset_id": asset, "value": value}
    for asset, values in READ.items()
    for i, value in enumerate(values)
]
WHY = (
    "peak: got 612.5, expected 0:500; last: got 120.0, expected :100; "
    "half: got 306.25, expected 0:200"
)


def ranged(on_violation: OnViolation) -> FeatureSet:
    return FeatureSet(
        "ranged",
        1 + ON_VIOLATION.index(on_violation),
        (
            Rolling("peak", "max", "3h", unit="kWh", valid=(0, 500)),  # type: ignore[arg-type]
            Lag("last", "1h", valid=(None, 100)),  # type: ignore[arg-type]
            Rolling("n", "count", "3h", valid={0, 1, 2, 3}),  # type: ignore[arg-type]
            Derived("half", "peak / 2", valid=(0, 200)),  # type: ignore[arg-type]
            Derived("twice", "half * 2"),
        ),
        on_violation=on_violation,
    )


REPORT, NULL, REJECT = map(ranged, ON_VIOLATION)


async def asked(store: FeatureStore, chosen: FeatureSet, asset: str, **more: Any) -> Any:
    return await store.get(
        tenant_id="t", asset_id=asset, feature_set=chosen.label, timestamp=T, **more
    )


def files_in(folder: Path) -> list[Path]:
    return [*folder.rglob("*.parquet*")]


async def test_they_are_named(any_cache: Deployment, tmp_path: Path) -> None:
    async with any_cache.open(tmp_path, REPORT) as store:
        await store.ingest(ROWS, "t")
        for hit in (False, True):
            found = await asked(store, REPORT, "bad")
            assert (found.cache_hit, found.violations, found.missing) == (
                hit, ("peak", "last", "half"), (),
            )  # fmt: skip
            assert found.features == {
                "peak": 612.5, "last": 120.0, "n": 3, "half": 306.25, "twice": 612.5,
            }  # fmt: skip
            assert (await asked(store, REPORT, "good")).violations == ()
        # Once for each vector that was computed.
        counted = {("ranged@1", name): 1 for name in ("peak", "last", "half")}
        assert store.metrics.violations == counted


async def test_they_are_missing(any_cache: Deployment, tmp_path: Path) -> None:
    async with any_cache.open(tmp_path, NULL) as store:
        await store.ingest(ROWS, "t")
        mean = sum(READ["bad"]) / 3
        filled = {"peak": mean, "last": mean, "n": 3.0, "half": 0.0, "twice": 0.0}
        for exact in (False, True):
            found = await asked(store, NULL, "bad", exact=exact)
            assert found.violations == ("peak", "last")
            assert found.missing == ("peak", "last", "half", "twice")
            assert found.features == pytest.approx(filled, rel=1e-12)
        kept = await asked(store, NULL, "bad", missing="keep")
        assert kept.features == dict.fromkeys(filled) | {"n": 3}
        assert (await asked(store, NULL, "good")).missing == ()


async def test_they_are_refused(any_cache: Deployment, tmp_path: Path) -> None:
    async with any_cache.open(tmp_path, REJECT) as store:
        await store.ingest(ROWS, "t")
        for exact in (False, False, True):
            with pytest.raises(OutOfRange) as caught:
                await asked(store, REJECT, "bad", exact=exact)
            assert str(caught.value) == f"asset 'bad' at 2025-10-09T14:30:00Z: {WHY}"
        # Refused is what was computed: it is not computed again.
        assert (store.metrics.computed, store.metrics.hits) == (2, 1)
        found = await store.get_batch(
            tenant_id="t", asset_ids=["good", "bad"], feature_set="ranged@3", timestamp=T
        )
        good, bad = found["good"], found["bad"]
        assert (good.error, good.violations, good.features["peak"]) == (None, (), 90.0)
        assert (bad.error, bad.features) == (WHY, {})
        assert bad.violations == ("peak", "last", "half")
        later = ROWS[-1] | {"value": 99.0}
        await store.ingest([later, ROWS[-2] | {"value": 99.0}], "t")
        assert (await asked(store, REJECT, "bad")).violations == ()


@pytest.mark.parametrize(
    ("chosen", "counts"),
    [(REPORT, {"peak": 1, "last": 1, "half": 1}), (NULL, {"peak": 1, "last": 1})],
)
async def test_an_export_counts_them(
    deployment: Deployment, chosen: FeatureSet, counts: dict[str, int], tmp_path: Path
) -> None:
    async with deployment.open(tmp_path, chosen) as store:
        await store.ingest(ROWS, "t")
        path = tmp_path / "rows.parquet"
        record = await store.export_features_to_parquet(
            "t", chosen.label, T - timedelta(days=1), T, output_path=path
        )
        (logged,) = await store.exports("t")
        assert record["violations"] == logged["violations"] == counts
        assert store.metrics.violations == {(chosen.label, n): c for n, c in counts.items()}
        file = pq.read_table(path)
        said = pq.read_metadata(path).metadata
        assert said[b"ai_hub.on_violation"].decode() == chosen.on_violation
        assert json.loads(said[b"ai_hub.violations"]) == counts
        spine = [{"asset_id": row["asset_id"], "timestamp": row["timestamp"]} for row in ROWS]
        joined = await store.get_training_set(spine, tenant_id="t", feature_set=chosen.label)
        assert joined.violations == counts
        for row in (*file.to_pylist(), *joined.to_arrow().to_pylist()):
            served = await store.get(
                tenant_id="t", asset_id=row["asset_id"], feature_set=chosen.label,
                timestamp=row["timestamp"],
            )  # fmt: skip
            assert {name: row[name] for name in chosen.feature_names} == served.features


async def test_an_export_that_refuses_them_names_the_first_row_and_leaves_nothing(
    deployment: Deployment, tmp_path: Path
) -> None:
    async with deployment.open(tmp_path, REJECT) as store:
        await store.ingest(ROWS, "t")
        path = tmp_path / "rows.parquet"
        with pytest.raises(OutOfRange) as caught:
            await store.export_features_to_parquet(
                "t", "ranged@3", T - timedelta(days=1), T, output_path=path
            )
        said = f"asset 'bad' at 2025-10-09T14:00:00Z: {WHY}"
        assert str(caught.value) == said
        assert files_in(tmp_path) == []
        (record,) = await store.exports("t")
        assert (record["status"], record["error"], record["violations"]) == ("failed", said, {})
        # The first row of a spine, in its order.
        spine = [
            {"asset_id": asset, "timestamp": T.replace(hour=hour, minute=minute)}
            for asset, hour, minute in (
                ("good", 14, 30), ("bad", 13, 0), ("bad", 14, 30), ("bad", 14, 0),
            )
        ]  # fmt: skip
        with pytest.raises(OutOfRange) as caught:
            await store.get_training_set(spine, tenant_id="t", feature_set="ranged@3")
        assert str(caught.value) == f"asset 'bad' at 2025-10-09T14:30:00Z: {WHY}"
