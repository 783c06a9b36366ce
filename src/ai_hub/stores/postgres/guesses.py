"""What reads were like when they were last made: how dense, of which zone, and with what missing.

A wrong guess costs time and nothing else.
"""

from __future__ import annotations

from collections.abc import Sequence

from ai_hub.engines.arrays import Floats
from ai_hub.engines.sql_rows import Point

_MOST_SEEN = 200_000


class Densities:
    """How many rows a microsecond holds, as last seen: of a series of an asset, else of a tenant.

    A wrong guess costs time and nothing else.
    """

    def __init__(self) -> None:
        self._seen: dict[tuple[str, str | None, str], float] = {}

    def note(self, series: str, points: Sequence[Point], densities: Floats) -> None:
        """How many rows a microsecond of a series held at some points."""
        if len(self._seen) > _MOST_SEEN:
            self._seen.clear()
        for (tenant, asset, _), density in zip(points, densities.tolist(), strict=True):
            self._seen[tenant, asset, series] = self._seen[tenant, None, series] = density

    def most(self, series: str, points: Sequence[Point]) -> float:
        """The most that any of some points is likely to have."""
        seen = self._seen
        return max(
            seen.get((tenant, asset, series)) or seen.get((tenant, None, series), 0.0)
            for tenant, asset, _ in points
        )


class Zones:
    """The zones that assets were last seen in. A wrong guess costs a second read."""

    def __init__(self) -> None:
        self._seen: dict[tuple[str, str], str | None] = {}

    def of(self, points: Sequence[Point]) -> list[str | None]:
        """The zone of each point's asset, None where it is not known."""
        return [self._seen.get((tenant, asset)) for tenant, asset, _ in points]

    def note(self, points: Sequence[Point], zones: Sequence[str | None]) -> None:
        """The zones that were read."""
        if len(self._seen) > _MOST_SEEN:
            self._seen.clear()
        for (tenant, asset, _), zone in zip(points, zones, strict=True):
            self._seen[tenant, asset] = zone


class Gaps:
    """Whether something was missing when it was last seen: of an asset, else of its tenant.

    A wrong guess costs time and nothing else.
    """

    def __init__(self) -> None:
        self._seen: dict[tuple[str, str | None], bool] = {}

    def note(self, points: Sequence[Point], lacking: Sequence[int]) -> None:
        """Which of some points, by place, lacked something."""
        if len(self._seen) > _MOST_SEEN:
            self._seen.clear()
        some = set(lacking)
        for row, (tenant, asset, _) in enumerate(points):
            self._seen[tenant, asset] = self._seen[tenant, None] = row in some

    def likely(self, points: Sequence[Point]) -> bool:
        """Whether something is likely to be missing at any of some points."""
        seen = self._seen
        return any(
            seen.get((tenant, asset), seen.get((tenant, None), False))
            for tenant, asset, _ in points
        )
