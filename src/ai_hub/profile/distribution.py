"""What the numbers of a column are like, from one look at each, in bounded memory."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import numpy as np

from ai_hub.drift.points import NO_POINTS, Points, quantiles, summarised
from ai_hub.engines.arrays import Floats, Mask

SHARES = (0.01, 0.05, 0.25, 0.5, 0.75, 0.95, 0.99)
"""The quantiles that are told."""
BINS = 24
_MOST = 2_000
"""Points of a summary: with so many a quantile's rank is off by 1 / 2,000 of the rows for each
doubling of the batches, which is under 1 % for any file."""
# Sums of squares stay finite within this; what is beyond is told as that.
_GREATEST = 1e150


@dataclass(frozen=True, slots=True)
class Histogram:
    """How many values there are in each of equal parts of [low, high]."""

    low: float
    high: float
    counts: tuple[int, ...]


@dataclass(slots=True, eq=False)
class Distribution:
    """Values of a column, added up."""

    count: int = 0
    mean: float = 0.0
    low: float = math.inf
    high: float = -math.inf
    _squares: float = 0.0
    _levels: list[Points] = field(default_factory=list)
    """Summaries of so many batches as a power of two each: every value is averaged with others as
    often only as the batches were doubled."""

    def add(self, values: Floats) -> None:
        """Some values more, all of them finite."""
        if not len(values):
            return
        some = values.clip(-_GREATEST, _GREATEST)
        self.low, self.high = min(self.low, float(some.min())), max(self.high, float(some.max()))
        size, mean = len(some), float(some.mean())
        apart = mean - self.mean
        total = self.count + size
        self._squares += float(((some - mean) ** 2).sum()) + apart**2 * self.count * size / total
        self.mean += apart * size / total
        self.count = total
        cell, weight = np.zeros(size, np.int64), np.ones(size, np.int64)
        points = summarised((Points(cell, some, weight),), _MOST)
        for place, held in enumerate(self._levels):
            if not len(held.cell):
                self._levels[place] = points
                return
            points = summarised((held, points), _MOST)
            self._levels[place] = NO_POINTS
        self._levels.append(points)

    @property
    def std(self) -> float | None:
        """The standard deviation of a sample; None for fewer than two values."""
        if self.count < 2:
            return None
        return math.sqrt(self._squares / (self.count - 1)) if self.low < self.high else 0.0

    def quantiles(self) -> dict[str, float]:
        """Quantiles by their share; none where there is no value."""
        points = summarised(self._levels, _MOST)
        _, found = quantiles(points, np.array(SHARES))
        names = [f"{share:g}" for share in SHARES]
        return {} if not len(found) else dict(zip(names, found[0].tolist(), strict=True))

    def histogram(self, bins: int = BINS) -> Histogram | None:
        """The values in equal parts; of one value alone, one part. None where there is none."""
        if not self.count:
            return None
        if self.low == self.high:
            return Histogram(self.low, self.high, (self.count,))
        points = summarised(self._levels, _MOST)
        place = (points.value - self.low) / (self.high - self.low) * bins
        inside = place.astype(np.int64).clip(0, bins - 1)
        counts = np.bincount(inside, points.weight, bins).round().astype(np.int64)
        return Histogram(self.low, self.high, tuple(counts.tolist()))


@dataclass(slots=True, eq=False)
class Together:
    """How two columns move together, by the rows that have both."""

    count: int = 0
    _means: tuple[float, float] = (0.0, 0.0)
    _moments: tuple[float, float, float] = (0.0, 0.0, 0.0)

    def add(self, one: Floats, other: Floats, both: Mask) -> None:
        """Some rows more, where `both` are there."""
        x, y = (column[both].clip(-_GREATEST, _GREATEST) for column in (one, other))
        size = len(x)
        if not size:
            return
        means = float(x.mean()), float(y.mean())
        dx, dy = means[0] - self._means[0], means[1] - self._means[1]
        total = self.count + size
        share = self.count * size / total
        x, y = x - means[0], y - means[1]
        xx, xy, yy = self._moments
        self._moments = (
            xx + float(x @ x) + dx * dx * share,
            xy + float(x @ y) + dx * dy * share,
            yy + float(y @ y) + dy * dy * share,
        )
        self._means = (self._means[0] + dx * size / total, self._means[1] + dy * size / total)
        self.count = total

    def correlation(self) -> float | None:
        """Pearson's coefficient; None where one of the two does not change."""
        xx, xy, yy = self._moments
        if not (xx > 0 and yy > 0):
            return None
        found = xy / math.sqrt(xx) / math.sqrt(yy)
        return max(-1.0, min(1.0, found)) if math.isfinite(found) else None
