"""Seals history below a URL, and takes it out of the database: span by span, each committed before
the next one, so that a process may die at any moment.

The files of a layer come first, then its manifest, which is the commit, then what the database
keeps of it. It is verified: what all layers of its days say is compared with the rows there, and
what differs is a further layer. Rows are taken out of the database in steps, each of which compares
once more.
"""

from __future__ import annotations

import asyncio
import time
import uuid
from collections import defaultdict
from collections.abc import AsyncGenerator, Iterable, Sequence
from dataclasses import dataclass, replace

import pyarrow as pa

from ai_hub.archive.files import commit, remove_unfinished, write_parts
from ai_hub.archive.layer import KINDS, Kind, Layer, day_of
from ai_hub.archive.past import storage_at, whole
from ai_hub.archive.rows import differences, table_of
from ai_hub.definitions.values import DAY, FIRST_INSTANT, iso
from ai_hub.errors import ObjectMissing
from ai_hub.serving.eraser import clean
from ai_hub.stores.archive_table import ArchiveTable
from ai_hub.stores.audit_log import noted

LAYER_ROWS = 2_000_000
"""Rows of a layer, about: they are in memory at once, and are written anew after a crash."""
_ROUNDS = 3
"""How often a span is verified that is being written to."""


@dataclass(frozen=True, slots=True)
class ArchiveStep:
    """What was done to some days of a tenant (None: of all): rows of a kind about [start, end)."""

    action: str
    kind: Kind
    tenant_id: str | None
    start: int
    end: int
    rows: int
    size: int = 0


