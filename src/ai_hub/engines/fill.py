"""The missing policies, one place for online answers and exports."""

from __future__ import annotations

from collections.abc import Callable
from typing import assert_never

import numpy as np

from ai_hub.definitions.vocabulary import Missing
from ai_hub.engines.arrays import Columns, Floats, Ints, Masks, anywhere
from ai_hub.engines.plan import Plan
from ai_hub.engines.traits import Source, fill_number


def fill(
    plan: Plan,
    missing: Missing | None,
    columns: Columns,
    mean_of: Callable[[Source, Ints], Floats],
) -> tuple[Columns, Masks]:
    """The columns with nulls replaced as the policy says, and where each was null.

    `missing` is the request's policy. `mean_of(source, rows)` gives the mean of a source over
    [t-168h, t] at some rows of the columns; it is asked only for what is missing. Masks hold
    only features with something missing.
    """
    chosen = plan.feature_set
    filled: Columns = {}
    masks: Masks = {}
    wanted: dict[Source, list[str]] = {}
    for feature in chosen.features:
        name = feature.name
        column = filled[name] = columns[name]
        if name not in plan.unsure:
            continue
        mask = np.isnan(column)
        if not anywhere(mask):
            continue
        masks[name] = mask
        policy = chosen.policy_of(feature, missing)
        source = plan.filled_from.get(name) if policy == "mean" else None
        if source is not None:
            wanted.setdefault(source, []).append(name)
            continue
        match policy:
            case "keep":
                pass
            case "zero":
                filled[name] = np.where(mask, 0.0, column)
            case "mean":
                filled[name] = np.where(mask, fill_number(feature), column)
            case float():
                filled[name] = np.where(mask, policy, column)
            case _:
                assert_never(policy)
    for source, names in wanted.items():
        rows = np.flatnonzero(np.logical_or.reduce([masks[name] for name in names]))
        means = np.nan_to_num(mean_of(source, rows), nan=0.0)
        for name in names:
            own = masks[name][rows]
            column = filled[name] = columns[name].astype(np.float64)
            column[rows[own]] = means[own]
    return filled, masks
