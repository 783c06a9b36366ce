"""What a model loses where some of its columns are shuffled: permutation importance.

The error with some columns shuffled, less the error without, as a share of the latter. The rows are
in the order of time and in ten blocks; the interval of the mean is that of the means of the blocks,
so that it holds what one day has in common.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from ai_hub.engines.arrays import Floats
from ai_hub.errors import InvalidInput, named
from ai_hub.importance.values import Rise

BLOCKS = 10
REPEATS = 5
FEWEST_ROWS = 100
NOTHING = 0.01
"""A rise of the error that is worth nothing: one per cent."""
# The 97.5 per cent point of Student's t with one degree of freedom less than there are blocks.
_QUANTILE = 2.262

Table = Any
"""Rows as a model takes them: a data frame of pandas, or an array without names."""


class Shuffled:
    """A model's error on some rows, sorted by time, and what shuffling does to it.

    Raises InvalidInput for a model that cannot take the rows, and where it makes no error: what
    shuffling adds is a share of that.
    """

    def __init__(self, model: Any, frame: Any, as_table: Callable[[Any], Table], target: Any):
        self._frame = frame
        self._as_table = as_table
        self.error_name, self._errors = _measure(model, target)
        self._plain = self._errors(as_table(frame))
        self.error = float(self._plain.mean())
        if not 0 < self.error < np.inf:
            raise InvalidInput(
                "data",
                f"rows where the model's {self.error_name} is {self.error:g}",
                "rows where it errs, by a number",
                "Take a time that it was not trained on.",
            )

    def rise(self, names: Sequence[str], seed: int) -> Rise:
        """How much larger the error is where these columns are shuffled, all in the same way."""
        random = np.random.default_rng(seed)
        more = np.zeros(len(self._plain))
        for _ in range(REPEATS):
            order = random.permutation(len(self._plain))
            mixed = self._frame.copy(deep=False)
            for name in names:
                mixed[name] = self._frame[name].array[order]
            more += (self._errors(self._as_table(mixed)) - self._plain) / REPEATS
        blocks = np.array([block.mean() for block in np.array_split(more, BLOCKS)])
        mean = float(more.mean())
        half = _QUANTILE * float(blocks.std(ddof=1)) / np.sqrt(BLOCKS)
        return Rise(*(float(one / self.error) for one in (mean, mean - half, mean + half)))

    def together(
        self, rises: Mapping[str, Rise], seed: int, progress: Callable[[], None]
    ) -> tuple[str, ...]:
        """The columns that could go together: from the least important up, as many as can be
        shuffled at once with a rise whose interval ends below one per cent.

        `progress` is told of each that was tried.
        """
        chosen: tuple[str, ...] = ()
        for name in sorted(rises, key=lambda name: rises[name].high):
            rise = self.rise((*chosen, name), seed) if chosen else rises[name]
            progress()
            if rise.high >= NOTHING:
                break
            chosen = (*chosen, name)
        return chosen


def least_of(shares: Mapping[str, float]) -> tuple[str, ...]:
    """The columns that could go where no error is known: the least, together below one per cent."""
    chosen, total = [], 0.0
    for name in sorted(shares, key=lambda name: shares[name]):
        total += shares[name]
        if total >= NOTHING:
            break
        chosen.append(name)
    return tuple(chosen)


def _measure(model: Any, target: Any) -> tuple[str, Callable[[Table], Floats]]:
    """What a model's error is called, and the error of each row."""
    classes = getattr(model, "classes_", None)
    if classes is None:
        return "mean absolute error", _absolute(model, target)
    if isinstance(classes, list):
        raise InvalidInput("model", f"one of {len(classes)} outputs", "one that forecasts one")
    known = np.asarray(classes, object)
    truth = np.asarray(target, object)[:, None] == known
    unknown = np.asarray(target, object)[~truth.any(axis=1)]
    if len(unknown):
        expected = f"the classes of the model: {named(map(str, known))}"
        raise InvalidInput("target", unknown[0], expected)
    if not hasattr(model, "predict_proba"):
        return "share of wrong classes", _wrong(model, target)

    def brier(table: Table) -> Floats:
        return np.asarray(((_asked(model.predict_proba, table) - truth) ** 2).sum(axis=1))

    return "Brier score", brier


def _absolute(model: Any, target: Any) -> Callable[[Table], Floats]:
    try:
        truth = np.asarray(target, np.float64)
    except (TypeError, ValueError):
        raise InvalidInput("target", target[0], "numbers, which this model forecasts") from None

    def errors(table: Table) -> Floats:
        forecast = np.asarray(_asked(model.predict, table), np.float64)
        if forecast.size != truth.size:
            shape = " x ".join(map(str, forecast.shape))
            raise InvalidInput("model", f"forecasts of {shape}", "one number for each row")
        return np.abs(forecast.reshape(-1) - truth)

    return errors


def _wrong(model: Any, target: Any) -> Callable[[Table], Floats]:
    truth = np.asarray(target, object)

    def errors(table: Table) -> Floats:
        found = np.asarray(_asked(model.predict, table), object)
        return np.asarray(found != truth, np.float64)

    return errors


def _asked(method: Callable[[Table], Any], table: Table) -> Any:
    """What a model answers. Raises InvalidInput, with its words, where it refuses the rows."""
    try:
        return method(table)
    except (TypeError, ValueError) as error:
        raise InvalidInput("model", method.__qualname__, f"to take these rows: {error}") from error
