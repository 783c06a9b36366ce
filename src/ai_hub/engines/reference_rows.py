"""The rows of a training set in plain Python: which times it has, and what its targets are.

Beside `reference.py`, and in the same way: slow, obvious, standard library only.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from ai_hub.definitions.feature_set import FeatureSet
from ai_hub.definitions.measures import Measure
from ai_hub.definitions.target import Target
from ai_hub.definitions.vocabulary import Missing
from ai_hub.engines.reference import History, Vector, vector
from ai_hub.engines.reference_statistics import Number, Observation, statistic


class TrainingRow(NamedTuple):
    """One row of an export: the series at `timestamp` (None where it has no value there), the
    vector that serving answers, and its targets by name."""

    timestamp: int
    value: float | None
    vector: Vector
    targets: Mapping[str, Number]


def training_rows(
    feature_set: FeatureSet,
    history: History,
    times: Sequence[int],
    missing: Missing | None = None,
    targets: Sequence[Target] = (),
) -> list[TrainingRow]:
    """A row for each time, in their order."""
    series = history.series.get(feature_set.series, ())
    values = {o.timestamp: o.value for o in series}
    return [
        TrainingRow(
            t,
            values.get(t),
            vector(feature_set, t, history, missing),
            {target.name: target_value(target, t, series) for target in targets},
        )
        for t in times
    ]


def observed_times(feature_set: FeatureSet, history: History, start: int, end: int) -> list[int]:
    """The times of the set's series in [start, end]: the rows of an export."""
    observed = history.series.get(feature_set.series, ())
    return sorted(o.timestamp for o in observed if start <= o.timestamp <= end)


def frequency_times(
    feature_set: FeatureSet, history: History, start: int, end: int, frequency: int
) -> list[int]:
    """The steps start + k frequency <= end that are not before the first observation."""
    observed = history.series.get(feature_set.series, ())
    if not observed:
        return []
    first = min(o.timestamp for o in observed)
    return [t for t in range(start, end + 1, frequency) if t >= first]


def target_value(target: Target, t: int, series: Sequence[Observation]) -> Number:
    """A target at `t`; null where t + horizon is later than the last observation there is."""
    at = t + target.horizon.micros
    if not series or at > max(o.timestamp for o in series):
        return None
    if target.stat is not None:
        assert target.window is not None
        width = target.window.micros
        inside = [o for o in series if at - width < o.timestamp <= at]
        if len(inside) < target.min_count:
            return None
        return statistic(Measure(target.stat), inside, at, width)
    assert target.tolerance is not None
    # Of width 0 the window is the instant itself.
    width = max(target.tolerance.micros, 1)
    near = [o for o in series if at - width < o.timestamp <= at]
    return max(near, key=lambda o: o.timestamp).value if near else None
