"""SHAP values: what each column adds to or takes from each of a model's forecasts."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import numpy as np

from ai_hub.engines.arrays import Floats
from ai_hub.importance.extra import from_extra

_SLICE = 20
"""Rows explained at a time."""
_BACKGROUND = 100
"""Rows that a linear model is compared with: SHAP takes no more by default."""


class Explained(NamedTuple):
    """The mean |SHAP| of each column, and the explainer that gave it."""

    method: str
    importance: Floats


def explain(model: Any, table: Any, progress: Callable[[int], None]) -> Explained | str:
    """The mean |SHAP| of each column over some rows, or why SHAP has no exact explainer.

    Several outputs (classes) are added. `progress` is told of rows that are explained.
    """
    with from_extra():
        import shap
        from shap import explainers
    kind = type(model).__name__
    numbers = np.asarray(table)
    if numbers.dtype.kind not in "iufb":
        return f"SHAP takes numbers alone, and {kind} takes other columns too"
    background = shap.maskers.Independent(numbers.astype(np.float64), _BACKGROUND)
    try:
        if explainers.TreeExplainer.supports_model_with_masker(model, None):
            if np.any(getattr(model, "is_categorical_", False)):
                return f"SHAP takes the categories of {kind} for numbers"
            method = "shap.TreeExplainer"
            # Its own check is of single precision, and fails for models that are right.
            values_of = partial(explainers.TreeExplainer(model).shap_values, check_additivity=False)
        elif explainers.LinearExplainer.supports_model_with_masker(model, background):
            method, table = "shap.LinearExplainer", numbers.astype(np.float64)
            values_of = explainers.LinearExplainer(model, background).shap_values
        else:
            return f"SHAP has no exact explainer for {kind}"
        total = np.zeros(numbers.shape[1])
        for start in range(0, len(table), _SLICE):
            part = table[start : start + _SLICE]
            values = np.abs(np.asarray(values_of(part)))
            # Rows, columns and, where there are several, outputs.
            total += values.reshape(*values.shape[:2], -1).sum(axis=(0, 2))
            progress(len(part))
    except (NotImplementedError, TypeError, ValueError) as error:
        return f"SHAP cannot explain this {kind}: {error}"
    return Explained(method, total / len(table))
