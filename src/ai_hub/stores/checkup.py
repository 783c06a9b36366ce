"""The contract of looking a database over: what is found there, without a judgement.

Nothing is changed, and nothing takes long: what cannot be known at once is known of a sample.
Times are microseconds since the epoch.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from ai_hub.archive.layer import Kind, manifest_name
from ai_hub.definitions.values import DAY, Duration
from ai_hub.process import Process
from ai_hub.stores.export_log import ExportRecord
from ai_hub.stores.registry_table import StoredRegistry

MOST_SERIES = 300
"""Series that are looked at, of all tenants together."""
MOST_READINGS = 1_400
"""Of each of them the newest: two weeks of quarter hours."""
WINDOW = 14 * DAY
"""And none that is older than that before the day of the newest."""
MOST_STATED = 200
"""Of those that were sent, good or bad, the newest of each series."""
MOST_TENANTS = 100
MOST_EXPORTS = 200
LATE = DAY
"""Readings that came in later than that after their time came late; but for those of the first hour
in which some came, which are a load of old files."""


@dataclass(frozen=True, slots=True)
class DatabaseFacts:
    """The database: `server` and `extension` with their versions, `keep` as it is declared.

    `seconds` is how long a look at it took, `clock` its time then and `asked_at` ours.
    """

    server: str
    extension: str | None
    standby: bool
    seconds: float
    clock: int | None
    asked_at: int
    keep: Mapping[str, Duration | None] = field(default_factory=dict)
    connections: int | None = None
    """The most that it takes; None where that means nothing."""


@dataclass(frozen=True, slots=True)
class Trouble:
    """What is wrong whatever the figures: the line that it belongs to, and what mends it."""

    line: str
    said: str
    command: str | None
    is_fault: bool = True


@dataclass(slots=True)
class Looked:
    """Troubles that were found, and by line what can be said where there are none: a text and a
    figure."""

    troubles: list[Trouble] = field(default_factory=list)
    notes: dict[str, tuple[str, float]] = field(default_factory=dict)

    def add(self, trouble: Trouble) -> None:
        """Add one."""
        self.troubles.append(trouble)

    def note(self, line: str, text: str, figure: float) -> None:
        """Say what was looked at."""
        self.notes[line] = text, figure


@dataclass(frozen=True, slots=True)
class Refreshed:
    """Up to when the aggregates are refreshed (None: not yet), and the newest day with readings.

    `unseen` are hours whose rows the aggregate does not have, though it should.
    """

    to: int | None
    newest_day: int | None
    late_series: int
    looked_at: int = 0
    unseen: Sequence[int] = ()


@dataclass(frozen=True, slots=True)
class SampledSeries:
    """A series: times of its newest usable readings, ascending, and their values.

    `late` of them came in late (None: not known). Of `stated` readings that were sent last,
    `doubtful` had a quality below 1.
    """

    tenant_id: str
    asset_id: str
    name: str
    times: Sequence[int]
    values: Sequence[float]
    late: int | None = None
    stated: int = 0
    doubtful: int = 0


@dataclass(frozen=True, slots=True)
class AssetWeather:
    """Whose weather an asset reads (None: its own), and the time of its newest row."""

    tenant_id: str
    asset_id: str
    station: str | None
    newest: int | None


@dataclass(frozen=True, slots=True)
class DataFacts:
    """How many series and assets each tenant has, a sample of the series, and their weather.

    `stations` are the sources of weather of each tenant, with the time of their newest row.
    """

    series: Mapping[str, int] = field(default_factory=dict)
    assets: Mapping[str, int] = field(default_factory=dict)
    sample: Sequence[SampledSeries] = ()
    weather: Sequence[AssetWeather] = ()
    stations: Mapping[str, Mapping[str, int]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ExportFacts:
    """Exports that nobody writes any more, ids of those under way, and the newest whole ones."""

    stopped: Sequence[ExportRecord] = ()
    under_way: frozenset[str] = frozenset()
    completed: Sequence[ExportRecord] = ()


@dataclass(frozen=True, slots=True)
class SealedFacts:
    """What is archived below a URL: its rows, the end of the last day, how many layers are not
    verified; and the manifest of the newest layer (None: none is written) with its SHA-256."""

    url: str
    rows: int
    end: int
    unfinished: int
    manifest: str | None
    checksum: str | None

    @classmethod
    def of(cls, row: Sequence[Any]) -> SealedFacts:
        """Of a row: URL, rows, end, unfinished, and tenant, id and checksum of the newest layer."""
        url, rows, end, unfinished, tenant_id, layer_id, checksum = row
        manifest = None if layer_id is None else manifest_name(tenant_id, layer_id)
        return cls(url, rows, end, unfinished, manifest, checksum)


@dataclass(frozen=True, slots=True)
class ArchiveFacts:
    """What is archived by URL, and before when rows of a kind are in the archive alone."""

    sealed: Sequence[SealedFacts] = ()
    dropped: Mapping[Kind, int] = field(default_factory=dict)


class Checkup(Protocol):
    """A look at a database. Every method raises StoreError where that cannot be had."""

    async def database(self) -> DatabaseFacts:
        """What it is. Raises NotMigrated and StoreRefused besides."""

    async def troubles(self) -> Looked:
        """What stands in it and should not, or is not there and should be."""

    async def refreshed(self) -> Refreshed | None:
        """How its aggregates are; None where they are views."""

    async def data(self, tenant_id: str | None, now: int) -> DataFacts:
        """What it has, of one tenant or all."""

    async def registry(self) -> StoredRegistry:
        """What was applied, and the access keys."""

    async def exports(self) -> ExportFacts:
        """How its exports are."""

    async def archive(self) -> ArchiveFacts:
        """What it knows of its archive."""

    async def processes(self) -> list[Process]:
        """Those of ours that are connected to it, this one aside."""
