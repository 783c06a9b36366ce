"""Seals history below a URL, and takes it out of the database: span by span, each committed before
the next one, so that a process may die at any moment.

The files of a layer come first, each read again and compared with the rows that it was written
from, then its manifest, which is the commit, then what the database keeps of it. It is verified:
what all layers of its days say is compared with the rows of the database, and what differs is a
further layer. Rows are taken out of the database in steps, each of which compares once more.
"""

from __future__ import annotations

import asyncio
import time
import uuid
from collections import defaultdict, deque
from collections.abc import AsyncGenerator, Iterable, Sequence
from dataclasses import dataclass, replace

import pyarrow as pa

from ai_hub.archive.files import commit, give_up_uploads, remove_unfinished, write_parts
from ai_hub.archive.layer import KINDS, Kind, Layer, day_of
from ai_hub.archive.past import storage_at, whole
from ai_hub.archive.rows import differences, micros
from ai_hub.definitions.values import DAY, FIRST_INSTANT, iso
from ai_hub.errors import ObjectMissing, StorageError
from ai_hub.serving.eraser import clean
from ai_hub.stores.archive_table import ArchiveTable
from ai_hub.stores.audit_log import noted

LAYER_ROWS = 1_000_000
"""Rows of a layer, about: those of two are in memory at once, and of one are written anew after a
crash."""
_MOST_ROWS = 2
"""How many times as many a span may have, whose rows were not counted."""
_BEGIN = day_of(FIRST_INSTANT)
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
            async for step in self.recover():
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

    async def recover(self) -> AsyncGenerator[ArchiveStep, None]:
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
            await asyncio.to_thread(give_up_uploads, storage, layer)
            found = replace(layer.told(manifest), state="written")
            await self._kept(found)
            yield _step("sealed", found)

    async def _seal(
        self, kind: Kind, tenant_id: str, end: int, url: str
    ) -> AsyncGenerator[ArchiveStep, None]:
        """Seal the days that are not yet, and what came in late about others."""
        mine = await self._of(kind, tenant_id)
        late_before = (await self._table.dropped()).get(kind, _BEGIN)
        wanted = [(_BEGIN, min(late_before, end)), *_uncovered(mine, late_before, end)]
        spans = [(one.start, one.end) for one in mine if one.state == "written"]
        for first, last in wanted:
            spans += await self._spans(kind, tenant_id, first, last)
        async for step in self._settle(kind, tenant_id, spans, url, late_before):
            yield step

    async def _spans(
        self, kind: Kind, tenant_id: str, start: int, end: int
    ) -> list[tuple[int, int]]:
        if start >= end:
            return []
        return await self._table.spans(kind, tenant_id, start, end, LAYER_ROWS)

    async def _settle(
        self,
        kind: Kind,
        tenant_id: str,
        spans: Iterable[tuple[int, int]],
        url: str,
        late_before: int,
    ) -> AsyncGenerator[ArchiveStep, None]:
        """Have the archive say what the database does of some spans, row by row. The rows of the
        next one are read while those of one are written."""
        left = deque(spans)
        reading = asyncio.create_task(self._read(kind, tenant_id, left))
        try:
            while (found := await reading) is not None:
                reading = asyncio.create_task(self._read(kind, tenant_id, left))
                start, end, live = found
                async for step in self._settle_span(
                    kind, tenant_id, start, end, live, url, start < late_before
                ):
                    yield step
        finally:
            reading.cancel()
            await asyncio.gather(reading, return_exceptions=True)

    async def _read(
        self, kind: Kind, tenant_id: str, left: deque[tuple[int, int]]
    ) -> tuple[int, int, pa.Table] | None:
        """The next span and its rows; one that has too many is halved."""
        while left:
            start, end = left.popleft()
            most = _MOST_ROWS * LAYER_ROWS if end - start > DAY else None
            rows = await self._table.rows(kind, tenant_id, start, end, most)
            if rows is not None:
                return start, end, rows
            half = start + max(1, (end - start) // DAY // 2) * DAY
            left.extendleft([(half, end), (start, half)])
        return None

    async def _settle_span(
        self,
        kind: Kind,
        tenant_id: str,
        start: int,
        end: int,
        live: pa.Table,
        url: str,
        is_late: bool,
    ) -> AsyncGenerator[ArchiveStep, None]:
        layers = [one for one in await self._of(kind, tenant_id) if one.covers(start, end)]
        if not len(live) and (is_late or not layers):
            return
        more = await asyncio.to_thread(_difference, kind, layers, live, start, end, is_late)
        verified = [
            replace(one, state="verified")
            for one in layers
            if one.state == "written" and start <= one.start and one.end <= end
        ]
        if len(more):
            written = await self._write(kind, tenant_id, url, more)
            verified.append(replace(written, state="verified"))
            yield _step("sealed", written)
            if layers:
                # Its files have its rows; that is what all of them say together.
                layers.append(written)
                more = await asyncio.to_thread(_difference, kind, layers, live, start, end, is_late)
                if len(more):
                    raise StorageError(
                        f"the archive of {kind} of {tenant_id} from {iso(start)} to {iso(end)} has "
                        f"other rows than the database, though these were written below {url}"
                    )
        await self._table.keep(verified)
        first, last = _days_of(live) if len(live) else (start, end)
        yield ArchiveStep("verified", kind, tenant_id, first, last, len(live))

    async def _write(self, kind: Kind, tenant_id: str, url: str, rows: pa.Table) -> Layer:
        now = time.time_ns() // 1_000
        start, end = _days_of(rows)
        layer = Layer(uuid.uuid4().hex, 0, kind, tenant_id, start, end, url, now)
        layer = await self._table.begin(layer)
        storage = storage_at(url)

        def write() -> Layer:
            written = write_parts(storage, layer, rows)
            commit(storage, written)
            return written

        written = replace(await asyncio.to_thread(write), state="written")
        await self._kept(written)
        return written

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
                    spans = await self._spans(kind, tenant_id, start, until)
                    async for step in self._settle(kind, tenant_id, spans, url, start):
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
            for start, end in await self._spans(kind, tenant_id, _BEGIN, before):
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
    return differences(kind, live, whole(layers).table(kind, start, end, is_late), is_late)


def _uncovered(layers: Iterable[Layer], start: int, end: int) -> list[tuple[int, int]]:
    """The spans of [start, end) that no layer covers."""
    found = []
    for layer in sorted(layers, key=lambda one: one.start):
        if layer.state == "writing" or layer.end <= start:
            continue
        if start < min(layer.start, end):
            found.append((start, min(layer.start, end)))
        start = max(start, layer.end)
    return [*found, (start, end)] if start < end else found


def _days_of(rows: pa.Table) -> tuple[int, int]:
    """The begin of the first day that rows are about, and the end of the last one."""
    times = micros(rows["timestamp"])
    return day_of(int(times.min())), day_of(int(times.max())) + DAY


def _step(action: str, layer: Layer) -> ArchiveStep:
    return ArchiveStep(
        action, layer.kind, layer.tenant_id, layer.start, layer.end, layer.rows, layer.size
    )
