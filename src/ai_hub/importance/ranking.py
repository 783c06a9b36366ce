"""What a model makes of each feature: ranked, with what each costs, and those that could go."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from ai_hub.definitions.feature_set import FeatureSet
from ai_hub.definitions.values import check_count
from ai_hub.engines.reads import reads_in_words
from ai_hub.errors import InvalidInput, named
from ai_hub.importance.cost import Costs, costs_of
from ai_hub.importance.model_file import forecasts, has_names, inputs_of
from ai_hub.importance.shuffling import FEWEST_ROWS
from ai_hub.importance.training_rows import Data, TrainingRows, opened
from ai_hub.importance.values import FeatureImportance, Importance
from ai_hub.importance.worth import Sample, Worth, needed_by, worth_of

MOST_ROWS = 1_000_000
_MOST_SEED = 2**32 - 1


def importance_of(
    model: Any,
    data: Data,
    feature_set: FeatureSet | Mapping[str, Any] | None = None,
    *,
    target: str | None = None,
    rows: int = 5_000,
    seed: int = 1,
    progress: Callable[[float], None] = lambda fraction: None,
) -> Importance:
    """Rank the features of a fitted model, with what each costs, and name those that could go.

    `data` is a training set that an export wrote, best of rows that the model was not trained on:
    a path, a `TrainingSet` or an Arrow table with its metadata. `feature_set` is the version that
    it must be of, as a `FeatureSet` or as `FeatureStore.described` gives it. `target` is the column
    that the model forecasts: by default the only target or label. At most `rows` rows are looked
    at, drawn with `seed`; `progress` is told how much of the work is done, as a fraction.

    Raises InvalidInput for data that no export wrote or that is of another version, for columns
    that the model takes and the data has not, for too few rows, and where the extra `importance` is
    not installed.
    """
    check_count("rows", rows, MOST_ROWS)
    check_count("seed", seed, _MOST_SEED)
    with opened(data) as found:
        if feature_set is not None:
            found.check_is_of(
                feature_set.document() if isinstance(feature_set, FeatureSet) else feature_set
            )
        chosen = found.feature_set
        inputs = inputs_of(model, chosen.feature_names)
        _check_columns(found, inputs)
        wanted = _target(model, found, target, inputs)
        sample, at = _sample(model, found, inputs, wanted, rows, seed)
        step = found.step()
    worth = worth_of(model, sample, chosen, seed, progress)
    costs = costs_of(chosen, worth.could_go, step, at)
    return Importance(
        found.label,
        found.fingerprint,
        found.said.get("ai_hub.policy", ""),
        type(model).__name__,
        wanted,
        len(sample.frame),
        worth.explained_rows,
        worth.method,
        worth.why,
        worth.error_name,
        worth.error,
        _ranked(chosen, worth, costs),
        costs.vector,
        costs.leaner,
        worth.together,
    )


def _check_columns(data: TrainingRows, inputs: tuple[str, ...]) -> None:
    absent = [name for name in inputs if name not in data.names]
    if absent:
        raise InvalidInput(
            "data",
            f"columns of {data.label}",
            f"the columns that the model takes, {named(absent)} too",
            "Export its rows with the feature set that the model was trained with.",
        )


def _target(
    model: Any, data: TrainingRows, wanted: str | None, inputs: tuple[str, ...]
) -> str | None:
    """The column that the model forecasts; None for one that is trained without any."""
    if wanted is None and not forecasts(model):
        return None
    target = data.target(wanted)
    if target is None:
        raise InvalidInput(
            "target",
            None,
            "a column with what the model forecasts, and the data has none",
            "Export with a horizon or a target, or name a column.",
        )
    if target in inputs:
        raise InvalidInput("target", target, "a column that the model does not take as an input")
    return target


def _sample(
    model: Any,
    data: TrainingRows,
    inputs: tuple[str, ...],
    target: str | None,
    rows: int,
    seed: int,
) -> tuple[Sample, int]:
    """Some rows in the order of time, and the last of their times."""
    places = data.sample(target, rows, seed)
    if len(places) < FEWEST_ROWS:
        what = "rows" if target is None else f"rows with {target}"
        raise InvalidInput("data", f"{len(places)} {what}", f"at least {FEWEST_ROWS}")
    table, time = data.in_time((*inputs, *(() if target is None else (target,))), places)
    frame = table.to_pandas()
    truth = None if target is None else frame.pop(target).to_numpy()
    takes_frame = has_names(model)
    sample = Sample(frame, truth, lambda some: some if takes_frame else some.to_numpy())
    return sample, int(time[-1])


def _ranked(feature_set: FeatureSet, worth: Worth, costs: Costs) -> tuple[FeatureImportance, ...]:
    features = {one.name: one for one in feature_set.features}
    shares = worth.shares
    order = sorted(worth.importance, key=lambda name: -worth.importance[name])
    return tuple(
        FeatureImportance(
            name,
            worth.importance[name],
            shares[name],
            rank,
            worth.rises.get(name),
            reads_in_words(features[name]) if name in features else None,
            costs.saved.get(name),
            needed_by(feature_set, name),
            name in worth.could_go,
        )
        for rank, name in enumerate(order, 1)
    )
