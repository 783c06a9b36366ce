"""What a store can say of one asset beside its features: which rows they read, and what there is
where they read none.

Every statement behind it is about one asset and some time, or about names alone.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol

from ai_hub.definitions.kinds import FromView
from ai_hub.engines.extents import Extent
from ai_hub.engines.traits import Input
from ai_hub.stores.asset_facts import SeriesFacts
from ai_hub.stores.attributes import Changes
from ai_hub.stores.weather_sources import Mappings

SHOWN_ROWS = 5
"""Of the rows that are read, the newest that are shown."""
MOST_NAMES = 100_000
"""Assets of a tenant whose names are looked at, at most."""
MOST_STATIONS = 10
"""Stations that are named, at most."""
LOOKED_AT = 10_000
"""Rows of weather looked at for the next one that has a column, at most."""


class Kept(NamedTuple):
    """How long a relation keeps its rows (None: for ever), and before when they were deleted; in
    microseconds."""

    keep: int | None
    deleted_before: int | None


@dataclass(frozen=True, slots=True)
class AssetRecord:
    """An asset as a whole: its series by name, where it reads its weather, its attributes.

    `has_readings`: of any quality; `has_weather`: rows of its own. `kept` is by relation, and has
    nothing where no row is ever deleted.
    """

    series: tuple[SeriesFacts, ...]
    mappings: Mappings
    attributes: Mapping[str, Changes]
    has_readings: bool
    has_weather: bool
    kept: Mapping[str, Kept]

    @property
    def is_unknown(self) -> bool:
        """Whether nothing at all is stored of it."""
        known = self.series or self.mappings or self.attributes
        return not (known or self.has_readings or self.has_weather)


@dataclass(frozen=True, slots=True)
class Wanted:
    """Rows of an input in an extent; where there are fewer than `enough`, what is around them."""

    input: Input
    extent: Extent
    enough: int = 0


class ReadRow(NamedTuple):
    """A row that is read; of observations its quality (None: the raw row is gone), of weather when
    it was issued."""

    time: int
    value: float
    quality: int | None = None
    issued: int | None = None


@dataclass(frozen=True, slots=True)
class Around:
    """What there is beside the rows that are read.

    The nearest ones `before` and `after`. In the same time: those `unusable` (of a quality below
    1), and of weather those that were issued later than t (with the first such issue, and the
    newest time that it is about), those without the column, and those that were no measurements.
    """

    before: int | None = None
    after: int | None = None
    unusable: int = 0
    later: int = 0
    later_issue: int | None = None
    later_about: int | None = None
    null: int = 0
    forecasts: int = 0


@dataclass(frozen=True, slots=True)
class Found:
    """The rows that are read: how many, the first and the last of their times, the newest ones.

    Of spans that overlap a row counts once for each, and is shown once.
    """

    count: int
    first: int | None
    last: int | None
    newest: tuple[ReadRow, ...]
    around: Around | None = None


class Evidence(Protocol):
    """What is asked to explain features. Raises StoreError."""

    async def asset(self, tenant_id: str, asset_id: str) -> AssetRecord:
        """What there is of an asset."""

    async def rows(
        self, tenant_id: str, asset_id: str, source_id: str, at: int, wanted: Sequence[Wanted]
    ) -> list[Found]:
        """The rows that are read of an asset, and of the weather of its source as known at `at`:
        all as of one snapshot."""

    async def view_rows(
        self, tenant_id: str, asset_id: str, feature: FromView, at: int
    ) -> tuple[ReadRow, ...]:
        """The newest rows of a view up to `at` that have the column, however old; none where it
        cannot be read in its time."""

    async def names(self, tenant_id: str) -> list[str]:
        """The assets with a usable observation or an attribute, at most MOST_NAMES."""

    async def stations(self, tenant_id: str, first: int, last: int) -> list[str]:
        """Whose weather there is about [first, last], sorted, at most MOST_STATIONS."""
