"""Zones of features at points: one by name, or that of each point's asset."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from ai_hub.definitions.periods import ASSET_ZONE
from ai_hub.engines.arrays import Axis, HistoryArrays, Ints, Mask, Points
from ai_hub.engines.moments import Moments
from ai_hub.engines.traits import ZONE_KEY


class Zones(NamedTuple):
    """When points are, and the zone of each one's asset by its place in `names`: -1 where it has
    none, and nothing at all where every feature names its zone."""

    moments: Moments
    names: tuple[str, ...] = ()
    place: Ints | None = None

    @classmethod
    def named(cls, time: Ints) -> Zones:
        """Of points whose features name their zones."""
        return cls(Moments.of(time))

    @classmethod
    def of(cls, points: Points, history: HistoryArrays, axis: Axis) -> Zones:
        """What the assets' attribute says at the points."""
        table, moments = history.attributes.get(ZONE_KEY), Moments.of(points.time)
        if table is None:
            return cls(moments, (), np.full(len(points), -1))
        return cls(moments, table.zones, table.zone_at(points, axis))

    @property
    def unknown(self) -> Mask:
        """Where the asset has no zone."""
        assert self.place is not None, "nothing was read of the assets' zones"
        mask: Mask = self.place < 0
        return mask

    def each(self, tz: str, of_zone: Callable[[str, Ints], Ints]) -> tuple[Ints, Mask | None]:
        """`of_zone` of each point's zone and time, and where that zone is not known, if anywhere.

        `tz` is a zone, or stands for the asset's.
        """
        if tz != ASSET_ZONE:
            return self.moments.each(of_zone(tz, self.moments.table)), None
        unknown, time = self.unknown, self.moments.time
        found = np.zeros(len(time), np.int64)
        for place, name in enumerate(self.names):
            rows = np.flatnonzero(self.place == place)
            if len(rows):
                found[rows] = of_zone(name, time[rows])
        return found, unknown
