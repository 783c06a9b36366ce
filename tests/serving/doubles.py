"""A small store of the real contract whose computations wait until a test lets them go on."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Generator, Sequence

import numpy as np
import pyarrow as pa

from ai_hub.definitions.builtin import FORECAST_BASIC
from ai_hub.definitions.kinds import Calendar
from ai_hub.definitions.values import Entity, parse_time
from ai_hub.definitions.vocabulary import Missing
from ai_hub.engines.calendars import calendar_at
from ai_hub.engines.plan import Plan
from ai_hub.intake.batch import Batch
from ai_hub.intake.checks import check_observations
from ai_hub.intake.frames import rows_to_table
from ai_hub.serving.spec import Spec, spec_of
from ai_hub.stores.audit_log import AuditRecord
from ai_hub.stores.base import Announce, Change, Chunk, Landed, ScanRequest, Vectors

TENANT = "t"
AT = parse_time("2025-10-09T14:30:00Z")
SPEC: Spec = spec_of(FORECAST_BASIC, None)


class Computation:
    """One call of `compute`: it has read the value as it was, and now waits to go on."""

    def __init__(self, asset_ids: Sequence[str], values: list[float]) -> None:
        self.asset_ids = tuple(asset_ids)
        self.values = values
        self.go = asyncio.Event()
        self.error: Exception | None = None


class HeldDebts:
    """Debts that are kept as long as the store, from the beginning on."""

    def __init__(self) -> None:
        self.changes: list[Change] = []

    async def begin(self, seconds: int) -> None:
        pass

    async def all(self) -> list[Change]:
        return [*self.changes]

    async def owe(self, entities: Collection[Entity]) -> None:
        self.changes.append(Change(str(len(self.changes)), tuple(entities)))


class HeldStore:
    """Every feature of an asset is the last value that was appended for it (0 before any).

    What is appended counts once `committing` is set, and is acknowledged once `appending` is.
    """

    def __init__(self, holding: bool = False) -> None:
        self.holding = holding
        self.values: dict[Entity, float] = {}
        self.computations: list[Computation] = []
        self.debts = HeldDebts()
        self.marked = asyncio.Event()
        self.committing: asyncio.Event | None = None
        self.silent = False
        self.appending: asyncio.Event | None = None
        self.error: Exception | None = None
        self._begun = asyncio.Condition()

    async def append(
        self,
        observations: pa.Table,
        announce: Announce | None = None,
        audit: Sequence[AuditRecord] = (),
    ) -> Landed:
        rows = observations.to_pylist()
        touched = frozenset(Entity(row["tenant_id"], row["asset_id"]) for row in rows)
        if announce is not None and not await announce(touched):
            self.debts.changes.append(Change(str(len(self.debts.changes)), tuple(touched)))
        self.marked.set()
        if self.committing is not None:
            await self.committing.wait()
        self.values |= {Entity(r["tenant_id"], r["asset_id"]): r["value"] for r in rows}
        if self.appending is not None:
            await self.appending.wait()
        return Landed(0, 0, touched)

    async def append_weather(
        self,
        weather: pa.Table,
        announce: Announce | None = None,
        audit: Sequence[AuditRecord] = (),
    ) -> Landed:
        return await self.append(weather, announce, audit)

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
        return frozenset(Entity(tenant_id, asset_id) for asset_id in asset_ids)

    async def compute(
        self, plan: Plan, missing: Missing | None, tenant_id: str, asset_ids: Sequence[str], at: int
    ) -> Vectors:
        values = [self.values.get(Entity(tenant_id, one), 0.0) for one in asset_ids]
        mine = Computation(asset_ids, values)
        is_probe = tenant_id != TENANT
        if is_probe and self.silent:
            await asyncio.Event().wait()
        if not is_probe:
            async with self._begun:
                self.computations.append(mine)
                self._begun.notify_all()
            if self.holding:
                await mine.go.wait()
        error = mine.error or self.error
        if error is not None:
            raise error
        told = (f for f in plan.feature_set.features if not isinstance(f, Calendar))
        columns = {feature.name: np.array(values) for feature in told}
        for name, value in calendar_at(plan.calendars, at).items():
            columns[name] = np.full(len(values), value)
        return Vectors(columns, {})

    def scan(self, request: ScanRequest) -> Generator[Chunk, None, None]:
        yield from ()

    async def close(self) -> None:
        pass

    async def begun(self, count: int) -> Computation:
        """The computation with this number (from 1), once it has begun."""
        async with asyncio.timeout(5), self._begun:
            await self._begun.wait_for(lambda: len(self.computations) >= count)
        return self.computations[count - 1]


def batch(value: float, *asset_ids: str) -> Batch:
    """A checked batch that gives some assets a value."""
    rows = [{"timestamp": "2025-10-09T14:00:00Z", "asset_id": a, "value": value} for a in asset_ids]
    return check_observations(rows_to_table(rows), TENANT)
