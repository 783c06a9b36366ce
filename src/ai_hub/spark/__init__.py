"""Training sets by Spark: DataFrames in, a DataFrame out, with the kernel that exports run."""

from __future__ import annotations

from ai_hub.spark.archived import archived as archived
from ai_hub.spark.training import training_set as training_set

__all__ = ["archived", "training_set"]
