"""What came in over the last day, by the hour, and why some of it was refused: a part of what one
process counts, of bounded size."""

from __future__ import annotations

from collections.abc import Collection, Mapping

import msgspec

from ai_hub.definitions.values import DAY, HOUR

MOST_PLACES = 10_000
"""Tenants, targets and hours with counts of their own; others share one."""
MOST_REJECTS = 50
"""Batches with rejected rows that are told; others are counted."""
_OTHERS = "other"
_Place = tuple[str, str, int]
_Rejects = tuple[int, str, str, int, str]


class Arrivals(msgspec.Struct):
    """The rows of the last day. Times are microseconds since the epoch.

    `rows` counts accepted and rejected ones by tenant, target and the hour in which they came;
    `rejects` are the newest batches with rejected rows, the newest last: when, of which tenant and
    target, how many, and the first reason.
    """

    rows: dict[_Place, tuple[int, int]] = {}
    rejects: list[_Rejects] = []
    newest: int = 0
    """The hour since which nothing older than a day is left here."""

    def came(
        self,
        target: str,
        accepted: Mapping[str, int],
        tenant: str,
        rejected: int,
        why: str,
        at: int,
    ) -> None:
        """Rows of some tenants came; those that were rejected are of one, or of nobody known."""
        hour = at - at % HOUR
        if hour > self.newest:
            self.newest = hour
            self.rows = {place: rows for place, rows in self.rows.items() if place[2] > hour - DAY}
        counts = {one: (rows, 0) for one, rows in accepted.items()}
        if rejected:
            counts[tenant] = (counts.get(tenant, (0, 0))[0], rejected)
            self._told([(at, tenant, target, rejected, why)], at - DAY)
        for one, found in counts.items():
            place = (one, target, hour)
            if place not in self.rows and len(self.rows) >= MOST_PLACES:
                place = (_OTHERS, target, hour)
            self._count(place, found)

    def add(self, other: Arrivals) -> None:
        """Count what another process counted as well."""
        for place, found in other.rows.items():
            self._count(place, found)
        self._told(other.rejects, 0)

    def of_tenants(self, tenants: Collection[str]) -> Arrivals:
        """Those of some tenants."""
        return Arrivals(
            {place: found for place, found in self.rows.items() if place[0] in tenants},
            [one for one in self.rejects if one[1] in tenants],
        )

    def _count(self, place: _Place, found: tuple[int, int]) -> None:
        taken, refused = self.rows.get(place, (0, 0))
        self.rows[place] = (taken + found[0], refused + found[1])

    def _told(self, more: list[_Rejects], oldest: int) -> None:
        both = sorted(one for one in (*self.rejects, *more) if one[0] > oldest)
        self.rejects = both[-MOST_REJECTS:]
