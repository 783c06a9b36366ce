"""What is explained is what is answered, of the rows that its definition names, on every store."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ai_hub import FeatureStore
from ai_hub.definitions.builtin import FEATURES
from ai_hub.definitions.feature_set import FeatureSet
from ai_hub.definitions.kinds import Age, Bucket, Ewm, Feature, Lag, Latest, Rolling, Seasonal
from ai_hub.definitions.values import iso, parse_time, to_datetime
from ai_hub.definitions.vocabulary import Missing
from ai_hub.engines.reference import value, window_values
from ai_hub.errors import OutOfRange
from ai_hub.testing import History, feature_sets, policies
from conformance.kit import ON_STORES, Deployment, folder, run
from conformance.worlds import TENANT, World, worlds, write

ALL = FeatureSet("every_feature", 1, FEATURES)
sets = st.one_of(st.just(ALL), feature_sets(asset_zone=True))


def rows_of(feature: Feature, t: int, history: History) -> int | None:
    """How many rows a feature reads, by the reference; None for what reads none."""
    match feature:
        case Rolling() | Bucket() | Ewm() | Seasonal():
            return len(window_values(feature, t, history))
        case Lag() | Age() | Latest():
            return int(value(feature, t, history) is not None)
        case _:
            return None


async def check(
    store: FeatureStore,
    chosen: FeatureSet,
    world: World,
    asset: str,
    t: int,
    missing: Missing | None,
) -> None:
    asked: dict[str, Any] = {
        "tenant_id": TENANT, "asset_id": asset, "feature_set": chosen.label,
        "timestamp": to_datetime(t), "missing": missing, "exact": True,
    }  # fmt: skip
    found = await store.explain(**asked)
    features = {one["name"]: one for one in found["features"]}
    assert tuple(features) == chosen.feature_names
    assert (found["timestamp"], found["fingerprint"]) == (iso(t), chosen.fingerprint)
    if "error" in found:
        with pytest.raises(OutOfRange, match=re.escape(found["error"])):
            await store.get(**asked)
    else:
        answer = await store.get(**asked)
        assert {name: one["value"] for name, one in features.items()} == answer.features
        assert tuple(found["missing"]) == answer.missing
        assert tuple(found["violations"]) == answer.violations
    history = world.history(asset)
    for feature in chosen.features:
        one = features[feature.name]
        assert (one["why"] is None) is not (one["missing"] or one["violation"])
        assert (one["filled"] is None) is not (one["missing"] and "error" not in found)
        count = rows_of(feature, t, history)
        # Without its zone a feature has no window.
        if count is not None and one["cause"] != "no_zone":
            assert one["rows"]["count"] == count, one
            times = [parse_time(row["timestamp"]) for row in one["rows"]["newest"]]
            assert times == sorted(set(times), reverse=True)
            # Lags that are near each other may be of one row.
            assert len(times) == min(count, 5) or isinstance(feature, Seasonal)
            assert not times or iso(times[0]) == one["rows"]["last"]


@ON_STORES
@given(feature_set=sets, missing=policies(), world=worlds(most_assets=2))
def test_of_drawn_worlds(
    deployment: Deployment,
    feature_set: FeatureSet,
    missing: Missing | None,
    world: World,
) -> None:
    async def explain_all(place: Path) -> None:
        async with deployment.open(place, feature_set) as store:
            await write(store, world)
            for asset in world.assets:
                for t in world.instants[asset]:
                    await check(store, feature_set, world, asset, t, missing)

    with folder() as place:
        run(explain_all(Path(place)))


@pytest.mark.parametrize("asset", ["nobody", "asset-0"])
async def test_of_what_is_unknown(deployment: Deployment, tmp_path: Path, asset: str) -> None:
    """At the ends of time, and of every feature."""
    async with deployment.open(tmp_path, ALL) as store:
        for at in ("0001-01-01T00:00:00Z", "9999-12-31T23:59:59.999999Z"):
            found = await store.explain(
                tenant_id="t", asset_id=asset, feature_set=ALL.label,
                timestamp=to_datetime(parse_time(at)), exact=True,
            )  # fmt: skip
            causes = {one["cause"] for one in found["features"] if one["missing"]}
            assert causes == {"unknown_asset"}
