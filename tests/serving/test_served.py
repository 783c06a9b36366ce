"""What was served, as sketches: bounded whatever comes, and kept until the store takes it."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import numpy as np

from ai_hub import FeatureSet, Lag, Rolling
from ai_hub.definitions.values import HOUR, Duration
from ai_hub.drift.sketch import Sketch
from ai_hub.errors import StoreUnavailable
from ai_hub.metrics import Metrics
from ai_hub.serving.served import Served
from ai_hub.serving.spec import spec_of
from ai_hub.stores.audit_log import AuditRecord
from ai_hub.stores.base import Vectors
from ai_hub.stores.drift_table import Merge, ServedHour, SetOf, StoredBaseline

OWN = spec_of(FeatureSet("own", 1, (Lag("lag", "1h"), Rolling("mean", "mean", "24h"))), None)
SINGLE = spec_of(FeatureSet(None, None, OWN.feature_set.features), None)
EVERY = Duration(HOUR)


class Table:
    """A table that takes what it is given, or nothing."""

    def __init__(self) -> None:
        self.writable = True
        self.away = False
        self.tried = 0
        self.rows: dict[tuple[SetOf, int], bytes] = {}
        self.added = asyncio.Event()

    async def add_served(self, hours: Sequence[ServedHour], merge: Merge, at: int) -> None:
        self.tried += 1
        if self.away:
            raise StoreUnavailable("away")
        for of, hour, document in hours:
            there = self.rows.get((of, hour))
            self.rows[of, hour] = document if there is None else merge(there, document)
            self.added.set()

    async def keep_baseline(
        self, baseline: StoredBaseline, audit: Sequence[AuditRecord] = ()
    ) -> None: ...

    async def baselines(self, of: SetOf) -> list[StoredBaseline]:
        return []

    async def baseline(self, of: SetOf, baseline_id: str | None) -> StoredBaseline | None:
        return None

    async def served(self, of: SetOf, start: int, end: int) -> list[ServedHour]:
        return []

    async def served_sets(self, start: int, end: int) -> list[SetOf]:
        return []

    def total(self) -> int:
        return sum(int(Sketch.from_bytes(one).rows[0].sum()) for one in self.rows.values())


def vectors(count: int) -> Vectors:
    value = np.arange(count, dtype=float)
    return Vectors({"lag": value, "mean": value}, {"lag": value == 0}, {"mean": value == 1})


def served(table: Table, metrics: Metrics, every: Duration | None = EVERY, **most: int) -> Served:
    return Served(table, lambda: 0, every, metrics, **most)


async def test_a_flood_is_left_out_and_counted() -> None:
    table, metrics = Table(), Metrics()
    one = served(table, metrics, most_waiting=2 * (10 + 16) * 50)
    for at in range(1_000):
        one.note(OWN, "t", at, 10, vectors(10))
    assert len(one._waiting) == 50
    assert metrics.unsketched == 9_500
    await one.close()
    assert table.total() == 500


async def test_hours_that_the_store_does_not_take_are_bounded_and_kept() -> None:
    table, metrics = Table(), Metrics()
    table.away = True
    one = served(table, metrics, most_hours=5)
    for hour in range(8):
        one.note(OWN, "t", hour * HOUR, 3, vectors(3))
    await one.flush()
    assert len(one._hours) == 5
    assert metrics.unsketched == 9
    table.away = False
    await one.flush()
    assert table.total() == 15
    # While the store takes them there is room for any number.
    for hour in range(30):
        one.note(OWN, "t", hour * HOUR, 3, vectors(3))
    await one.close()
    assert (table.total(), metrics.unsketched) == (105, 9)


async def test_tenants_sets_and_hours_are_apart() -> None:
    table, metrics = Table(), Metrics()
    one = served(table, metrics)
    for tenant, at in (("t", 0), ("u", 0), ("t", HOUR - 1), ("t", HOUR)):
        one.note(OWN, tenant, at, 2, vectors(2))
    one.note(SINGLE, "t", 0, 2, vectors(2))
    await one.close()
    fingerprint = OWN.feature_set.fingerprint
    found = {
        (of.tenant_id, hour): Sketch.from_bytes(document)
        for (of, hour), document in table.rows.items()
        if of == SetOf(of.tenant_id, "own", 1, fingerprint)
    }
    rows = {key: sketch.rows.sum(1).tolist() for key, sketch in found.items()}
    assert rows == {("t", 0): [4, 4], ("u", 0): [2, 2], ("t", HOUR): [2, 2]}
    assert found["t", 0].missing.sum(1).tolist() == [2, 0]
    assert found["t", 0].violations.sum(1).tolist() == [0, 2]
    assert len(table.rows) == len(found)


async def test_nothing_is_held_for_what_takes_nothing() -> None:
    table, metrics = Table(), Metrics()
    never = served(table, metrics, None)
    never.note(OWN, "t", 0, 2, vectors(2))
    await never.close()
    table.writable = False
    standby = served(table, metrics)
    standby.note(OWN, "t", 0, 2, vectors(2))
    await standby.flush()
    assert len(standby._hours) == 0
    await standby.close()
    assert (table.tried, metrics.unsketched) == (0, 0)


async def test_it_is_added_again_and_again_by_itself() -> None:
    table = Table()
    one = served(table, Metrics(), Duration(1))
    one.note(OWN, "t", 0, 2, vectors(2))
    async with asyncio.timeout(60):
        await table.added.wait()
    await one.close()
    assert table.total() == 2
