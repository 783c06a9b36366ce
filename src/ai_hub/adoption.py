"""Taking over tables that others made and filled: the rows of one, piece by piece.

Rows go the way of all that is ingested, so they are checked, counted, and drop what is cached. How
far it came is kept after each piece: who runs it again goes on there, and a piece that landed
without that lands once more, which changes nothing.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, assert_never

from ai_hub.config import Settings
from ai_hub.definitions.values import to_datetime
from ai_hub.feature_store import FeatureStore
from ai_hub.intake.result import IngestResult, Rejection
from ai_hub.stores.postgres import old_tables
from ai_hub.stores.postgres.adoptions import Progress, keep_progress, progress_of
from ai_hub.stores.postgres.old_tables import OldTable, Part
from ai_hub.stores.postgres.session import session

if TYPE_CHECKING:
    import pyarrow as pa


@dataclass(frozen=True, slots=True)
class Adopted:
    """What became of a table's rows, in this run and in those before it.

    `duplicates` gave way to another row of their key, or were that row once more. `had_retention`:
    its retention policy was taken from it.
    """

    table: str
    held: str
    rows: int
    duplicates: int
    rejected: int
    had_retention: bool
    reasons: tuple[Rejection, ...] = ()


Told = Callable[[float, int], None]
"""Told the share of blocks that are read and the rows they held."""


async def adopt(
    settings: Settings, table: str, source: str | None = None, told: Told = lambda share, rows: None
) -> Adopted:
    """Take over a table's rows: of the database of the settings, or of that of a URL.

    Raises InvalidInput for a table that is not there or holds nothing known, and StoreError.
    """
    there = settings if source is None else replace(settings, database_url=source)
    async with (
        FeatureStore.open(settings=settings) as store,
        session(there) as old,
        session(settings) as own,
    ):
        found = await old_tables.old_table(old, there, table, source is not None)
        dropped = await old_tables.drop_retention(old, found)
        match found.held:
            case "observations" | "weather" | "attributes":
                reasons = await _taken_over(store, there, own, found, told)
                done = (await progress_of(own, found.source)).values()
                return Adopted(
                    table,
                    found.held,
                    sum(one.rows for one in done),
                    sum(one.duplicates for one in done),
                    sum(one.rejected for one in done),
                    dropped,
                    reasons,
                )
            case "mappings":
                mapped = await old_tables.mappings(old, found)
                for tenant, asset, station, since in mapped:
                    await store.assign_weather_source(
                        tenant_id=tenant, source_id=station, asset_ids=[asset],
                        valid_from=None if since is None else to_datetime(since),
                    )  # fmt: skip
                return Adopted(table, found.held, len(mapped), 0, 0, dropped)
            case "records":
                count, known = await old_tables.copy_records(old, own, found)
                return Adopted(table, found.held, count, known, 0, dropped)
            case _:
                assert_never(found.held)


async def _taken_over(
    store: FeatureStore, there: Settings, own: Any, table: OldTable, told: Told
) -> tuple[Rejection, ...]:
    """Land the rows that were not yet; the first that were refused."""
    known = await progress_of(own, table.source)
    size = sum(_blocks(part) for part in table.parts)
    total = IngestResult()
    begun = 0
    for part in table.parts:
        now = known.get(part.name, Progress())
        while not _ended(part, now):
            behind = (now.block, now.place)
            last = behind if part.last is None else part.next(behind)
            landed = IngestResult()
            found = old_tables.pieces(there, table, part, behind, last)
            while (rows := await asyncio.to_thread(next, found, None)) is not None:
                landed += await _land(store, table, rows)
            now = Progress(
                *last,
                now.rows + landed.rows,
                now.duplicates + landed.duplicates + landed.replaced + landed.unchanged,
                now.rejected + landed.rejected,
                part.last is None or last >= part.last,
            )
            await keep_progress(own, table.source, part.name, now)
            total += landed
            told((begun + now.block) / max(1, size), total.rows)
        begun += _blocks(part)
    return total.reasons


def _ended(part: Part, now: Progress) -> bool:
    """Whether there is nothing more of a part; one that has blocks may have got more since."""
    return now.finished if part.last is None else (now.block, now.place) >= part.last


def _blocks(part: Part) -> int:
    return 1 if part.last is None else part.last[0] + 1


async def _land(store: FeatureStore, table: OldTable, rows: pa.Table) -> IngestResult:
    match table.held:
        case "observations":
            return await store.ingest(rows)
        case "weather":
            return await store.ingest_weather(rows)
        case "attributes":
            return await store.ingest_attributes(rows)
        case "mappings" | "records":
            raise AssertionError(f"{table.held} are not landed in pieces")
        case _:
            assert_never(table.held)
