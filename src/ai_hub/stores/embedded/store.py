"""The embedded store: DuckDB, one file or in memory, no server.

One process owns the file, so keys are kept unique here by the one writer, and the map of weather
sources is kept in memory beside its table.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Collection, Generator, Mapping, Sequence
from contextlib import closing
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from ai_hub.definitions.values import SECOND, Duration, Entity
from ai_hub.definitions.vocabulary import Missing
from ai_hub.engines.arrays import Series, ViewColumn
from ai_hub.engines.plan import Plan
from ai_hub.engines.views import Fault, Faults
from ai_hub.stores.asset_facts import AssetFacts, Freshness
from ai_hub.stores.audit_log import AuditRecord, counting, landed
from ai_hub.stores.base import Announce, Changed, Chunk, Followed, Landed, ScanRequest, Vectors
from ai_hub.stores.embedded import removal as removals
from ai_hub.stores.embedded.archive import EmbeddedArchiveTable
from ai_hub.stores.embedded.assets import describe_assets
from ai_hub.stores.embedded.attributes import AttributeMap, append_attributes
from ai_hub.stores.embedded.audit_log import EmbeddedAuditLog
from ai_hub.stores.embedded.checkup import EmbeddedCheckup
from ai_hub.stores.embedded.debts import EmbeddedDebts
from ai_hub.stores.embedded.drift_table import EmbeddedDriftTable
from ai_hub.stores.embedded.evidence import EmbeddedEvidence
from ai_hub.stores.embedded.exports import EmbeddedExportLog
from ai_hub.stores.embedded.names import NameMap
from ai_hub.stores.embedded.points import PointReader, newest_times
from ai_hub.stores.embedded.registry import EmbeddedRegistryTable
from ai_hub.stores.embedded.scan import most_rows, scan_chunks
from ai_hub.stores.embedded.seen import assets_seen
from ai_hub.stores.embedded.session import (
    MEMORY,
    Before,
    Cursor,
    Note,
    Sessions,
    transaction,
    translated,
)
from ai_hub.stores.embedded.sources import SourceMap, assign_sources, load_sources
from ai_hub.stores.embedded.status import status_of
from ai_hub.stores.embedded.views import EmbeddedViews
from ai_hub.stores.embedded.write import (
    OBSERVATION_TABLE,
    WEATHER_TABLE,
    KeyedTable,
    append_rows,
    rehearse_write,
)
from ai_hub.stores.removal import Removal, Removed, Step, Survey, steps
from ai_hub.stores.views import ViewFault
from ai_hub.stores.weather_sources import source_at

if TYPE_CHECKING:
    import pyarrow as pa


_VIEW_TIMEOUT = Duration(SECOND // 2)
_FEW = 200
_LARGE = 2
"""Computations of more assets than a few that are done at a time. They are mostly Python's, so more
of them would end no sooner: readers and the interpreter are left to others."""
_Views = Mapping[ViewColumn, Series]


class EmbeddedStore:
    """A DuckDB file (or memory) behind the store contract.

    Raises StoreLocked when another process, or another store of this one, holds the file.
    """

    def __init__(
        self,
        path: str | Path = MEMORY,
        scans: int = 1,
        view_timeout: Duration = _VIEW_TIMEOUT,
        keep_audit: Duration | None = None,
    ) -> None:
        """`scans` may be at once, and share the memory for them; an answer waits no longer than
        `view_timeout` for a view; audit records go when they are older than `keep_audit`."""
        self._scans = scans
        self._large = asyncio.Semaphore(_LARGE)
        self.in_chunks = False
        self._path = str(path)
        self._sessions = Sessions(self._path)
        self.export_log = EmbeddedExportLog(self._sessions)
        self.debts = EmbeddedDebts()
        self._attributes = AttributeMap()
        self._names = NameMap()
        self.views = EmbeddedViews(self._sessions, view_timeout.seconds)
        self.audit_log = EmbeddedAuditLog(self._sessions, keep_audit)
        self.archive = EmbeddedArchiveTable(self._sessions, self.audit_log)
        self.registry_table = EmbeddedRegistryTable(self._sessions, self.audit_log)
        self.drift_table = EmbeddedDriftTable(self._sessions, self.audit_log)
        try:
            with closing(self._sessions.cursor()) as cursor, translated():
                self._sources: SourceMap = load_sources(cursor)
                self._points = PointReader(*newest_times(cursor))
            self.evidence = EmbeddedEvidence(
                self._sessions, self._names, self._sources, self._attributes, view_timeout.seconds
            )
        except BaseException:
            self._sessions.abandon()
            raise

    @property
    def checkup(self) -> EmbeddedCheckup:
        """A look at the database."""
        return EmbeddedCheckup(self._sessions.read, self._names, live=True)

    async def append(
        self,
        observations: pa.Table,
        announce: Announce | None = None,
        audit: Sequence[AuditRecord] = (),
    ) -> Landed:
        """Land one checked batch of observations, whole or not at all."""
        before, note = _announced(announce), self._noting(audit)
        return await self._sessions.write(
            lambda cursor: self._append(
                cursor, OBSERVATION_TABLE, "series", observations, before, note
            )
        )

    async def append_weather(
        self,
        weather: pa.Table,
        announce: Announce | None = None,
        audit: Sequence[AuditRecord] = (),
    ) -> Landed:
        """Land one checked batch of weather, whole or not at all."""
        before, note = _announced(announce), self._noting(audit)
        return await self._sessions.write(
            lambda cursor: self._append(cursor, WEATHER_TABLE, "weather", weather, before, note)
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
        before = _announced(announce)

        def note(cursor: Cursor, changed: int, _: int) -> None:
            self.audit_log.write(cursor, counting(audit, changed))

        return await self._sessions.write(
            lambda cursor: assign_sources(
                cursor, self._sources, tenant_id, source_id, asset_ids, valid_from, changed_at,
                before, note,
            )
        )  # fmt: skip

    async def append_attributes(
        self,
        attributes: pa.Table,
        changed_at: int,
        announce: Announce | None = None,
        audit: Sequence[AuditRecord] = (),
    ) -> Landed:
        """Land one checked batch of attributes, whole or not at all."""
        held, before, note = self._attributes, _announced(announce), self._noting(audit)

        def append(cursor: Cursor) -> Landed:
            done = append_attributes(cursor, held, attributes, changed_at, before, note)
            self._names.described(done.touched)
            return done

        return await self._sessions.write(append)

    async def survey(self, removal: Removal) -> Survey:
        """What there is to remove."""
        return await self._sessions.read(lambda cursor: removals.survey(cursor, removal))

    async def remove(
        self, removal: Removal, found: Survey, announce: Announce, audit: AuditRecord
    ) -> AsyncGenerator[Removed, None]:
        """Remove what was found in steps, each committed before it is given."""
        before = _announced(announce)

        def keep(cursor: Cursor, record: AuditRecord) -> None:
            self.audit_log.write(cursor, [record])

        def one(cursor: Cursor, step: Step) -> Removed:
            done = removals.remove_step(cursor, removal, step, self._sources, audit, keep, before)
            self._points.removed(removal.tenant_id)
            self._names.removed()
            return done

        for step in steps(removal, found.found):
            yield await self._sessions.write(partial(one, step=step))

        def others(cursor: Cursor) -> Removed:
            of_assets = self._sources, self._attributes
            done = removals.remove_others(cursor, removal, *of_assets, audit, keep, before)
            self._names.removed()
            return done

        if removal.whole:
            yield await self._sessions.write(others)

    async def compute(
        self, plan: Plan, missing: Missing | None, tenant_id: str, asset_ids: Sequence[str], at: int
    ) -> Vectors:
        """The features of some assets as of one time, filled."""

        def computed(cursor: Cursor, views: _Views | None = None) -> Vectors:
            sources = [source_at(one, self._sources.of(tenant_id, one), at) for one in asset_ids]
            attributes = self._attributes.tables(cursor, tenant_id, asset_ids, plan.attributes)
            return self._points.compute(
                cursor, self._sessions.beside, plan, missing, tenant_id, asset_ids, sources,
                attributes, at, views,
            )  # fmt: skip

        def beside_views(cursor: Cursor) -> Vectors:
            # Whatever is wrong with a view is the end of a transaction, and so of its snapshot.
            failed: dict[str, Fault] = {}
            while True:
                wanted = [reads for reads in plan.views if reads.view not in failed]
                try:
                    with transaction(cursor):
                        views = self.views.newest(cursor, wanted, tenant_id, asset_ids, at)
                        return _with_faults(computed(cursor, views), plan, failed)
                except ViewFault as found:
                    failed[found.view] = found.fault

        work = beside_views if plan.views else computed
        if len(asset_ids) <= _FEW:
            return await self._sessions.read(work)
        async with self._large:
            return await self._sessions.read(work)

    def scan(self, request: ScanRequest) -> Generator[Chunk, None, None]:
        """The history for an export, in chunks by ascending asset and time (blocking)."""
        cursor = self._sessions.cursor()
        try:
            with translated():
                yield from scan_chunks(
                    cursor, request, partial(self._sources.of, request.tenant_id), self._scans
                )
        finally:
            cursor.close()

    async def most_rows(
        self, request: ScanRequest, series: str, enough: int, exact: bool = False
    ) -> int:
        """How many observations a scan may be of."""
        return await self._sessions.read(
            lambda cursor: most_rows(cursor, request, series, enough, exact)
        )

    async def seen(self, tenant_id: str, since: int, limit: int | None = None) -> list[str]:
        """The assets with a usable observation at or after a time, sorted; the first `limit`."""
        return await self._sessions.read(
            lambda cursor: assets_seen(cursor, tenant_id, since, limit)
        )

    async def tenants(self, limit: int) -> list[str]:
        """The tenants with a usable observation or an attribute, sorted."""
        return await self._sessions.read(lambda cursor: self._names.tenants(cursor)[:limit])

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
        return await self._sessions.read(
            lambda cursor: describe_assets(
                cursor, self._names, self._sources, self._attributes, tenant_id, since, after,
                limit, at, containing, asset_ids,
            )
        )  # fmt: skip

    async def freshness(self, tenant_id: str, since: Sequence[int], limit: int) -> Freshness:
        """How new the data of a tenant is."""
        return await self._sessions.read(
            lambda cursor: self._names.freshness(cursor, tenant_id, since, limit)
        )

    async def status(self, exact: bool = False) -> dict[str, Any]:
        """What the database is like; counts are exact without being asked to."""
        return await self._sessions.read(lambda cursor: status_of(cursor, self._path))

    async def watch(self, changed: Changed, followed: Followed) -> None:
        """Nothing to report: no other process writes to the file."""

    async def prepare(self) -> None:
        """Have the writer's connection ready, and what DuckDB imports to read a table. The names of
        assets are learnt while others are served."""
        self._sessions.beside(self._names.tenants)
        await self._sessions.write(rehearse_write)

    async def close(self) -> None:
        """Finish what is being written, close the file and give it up."""
        await self._sessions.close()

    def _append(
        self,
        cursor: Cursor,
        table: KeyedTable,
        kind: Literal["series", "weather"],
        batch: pa.Table,
        before: Before,
        note: Note,
    ) -> Landed:
        done = append_rows(cursor, table, batch, self._sources, before, note)
        self._points.landed(kind, batch)
        if kind == "series":
            self._names.landed(batch)
        return done

    def _noting(self, audit: Sequence[AuditRecord]) -> Note:
        """How a write of rows keeps its records."""

        def note(cursor: Cursor, replaced: int, unchanged: int) -> None:
            self.audit_log.write(cursor, landed(audit, replaced, unchanged))

        return note


def _with_faults(vectors: Vectors, plan: Plan, failed: Mapping[str, Fault]) -> Vectors:
    """The same, where some views had no value for anybody."""
    everywhere = np.ones(len(next(iter(vectors.columns.values()))), bool)
    faults: Faults = {
        (one.name, failed[one.view]): everywhere for one in plan.viewed if one.view in failed
    }
    return replace(vectors, faults=vectors.faults | faults)


def _announced(announce: Announce | None) -> Before:
    """`announce` as the writer's thread calls it; the loop goes on meanwhile."""
    loop = asyncio.get_running_loop()

    def before(entities: Collection[Entity]) -> None:
        if announce is not None and entities:
            asyncio.run_coroutine_threadsafe(_said(announce, entities), loop).result()

    return before


async def _said(announce: Announce, entities: Collection[Entity]) -> None:
    # Where it is seen does not matter: nobody else reads the file.
    await announce(entities)
