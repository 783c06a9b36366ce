"""Zones of features at points: one by name, or that of each point's asset."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from ai_hub.definitions.periods import ASSET_ZONE
from ai_hub.engines.arrays import Axis, HistoryArrays, Ints, Mask, Points
from ai_hub.engines.plan import ZONE_KEY


@dataclass(frozen=True, slots=True)
class Zones:
    """The zone of each point's asset, by its place in `names`; -1 where it has none."""

    names: tuple[str, ...]
    place: Ints

    @classmethod
    def of(cls, points: Points, history: HistoryArrays, axis: Axis) -> Zones:
        """What the assets' attribute says at the points."""
        table = history.attributes.get(ZONE_KEY)
        if table is None:
            return cls((), np.full(len(points), -1))
        return cls(table.zones, table.zone_at(points, axis))

    def each(
        self, tz: str, time: Ints, of_zone: Callable[[str, Ints], Ints]
    ) -> tuple[Ints, Mask | None]:
        """`of_zone` of each point's zone and time, and where that zone is not known, if anywhere.

        `tz` is a zone, or stands for the asset's.
        """
        if tz != ASSET_ZONE:
            return of_zone(tz, time), None
        found = np.zeros(len(time), np.int64)
        for place in np.unique(self.place[self.place >= 0]):
            rows = self.place == place
            found[rows] = of_zone(self.names[place], time[rows])
        unknown: Mask = self.place < 0
        return found, unknown


NO_ASSET_ZONES = Zones((), np.empty(0, np.int64))
"""Where every feature names its zone."""
