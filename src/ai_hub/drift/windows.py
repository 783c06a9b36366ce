"""What is measured of weeks: the shape of their values, their profile, their gaps.

All values are in units of the baseline's spread, from its centre. What is compared is a value less
what is usual at its hour of the week (its residual), so that hours are compared with like hours.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ai_hub.engines.arrays import Floats, Ints, Mask

BINS = 64
GROUPS = 10
"""The bins of the population stability index: tenths of the reference, those that differ."""
_FEWEST_HOURS = 6
# A bin without rows counts as if it had so large a share.
_LEAST_SHARE = 0.005
# Values that are so near each other, in units of the spread, are one.
_STILL = 1e-4
# A profile that would be later or earlier by more is another one.
_MOST_HOURS = 12

Bins = NDArray[np.float64]


class Scale(NamedTuple):
    """What is usual at each hour of the week, the median of some weeks (features, 168), and for
    each of these weeks that of the others (weeks, features, 168): a week is no measure of itself.

    `edges` are those of the bins of what values differ from it by (features, `BINS` + 1).
    `rhythm` is the share of the variance of hourly means that the hour of the week explains, and
    `common` the share of the values that are the most common one.
    """

    usual: Floats
    of_others: Floats
    edges: Floats
    rhythm: Floats
    common: Floats

    @classmethod
    def of(cls, levels: Floats) -> Scale:
        """That of the weeks of a baseline: levels of (weeks, features, 168, levels)."""
        means = levels.mean(3)
        usual, of_others = _medians(means)
        features = levels.shape[1]
        edges = np.zeros((features, BINS + 1))
        rhythm, common = np.zeros(features), np.ones(features)
        for place in range(features):
            values = levels[:, place][np.isfinite(levels[:, place])]
            residual = levels[:, place] - of_others[:, place, :, None]
            residual = residual[np.isfinite(residual)]
            if not len(residual):
                continue
            edges[place] = np.quantile(residual, np.linspace(0, 1, BINS + 1))
            spread = np.nanvar(means[:, place])
            rest = np.nanvar(means[:, place] - of_others[:, place])
            rhythm[place] = 1 - rest / spread if spread > 0 else 0.0
            common[place] = np.unique(values, return_counts=True)[1].max() / len(values)
        return cls(usual, of_others, edges, rhythm, common)


class Windows(NamedTuple):
    """Measures of some windows: arrays of (windows, features, ...), NaN where there is none.

    `bins` are the shares of residuals below, between and above the edges; `beyond` how far they
    are outside them on average; `level` their mean. `profile` are the means by hour, less what is
    usual. `variation` is the logarithm (base 2) of how far values are from their median on average.
    `missing` and `violations` are shares of rows.
    """

    bins: Bins
    beyond: Floats
    level: Floats
    profile: Floats
    variation: Floats
    missing: Floats
    violations: Floats

    @classmethod
    def of(cls, levels: Floats, counts: Ints, usual: Floats, scale: Scale, hours: Mask) -> Windows:
        """Those of levels (windows, features, 168, levels), of some hours of the week alone.

        `counts` (3, windows, features) are the rows, those missing, and the violations. `usual` is
        what is usual for these windows.
        """
        windows, features = levels.shape[:2]
        levels = np.where(hours[:, None], levels, np.nan)
        residual = levels - usual[..., None]
        there = np.isfinite(residual[..., 0])
        enough = there.sum(2) >= max(_FEWEST_HOURS, hours.sum() / 8)
        bins = np.empty((windows, features, BINS + 2))
        beyond = np.empty((windows, features))
        for place in range(features):
            flat = residual[:, place].reshape(windows, -1)
            bins[:, place], beyond[:, place] = _binned(flat, scale.edges[place])
        bins[~enough] = beyond[~enough] = np.nan
        profile = np.where(enough[..., None], residual.mean(3), np.nan)
        level = _nanmean(profile, 2)
        variation = _variation(levels.reshape(windows, features, -1))
        variation = np.where(enough, variation, np.nan)
        shares = counts[1:] / np.where(counts[0] > 0, counts[0], np.nan)
        return cls(bins, beyond, level, profile, variation, *shares)


def distances(windows: Windows, reference: Windows, scale: Scale) -> tuple[Floats, Floats]:
    """The population stability index and the Wasserstein distance, each of (windows, features).

    PSI = Σ (a - b) ln(a / b) over tenths of the reference (Siddiqi, Credit Risk Scorecards, 2006);
    W₁ = ∫ |F - G| (Vallender, Calculation of the Wasserstein Distance Between Probability
    Distributions on the Line, 1974), in units of the baseline's spread.
    """
    wanted = np.nan_to_num(reference.bins)
    middle = np.cumsum(wanted, 2) - wanted / 2
    group = np.clip((GROUPS * middle).astype(np.int64), 0, GROUPS - 1)
    group += GROUPS * np.arange(group[..., 0].size).reshape(*group.shape[:2], 1)

    def grouped(bins: Bins) -> Floats:
        counted = np.bincount(group.ravel(), bins.ravel(), GROUPS * group[..., 0].size)
        return np.asarray(counted.reshape(*group.shape[:2], GROUPS))

    now, before = grouped(np.nan_to_num(windows.bins)), grouped(wanted)
    now, before = now + _LEAST_SHARE, before + _LEAST_SHARE
    psi = ((now - before) * np.log(now / before)).sum(2)

    apart = np.abs(np.cumsum(windows.bins - reference.bins, 2)[..., :-1])
    width = np.diff(scale.edges)
    wasserstein = ((apart[..., 1:] + apart[..., :-1]) / 2 * width).sum(2)
    wasserstein += np.abs(windows.beyond - reference.beyond)
    return np.where(np.isnan(wasserstein), np.nan, psi), wasserstein


def late(windows: Windows, reference: Windows, scale: Scale, hours: Mask) -> Floats:
    """How many hours the profiles of windows are later than those of the reference.

    Least squares on the profile's derivative: a profile that is late by s differs from what it was
    by s times (the hour before less the hour after) / 2. Both are taken less their means, so that
    a level that changed is no delay.
    """
    before = scale.usual + np.nan_to_num(reference.profile)
    slope = (np.roll(before, 1, 2) - np.roll(before, -1, 2)) / 2
    apart = windows.profile - reference.profile
    there = np.isfinite(apart) & np.isfinite(slope) & hours
    slope, apart = (np.where(there, one, 0.0) for one in (slope, apart))
    count = np.maximum(there.sum(2), 1)[..., None]
    slope = np.where(there, slope - slope.sum(2, keepdims=True) / count, 0.0)
    energy = (slope**2).sum(2)
    with np.errstate(divide="ignore", invalid="ignore"):
        found = (slope * apart).sum(2) / energy
    return np.where((energy > 0) & (np.abs(found) <= _MOST_HOURS), found, np.nan)


def blended(windows: Windows, weights: Floats) -> Windows:
    """References: each a mean of windows by weights of (references, windows).

    Where a window has no measure, the others count for it.
    """

    def mean(measure: Floats) -> Floats:
        flat = measure.reshape(len(measure), -1)
        there = np.isfinite(flat)
        total = weights @ there
        with np.errstate(divide="ignore", invalid="ignore"):
            found = weights @ np.where(there, flat, 0.0) / total
        return np.asarray(found.reshape(len(weights), *measure.shape[1:]))

    return Windows(*map(mean, windows))


def _binned(residual: Floats, edges: Floats) -> tuple[Bins, Floats]:
    """The shares of rows (windows, values) in the bins, and how far they are beyond the edges."""
    there = np.isfinite(residual)
    values = np.where(there, residual, 0.0)
    place = np.clip(np.searchsorted(edges, values, "right"), 1, BINS)
    place[values < edges[0]] = 0
    place[values > edges[-1]] = BINS + 1
    window = np.repeat(np.arange(len(residual)), there.sum(1))
    flat = window * (BINS + 2) + place[there]
    counted = np.bincount(flat, minlength=len(residual) * (BINS + 2))
    count = np.maximum(there.sum(1), 1)[:, None]
    outside = np.maximum(values - edges[-1], 0) + np.maximum(edges[0] - values, 0)
    return counted.reshape(len(residual), -1) / count, (outside * there).sum(1) / count[:, 0]


def _variation(levels: Floats) -> Floats:
    """log2 of the mean distance of values (windows, features, values) from their median."""
    apart = _nanmean(np.abs(levels - _nanmedian(levels, 2)[..., None]), 2)
    return np.log2(np.where(np.isnan(apart), np.nan, np.maximum(apart, _STILL)))


def _nanmean(values: Floats, axis: int) -> Floats:
    there = np.isfinite(values)
    total = np.where(there, values, 0.0).sum(axis)
    count = there.sum(axis)
    return np.where(count > 0, total / np.maximum(count, 1), np.nan)


def _nanmedian(values: Floats, axis: int) -> Floats:
    """As NumPy's, without its warning for a place without a value."""
    ordered = np.sort(values, axis)
    count = np.isfinite(values).sum(axis, keepdims=True)
    low, high = np.maximum(count - 1, 0) // 2, np.minimum(count // 2, values.shape[axis] - 1)
    middle = [np.take_along_axis(ordered, place, axis) for place in (low, high)]
    return np.squeeze(sum(middle) / 2, axis)


def _medians(values: Floats) -> tuple[Floats, Floats]:
    """The lower medians over the first axis, and for each place on it those of the others.

    Of an even number it is the lower of the middle two, so that of a few different values it is
    one.
    """
    ordered = np.sort(values, 0)
    count = np.isfinite(values).sum(0, keepdims=True)

    def at(place: Ints) -> Floats:
        return np.take_along_axis(ordered, np.clip(place, 0, len(values) - 1), 0)

    without = (count - 2) // 2
    others = np.where(values <= at(without), at(without + 1), at(without))
    alone = np.isfinite(values) & (count < 2)
    return at((count - 1) // 2)[0], np.where(alone, np.nan, others)
