"""Removes data from the archive too: the files that have some are written anew without them.

A file of a layer stays as long as somebody may be reading it by what the database says of it: what
takes the place of a layer is there before, and what it had is removed after that. Whatever a
process that dies leaves is a layer that is `writing`, of a number below zero, of which the next run
removes the files.
"""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncGenerator, Sequence
from dataclasses import replace

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ai_hub.archive.files import commit, read_part, remove_layer, remove_unfinished, write_parts
from ai_hub.archive.layer import Extent, Layer, Part
from ai_hub.archive.past import storage_at
from ai_hub.archive.rows import SCHEMAS, extents_of, micros, table_of
from ai_hub.definitions.values import FIRST_INSTANT, LAST_INSTANT
from ai_hub.stores.archive_table import ArchiveTable
from ai_hub.stores.removal import Removal


class Eraser:
    """One removal from the archive of a database."""

    def __init__(self, table: ArchiveTable, removal: Removal) -> None:
        self._table = table
        self._removal = removal

    async def count(self) -> int:
        """How many archived rows would go."""
        layers = [one for one in await self._layers() if self._touches(one)]
        counts = [await asyncio.to_thread(self._count, layer) for layer in layers]
        return sum(counts)

    async def run(self) -> AsyncGenerator[int, None]:
        """Remove them layer by layer; how many went."""
        for layer in await self._table.layers(self._removal.tenant_id):
            if layer.number < 0:
                await clean(self._table, layer)
        for layer in await self._layers():
            if self._touches(layer):
                yield await self._erase(layer)
        await self._table.forget_gone(self._removal)

    async def _layers(self) -> list[Layer]:
        found = await self._table.layers(self._removal.tenant_id)
        return [one for one in found if one.state != "writing"]

    def _touches(self, layer: Layer) -> bool:
        asked = self._removal
        if layer.kind == "weather" and not asked.with_weather:
            return False
        start = FIRST_INSTANT if asked.start is None else asked.start
        end = LAST_INSTANT if asked.end is None else asked.end
        return layer.covers(start, end) and any(self._is_of(one) for one in layer.extents)

    def _is_of(self, one: Extent) -> bool:
        asked = self._removal
        return (asked.asset_ids is None or one.asset_id in asked.asset_ids) and (
            asked.series is None or not one.series or one.series == asked.series
        )

    def _count(self, layer: Layer) -> int:
        return sum(len(rows) - len(left) for _, rows, left in self._parts(layer))

    def _parts(self, layer: Layer) -> list[tuple[Part, pa.Table, pa.Table]]:
        """The parts with rows that go, all rows of each and those that are left."""
        asked, storage = self._removal, storage_at(layer.url)
        first = FIRST_INSTANT if asked.start is None else asked.start
        last = LAST_INSTANT if asked.end is None else asked.end - 1
        names, found = SCHEMAS[layer.kind].names, []
        for part in layer.within(first, last):
            rows = read_part(
                storage, layer.kind, part, FIRST_INSTANT, LAST_INSTANT, None, None, names
            )
            left = rows.filter(pc.invert(self._gone(rows)))
            if len(left) < len(rows):
                found.append((part, rows, left))
        return found

    def _gone(self, rows: pa.Table) -> pa.Array:
        """Which rows go."""
        asked, time = self._removal, micros(rows["timestamp"])
        gone = np.ones(len(rows), bool)
        if asked.start is not None:
            gone &= time >= asked.start
        if asked.end is not None:
            gone &= time < asked.end
        for name, wanted in (
            ("asset_id", asked.asset_ids),
            ("feature_type", None if asked.series is None else (asked.series,)),
        ):
            if wanted is not None and name in rows.column_names:
                column = rows[name].cast(pa.string())
                gone &= np.asarray(pc.is_in(column, pa.array([*wanted], pa.string())))
        return pa.array(gone)

    async def _erase(self, old: Layer) -> int:
        storage = storage_at(old.url)
        number = 2 * old.number
        ended = replace(old, number=-number - 1, state="writing")
        changed = await asyncio.to_thread(self._parts, old)
        gone = sum(len(rows) - len(left) for _, rows, left in changed)
        if gone == old.rows:
            await self._table.keep([ended])
            await clean(self._table, ended)
            return gone
        under_way = replace(
            old, id=uuid.uuid4().hex, number=-number, state="writing", parts=(), extents=()
        )
        await self._table.keep([under_way])
        new = replace(under_way, number=old.number, state=old.state)

        def write() -> Layer:
            written = _rewritten(new, old, changed)
            commit(storage, written)
            return written

        written = await asyncio.to_thread(write)
        await self._table.keep([ended, written])
        await clean(self._table, ended)
        return gone


async def clean(table: ArchiveTable, layer: Layer) -> None:
    """Remove what is left of a layer that another one took the place of, or was to."""
    others = [one for one in await table.layers(layer.tenant_id) if one.number > 0]
    kept = {part.name for one in others for part in one.parts}
    storage = storage_at(layer.url)
    await asyncio.to_thread(remove_layer, storage, layer, kept)
    if not layer.parts:
        await asyncio.to_thread(remove_unfinished, storage, layer)
    await table.forget([layer])


def _rewritten(new: Layer, old: Layer, changed: Sequence[tuple[Part, pa.Table, pa.Table]]) -> Layer:
    """A layer with the parts of an old one, some of which are written anew."""
    storage = storage_at(new.url)
    tables = [left for _, _, left in changed if len(left)]
    again = write_parts(
        storage, replace(new, buckets=old.buckets), table_of(new.kind, tables), old.buckets
    )
    others = {part.name for part, _, _ in changed}
    parts = [one for one in old.parts if one.name not in others] + [*again.parts]
    parts.sort(key=lambda one: (one.day, one.bucket))
    whole = [
        read_part(
            storage, new.kind, part, FIRST_INSTANT, LAST_INSTANT, None, None,
            SCHEMAS[new.kind].names,
        )
        for part in parts
    ]  # fmt: skip
    extents = extents_of(new.kind, table_of(new.kind, whole))
    return replace(new, buckets=old.buckets, parts=tuple(parts), extents=extents)
