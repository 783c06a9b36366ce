"""The audit log as a store keeps it: who changed what, when, and how many.

Times are microseconds since the epoch. A record is written in the transaction of the change that it
tells of, so neither is ever there without the other.
"""

from __future__ import annotations

import json
import time
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal, Protocol, get_args

from ai_hub.access.actor import LONGEST, acting

What = Literal[
    "ingest", "ingest-weather", "ingest-attributes", "weather-source", "delete",
    "apply", "retire", "default", "rollout", "bind", "unbind", "create-key", "revoke-key",
    "grant-tenant", "retention-set", "retention", "maintain", "drift-baseline", "archive",
    "archive-drop", "unarchive",
]  # fmt: skip
"""What was done, mostly by the name of its command; `retention` is the deletion of what is old."""
WHATS: tuple[What, ...] = get_args(What)


@dataclass(frozen=True, slots=True)
class AuditRecord:
    """A change: a row of `ai_hub_audit`.

    `who` is the name of a key, or of a user of the system; `who_id` tells them from others of the
    name. `tenant_id` is None for what is about all of them. `count` is of rows, or of what else
    was changed, and `details` are plain values. The store gives the `id`, in the order of writing.
    """

    what: What
    tenant_id: str | None
    count: int
    details: Mapping[str, Any] = field(default_factory=dict)
    who: str = ""
    who_id: str = ""
    done_at: int = 0
    id: int = 0


def noted(
    what: What, tenant_id: str | None, count: int, said_by: str | None = None, **details: Any
) -> AuditRecord:
    """A record of what is about to be done, by who does it, now. Details of None are left out.

    `said_by` is the name that a caller gives; it is a detail where it is another one.
    """
    actor = acting()
    said = {name: value for name, value in details.items() if value is not None}
    if said_by and said_by != actor.who:
        said["said_by"] = said_by
    at = time.time_ns() // 1_000
    return AuditRecord(what, tenant_id, count, said, actor.who[:LONGEST], actor.id, at)


def landed(
    records: Iterable[AuditRecord], replaced: int, unchanged: int
) -> tuple[AuditRecord, ...]:
    """The records of a batch, where it is of one tenant with what became of its rows."""
    found = tuple(records)
    if len(found) != 1:
        return found
    more = {"replaced": replaced, "unchanged": unchanged}
    return (replace(found[0], details={**found[0].details, **more}),)


def counting(records: Iterable[AuditRecord], count: int) -> tuple[AuditRecord, ...]:
    """The records of a change of so many; none where it was of nothing."""
    return tuple(replace(one, count=count) for one in records) if count else ()


AUDIT = ("done_at", "who", "who_id", "what", "tenant_id", "count", "details")
"""The columns of the table that a writer gives."""
Row = tuple[int, str, str, str, str | None, int, str]


def row_of(record: AuditRecord) -> Row:
    """The columns of a record; its details in JSON, in ASCII."""
    one, details = record, json.dumps(record.details, separators=(",", ":"))
    return one.done_at, one.who, one.who_id, one.what, one.tenant_id, one.count, details


def record_of(row: Iterable[Any]) -> AuditRecord:
    """A record from its id and its columns."""
    id, done_at, who, who_id, what, tenant_id, count, details = row
    return AuditRecord(what, tenant_id, count, json.loads(details), who, who_id, done_at, id)


@dataclass(frozen=True, slots=True)
class AuditQuery:
    """Which records are wanted: of some tenants (None: all, and those of none), of one kind, by
    somebody (a name or an id), of [start, end); the newest, at most `limit`, `before` the one of
    an id."""

    tenants: Collection[str] | None = None
    what: str | None = None
    who: str | None = None
    start: int | None = None
    end: int | None = None
    before: int | None = None
    limit: int = 100


class AuditLog(Protocol):
    """The audit log of a database."""

    async def find(self, wanted: AuditQuery) -> list[AuditRecord]:
        """Some records, the newest first."""
