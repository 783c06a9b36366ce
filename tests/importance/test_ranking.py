"""Real models of real exports, in which one feature says all and another one nothing."""

from __future__ import annotations

import json
import sys
from typing import Any

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
from sklearn.ensemble import (
    HistGradientBoostingRegressor,
    IsolationForest,
    RandomForestClassifier,
    RandomForestRegressor,
)
from sklearn.inspection import permutation_importance
from sklearn.linear_model import LinearRegression, Ridge, RidgeClassifier
from sklearn.neighbors import KNeighborsRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from ai_hub import importance_of
from ai_hub.errors import InvalidInput
from ai_hub.importance.values import Importance
from importance.conftest import DERIVED, SIGNALS, World, written_anew

TREE, LINEAR = "shap.TreeExplainer", "shap.LinearExplainer"


@pytest.mark.parametrize(
    ("model", "method"),
    [
        (HistGradientBoostingRegressor(max_iter=20), TREE),
        (RandomForestRegressor(8, max_depth=6, random_state=0), TREE),
        (Ridge(), LINEAR),
        (make_pipeline(StandardScaler(), KNeighborsRegressor(30)), "permutation"),
        (KNeighborsRegressor(30), "permutation"),
    ],
    ids=lambda one: type(one).__name__ if not isinstance(one, str) else one,
)
def test_the_signal_is_first_and_the_noise_could_go(world: World, model: Any, method: str) -> None:
    model.fit(*world.columns(world.train))
    found = importance_of(model, world.test, SIGNALS, rows=3_000)
    assert found.method == method
    if method == "permutation":
        assert found.why == f"SHAP has no exact explainer for {type(model).__name__}"
        assert found.explained_rows == 0
    else:
        assert (found.why, found.explained_rows) == (None, 300)
    assert found.features[0].name == "signal"
    assert [one.rank for one in found.features] == [1, 2, 3]
    assert found.features[0].share > 0.8
    assert sum(one.share for one in found.features) == pytest.approx(1)
    assert "signal" not in found.could_go
    if not isinstance(model, KNeighborsRegressor):
        # Unscaled, the hours are most of the distance between rows.
        assert set(found.could_go) == {"hour_of_day", "noise"}
    assert (found.target, found.error_name) == ("target_1h", "mean absolute error")
    assert found.rows == len(pd.read_parquet(world.test).dropna())
    assert 0.7 < (found.error or 0) < 1.3
    assert (found.feature_set, found.fingerprint) == ("signals@1", SIGNALS.fingerprint)
    json.dumps(found.document(), allow_nan=False)


def by_name(found: Importance) -> dict[str, Any]:
    return {one.name: one for one in found.features}


def test_shuffling_agrees_with_scikit_learn(world: World) -> None:
    model = KNeighborsRegressor(30).fit(*world.columns(world.train))
    found = importance_of(model, world.test, SIGNALS)
    theirs = permutation_importance(
        model,
        *world.columns(world.test),
        scoring="neg_mean_absolute_error",
        n_repeats=10,
        random_state=1,
    )
    for name, mean, spread in zip(
        SIGNALS.feature_names, theirs.importances_mean, theirs.importances_std, strict=True
    ):
        rise = by_name(found)[name].rise
        assert rise is not None
        assert rise.low < rise.mean < rise.high
        assert rise.mean * found.error == pytest.approx(mean, abs=4 * spread)
        assert by_name(found)[name].importance == rise.mean


def test_shap_of_a_linear_model_is_its_closed_form(world: World) -> None:
    columns, target = world.columns(world.train)
    model = LinearRegression().fit(columns, target)
    found = importance_of(model, world.test, SIGNALS, rows=300)
    rows, _ = world.columns(world.test)
    # Weight times distance from the mean; both are of a part of the rows.
    weights = np.abs(model.coef_) * (rows - rows.mean()).abs().mean()
    for name, expected in weights.items():
        assert by_name(found)[name].importance == pytest.approx(expected, rel=0.15)


def test_categories_are_not_explained_as_numbers(world: World) -> None:
    model = HistGradientBoostingRegressor(max_iter=20, categorical_features=["hour_of_day"])
    found = importance_of(model.fit(*world.columns(world.train)), world.test, rows=300)
    assert found.method == "permutation"
    assert found.why == "SHAP takes the categories of HistGradientBoostingRegressor for numbers"
    assert found.features[0].name == "signal"


def test_the_same_seed_is_the_same_ranking(world: World) -> None:
    model = Ridge().fit(*world.columns(world.train))

    def plain(seed: int) -> list[tuple[object, ...]]:
        found = importance_of(model, world.test, rows=500, seed=seed)
        return [(one.name, one.importance, one.rise) for one in found.features]

    assert plain(3) == plain(3) != plain(4)


def test_columns_are_given_in_the_order_of_the_model(world: World) -> None:
    columns, target = world.columns(world.train)
    turned = Ridge().fit(columns[["noise", "signal", "hour_of_day"]], target)
    nameless = Ridge().fit(columns.to_numpy(), target)
    first, second = (importance_of(one, world.test) for one in (turned, nameless))
    assert first.features[0].name == second.features[0].name == "signal"
    assert first.features[0].importance == pytest.approx(second.features[0].importance)


def test_what_the_model_does_not_take_could_go(world: World) -> None:
    columns, target = world.columns(world.train)
    found = importance_of(Ridge().fit(columns[["signal"]], target), world.test)
    noise = by_name(found)["noise"]
    assert (noise.importance, noise.share, noise.rise, noise.could_go) == (0, 0, None, True)
    assert found.together is None
    assert found.leaner.reads == "24h of value"


