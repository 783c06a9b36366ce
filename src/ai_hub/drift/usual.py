"""How far the past weeks of a baseline are from each other: what is no alarm.

Each past week is compared with the others of its season, as a week of now is. What an effect of a
feature usually comes to is the mean of the largest tenth in past weeks. It is an alarm beyond a
multiple of that: the one beyond which, in at most three past weeks of fifty, any effect of any
feature went. So a set of many features raises no more alarms than one of few, and what the features
of one series have in common counts once.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from ai_hub.drift.drift import EffectName
from ai_hub.drift.windows import Scale, Windows, blended, distances, late
from ai_hub.engines.arrays import Floats, Ints, Mask

YEAR = 365.2425 / 7
"""A year in weeks."""
FEWEST_WEEKS = 4
"""With fewer past weeks to compare with each other nothing is an alarm."""
FEWEST_ROWS = 7
"""Nor is anything with fewer rows now: those of a week, of one asset and a day each."""
_A_YEAR = 46
"""Weeks in which every season is there."""
_SEASON = 6.5
"""Weeks on both sides that are of the same season."""
_NEXT = 1
"""Weeks on both sides of a window that it is not compared with: they are much like it."""
_ALARMS = 0.06
_LARGEST = 0.1
# The mean of the largest tenth of normal effects, by their root mean square.
_NORMAL = 1.9
_MOST_PERSISTENT = 0.9
# A profile tells the time where the hour of the week explains so much of the variance.
_RHYTHM = 0.5
# A feature is nearly always one value where so many of its values are: how often it is another in a
# week varies too much for a few weeks to tell. What is told is that most values are others, by the
# square root of the index that half of them make.
_COMMON = 0.8
_OTHERS = 1.6

Effects = Mapping[EffectName, Floats]
"""Signed effects, each an array of (windows, features); `psi` as its square root."""
Limits = Mapping[EffectName, Floats]
"""From where on an effect of each feature is an alarm; NaN where nothing can be told."""

_LEAST: Mapping[EffectName, float] = {
    "psi": 0.45,
    "wasserstein": 0.15,
    "missing": 0.03,
    "violations": 0.01,
    "time_shift": 0.4,
    "variation": 1.5,
}
"""What an effect usually comes to, at least: however steady the past was, less is none."""
_MOST: Mapping[EffectName, float] = {"time_shift": 0.6, "variation": 1.5}
"""What usually comes to more says nothing: a profile without a rhythm, or rain, which stops."""
_FAMILIES: tuple[tuple[EffectName, ...], ...] = (
    ("psi", "wasserstein", "time_shift", "variation"),
    ("missing", "violations"),
)


def is_year(weeks: Ints) -> bool:
    """Whether weeks are of all seasons."""
    return len(weeks) >= _A_YEAR and int(weeks[-1] - weeks[0]) >= _A_YEAR


def references(weeks: Ints, at: Floats) -> Floats:
    """Which past weeks windows are compared with: weights of (windows, weeks) that sum to 1, or
    all 0 where there are none.

    `at` is where the windows begin, in weeks. Weeks that overlap or adjoin a window are left out,
    and where a year is there those of other seasons.
    """
    apart = np.abs(at[:, None] - weeks)
    allowed = apart > _NEXT
    if is_year(weeks):
        of_year = apart % YEAR
        allowed &= np.minimum(of_year, YEAR - of_year) <= _SEASON
    return np.asarray(allowed / np.maximum(allowed.sum(1, keepdims=True), 1))


def effects(windows: Windows, reference: Windows, scale: Scale, hours: Mask) -> Effects:
    """The effects of windows, each against its reference."""
    psi, wasserstein = distances(windows, reference, scale)
    return {
        "psi": np.sqrt(psi),
        "wasserstein": wasserstein,
        "missing": windows.missing - reference.missing,
        "violations": windows.violations - reference.violations,
        "time_shift": late(windows, reference, scale, hours),
        "variation": windows.variation - reference.variation,
    }


@dataclass(frozen=True, eq=False)
class Usual:
    """The past weeks of a baseline, and from where on effects of a week of as many rows are an
    alarm.

    `rows` and `shares` are the rows of a past week and, of all of them, the shares that were
    missing and that were violations.
    """

    weeks: Ints
    scale: Scale
    hours: Mask
    past: Windows
    limits: Limits
    rows: Floats
    shares: Mapping[EffectName, Floats]

    @classmethod
    def of(
        cls, weeks: Ints, counts: Ints, past: Windows, scale: Scale, hours: Mask, values: Mask
    ) -> Usual:
        """What past weeks say, of some hours of the week.

        `counts` (3, weeks, features) are the rows, those missing, and the violations. `values` says
        which features are compared by their values, and not by their gaps alone.
        """
        weights = references(weeks, weeks.astype(np.float64))
        found = effects(past, blended(past, weights), scale, hours)
        wider = _persistence(past.level, weeks, weights)
        limits: dict[EffectName, Floats] = {}
        mostly = scale.common > _COMMON
        told: dict[EffectName, Mask] = dict.fromkeys(_FAMILIES[0], values & ~mostly)
        told["time_shift"] = values & (scale.rhythm >= _RHYTHM)
        for family in _FAMILIES:
            usual = {}
            together = np.zeros(len(weeks))
            for name in family:
                size = np.abs(found[name])
                typical, others = _largest(size)
                tells = told.get(name, np.True_) & (typical <= _MOST.get(name, np.inf))
                usual[name] = np.where(tells, np.maximum(typical, _LEAST[name]), np.nan)
                ratio = size / np.maximum(others, _LEAST[name])
                ratio[~(tells & (size > _LEAST[name]))] = 0
                together = np.maximum(together, ratio.max(1))
            for name in family:
                limits[name] = _multiple(together) * usual[name]
        for name in ("psi", "wasserstein"):
            limits[name] = limits[name] * wider
        enough = values & mostly & (len(weeks) >= FEWEST_WEEKS)
        limits["psi"] = np.where(enough, _OTHERS, limits["psi"])
        rows, missing, violations = counts.sum(1)
        shares: dict[EffectName, Floats] = {
            "missing": (missing + 1) / (rows + 2),
            "violations": (violations + 1) / (rows + 2),
        }
        return cls(weeks, scale, hours, past, limits, rows / len(weeks), shares)

    def limits_of(self, rows: Ints) -> Limits:
        """Those of a window of so many rows, by feature: of fewer than a past week has, shares
        vary by more, three standard deviations of which are allowed for. Of hardly any row nothing
        is an alarm."""
        fewer = np.maximum(1 / np.maximum(rows, 1) - 1 / np.maximum(self.rows, 1), 0)
        wider = {
            name: self.limits[name] + 3 * np.sqrt(share * (1 - share) * fewer)
            for name, share in self.shares.items()
        }
        few = rows < FEWEST_ROWS
        both = {**self.limits, **wider}
        return {name: np.where(few, np.inf, limits) for name, limits in both.items()}

    def reference(self, at: Floats) -> Windows:
        """What windows that begin `at` some places, in weeks, are compared with."""
        return blended(self.past, references(self.weeks, at))


def _largest(size: Floats) -> tuple[Floats, Floats]:
    """What effects of (weeks, features) usually come to, and for each week what the others do.

    It is the mean of their largest tenth; no less than that would be if they were normal, which
    fewer weeks tell better.
    """
    count = np.isfinite(size).sum(0)
    size = np.nan_to_num(size)
    most = np.maximum(np.round(count * _LARGEST), 1).astype(np.int64)
    ordered = -np.sort(-size, 0)
    place = np.arange(len(size))[:, None]
    total = np.where(place < most, ordered, 0.0).sum(0)
    last = np.take_along_axis(ordered, most[None] - 1, 0)[0]
    after = np.take_along_axis(ordered, np.minimum(most, len(size) - 1)[None], 0)[0]
    others = np.where(size >= last, (total - size + after) / most, total / most)
    squares = (size**2).sum(0)
    others = np.maximum(others, _NORMAL * np.sqrt((squares - size**2) / np.maximum(count - 1, 1)))
    typical = np.maximum(total / most, _NORMAL * np.sqrt(squares / np.maximum(count, 1)))
    return np.where(count >= FEWEST_WEEKS, typical, np.nan), others


def _multiple(together: Floats) -> float:
    """Beyond which multiple of the usual something is an alarm, by the largest of past weeks.

    A few weeks say little of how far the next may go. By how much the multiple is larger for them
    was found by simulation: see `tests/drift/figures.py`.
    """
    count = len(together)
    rank = min(round((count + 1) * (1 - _ALARMS)), count)
    return float(max(1.0, np.sort(together)[rank - 1]) * (1 + 2 / count + 10 / count**2))


def _persistence(level: Floats, weeks: Ints, weights: Floats) -> Floats:
    """By how much more a week of now is from past weeks than these are from those around them.

    Levels of weeks near each other are alike: as of an autoregressive process, whose coefficient is
    that of the levels less their course of the year, corrected for its bias (Kendall, Note on
    Bias in the Estimation of Autocorrelation, 1954).
    """
    count = len(weeks)
    rest = np.nan_to_num(level - np.nanmean(np.append(level, np.zeros_like(level[:1]), 0), 0))
    if is_year(weeks):
        turn = 2 * np.pi * weeks / YEAR
        course = np.stack(
            [np.ones(count), *(f(k * turn) for k in (1, 2) for f in (np.sin, np.cos))], 1
        )
        rest = rest - course @ np.linalg.lstsq(course, rest, rcond=None)[0]
    squares = np.maximum((rest**2).sum(0), np.finfo(float).tiny)
    alike = (rest[1:] * rest[:-1]).sum(0) / squares
    alike = np.clip(alike + (1 + 4 * alike) / count, 0, _MOST_PERSISTENT)
    apart = alike[:, None, None] ** np.abs(weeks[:, None] - weeks)
    of_reference = np.einsum("wi,fij,wj->fw", weights, apart, weights)
    with_reference = np.einsum("wi,fwi->fw", weights, apart)
    now = 1 + of_reference.mean(1)
    past = (1 + of_reference - 2 * with_reference).mean(1)
    return np.asarray(np.sqrt(now / past))
