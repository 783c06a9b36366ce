"""Models: from a file of joblib, and what any model says of its inputs."""

from __future__ import annotations

import pickle
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ai_hub.errors import InvalidInput, named
from ai_hub.importance.extra import from_extra

_MODEL = "a fitted model, whose method `predict` takes a row for each vector"


def load_model(path: str | Path) -> Any:
    """The model in a file that `joblib.dump` or pickle wrote. Loading it runs code that is in it.

    Raises InvalidInput where it cannot be loaded here, and OSError.
    """
    with from_extra():
        import joblib
    with Path(path).open("rb") as stream:
        try:
            return joblib.load(stream)
        except ModuleNotFoundError as error:
            expected = f"a model of packages that are installed here ({error})"
            raise InvalidInput("model", str(path), expected) from error
        except (
            *(pickle.UnpicklingError, EOFError, AttributeError, ImportError, IndexError, KeyError),
            *(TypeError, ValueError),
        ) as error:
            why = f"{type(error).__name__}: {error}"
            expected = f"a file that joblib wrote, with the versions that are here ({why})"
            raise InvalidInput("model", str(path), expected) from error


def inputs_of(model: Any, features: Sequence[str]) -> tuple[str, ...]:
    """The columns that a model takes, in its order.

    A model that was trained on a nameless array takes the features of the set in their order.
    Raises InvalidInput for what is no fitted model, and for one of another number of columns.
    """
    if not callable(getattr(model, "predict", None)):
        raise InvalidInput("model", type(model).__name__, _MODEL)
    names = getattr(model, "feature_names_in_", None)
    if names is not None:
        return tuple(map(str, names))
    count = getattr(model, "n_features_in_", len(features))
    if count != len(features):
        raise InvalidInput(
            "model",
            f"one that takes {count} columns without names",
            f"{len(features)}: {named(features)}",
            "A model that was trained on a data frame knows their names.",
        )
    return tuple(features)


def has_names(model: Any) -> bool:
    """Whether a model was trained on columns with names, and asks for such."""
    return getattr(model, "feature_names_in_", None) is not None


def forecasts(model: Any) -> bool:
    """Whether a model was trained with a target, as those that look for outliers or for clusters
    were not."""
    return not callable(getattr(model, "fit_predict", None))