class Archiver:
    """Archives what one database has."""

    def __init__(self, table: ArchiveTable) -> None:
        self._table = table

    async def run(
        self, before: int, url: str, tenant_id: str | None = None, drop: bool = False
    ) -> AsyncGenerator[ArchiveStep, None]:
        """Seal and verify the days before a time, of a tenant or of all; then take them out of the
        database, with `drop`. Raises Busy, StorageError and StoreError: what was done until then
        stays, and the next run goes on."""
        end = day_of(before)
        async with self._table.alone():
            async for step in self._recover():
                yield step
            for kind in KINDS:
                tenants = [tenant_id] if tenant_id is not None else await self._tenants(kind, end)
                for one in tenants:
                    async for step in self._seal(kind, one, end, url):
                        yield step
            if drop:
                for kind in KINDS:
                    async for step in self._drop(kind, end, url):
                        yield step

    async def _tenants(self, kind: Kind, end: int) -> list[str]:
        sealed = {one.tenant_id for one in await self._table.layers() if one.kind == kind}
        return sorted(sealed | {*await self._table.tenants(kind, end)})

    async def _recover(self) -> AsyncGenerator[ArchiveStep, None]:
        """Take over the layers of a process that died: with a manifest they are there, and what
        is left of others is removed."""
        for layer in await self._table.layers():
            if layer.state != "writing":
                continue
            storage = storage_at(layer.url)
            if layer.number < 0:
                await clean(self._table, layer)
                yield _step("removed", layer)
                continue
            try:
                manifest = await asyncio.to_thread(storage.get, layer.manifest_name)
            except ObjectMissing:
                await asyncio.to_thread(remove_unfinished, storage, layer)
                await self._table.forget([layer])
                yield _step("removed", layer)
                continue
            found = replace(layer.told(manifest), state="written")
            await self._kept(found)
            yield _step("sealed", found)

    async def _seal(
        self, kind: Kind, tenant_id: str, end: int, url: str
    ) -> AsyncGenerator[ArchiveStep, None]:
        """Seal the days that are not yet, and what came in late about others."""
        mine = await self._of(kind, tenant_id)
        late_before = (await self._table.dropped()).get(kind, FIRST_INSTANT)
        days = await self._table.days(kind, tenant_id, end)
        verified = [one for one in mine if one.state == "verified"]
        late = [one for one in days if one[0] < late_before]
        new = [
            (day, rows)
            for day, rows in days
            if day >= late_before and not any(one.covers(day, day + DAY) for one in verified)
        ]
        for start, until in (*_spans(late), *_spans(new)):
            async for step in self._settle(kind, tenant_id, start, until, url, late_before):
                yield step

    async def _settle(
        self, kind: Kind, tenant_id: str, start: int, end: int, url: str, late_before: int
    ) -> AsyncGenerator[ArchiveStep, None]:
        """Have the archive say what the database does of a span, row by row."""
        is_late = start < late_before
        for _ in range(_ROUNDS):
            layers = [one for one in await self._of(kind, tenant_id) if one.covers(start, end)]
            live = await self._table.rows(kind, tenant_id, start, end)
            more = await asyncio.to_thread(_difference, kind, layers, live, start, end, is_late)
            if not len(more):
                await self._table.keep(
                    [
                        replace(one, state="verified")
                        for one in layers
                        if one.state == "written" and start <= one.start and one.end <= end
                    ]
                )
                yield ArchiveStep("verified", kind, tenant_id, start, end, len(live))
                return
            yield await self._write(kind, tenant_id, start, end, url, more)

    async def _write(
        self, kind: Kind, tenant_id: str, start: int, end: int, url: str, rows: pa.Table
    ) -> ArchiveStep:
        now = time.time_ns() // 1_000
        layer = Layer(uuid.uuid4().hex, 0, kind, tenant_id, start, end, url, now)
        layer = await self._table.begin(layer)
        storage = storage_at(url)

        def write() -> Layer:
            written = write_parts(storage, layer, rows)
            commit(storage, written)
            return written

        written = replace(await asyncio.to_thread(write), state="written")
        await self._kept(written)
        return _step("sealed", written)

    async def _kept(self, layer: Layer) -> None:
        record = noted(
            "archive", layer.tenant_id, layer.rows, kind=layer.kind, url=layer.url,
            start_time=iso(layer.start), end_time=iso(layer.end), layer=layer.id,
        )  # fmt: skip
        await self._table.keep([layer], record)

    async def _drop(self, kind: Kind, end: int, url: str) -> AsyncGenerator[ArchiveStep, None]:
        layers = [one for one in await self._table.layers() if one.kind == kind]
        if not layers:
            return
        late_before = (await self._table.dropped()).get(kind)
        if late_before is not None:
            async for step in self._drop_late(kind, late_before):
                yield step
        start = min(one.start for one in layers) if late_before is None else late_before
        for until in await self._table.steps(kind, end):
            if until <= start:
                continue
            for left in range(_ROUNDS, -1, -1):
                done = await self._drop_span(kind, start, until)
                if done is not None:
                    yield done
                    break
                if not left:
                    return
                # Something came in since it was sealed.
                for tenant_id in await self._tenants(kind, until):
                    async for step in self._settle(kind, tenant_id, start, until, url, start):
                        yield step
            start = until

    async def _drop_span(self, kind: Kind, start: int, end: int) -> ArchiveStep | None:
        """Take the rows of a span out; None where the archive does not say the same."""
        by_tenant: dict[str, list[Layer]] = defaultdict(list)
        for layer in await self._table.layers():
            if layer.kind == kind and layer.covers(start, end) and layer.state != "writing":
                by_tenant[layer.tenant_id].append(layer)
        rows = 0

        def archived(tenant_id: str, first: int, last: int) -> pa.Table:
            nonlocal rows
            found = whole(by_tenant[tenant_id]).table(kind, first, last)
            rows += len(found)
            return found

        record = noted("archive-drop", None, 0, kind=kind, start_time=iso(start), end_time=iso(end))
        done = await self._table.drop(kind, start, end, [*by_tenant], archived, record)
        return ArchiveStep("dropped", kind, None, start, end, rows) if done else None

    async def _drop_late(self, kind: Kind, before: int) -> AsyncGenerator[ArchiveStep, None]:
        """Take late rows out that are sealed too."""
        for tenant_id in await self._table.tenants(kind, before):
            past = whole(await self._of(kind, tenant_id))
            for start, end in _spans(await self._table.days(kind, tenant_id, before)):
                rows = await asyncio.to_thread(past.table, kind, start, end, True)
                record = noted(
                    "archive-drop", tenant_id, 0, kind=kind, start_time=iso(start),
                    end_time=iso(end),
                )  # fmt: skip
                count = await self._table.drop_late(kind, tenant_id, rows, record)
                if count:
                    yield ArchiveStep("dropped", kind, tenant_id, start, end, count)

    async def _of(self, kind: Kind, tenant_id: str) -> list[Layer]:
        return [one for one in await self._table.layers(tenant_id) if one.kind == kind]


def _difference(
    kind: Kind, layers: Sequence[Layer], live: pa.Table, start: int, end: int, is_late: bool
) -> pa.Table:
    """What a further layer has to say of a span."""
    rows = table_of(kind, [live])
    return differences(kind, rows, whole(layers).table(kind, start, end, is_late), is_late)


def _spans(days: Iterable[tuple[int, int]]) -> list[tuple[int, int]]:
    """Spans of days with rows, of about LAYER_ROWS each."""
    spans: list[tuple[int, int]] = []
    size = 0
    for day, rows in days:
        if spans and size + rows <= LAYER_ROWS:
            spans[-1] = (spans[-1][0], day + DAY)
            size += rows
        else:
            spans.append((day, day + DAY))
            size = rows
    return spans


def _step(action: str, layer: Layer) -> ArchiveStep:
    return ArchiveStep(
        action, layer.kind, layer.tenant_id, layer.start, layer.end, layer.rows, layer.size
    )
