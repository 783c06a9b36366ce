"""The store on PostgreSQL, with TimescaleDB where it is there: many processes, one truth."""

from __future__ import annotations

import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Generator, Sequence
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING, Any, TypeVar

from ai_hub.config import Settings
from ai_hub.definitions.registry import Registry
from ai_hub.definitions.values import FIRST_INSTANT, Entity
from ai_hub.definitions.vocabulary import Missing
from ai_hub.engines.plan import Plan
from ai_hub.stores.asset_facts import AssetFacts, Freshness
from ai_hub.stores.audit_log import AuditRecord
from ai_hub.stores.base import Announce, Changed, Chunk, Followed, Landed, ScanRequest, Vectors
from ai_hub.stores.postgres.archive import PostgresArchiveTable
from ai_hub.stores.postgres.assets import describe_assets, freshness, tenants
from ai_hub.stores.postgres.attributes import append_attributes
from ai_hub.stores.postgres.audit_log import PostgresAuditLog
from ai_hub.stores.postgres.changes import Changes
from ai_hub.stores.postgres.checkup import PostgresCheckup
from ai_hub.stores.postgres.debts import PostgresDebts
from ai_hub.stores.postgres.drift_table import PostgresDriftTable
from ai_hub.stores.postgres.evidence import PostgresEvidence
from ai_hub.stores.postgres.exports import PostgresExportLog
from ai_hub.stores.postgres.points import PointReader
from ai_hub.stores.postgres.registry import PostgresRegistryTable
from ai_hub.stores.postgres.removal import PostgresRemoval
from ai_hub.stores.postgres.scan import scan_chunks
from ai_hub.stores.postgres.seen import assets_seen, most_rows
from ai_hub.stores.postgres.session import Connection, Sessions
from ai_hub.stores.postgres.sources import assign_sources
from ai_hub.stores.postgres.status import status
from ai_hub.stores.postgres.time_chunks import TimeChunks
from ai_hub.stores.postgres.views import PostgresViews
from ai_hub.stores.postgres.write import (
    Before,
    RetentionPeriods,
    append_observations,
    append_weather,
)
from ai_hub.stores.removal import Removal, Removed, Survey

if TYPE_CHECKING:
    import pyarrow as pa

_T = TypeVar("_T")


