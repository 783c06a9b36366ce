"""Derived features by literal answers."""

from __future__ import annotations

import numpy as np
import pytest

from ai_hub.definitions.feature_set import FeatureSet
from ai_hub.definitions.kinds import Derived, Rolling
from ai_hub.definitions.values import Duration
from ai_hub.engines.expressions import derive
from ai_hub.engines.plan import Plan

X = Rolling("x", "max", Duration.of("24h"))


def derived(x: float, *features: Derived) -> dict[str, list[float]]:
    plan = Plan.of(FeatureSet("s", 1, (*features, X)))
    return {
        name: column.tolist() for name, column in derive(plan, {"x": np.array([x])}).columns.items()
    }


@pytest.mark.parametrize(
    ("expression", "x", "expected"),
    [
        ("1 / (1 / (x - 14))", 14.0, np.nan),
        ("1 / (x * 1e308 * 10)", 14.0, np.nan),
        ("x / 0", 14.0, np.nan),
        ("0 / x", 0.0, np.nan),
        ("x * 0", np.nan, np.nan),
        ("-(x + 2) * 3 / 4 - 1", 2.0, -4.0),
        ("+x - -x", 2.0, 4.0),
    ],
)
def test_an_expression_is_null_as_soon_as_any_part_is_null_or_not_finite(
    expression: str, x: float, expected: float
) -> None:
    np.testing.assert_equal(derived(x, Derived("f", expression))["f"], [expected])


def test_derived_features_may_read_each_other_in_any_order() -> None:
    found = derived(5.0, Derived("c", "b * b"), Derived("b", "a + 1"), Derived("a", "x * 2"))
    assert found == {"c": [121.0], "b": [11.0], "a": [10.0], "x": [5.0]}
    assert list(found) == ["c", "b", "a", "x"]
