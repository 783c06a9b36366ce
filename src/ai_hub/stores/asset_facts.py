"""What a store knows of an asset as a whole."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from ai_hub.stores.attributes import Value

CADENCE_READINGS = 200
"""The newest readings of a series that its cadence is the median step of."""


@dataclass(frozen=True, slots=True)
class SeriesFacts:
    """A series of an asset: the times of its first and last usable reading, and its cadence, in
    microseconds.

    The cadence is the (lower) median of the steps between the newest CADENCE_READINGS; None where
    there is but one reading.
    """

    name: str
    first: int
    last: int
    cadence: int | None


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