class PostgresStore:
    """PostgreSQL behind the store contract. `open` makes one."""

    def __init__(self, settings: Settings, sessions: Sessions) -> None:
        self._settings = settings
        self._sessions = sessions
        self.views = PostgresViews(sessions)
        self.evidence = PostgresEvidence(sessions)
        self._points = PointReader(sessions, self.views)
        self.in_chunks = sessions.facts.mode != "plain"
        keep = sessions.facts.keep
        self._observation_periods = RetentionPeriods(
            keep.get("timeseries_data"), keep.get("ai_features")
        )
        self._weather_periods = RetentionPeriods(None, keep.get("weather_features"))
        self.export_log = PostgresExportLog(settings, sessions)
        self.archive = PostgresArchiveTable(settings, sessions)
        self.audit_log = PostgresAuditLog(sessions)
        self.registry_table = PostgresRegistryTable(settings, sessions)
        self.drift_table = PostgresDriftTable(sessions)
        self._chunks = TimeChunks(sessions)
        self._changes = Changes(settings, sessions.recovery)
        self.debts = PostgresDebts(sessions, self._changes.me)

    @classmethod
    async def open(cls, settings: Settings) -> PostgresStore:
        """Connect and look at the database. Raises StoreError in one clear sentence."""
        store = cls(settings, await Sessions.open(settings))
        for feature_set in Registry().sets():
            store._points.lane(Plan.of(feature_set), None).learn()
        return store

    @property
    def checkup(self) -> PostgresCheckup:
        """A look at the database."""
        return PostgresCheckup(self._settings)

    async def append(
        self,
        observations: pa.Table,
        announce: Announce | None = None,
        audit: Sequence[AuditRecord] = (),
    ) -> Landed:
        """Land one checked batch of observations, whole or not at all."""
        periods = self._observation_periods
        since = {
            "timeseries_data": periods.raw_since(time.time_ns() // 1_000),
            "ai_features": FIRST_INSTANT,
        }
        async with self._chunks.ready(observations, since):
            return await self._told(
                lambda on, before: append_observations(on, observations, periods, before, audit),
                announce,
            )

    async def append_weather(
        self,
        weather: pa.Table,
        announce: Announce | None = None,
        audit: Sequence[AuditRecord] = (),
    ) -> Landed:
        """Land one checked batch of weather, whole or not at all."""
        since = {"weather_features": FIRST_INSTANT}
        async with self._chunks.ready(weather, since):
            return await self._told(
                lambda on, before: append_weather(
                    on, weather, self._weather_periods, before, audit
                ),
                announce,
            )

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
        """Map assets to a weather source (None: their own rows); the entities it changed."""
        return await self._told(
            lambda on, before: assign_sources(
                on, tenant_id, source_id, asset_ids, valid_from, changed_at, before, audit
            ),
            announce,
        )

    async def append_attributes(
        self,
        attributes: pa.Table,
        changed_at: int,
        announce: Announce | None = None,
        audit: Sequence[AuditRecord] = (),
    ) -> Landed:
        """Land one checked batch of attributes, whole or not at all."""
        return await self._told(
            lambda on, before: append_attributes(on, attributes, changed_at, before, audit),
            announce,
        )

    async def survey(self, removal: Removal) -> Survey:
        """What there is to remove."""
        return await self._removal(removal, None).survey()

    def remove(
        self, removal: Removal, found: Survey, announce: Announce, audit: AuditRecord
    ) -> AsyncGenerator[Removed, None]:
        """Remove what was found in steps, each committed before it is given."""
        return self._removal(removal, announce).run(found, audit)

    def _removal(self, removal: Removal, announce: Announce | None) -> PostgresRemoval:
        self._sessions.check_open()
        return PostgresRemoval(
            self._settings, self._sessions.facts.mode, removal,
            lambda on: self._changes.telling(on, announce),
        )  # fmt: skip

    async def compute(
        self, plan: Plan, missing: Missing | None, tenant_id: str, asset_ids: Sequence[str], at: int
    ) -> Vectors:
        """The features of some assets as of one time, filled."""
        self._sessions.check_open()
        return await self._points.compute(plan, missing, tenant_id, asset_ids, at)

    def scan(self, request: ScanRequest) -> Generator[Chunk, None, None]:
        """The history for an export, in chunks by ascending asset and time (blocking)."""
        self._sessions.check_open()
        return scan_chunks(self._settings, request)

    async def most_rows(
        self, request: ScanRequest, series: str, enough: int, exact: bool = False
    ) -> int:
        """How many observations a scan may be of."""
        return await most_rows(self._sessions, request, series, enough, exact)

    async def seen(self, tenant_id: str, since: int, limit: int | None = None) -> list[str]:
        """The assets with a usable observation at or after a time, sorted; the first `limit`."""
        return await assets_seen(self._sessions, tenant_id, since, limit)

    async def tenants(self, limit: int) -> list[str]:
        """The tenants with an observation or an attribute, sorted; the first `limit`."""
        return await tenants(self._sessions, limit)

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
        """A page of assets, with what is known of each."""
        return await describe_assets(
            self._sessions, tenant_id, since, after, limit, at, containing, asset_ids
        )

    async def freshness(self, tenant_id: str, since: Sequence[int], limit: int) -> Freshness:
        """How new the data of a tenant is."""
        return await freshness(self._sessions, tenant_id, since, limit)

    async def status(self, exact: bool = False) -> dict[str, Any]:
        """What the database is like."""
        return await status(self._settings, exact)

    async def watch(self, changed: Changed, followed: Followed) -> None:
        """Report what other processes write, from now on, and whether that can be heard of."""
        await self._changes.watch(changed, followed)

    async def prepare(self) -> None:
        """Have every connection of the pool open and warm."""
        await self._sessions.grow()

    async def close(self) -> None:
        """Close everything; nothing may be asked afterwards.

        A part that fails to close keeps no other from it; its error is raised at the end.
        """
        async with AsyncExitStack() as closing:
            closing.push_async_callback(self._sessions.close)
            closing.push_async_callback(self._changes.close)
            closing.push_async_callback(self.registry_table.close)

    async def _told(
        self, work: Callable[[Connection, Before], Awaitable[_T]], announce: Announce | None
    ) -> _T:
        """Do a write that other processes are told of."""

        async def write(on: Connection) -> _T:
            telling = self._changes.telling(on, announce)
            done = await work(on, telling.before)
            await telling.after()
            return done

        return await self._sessions.write(write)
