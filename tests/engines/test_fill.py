"""Missing policies: whose value replaces a null, and that no null is silent."""

from __future__ import annotations

import numpy as np
import pytest

from ai_hub.definitions.feature_set import FeatureSet
from ai_hub.definitions.kinds import Calendar, Lag, Latest, Rolling
from ai_hub.definitions.values import Duration
from ai_hub.definitions.vocabulary import Missing, Stat
from ai_hub.engines.arrays import Floats, Ints
from ai_hub.engines.fill import fill
from ai_hub.engines.plan import Plan
from ai_hub.engines.traits import Source
from ai_hub.testing import taking

DAY = Duration.of("24h")
NAN = float("nan")
asked: list[tuple[Source, list[int]]] = []


def mean_of(source: Source, rows: Ints) -> Floats:
    """Ten times the row, and nothing known in row 0."""
    asked.append((source, rows.tolist()))
    return np.where(rows == 0, np.nan, rows * 10.0)


def filled(feature, values: list[float], missing: Missing | None = None, default="mean"):
    asked.clear()
    plan = Plan.of(FeatureSet("s", 1, (feature,), missing=default))
    columns, masks = fill(plan, missing, {feature.name: np.array(values)}, mean_of)
    return columns[feature.name], masks.get(feature.name)


@pytest.mark.parametrize("feature", [Lag("f", DAY), Latest("f", "humidity")])
def test_a_mean_replaces_what_is_missing_and_zero_where_there_is_none(feature) -> None:
    values, mask = filled(feature, [NAN, 5.0, NAN])
    assert values.tolist() == [0.0, 5.0, 20.0]
    assert mask is not None
    assert mask.tolist() == [True, False, True]
    source = (
        ("series", "value", "left") if isinstance(feature, Lag) else ("weather", "humidity", "both")
    )
    assert asked == [(source, [0, 2])]


@pytest.mark.parametrize(
    ("stat", "expected"),
    [("mean", 10.0), ("min", 10.0), ("max", 10.0), ("sum", 10.0), ("median", 10.0),
     ("quantile", 10.0), ("first", 10.0), ("last", 10.0), ("time_mean", 10.0),
     ("std", 0.0), ("range", 0.0), ("delta", 0.0), ("increase", 0.0)],
)  # fmt: skip
def test_a_spread_is_filled_with_zero_and_a_level_with_the_mean(
    stat: Stat, expected: float
) -> None:
    values, _ = filled(Rolling("f", stat, DAY, **taking(stat)), [1.0, NAN])
    assert values.tolist() == [1.0, expected]


def test_nothing_missing_asks_for_nothing() -> None:
    values, mask = filled(Lag("f", DAY), [1.0, 2.0])
    assert (values.tolist(), mask, asked) == ([1.0, 2.0], None, [])


@pytest.mark.parametrize(("missing", "expected"), [("zero", 0.0), (-3.0, -3.0), ("keep", NAN)])
def test_other_policies_ask_for_no_mean(missing: Missing, expected: float) -> None:
    values, mask = filled(Lag("f", DAY), [1.0, NAN], missing)
    np.testing.assert_equal(values, [1.0, expected])
    assert mask is not None
    assert mask.tolist() == [False, True]
    assert asked == []


def test_the_request_wins_over_the_feature_and_the_feature_over_the_set() -> None:
    own = Lag("f", DAY, missing=7.0)
    assert filled(own, [NAN], None, "zero")[0].tolist() == [7.0]
    assert filled(own, [NAN], 8.0, "zero")[0].tolist() == [8.0]
    assert filled(Lag("f", DAY), [NAN], None, 6.0)[0].tolist() == [6.0]


def test_calendars_and_counts_are_never_missing() -> None:
    count = Rolling("n", "count", DAY)
    plan = Plan.of(FeatureSet("s", 1, (Calendar("hour", "hour_of_day"), count)))
    columns = {"hour": np.array([0, 5]), "n": np.array([0, 0])}
    found, masks = fill(plan, -1.0, columns, mean_of)
    assert masks == {}
    assert {name: values.tolist() for name, values in found.items()} == {
        "hour": [0, 5], "n": [0, 0],
    }  # fmt: skip
