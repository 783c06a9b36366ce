"""What was found of a model's features."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Rise:
    """How much larger the error is where a feature is shuffled, as a share of the error itself.

    `low` and `high` bound the 95 per cent interval of the mean over blocks of time.
    """

    mean: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class FeatureImportance:
    """One input of a model: how much it matters to it, and what it costs.

    - `importance` is the mean of |SHAP|, in the unit of the model's output, or else the rise of the
      error where it is shuffled; `share` is its part of the sum, and `rank` 1 the largest;
    - `rise` is that of the error where it is shuffled; None without a target;
    - `reads` says what is read for it, in the words of `plan`; None for a column that is no feature
      of the set;
    - `microseconds` is what leaving it out of the vector saves, at least 0. It is 0 where what is
      computed for it is computed for other features too; None for a column that is no feature;
    - `read_by` are features of the set that are derived from it, so that it stays while they do;
    - `could_go` says that it is one of those that could go together.
    """

    name: str
    importance: float
    share: float
    rank: int
    rise: Rise | None
    reads: str | None
    microseconds: float | None
    read_by: tuple[str, ...]
    could_go: bool


@dataclass(frozen=True, slots=True)
class Vector:
    """What one vector costs: what is read for it, and the microseconds that it takes to compute."""

    reads: str
    microseconds: float


@dataclass(frozen=True, slots=True)
class Importance:
    """What a model makes of the features of a set, the most important first.

    `method` is `shap.TreeExplainer`, `shap.LinearExplainer` or `permutation`, and `why` says why it
    is not SHAP. `error` is that of the model on `rows` rows, in the unit that `error_name` says;
    both are None without a target. `leaner` is the vector without the features of the set that
    could go, and `together` the rise of the error where all that could go are shuffled.
    """

    feature_set: str
    fingerprint: str
    policy: str
    model: str
    target: str | None
    rows: int
    explained_rows: int
    method: str
    why: str | None
    error_name: str | None
    error: float | None
    features: tuple[FeatureImportance, ...]
    vector: Vector
    leaner: Vector
    together: Rise | None

    @property
    def could_go(self) -> tuple[str, ...]:
        """The features that could go together, the least important last."""
        return tuple(one.name for one in self.features if one.could_go)

    def document(self) -> dict[str, Any]:
        """The same as plain values."""
        return {**asdict(self), "could_go": list(self.could_go)}
