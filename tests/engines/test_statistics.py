"""What the table says of each statistic is what the reference does."""

from __future__ import annotations

import pytest

from ai_hub.definitions.kinds import Rolling
from ai_hub.definitions.values import HOUR, Duration
from ai_hub.definitions.vocabulary import STATS, Stat
from ai_hub.engines.reference import History, fill_values, value
from ai_hub.engines.reference_statistics import Observation
from ai_hub.engines.statistics import aggregates

HOUR_WIDE = Duration(HOUR)
OLD = History({"value": [Observation(-2 * HOUR, 5.0)]})


@pytest.mark.parametrize("stat", STATS)
def test_of_an_empty_window(stat: Stat) -> None:
    assert value(Rolling("f", stat, HOUR_WIDE), 0, OLD) == STATISTICS[stat].empty


@pytest.mark.parametrize("stat", STATS)
def test_what_fills_it(stat: Stat) -> None:
    filled_by = fill_values(Rolling("f", stat, HOUR_WIDE), 0, OLD)
    assert filled_by == ([5.0] if STATISTICS[stat].mean_fills else [])


def test_aggregates_are_computed_once() -> None:
    parts = aggregates(STATS)
    assert len({*parts}) == len(parts)
    assert aggregates(("range", "max", "min")) == aggregates(("min", "range"))
