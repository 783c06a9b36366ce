"""What a model makes of its columns: SHAP where it can, what shuffling does to its error, and which
of them could go."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np

from ai_hub.definitions.builtin_features import builtin_of
from ai_hub.definitions.feature_set import FeatureSet
from ai_hub.definitions.kinds import Derived
from ai_hub.errors import InvalidInput
from ai_hub.importance.shap_values import Explained, explain
from ai_hub.importance.shuffling import Shuffled, least_of
from ai_hub.importance.values import Rise

EXPLAINED_ROWS = 300
"""The rows that SHAP explains, of those that are looked at: large forests take long for each."""


@dataclass(frozen=True)
class Sample:
    """Rows in the order of time: a data frame of what a model takes, and what it should say.

    `table` makes of such a frame what the model was trained on: a frame, or an array.
    """

    frame: Any
    truth: Any | None
    table: Callable[[Any], Any]

    @property
    def inputs(self) -> tuple[str, ...]:
        """What the model takes, in its order."""
        return tuple(self.frame.columns)


@dataclass(frozen=True)
class Worth:
    """What was found; see `Importance`."""

    importance: dict[str, float]
    method: str
    why: str | None
    explained_rows: int
    rises: dict[str, Rise]
    error_name: str | None
    error: float | None
    could_go: frozenset[str]
    together: Rise | None

    @property
    def shares(self) -> dict[str, float]:
        """The part that each column has in the sum of what is above 0."""
        return _shares(self.importance)


def worth_of(
    model: Any,
    sample: Sample,
    feature_set: FeatureSet,
    seed: int,
    progress: Callable[[float], None],
) -> Worth:
    """What a model makes of its columns; the features that it does not take are worth nothing.

    `progress` is told how much is done, as a fraction. Raises InvalidInput for a model without a
    target that SHAP cannot explain.
    """
    inputs = sample.inputs
    places = np.linspace(0, len(sample.frame) - 1, min(len(sample.frame), EXPLAINED_ROWS))
    steps = _Steps(progress, len(places) + 2 * len(inputs) * (sample.truth is not None))
    explained = explain(model, sample.table(sample.frame.iloc[places.astype(int)]), steps.more)
    unused = [name for name in feature_set.feature_names if name not in inputs]
    importance = dict.fromkeys(unused, 0.0)
    if isinstance(explained, Explained):
        importance |= zip(inputs, map(float, explained.importance), strict=True)
        method, why, count = explained.method, None, len(places)
    else:
        method, why, count = "permutation", explained, 0
    if sample.truth is None:
        if why is not None:
            raise InvalidInput("target", None, f"the column that the model forecasts: {why}")
        least = least_of(_shares(importance))
        could_go = _whole(feature_set, least)
        return Worth(importance, method, why, count, {}, None, None, could_go, None)

    shuffled = Shuffled(model, sample.frame, sample.table, sample.truth)
    rises = {}
    for name in inputs:
        rises[name] = shuffled.rise((name,), seed)
        steps.more(1)
    if why is not None:
        importance |= {name: rise.mean for name, rise in rises.items()}
    chosen = shuffled.together(rises, seed, lambda: steps.more(1))
    could_go = _whole(feature_set, (*unused, *chosen))
    left = [name for name in inputs if name in could_go]
    together = shuffled.rise(left, seed) if left else None
    return Worth(
        importance,
        method,
        why,
        count,
        rises,
        shuffled.error_name,
        shuffled.error,
        could_go,
        together,
    )


def needed_by(feature_set: FeatureSet, name: str) -> tuple[str, ...]:
    """The features of a set that are derived from one of its own, which cannot go while they stay.

    A built-in feature can: it is computed for them without being in the vector.
    """
    features = feature_set.features
    if any(one.name == name and builtin_of(one) is not None for one in features):
        return ()
    return tuple(f.name for f in features if isinstance(f, Derived) and name in f.inputs)


def _whole(feature_set: FeatureSet, names: Iterable[str]) -> frozenset[str]:
    """Of some columns those that can go: not what a feature that stays is derived from."""
    found = frozenset(names)
    while left := {name for name in found if not found.issuperset(needed_by(feature_set, name))}:
        found -= left
    return found


def _shares(importance: dict[str, float]) -> dict[str, float]:
    worth = {name: max(one, 0.0) for name, one in importance.items()}
    total = sum(worth.values())
    return {name: one / total if total else 0.0 for name, one in worth.items()}


class _Steps:
    """Tells how much of some steps is done."""

    def __init__(self, progress: Callable[[float], None], count: int) -> None:
        self._progress = progress
        self._count = count
        self._done = 0

    def more(self, steps: int) -> None:
        """Some more are done."""
        self._done += steps
        self._progress(self._done / self._count)