def test_a_model_may_take_columns_that_are_no_features(world: World) -> None:
    rows = pd.read_parquet(world.train).dropna()
    model = Ridge().fit(rows[["value", "signal"]], rows["target_1h"])
    value = by_name(importance_of(model, world.test))["value"]
    assert (value.reads, value.microseconds) == (None, None)


def test_what_each_costs(world: World) -> None:
    rows = pd.read_parquet(world.derived).dropna()
    target = rows.pop("target_1h")
    model = Ridge().fit(rows[list(DERIVED.feature_names)], target)
    found = importance_of(model, world.derived, DERIVED)
    costs = by_name(found)
    assert costs["of_own"].reads == "noise"
    assert costs["peak"].reads == "48h of value"
    assert costs["hour_of_day"].reads == "the time alone"
    # What is derived from it is computed of it, whether it is in the vector or not.
    assert (costs["noise"].read_by, costs["noise"].microseconds) == (("of_own",), 0)
    assert costs["lag_24h"].read_by == ()
    assert costs["peak"].microseconds > 1
    # Leaving out one of two that share a window saves less than what is computed of it.
    assert costs["rolling_avg_24h"].microseconds < found.vector.microseconds / 2
    # What stays is whole.
    assert "noise" not in found.could_go or "of_own" in found.could_go


def test_without_a_target_the_least_could_go(world: World) -> None:
    rows, _ = world.columns(world.train)
    model = IsolationForest(n_estimators=10, random_state=0).fit(rows)
    found = importance_of(model, world.test, SIGNALS)
    assert (found.method, found.target, found.error, found.together) == (TREE, None, None, None)
    assert all(one.rise is None for one in found.features)
    assert found.could_go == ()
    one = IsolationForest(n_estimators=10, random_state=0).fit(rows.assign(noise=0.0))
    assert importance_of(one, world.test, SIGNALS).could_go == ("noise",)


@pytest.mark.parametrize(
    ("model", "name"),
    [
        (RandomForestClassifier(8, max_depth=5, random_state=0), "Brier score"),
        (RidgeClassifier(), "share of wrong classes"),
    ],
)
def test_classes(world: World, model: Any, name: str) -> None:
    table = pq.read_table(world.test)
    rows = table.to_pandas()
    classes = np.where(rows["target_1h"] > 0, "high", "low")
    labelled = (
        table.drop(["target_1h"])
        .append_column("class", [classes])
        .replace_schema_metadata(pq.read_metadata(world.test).metadata)
    )
    model.fit(rows[list(SIGNALS.feature_names)], classes)
    found = importance_of(model, labelled)
    assert (found.features[0].name, found.target, found.error_name) == ("signal", "class", name)
    other = labelled.set_column(
        labelled.schema.get_field_index("class"), "class", [np.where(classes == "low", "no", "yes")]
    )
    with pytest.raises(InvalidInput, match="expected the classes of the model: high, low"):
        importance_of(model, other)


def test_what_cannot_be_ranked_is_refused(world: World, tmp_path: Any) -> None:
    columns, target = world.columns(world.train)
    model = Ridge().fit(columns, target)

    def refused(words: str, *arguments: Any, **options: Any) -> None:
        with pytest.raises(InvalidInput) as error:
            importance_of(*arguments, **options)
        assert words in str(error.value)

    refused("model: got 'int', expected a fitted model", 3, world.test)
    refused(
        f"data: got 'derived@1 (fingerprint {DERIVED.fingerprint})', expected rows of signals@1",
        model,
        world.derived,
        SIGNALS,
    )
    refused("a training set of ai-hub", model, written_anew(world.test, tmp_path / "new.parquet"))
    (tmp_path / "text").write_text("timestamp,value\n")
    refused("a Parquet file", model, tmp_path / "text")
    refused("target: got None, expected one of target_1h, target_2h", model, world.several)
    refused("target: got None, expected a column with", model, world.plain)
    refused("expected a column of the data: target_1h", model, world.test, target="load")
    refused("does not take as an input", model, world.test, target="noise")
    refused("expected numbers", model, world.test, target="asset_id")
    refused("expected at least 100", model, world.test, rows=99)
    refused("rows: got 0", model, world.test, rows=0)
    refused("seed: got -1", model, world.test, seed=-1)
    other = Ridge().fit(columns.rename(columns={"noise": "wind"}), target)
    refused("the columns that the model takes, wind too", other, world.test)
    fewer = Ridge().fit(columns[["signal"]].to_numpy(), target)
    refused("takes 1 columns without names', expected 3", fewer, world.test)
    knows = KNeighborsRegressor(1).fit(columns, target)
    refused("rows where it errs, by a number", knows, world.train)
    several = Ridge().fit(columns, np.stack([target, target], axis=1))
    refused("expected one number for each row", several, world.test)
    no_target = KNeighborsRegressor().fit(columns, target)
    refused("to take these rows", Refusing(no_target), world.test, target="target_1h")


class Refusing:
    """A model that takes nothing."""

    def __init__(self, model: Any) -> None:
        self.feature_names_in_ = model.feature_names_in_

    def predict(self, rows: Any) -> Any:
        raise ValueError("not so")


def test_a_library_that_is_absent_is_named(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    model = Ridge().fit(*world.columns(world.train))
    monkeypatch.setitem(sys.modules, "shap", None)
    with pytest.raises(InvalidInput, match=r"pip install 'ai-hub-feature-store\[importance\]'"):
        importance_of(model, world.test)
