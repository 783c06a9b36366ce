"""What a store knows of an asset as a whole."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from ai_hub.engines.arrays import Floats, Ints
from ai_hub.engines.thinning import cadence_of, flat_since, gaps, longest_step
from ai_hub.stores.attributes import Value

CADENCE_READINGS = 200
"""The newest readings of a series, at most: its cadence is the median step of these, and they are
looked through for gaps."""


@dataclass(frozen=True, slots=True)
class SeriesFacts:
    """A series of an asset: the times of its first and last usable reading, and its cadence, in
    microseconds.

    The cadence is the (lower) median of the steps between the newest CADENCE_READINGS; None where
    there is but one reading. `gaps` are steps between these that are much longer. `flat_since` is
    when a value began that stays the same for long; None where it changes, or never did.
    """

    name: str
    first: int
    last: int
    cadence: int | None
    gaps: int = 0
    flat_since: int | None = None

    @classmethod
    def of(cls, name: str, first: int, time: Ints, value: Floats) -> SeriesFacts:
        """Those of a series, by its newest readings in their order."""
        cadence = cadence_of(time)
        apart = len(gaps(time, longest_step(cadence)))
        return cls(name, first, int(time[-1]), cadence, apart, flat_since(time, value))


@dataclass(frozen=True, slots=True)
class AssetFacts:
    """An asset: its series by name, whose weather it reads (None: its own), what it has now."""

    asset_id: str
    series: tuple[SeriesFacts, ...]
    station: str | None
    attributes: Mapping[str, Value]


@dataclass(frozen=True, slots=True)
class Freshness:
    """How new the data of a tenant's assets is: how many have a reading, how many of these have one
    at or after each of some times, and those whose newest one is the oldest."""

    assets: int
    newer: tuple[int, ...]
    stalest: tuple[str, ...]
