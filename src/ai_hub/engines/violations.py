"""Values outside what a feature may be: found before filling, the one place for every path."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple, assert_never

import numpy as np
from numpy.typing import NDArray

from ai_hub.definitions.kinds import Feature
from ai_hub.definitions.valid_range import Valid, ValidRange, ValidValues
from ai_hub.engines.arrays import Columns, Floats, Ints, Mask, Masks, anywhere
from ai_hub.engines.plan import Plan

# So few values are sooner looked at one by one.
_FEW = 32


class Unfilled(NamedTuple):
    """Columns before filling, and where they are outside their range.

    A mask is there only for a feature with such a value; where the set makes nulls of those, they
    are null already.
    """

    columns: Columns
    violations: Masks


def outside(valid: Valid, column: Floats | Ints) -> Mask:
    """Where values are outside what may be; null never is."""
    match valid:
        case ValidRange():
            return np.asarray((column < valid.low) | (column > valid.high))
        case ValidValues():
            return ~(np.isnan(column) | np.isin(column, valid.values))
        case _:
            assert_never(valid)


def _is_inside(valid: Valid, column: Floats | Ints) -> bool:
    """Whether a column is inside a range and has no null, which takes one quick look to see."""
    if not len(column) or not isinstance(valid, ValidRange):
        return False
    if len(column) <= _FEW:
        return all(valid.low <= value <= valid.high for value in column.tolist())
    return bool(column.min() >= valid.low and column.max() <= valid.high)


def in_words(
    features: Iterable[Feature], columns: Mapping[str, NDArray[Any]], violations: Masks, row: int
) -> str:
    """What is outside its range in a row: `peak: got 612.5, expected 0:500`."""
    return "; ".join(
        f"{feature.name}: got {columns[feature.name][row].item()!r}, expected {feature.valid}"
        for feature in features
        if feature.name in violations and violations[feature.name][row]
    )


def check(plan: Plan, features: Iterable[Feature], columns: Columns) -> Masks:
    """Where some features are outside their range, made null in the columns if the plan says so."""
    found: Masks = {}
    for feature in features:
        assert feature.valid is not None
        column = columns[feature.name]
        if _is_inside(feature.valid, column):
            if feature.name in plan.nulled:
                columns[feature.name] = column.astype(np.float64)
            continue
        wrong = outside(feature.valid, column)
        if anywhere(wrong):
            found[feature.name] = wrong
        if feature.name in plan.nulled:
            columns[feature.name] = np.where(wrong, np.nan, column)
    return found
