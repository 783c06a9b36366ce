"""What a store keeps of its archive: the layers that there are, before when rows were taken out,
and what is asked to seal some and to take them out.

Times are microseconds since the epoch, spans are [start, end) and begin and end with days (UTC).
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from contextlib import AbstractAsyncContextManager
from typing import TYPE_CHECKING, Protocol

from ai_hub.archive.layer import Kind, Layer
from ai_hub.definitions.values import DAY
from ai_hub.stores.audit_log import AuditRecord
from ai_hub.stores.removal import Removal

if TYPE_CHECKING:
    import pyarrow as pa

Archived = Callable[[str, int, int], "pa.Table"]
"""What the archive has of a tenant's rows of one kind about a span. Blocking."""
DROP_ROWS = 200_000
"""Rows that are taken out at once, about."""


class ArchiveTable(Protocol):
    """The archive of one database. Raises StoreError."""

    def alone(self) -> AbstractAsyncContextManager[None]:
        """While nobody else changes the archive. Raises Busy at once where somebody does."""

    async def layers(self, tenant_id: str | None = None) -> list[Layer]:
        """The layers of a tenant (None: of all), by number."""

    async def dropped(self) -> Mapping[Kind, int]:
        """Before when rows were taken out of the database, by kind."""

    async def tenants(self, kind: Kind, before: int) -> list[str]:
        """Whose rows of a kind there are about a time before another one, sorted."""

    async def spans(
        self, kind: Kind, tenant_id: str, start: int, end: int, rows: int
    ) -> list[tuple[int, int]]:
        """Spans of days with all rows of a tenant about a longer one, ascending: of so many rows
        each, about, as far as that is known without counting them."""

    async def rows(
        self, kind: Kind, tenant_id: str, start: int, end: int, most: int | None = None
    ) -> pa.Table | None:
        """The rows of a tenant about a span, those too that say that there is none, in no order;
        None where there are more than `most`."""

    async def begin(self, layer: Layer) -> Layer:
        """Keep that a layer is under way; it, with its number."""

    async def keep(self, layers: list[Layer], audit: AuditRecord | None = None) -> None:
        """Keep what is known of layers by their ids, together."""

    async def forget(self, layers: list[Layer], audit: AuditRecord | None = None) -> None:
        """Keep nothing of layers any more."""

    async def bring_back(
        self, kind: Kind, tenant_id: str, rows: pa.Table, audit: AuditRecord
    ) -> int:
        """Put rows that were taken out where they were, as far as the database says nothing of
        them; how many. Nobody writes rows of the kind meanwhile."""

    async def end(self, left: list[Layer], audit: AuditRecord | None) -> None:
        """Keep nothing of the archive but layers of which the files are to be removed."""

    async def forget_gone(self, removal: Removal) -> None:
        """Keep nothing of what was taken back of rows that are removed."""

    async def steps(self, kind: Kind, before: int) -> list[int]:
        """The ends of the steps in which rows before a time are taken out, ascending."""

    async def drop(
        self,
        kind: Kind,
        start: int,
        end: int,
        tenants: Collection[str],
        archived: Archived,
        audit: AuditRecord,
    ) -> bool:
        """Take the rows about a span out, if the archive has just these, of these tenants; whether
        it has. From then on what came in about times before its end is late."""

    async def drop_late(
        self, kind: Kind, tenant_id: str, rows: pa.Table, audit: AuditRecord
    ) -> int:
        """Take late rows out that are these; how many."""


def spans_of(days: Iterable[tuple[int, int]], most: int) -> list[tuple[int, int]]:
    """Spans of some days with so many rows each, of at most so many rows or one day."""
    spans: list[tuple[int, int]] = []
    size = 0
    for day, rows in days:
        if spans and size + rows <= most:
            spans[-1] = (spans[-1][0], day + DAY)
            size += rows
        else:
            spans.append((day, day + DAY))
            size = rows
    return spans


def steps_of(days: Iterable[tuple[int, int]], before: int) -> list[int]:
    """The ends of steps of about DROP_ROWS rows, from some days with so many each."""
    ends: list[int] = []
    size = 0
    for day, rows in days:
        if size and size + rows > DROP_ROWS:
            ends.append(day)
            size = 0
        size += rows
    return [*ends, before]
