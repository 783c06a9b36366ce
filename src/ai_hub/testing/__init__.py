"""Test your own engine, store or feature against the definitions.

Hypothesis strategies for histories that are hard on feature code, the reference engine, and the
tolerance within which engines agree. Needs the extra `ai-hub-feature-store[test]`.

    @given(feature_sets(), cases())
    def test_my_engine_agrees(feature_set, case):
        for t in case.instants:
            expected = vector(feature_set, t, case.history)
            assert not differences(feature_set, t, case.history, expected, mine(t, case))
"""

from __future__ import annotations

from ai_hub.definitions.target import Target
from ai_hub.engines.reference import (
    AttributeValue,
    History,
    Mapped,
    Vector,
    ViewRow,
    WeatherRow,
    fill_values,
    value,
    vector,
    window_values,
)
from ai_hub.engines.reference_rows import (
    TrainingRow,
    frequency_times,
    observed_times,
    target_value,
    training_rows,
)
from ai_hub.engines.reference_statistics import Number, Observation
from ai_hub.testing.agreement import close, differences, is_exact

try:
    from ai_hub.testing.histories import (
        Case,
        WriteLog,
        cases,
        histories,
        instants,
        starts,
        values_of_length,
        weather_rows,
        write_logs,
    )
    from ai_hub.testing.sets import feature_sets, features, policies, taking, targets
except ImportError as error:
    raise ImportError(
        "ai_hub.testing needs hypothesis: pip install 'ai-hub-feature-store[test]'"
    ) from error

__all__ = [
    "AttributeValue",
    "Case",
    "History",
    "Mapped",
    "Number",
    "Observation",
    "Target",
    "TrainingRow",
    "Vector",
    "ViewRow",
    "WeatherRow",
    "WriteLog",
    "cases",
    "close",
    "differences",
    "feature_sets",
    "features",
    "fill_values",
    "frequency_times",
    "histories",
    "instants",
    "is_exact",
    "observed_times",
    "policies",
    "starts",
    "taking",
    "target_value",
    "targets",
    "training_rows",
    "value",
    "values_of_length",
    "vector",
    "weather_rows",
    "window_values",
    "write_logs",
]
