"""Vectors of now against those of a baseline, like with like."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ai_hub.drift.baseline import LEVELS, Baseline, hourly_quantiles, middles
from ai_hub.drift.drift import EFFECTS, Comparison, Drift, Effect
from ai_hub.drift.sentences import Now, direction, reference_in_words, sentence
from ai_hub.drift.sketch import Sketch, weeks_at
from ai_hub.drift.usual import FEWEST_WEEKS, Effects, Limits, Usual, effects, is_year
from ai_hub.drift.windows import Scale, Windows
from ai_hub.engines.arrays import Floats, Mask
from ai_hub.errors import InvalidInput


def compare(baseline: Baseline, current: Sketch, end: int) -> Comparison:
    """How far the vectors of the seven days before the instant `end`, in microseconds, are from the
    baseline: each feature of the baseline that these have, in its order.

    They are compared with the same hours of past weeks, and where the baseline covers a year with
    weeks of the same season. Raises InvalidInput where the two have no feature in common, and for a
    sketch without rows.
    """
    hours: Mask = current.rows.sum(0) > 0
    if not hours.any():
        raise InvalidInput("current", "no rows", "vectors of the last seven days")
    return Yardstick.of(baseline, hours).measure(current, end)


@dataclass(frozen=True, eq=False)
class Yardstick:
    """A baseline made ready to compare windows with that have rows at some hours of the week."""

    baseline: Baseline
    usual: Usual

    @classmethod
    def of(cls, baseline: Baseline, hours: Mask) -> Yardstick:
        """That of a baseline."""
        scale = Scale.of(baseline.levels)
        past = Windows.of(baseline.levels, baseline.week_counts, scale.of_others, scale, hours)
        values = np.array([name not in baseline.clock for name in baseline.features])
        weeks, counts = baseline.weeks, baseline.week_counts
        return cls(baseline, Usual.of(weeks, counts, past, scale, hours, values))

    def measure(self, current: Sketch, end: int) -> Comparison:
        """How far the vectors of a window are from the baseline; see `compare`."""
        baseline, usual = self.baseline, self.usual
        place_of = {name: place for place, name in enumerate(current.features)}
        common = [name for name in baseline.features if name in place_of]
        if not common:
            named = ", ".join(baseline.features)
            raise InvalidInput("features", list(current.features), f"some of {named}")
        place = [place_of.get(name, -1) for name in baseline.features]
        absent = np.array(place) < 0
        # As finely as past weeks are kept: all values where these have but a few.
        most = 1 if current.rows.max() == 1 else current.most
        count = LEVELS if baseline.rows_an_hour > LEVELS else most
        levels = hourly_quantiles(current, middles(count))[place]
        counts = current.counts[:, place].sum(2)
        levels[absent] = np.nan
        counts[:, absent] = 0
        at = weeks_at(end) - 1
        window = Windows.of(
            baseline.scaled(levels)[None],
            counts[:, None],
            usual.scale.usual,
            usual.scale,
            usual.hours,
        )
        reference = usual.reference(np.array([at]))
        found = effects(window, reference, usual.scale, usual.hours)
        limits = usual.limits_of(counts[0])
        moved = (window.level - reference.level)[0]
        windows = len(usual.weeks)
        drifts = []
        for i, name in enumerate(baseline.features):
            if absent[i]:
                continue
            shown = _effects(found, limits, i)
            now = Now(
                float(moved[i]),
                float(window.missing[0, i]),
                float(window.violations[0, i]),
                _median(levels[i]) if name not in baseline.clock else None,
                float(baseline.centre[i]),
                bool(np.nanmax(levels[i], initial=-np.inf) <= np.nanmin(levels[i], initial=np.inf)),
                windows,
            )
            drifts.append(
                Drift(name, int(counts[0, i]), shown, direction(shown, now), sentence(shown, now))
            )
        enough = windows >= FEWEST_WEEKS
        seasonal = is_year(usual.weeks)
        words = reference_in_words(usual.weeks, seasonal, int(usual.hours.sum()))
        return Comparison(tuple(drifts), windows, enough, seasonal, words)


def _effects(found: Effects, limits: Limits, feature: int) -> tuple[Effect, ...]:
    """The effects of the one window on one feature; the index is the square of what is compared."""
    shown = []
    for name in EFFECTS:
        value, limit = float(found[name][0, feature]), float(limits[name][feature])
        if name == "psi":
            value, limit = value**2, limit**2
        known = np.isfinite(value)
        shown.append(
            Effect(name, value if known else None, limit if known and np.isfinite(limit) else None)
        )
    return tuple(shown)


def _median(levels: Floats) -> float | None:
    there = levels[np.isfinite(levels)]
    return float(np.median(there)) if len(there) else None
