"""What a feature store tells of changes: the part of the front that reads the audit log."""

from __future__ import annotations

from typing import Any

from ai_hub.access.grant import EVERYTHING, Grant
from ai_hub.definitions.values import Time, check_count, check_id, iso, to_micros
from ai_hub.errors import InvalidInput, did_you_mean
from ai_hub.front.base import Front
from ai_hub.stores.audit_log import WHATS, AuditQuery, AuditRecord

MOST_RECORDS = 10_000
"""Of one page."""
_LARGEST_ID = 2**63 - 1


class Audit(Front):
    """Who changed what, when, and how many."""

    async def audit(
        self,
        tenant_id: str | None = None,
        *,
        what: str | None = None,
        who: str | None = None,
        start_time: Time | None = None,
        end_time: Time | None = None,
        before: int | None = None,
        limit: int = 100,
        by: Grant = EVERYTHING,
    ) -> dict[str, Any]:
        """A page of audit `records`, the newest first, and before which id (`next`) there are more.

        Of one tenant (None: all, and what is about all of them), of one kind (`what`), by somebody
        (`who`: a name, or what stands in `who_id`), of [start_time, end_time). `by` is who asks:
        they see the records of their tenants and no others. Raises InvalidInput, Forbidden and
        StoreError.
        """
        check_count("limit", limit, MOST_RECORDS)
        if what is not None and what not in WHATS:
            expected = f"one of {', '.join(WHATS)}"
            raise InvalidInput("what", what, expected, did_you_mean(what, WHATS))
        if who is not None:
            check_id("who", who)
        if before is not None:
            check_count("before", before, _LARGEST_ID)
        tenants = by.tenants
        if tenant_id is not None:
            by.check_tenant(check_id("tenant_id", tenant_id))
            tenants = frozenset((tenant_id,))
        found = await self._open.store.audit_log.find(AuditQuery(
            tenants, what, who,
            None if start_time is None else to_micros(start_time, "start_time", "up"),
            None if end_time is None else to_micros(end_time, "end_time", "up"),
            before, limit + 1,
        ))  # fmt: skip
        following = found[limit - 1].id if len(found) > limit else None
        return {"records": [_document(one) for one in found[:limit]], "next": following}


def _document(record: AuditRecord) -> dict[str, Any]:
    return {
        "id": record.id,
        "done_at": iso(record.done_at),
        "who": record.who,
        "who_id": record.who_id,
        "what": record.what,
        "tenant_id": record.tenant_id,
        "count": record.count,
        "details": dict(record.details),
    }
