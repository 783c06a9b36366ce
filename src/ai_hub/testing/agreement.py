"""Whether two engines agree, within the tolerance of the definitions."""

from __future__ import annotations

from collections.abc import Mapping
from typing import assert_never

from ai_hub.definitions.expressions import expression_tree
from ai_hub.definitions.feature_set import FeatureSet
from ai_hub.definitions.kinds import (
    Age,
    Attribute,
    Bucket,
    Calendar,
    Derived,
    Ewm,
    Feature,
    FromView,
    Lag,
    Latest,
    Rolling,
    Seasonal,
)
from ai_hub.definitions.vocabulary import WAVES, Missing
from ai_hub.engines.reference import (
    History,
    Vector,
    fill_values,
    is_valid,
    value,
    window_values,
)
from ai_hub.engines.reference_expressions import evaluate
from ai_hub.engines.reference_statistics import Number
from ai_hub.engines.statistics import statistic_of


def close(a: Number, b: Number, n: int = 1, largest: float = 0.0, *, exact: bool = False) -> bool:
    """Whether two engines' values of one feature agree (SEMANTICS, "Feature kinds").

    Null agrees with null alone. `exact` is for what no engine computes with rounding; otherwise
    |a-b| <= 1e-9 max(1, |a|, |b|) + 1e-15 n max|v|, where the window holds `n` values of which
    `largest` is the greatest magnitude.
    """
    if a is None or b is None:
        return a is b
    if exact:
        return a == b
    return abs(a - b) <= 1e-9 * max(1.0, abs(a), abs(b)) + 1e-15 * n * largest


def is_exact(feature: Feature) -> bool:
    """Whether engines agree on a feature to the bit, before filling."""
    match feature:
        case Rolling() | Bucket() | Seasonal() | Ewm():
            return statistic_of(feature.measure).exact
        case Calendar():
            return feature.part not in WAVES
        case Lag() | Latest() | Age() | Attribute() | FromView():
            return True
        case Derived():
            return False
        case _:
            assert_never(feature)


def differences(
    feature_set: FeatureSet,
    t: int,
    history: History,
    expected: Vector,
    actual: Vector,
    missing: Missing | None = None,
) -> list[str]:
    """What is wrong with `actual`, one line each; none if it agrees with `expected`.

    `missing` is the request's policy. A derived feature is held to its expression over the engine's
    own inputs, as they were before filling: over inputs that agree within tolerance it may differ
    by more than any tolerance.
    """
    if feature_set.on_violation == "reject" and (expected.violations or actual.violations):
        if actual.violations == expected.violations and actual.features == expected.features:
            return []
        return [f"violations: got {actual.violations}, expected {expected.violations} at {t}"]
    if list(actual.features) != list(expected.features):
        return [f"names: got {list(actual.features)}, expected {list(expected.features)}"]
    wrong = []
    named = set(feature_set.feature_names)
    hidden = {f.name: value(f, t, history) for f in feature_set.computed if f.name not in named}
    absent = _absent(feature_set, expected, actual, hidden)
    outside = tuple(
        f.name for f in feature_set.features if _is_outside(f, expected, actual, hidden)
    )
    if actual.violations != outside:
        wrong.append(f"violations: got {actual.violations}, expected {outside} at {t}")
    if actual.missing != absent:
        wrong.append(f"missing: got {actual.missing}, expected {absent}")
    for feature in feature_set.features:
        name = feature.name
        filled = name in absent
        values: list[float] = []
        if filled:
            values = fill_values(feature, t, history)
        elif isinstance(feature, Rolling | Bucket | Seasonal | Ewm):
            values = window_values(feature, t, history)
        largest = max(map(abs, values), default=0.0)
        got, want = actual.features[name], expected.features[name]
        if isinstance(feature, Derived):
            want = _own_derived(feature, actual, hidden)
            if filled:
                policy = feature_set.policy_of(feature, missing)
                want = None if policy == "keep" else policy if isinstance(policy, float) else 0.0
        exact = is_exact(feature) and not filled
        if not close(got, want, len(values), largest, exact=exact):
            wrong.append(f"{name}: got {got!r}, expected {want!r} at {t} ({feature})")
    return wrong


def _absent(
    feature_set: FeatureSet, expected: Vector, actual: Vector, hidden: Mapping[str, Number]
) -> tuple[str, ...]:
    """What is missing, given the engine's own inputs of derived features."""
    nulls = feature_set.on_violation == "null"
    return tuple(
        feature.name
        for feature in feature_set.features
        if (
            _own_derived(feature, actual, hidden) is None
            or (nulls and _is_outside(feature, expected, actual, hidden))
            if isinstance(feature, Derived)
            else feature.name in expected.missing
        )
    )


def _is_outside(
    feature: Feature, expected: Vector, actual: Vector, hidden: Mapping[str, Number]
) -> bool:
    """Whether a feature is outside its range, given the engine's own inputs of derived ones."""
    if isinstance(feature, Derived):
        return not is_valid(feature, _own_derived(feature, actual, hidden))
    return feature.name in expected.violations


def _own_derived(feature: Derived, actual: Vector, hidden: Mapping[str, Number]) -> Number:
    """An expression over the values that an engine found itself, before filling; what it does not
    show (`hidden`) is the reference's."""

    def read(name: str) -> Number:
        if name in hidden:
            return hidden[name]
        return None if name in actual.missing else actual.features[name]

    return evaluate(expression_tree(feature.expression), read)
