"""The contract of a store: where observations live and what can be asked of them.

Times are microseconds since the epoch. Reading for one answer and writing are async; `scan` is
blocking, for a worker thread, since bulk reading is nothing else.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable, Callable, Collection, Generator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

from ai_hub.definitions.values import Entity
from ai_hub.definitions.vocabulary import Missing
from ai_hub.engines.plan import Plan, ViewReads
from ai_hub.stores.archive_table import ArchiveTable
from ai_hub.stores.asset_facts import AssetFacts, Freshness
from ai_hub.stores.audit_log import AuditLog, AuditRecord
from ai_hub.stores.checkup import Checkup
from ai_hub.stores.drift_table import DriftTable
from ai_hub.stores.evidence import Evidence
from ai_hub.stores.export_log import ExportLog
from ai_hub.stores.registry_table import RegistryTable
from ai_hub.stores.removal import Removal, Removed, Survey
from ai_hub.stores.views import Views

if TYPE_CHECKING:
    import pyarrow as pa

    from ai_hub.engines.arrays import Columns, HistoryArrays, Ints, Masks
    from ai_hub.engines.views import Faults


@dataclass(frozen=True, slots=True)
class Change:
    """What some process wrote: the entities whose features may differ now; None: any.

    `id` is of this change alone. `marked` is the shared cache in which the writer has marked them
    before the commit, and drops them; empty where there is none.
    """

    id: str
    entities: Sequence[Entity] | None
    marked: str = ""


Changed = Callable[[Sequence[Change] | None], Awaitable[object]]
"""Told of changes that other processes made; None where some may have been missed."""
Followed = Callable[[bool], Awaitable[object]]
"""Told whether the database is a standby from now on: a copy that follows another one, of whose
changes nobody hears."""
Announce = Callable[[Collection[Entity]], Awaitable[str]]
"""Asked in a write, before its commit, to mark the entities (of one tenant) whose features it may
change. Gives the shared cache where it did; empty where other processes do not see it."""


@dataclass(frozen=True, slots=True)
class Landed:
    """What an append did: rows whose stored value changed, rows that were there already.

    `touched` are the entities whose features may have changed; for a weather station those are all
    assets that have a mapping to it. `aged` rows are older than the store keeps such rows: they are
    stored, and maintenance will delete them some time after this notice.
    """

    replaced: int
    unchanged: int
    touched: Collection[Entity]
    aged: int = 0


@dataclass(frozen=True, slots=True)
class Vectors:
    """Filled features, an element for each entity asked for, where they were missing, and where
    they were outside their range; `faults` say why views have no value."""

    columns: Columns
    masks: Masks
    violations: Masks = field(default_factory=dict)
    faults: Faults = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ScanRequest:
    """The history an export needs: answers for [start, end] of some assets (None: all).

    `lookback` and `weather_lookback` reach before start, `lookahead` (training targets) beyond end.
    `edges` names a series whose first and last stored observation is wanted too; all assets are
    then those that have one, in whatever time. `attributes` are keys of attributes of assets,
    `views` what is read of users' own views.
    """

    tenant_id: str
    asset_ids: tuple[str, ...] | None
    start: int
    end: int
    series: tuple[str, ...]
    weather: tuple[str, ...]
    lookback: int
    weather_lookback: int
    lookahead: int = 0
    edges: str | None = None
    attributes: tuple[str, ...] = ()
    views: tuple[ViewReads, ...] = ()

    @property
    def view_lookback(self) -> int:
        """How far before start views are read."""
        return max((reads.lookback for reads in self.views), default=0)


@dataclass(frozen=True, slots=True)
class Edges:
    """When each asset, by code, has its first and its last stored observation of a series.

    Without any, the first is later than every instant and the last earlier.
    """

    first: Ints
    last: Ints

    def of(self, which: Ints | slice) -> Edges:
        """Those of some assets, coded by their position."""
        return Edges(self.first[which], self.last[which])


@dataclass(frozen=True, slots=True)
class Chunk:
    """A part of a scan: some assets (their ids by code, ascending), the times in [start, end] that
    it answers for, and the whole history that these need; `edges` if they were asked for."""

    asset_ids: tuple[str, ...]
    start: int
    end: int
    history: HistoryArrays
    edges: Edges | None = None


class Debts(Protocol):
    """What was written and is still to be dropped from caches that processes share."""

    async def begin(self, seconds: int) -> None:
        """Have it kept from now on: vectors live that long in such a cache."""

    async def all(self) -> list[Change]:
        """What may have to be dropped from there."""

    async def owe(self, entities: Collection[Entity]) -> None:
        """Add what was committed already, and could not be dropped."""


class Store(Protocol):
    """Observations and weather: written, computed on, and read in bulk.

    A write asks `announce` once it knows whom it touches, and is committed after that. What a
    shared cache was not told then is a debt, written with it, and so are the records of `audit`
    (one for each tenant), unless it changes nothing.
    """

    @property
    def debts(self) -> Debts:
        """What shared caches are owed."""

    async def append(
        self,
        observations: pa.Table,
        announce: Announce | None = None,
        audit: Sequence[AuditRecord] = (),
    ) -> Landed:
        """Land one checked batch (schema OBSERVATIONS), whole or not at all, and make it last."""

    async def append_weather(
        self,
        weather: pa.Table,
        announce: Announce | None = None,
        audit: Sequence[AuditRecord] = (),
    ) -> Landed:
        """Land one checked batch of weather (schema WEATHER), whole or not at all."""

    async def assign_weather_source(
        self,
        tenant_id: str,
        source_id: str | None,
        asset_ids: Sequence[str],
        valid_from: int | None,
        changed_at: int,
        announce: Announce | None = None,
        audit: Sequence[AuditRecord] = (),
    ) -> frozenset[Entity]:
        """Map assets to a weather source (None: their own rows) from an instant on, until their
        next mapping; the entities that it changed anything for.

        A mapping of the same instant is replaced. Without `valid_from` it is the source from now
        on: an asset's first mapping holds always, a later one from `changed_at`, and where that
        source holds then already, nothing changes.
        """

    async def append_attributes(
        self,
        attributes: pa.Table,
        changed_at: int,
        announce: Announce | None = None,
        audit: Sequence[AuditRecord] = (),
    ) -> Landed:
        """Land one checked batch of attributes (schema ATTRIBUTES), whole or not at all.

        A row with a `valid_from` replaces that of its key and instant. One without is the value
        from now on: the first of its asset and key holds always, a later one from `changed_at`, and
        where that value holds then already, nothing changes. Rows without one come first.
        """

    async def survey(self, removal: Removal) -> Survey:
        """What there is to remove."""

    def remove(
        self, removal: Removal, found: Survey, announce: Announce, audit: AuditRecord
    ) -> AsyncGenerator[Removed, None]:
        """Remove what was `found` in steps, each committed before it is given, with a record like
        `audit`.

        What comes in meanwhile may stay. Whoever asks no further has removed a part.
        """

    async def compute(
        self, plan: Plan, missing: Missing | None, tenant_id: str, asset_ids: Sequence[str], at: int
    ) -> Vectors:
        """The features of some assets as of one time, filled; one read for all of them."""

    def scan(self, request: ScanRequest) -> Generator[Chunk, None, None]:
        """The history for an export, by ascending asset and time, in chunks of bounded size."""

    async def most_rows(
        self, request: ScanRequest, series: str, enough: int, exact: bool = False
    ) -> int:
        """No fewer than the observations of a series that a scan is asked for; and where that may
        be more than `enough`, or `exact`, as many as there are, up to one more than that."""

    async def seen(self, tenant_id: str, since: int, limit: int | None = None) -> list[str]:
        """The assets with a usable observation at or after a time, sorted; the first `limit`."""

    async def tenants(self, limit: int) -> list[str]:
        """The tenants with an observation or an attribute, sorted; the first `limit`."""

    async def describe_assets(
        self,
        tenant_id: str,
        since: int | None,
        after: str,
        limit: int,
        at: int,
        containing: str = "",
        asset_ids: Sequence[str] | None = None,
    ) -> list[AssetFacts]:
        """The assets that have a usable observation or an attribute and a text in their id, those
        after `after` (by id, sorted), at most `limit`; with `since`, those with an observation at
        or after that time.

        Stations and attributes are those of the time `at`. With `asset_ids` these, and no others.
        """

    async def freshness(self, tenant_id: str, since: Sequence[int], limit: int) -> Freshness:
        """How new the data of a tenant is: by the starts of some days (UTC), and the `limit` assets
        whose newest reading is the oldest."""

    async def watch(self, changed: Changed, followed: Followed) -> None:
        """Report what other processes write, from now on, and whether that can be heard of."""

    async def prepare(self) -> None:
        """Import and connect now what the first write would."""

    async def close(self) -> None:
        """Close everything; nothing may be asked afterwards."""


class OfflineStore(Store, Protocol):
    """What the front opens: a store, and what lies beside its tables of data."""

    @property
    def checkup(self) -> Checkup:
        """A look at the database."""

    @property
    def export_log(self) -> ExportLog:
        """What was exported."""

    @property
    def archive(self) -> ArchiveTable:
        """What is sealed."""

    @property
    def audit_log(self) -> AuditLog:
        """Who changed what."""

    @property
    def evidence(self) -> Evidence:
        """What there is of one asset beside its features."""

    @property
    def in_chunks(self) -> bool:
        """Whether rows of a week lie together: a load of years is sorted by week then."""

    @property
    def registry_table(self) -> RegistryTable:
        """What was applied."""

    @property
    def drift_table(self) -> DriftTable:
        """What is kept for drift."""

    @property
    def views(self) -> Views:
        """Users' own views."""

    async def status(self, exact: bool = False) -> dict[str, Any]:
        """What the database is like, as the members of a JSON document; `exact` counts the rows of
        each series and reads its times, which may take long."""
