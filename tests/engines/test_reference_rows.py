from __future__ import annotations

from typing import Any

import pytest

from ai_hub.definitions.feature_set import FeatureSet
from ai_hub.definitions.kinds import Calendar, Lag, Rolling
from ai_hub.definitions.target import Target
from ai_hub.definitions.values import DAY, HOUR, MINUTE, Duration, parse_time
from ai_hub.engines.reference import History, Vector
from ai_hub.engines.reference_rows import (
    frequency_times,
    observed_times,
    target_value,
    training_rows,
)
from ai_hub.engines.reference_statistics import Number, Observation

T = parse_time("2025-10-09T14:00:00Z")
LAG_1H = Lag("lag_1h", Duration(HOUR))
ONE = FeatureSet("one", 1, (LAG_1H,))


def observed(values: dict[int, float], series: str = "value") -> History:
    return History({series: [Observation(T + at, v) for at, v in values.items()]})


def test_there_is_a_row_for_every_observation_from_start_to_end() -> None:
    history = observed({HOUR: 4.0, 0: 2.0, -HOUR: 1.0, 2 * HOUR: 5.0})
    times = observed_times(ONE, history, T, T + HOUR)
    assert times == [T, T + HOUR]
    assert observed_times(ONE, history, T + 1, T + HOUR - 1) == []
    assert training_rows(ONE, history, times) == [
        (T, 2.0, Vector({"lag_1h": 1.0}, ()), {}),  # the first row sees what was before start
        (T + HOUR, 4.0, Vector({"lag_1h": 2.0}, ()), {}),
    ]


def test_a_row_is_filled_as_the_request_says() -> None:
    rows = training_rows(ONE, observed({0: 2.0}), [T], "keep")
    assert rows == [(T, 2.0, Vector({"lag_1h": None}, ("lag_1h",)), {})]


def test_rows_stand_where_the_set_s_series_has_values() -> None:
    month, price = Calendar("m", "month"), Rolling("p", "mean", Duration(DAY), series="price")
    history = History({"price": [Observation(T, 9.0)], "value": [Observation(T + 1, 1.0)]})
    features = (month, price, LAG_1H)
    assert observed_times(FeatureSet("s", 1, features), history, T, T + HOUR) == [T]
    named = FeatureSet("s", 1, features, series="value")
    assert observed_times(named, history, T, T + HOUR) == [T + 1]


def test_steps_begin_with_the_first_observation() -> None:
    history = observed({3 * HOUR + 20 * MINUTE: 1.0, 9 * HOUR: 1.0})
    times = frequency_times(ONE, history, T, T + 5 * HOUR, HOUR)
    assert times == [T + 4 * HOUR, T + 5 * HOUR]
    assert frequency_times(ONE, History(), T, T + 5 * HOUR, HOUR) == []


def test_steps_do_not_end_with_the_last_observation() -> None:
    assert len(frequency_times(ONE, observed({0: 1.0}), T, T + 90 * DAY, DAY)) == 91


@pytest.mark.parametrize(
    ("options", "values", "expected"),
    [
        ({}, {24 * HOUR: 5.0}, 5.0),
        ({}, {23 * HOUR + 1: 5.0, 25 * HOUR: 0.0}, 5.0),
        ({}, {23 * HOUR: 5.0, 25 * HOUR: 0.0}, None),
        ({}, {24 * HOUR - 1: 5.0}, None),  # later than the last observation: not known yet
        ({"tolerance": "0"}, {24 * HOUR: 5.0}, 5.0),
        ({"tolerance": "0"}, {24 * HOUR - 1: 5.0, 24 * HOUR + 1: 6.0}, None),
        ({"tolerance": "24h"}, {1: 5.0, 25 * HOUR: 6.0}, 5.0),
        ({"tolerance": "24h"}, {0: 5.0, 25 * HOUR: 6.0}, None),
        ({"stat": "max", "window": "24h"}, {0: 9.0, 1: 5.0, 24 * HOUR: 6.0}, 6.0),
        ({"stat": "max", "window": "24h"}, {1: 5.0}, None),
        ({"stat": "count", "window": "24h"}, {25 * HOUR: 5.0}, None),
        ({"stat": "count", "window": "24h"}, {HOUR: 1.0, 2 * HOUR: 1.0, 25 * HOUR: 5.0}, 2),
        ({"stat": "sum", "window": "24h", "min_count": 3}, {HOUR: 1.0, 24 * HOUR: 1.0}, None),
        ({"stat": "std", "window": "24h"}, {HOUR: 1.0, 25 * HOUR: 1.0}, None),
        ({}, {}, None),
    ],
)
def test_a_target_is_of_what_came_later(
    options: dict[str, Any], values: dict[int, float], expected: Number
) -> None:
    series = [Observation(T + at, v) for at, v in values.items()]
    assert target_value(Target("later", "24h", **options), T, series) == expected  # type: ignore[arg-type]
