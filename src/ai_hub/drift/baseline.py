"""What the features of a set version were like: the weeks that a model learned on."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from ai_hub.definitions.kinds import Calendar, Derived, Feature
from ai_hub.drift.points import NO_POINTS, Points, quantiles, summarised
from ai_hub.drift.sketch import HOURS, Sketch, hour_of_week, usable, week_of
from ai_hub.engines.arrays import Floats, Ints, Mask
from ai_hub.errors import InvalidInput

QUANTILES = 200
"""The quantiles that a baseline keeps of each feature and hour of week."""
LEVELS = 6
"""The quantiles that it keeps of each single week, feature and hour: so many that up to three
values are all there, and equally often."""
_MOST_WEEKS = 106
_MOST_WAITING = 500_000
_MOST_SPREADS = 6e4


def clock_features(features: Sequence[Feature]) -> frozenset[str]:
    """The names of features that the clock alone decides: they say nothing of the data."""
    found = {feature.name for feature in features if isinstance(feature, Calendar)}
    for feature in features:
        if isinstance(feature, Derived) and found.issuperset(feature.inputs):
            found.add(feature.name)
    return frozenset(found)


@dataclass(frozen=True, eq=False)
class Baseline:
    """What vectors were like, over some weeks.

    `whole` is a sketch of all of them, of 200 points for each feature and hour of week. `weeks` are
    the numbers of the weeks (Monday 00:00 UTC) that have rows, ascending, the last two years of
    them; `week_counts` (3, weeks, features) are their rows, missing values and violations.
    `levels` (weeks, features, 168, levels) are quantiles of each hour of each week, six or where
    one says all one, less the feature's `centre` in units of its `spread`; NaN where there is no
    value. `clock` are features that the clock alone decides.
    """

    whole: Sketch
    clock: frozenset[str]
    weeks: Ints
    week_counts: Ints
    centre: Floats
    spread: Floats
    levels: Floats

    def __post_init__(self) -> None:
        features, weeks = len(self.whole.features), len(self.weeks)
        shapes = (self.week_counts.shape, self.centre.shape, self.spread.shape)
        expected = ((3, weeks, features), (features,), (features,))
        if shapes != expected or self.levels.shape[:3] != (weeks, features, HOURS):
            raise InvalidInput("baseline", shapes, f"{features} features of {weeks} weeks")
        if not weeks or (np.diff(self.weeks) <= 0).any():
            raise InvalidInput("baseline", f"{weeks} weeks", "at least one week with rows")
        if not self.clock <= {*self.features}:
            raise InvalidInput("clock", sorted(self.clock), "features of the baseline")

    @property
    def features(self) -> tuple[str, ...]:
        """The features, in the order of the set."""
        return self.whole.features

    @property
    def rows_an_hour(self) -> float:
        """How many rows an hour of a week has on average, of those that have any."""
        hours = np.isfinite(self.levels[..., 0]).sum()
        return float((self.week_counts[0] - self.week_counts[1]).sum() / max(hours, 1))

    def quantiles(self) -> Floats:
        """200 quantiles of each feature and hour of week: (features, 168, 200), NaN for none."""
        return hourly_quantiles(self.whole, middles(QUANTILES))

    def scaled(self, levels: Floats) -> Floats:
        """Levels of (..., features, 168, levels) as those of the baseline are kept."""
        return _scaled(levels, self.centre[:, None, None], self.spread[:, None, None])


class Gathering:
    """Gathers a baseline from vectors in whatever order, such as those of an export."""

    def __init__(self, features: Sequence[str], clock: Collection[str] = ()) -> None:
        self._clock = frozenset(clock)
        self._whole = Sketch(features, QUANTILES)
        self._points = NO_POINTS
        self._counts: dict[int, Ints] = {}
        self._waiting: list[Points] = []
        self._count = 0

    def add(
        self,
        time: Ints,
        columns: Mapping[str, ArrayLike],
        violations: Mapping[str, Mask] | None = None,
    ) -> None:
        """Some vectors more, as `Sketch.add` takes them."""
        time = np.asarray(time, np.int64)
        self._whole.add(time, columns, violations)
        numbers, week = np.unique(week_of(time), return_inverse=True)
        hour = hour_of_week(time)
        features = len(self._whole.features)
        counts = np.zeros((3, len(numbers), features), np.int64)
        for place, name in enumerate(self._whole.features):
            if name not in columns:
                continue
            value, there = usable(columns[name])
            cell = (numbers[week[there]] * features + place) * HOURS + hour[there]
            self._waiting.append(Points(cell, value, np.ones(len(value), np.int64)))
            self._count += len(value)
            counts[0, :, place] = np.bincount(week, minlength=len(numbers))
            counts[1, :, place] = np.bincount(week[~there], minlength=len(numbers))
            if violations and name in violations:
                wrong = np.asarray(violations[name], np.bool_)
                counts[2, :, place] = np.bincount(week[wrong], minlength=len(numbers))
        for place, number in enumerate(numbers.tolist()):
            self._counts[number] = self._counts.get(number, 0) + counts[:, place]
        if self._count > max(_MOST_WAITING, len(self._points.cell)):
            self._settle()

    def baseline(self) -> Baseline:
        """What was gathered. Raises InvalidInput where that is nothing."""
        if not self._counts:
            raise InvalidInput("baseline", "no rows", "the vectors of some weeks")
        self._settle()
        weeks = np.array(sorted(self._counts)[-_MOST_WEEKS:])
        features = len(self._whole.features)
        cell, found = quantiles(self._points, middles(LEVELS))
        week, within = np.divmod(cell, features * HOURS)
        kept = week >= weeks[0]
        place = np.searchsorted(weeks, week[kept])
        levels = np.full((len(weeks), features * HOURS, LEVELS), np.nan)
        levels[place, within[kept]] = found[kept]
        hourly = levels.reshape(len(weeks), features, HOURS, LEVELS)
        if (np.nan_to_num(hourly) == np.nan_to_num(hourly[..., :1])).all():
            hourly = hourly[..., :1]
        counts = np.stack([self._counts[number] for number in weeks.tolist()], 1)
        centre, spread = _scale(hourly)
        scaled = _scaled(hourly, centre[:, None, None], spread[:, None, None])
        return Baseline(self._whole, self._clock, weeks, counts, centre, spread, scaled)

    def _settle(self) -> None:
        self._points = summarised((self._points, *self._waiting), LEVELS)
        self._waiting = []
        self._count = 0


def hourly_quantiles(sketch: Sketch, shares: Floats) -> Floats:
    """Quantiles of each feature and hour: (features, 168, shares), NaN where there is no value."""
    cells, found = quantiles(sketch.points, shares)
    result = np.full((len(sketch.features) * HOURS, len(shares)), np.nan)
    result[cells] = found
    return result.reshape(len(sketch.features), HOURS, len(shares))


def middles(count: int) -> Floats:
    """So many quantiles, each in the middle of a part of the same size."""
    return (np.arange(count) + 0.5) / count


def _scale(levels: Floats) -> tuple[Floats, Floats]:
    """The median of each feature, and its interquartile range.

    Where that is 0, its standard deviation stands for it as for normal values; a constant's spread
    is its absolute value, and that of one that is 0 or never there 1.
    """
    flat = levels.transpose(1, 0, 2, 3).reshape(levels.shape[1], -1)
    centre, spread = np.zeros(len(flat)), np.ones(len(flat))
    for place, values in enumerate(flat):
        values = values[np.isfinite(values)]
        if len(values):
            low, centre[place], high = np.quantile(values, (0.25, 0.5, 0.75))
            wide = (high - low, 1.35 * values.std(), abs(centre[place]), 1.0)
            spread[place] = next(one for one in wide if one > 1e-9 * abs(centre[place]))
    return centre, spread


def _scaled(values: Floats, centre: Floats, spread: Floats) -> Floats:
    """Values from the centre in spreads, in half precision: those of a baseline and those that are
    compared with it alike, so that what is equal but for the order of sums is equal."""
    scaled = ((values - centre) / spread).clip(-_MOST_SPREADS, _MOST_SPREADS)
    return scaled.astype(np.float16).astype(np.float64)
