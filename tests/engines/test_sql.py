"""A plan as one statement: what making it takes."""

from __future__ import annotations

import sys
from types import FrameType

import pytest

from ai_hub.definitions.feature_set import FeatureSet
from ai_hub.definitions.kinds import Lag, Seasonal
from ai_hub.engines.plan import Plan
from ai_hub.engines.sql import statement
from ai_hub.engines.sql_rows import Shape


def calls(lags: int, shape: Shape) -> int:
    """How many functions are called for the statement of a set of so many lags."""
    plan = Plan.of(FeatureSet("lags", lags, [Lag(f"n{n}", f"{n}m") for n in range(1, lags + 1)]))
    made = 0

    def count(frame: FrameType, event: str, given: object) -> None:
        nonlocal made
        made += event == "call"

    before = sys.getprofile()
    sys.setprofile(count)
    try:
        statement(plan, "mean", shape)
    finally:
        sys.setprofile(before)
    return made


@pytest.mark.parametrize("shape", ["one", "together", "apart"])
def test_ten_times_the_features_are_ten_times_the_work(shape: Shape) -> None:
    """It is made while others wait, and a set may have a thousand."""
    assert calls(1_000, shape) < 15 * calls(100, shape)


def test_the_most_that_is_looked_back_at_is_within_what_a_statement_can_take() -> None:
    features = [Seasonal(f"s{n}", "mean", f"{n + 60}m", 1_000) for n in range(10)]
    assert len(statement(Plan.of(FeatureSet("s", 1, features)), "mean", "one").bounds) < 32_000
