"""Checked rows on their way to a server."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from ai_hub.client.arrow_bodies import arrow_stream, by_tenant
from ai_hub.client.base import FEATURES
from ai_hub.client.connection import MAX_BODY, Broke, Connection
from ai_hub.errors import InvalidInput, TooLarge
from ai_hub.intake.batch import Batch, BatchKind
from ai_hub.intake.result import MAX_REASONS, IngestResult, Rejection

_PATHS: dict[BatchKind, str] = {
    "observations": f"{FEATURES}/ingest",
    "weather": f"{FEATURES}/ingest/weather",
    "attributes": f"{FEATURES}/ingest/attributes",
}
_ARROW_STREAM = "application/vnd.apache.arrow.stream"
_ALWAYS_READ = 1024**2
_NONE_LANDED = frozenset({200, 422})


async def land(
    connection: Connection, batch: Batch, kind: BatchKind, max_body: int = MAX_BODY
) -> IngestResult:
    """Land the rows of a checked batch; what became of all that were sent. Raises AiHubError."""
    stored = IngestResult()
    for tenant_id, table in by_tenant(batch.table):
        stored += await _send(connection, kind, tenant_id, table, max_body)
    # The server was sent the accepted rows only, and one of those with the same key. Its own
    # settings may refuse some of them.
    found = batch.landed(stored.replaced, stored.unchanged, stored.aged)
    return replace(
        found,
        accepted=found.accepted - stored.rejected,
        rejected=found.rejected + stored.rejected,
        reasons=(*found.reasons, *stored.reasons)[:MAX_REASONS],
    )


async def _send(
    connection: Connection, kind: BatchKind, tenant_id: str, table: Any, max_body: int
) -> IngestResult:
    """Send rows of one tenant; in halves where they are more than a body may hold."""
    body, safe = arrow_stream(table), _may_be_sent_again(table)
    if len(body) <= max_body:
        try:
            response = await connection.send(
                "POST",
                _PATHS[kind],
                params={"tenant_id": tenant_id},
                content=body,
                content_type=_ARROW_STREAM,
                safe=safe,
                work=True,
                answers=_NONE_LANDED,
            )
        except (TooLarge, Broke) as error:
            # A server that refuses a large body does not read the rest of it, and its answer may
            # be lost with the connection.
            if isinstance(error, Broke) and (len(body) <= _ALWAYS_READ or not safe):
                raise
        else:
            return _counted(connection, response)
    half = len(table) // 2
    if not half:
        raise InvalidInput(
            "rows", f"{len(body)} bytes", "rows that each fit in the largest body of the server"
        )
    first = await _send(connection, kind, tenant_id, table.slice(0, half), max_body)
    second = await _send(connection, kind, tenant_id, table.slice(half), max_body)
    return first + second


def _may_be_sent_again(table: Any) -> bool:
    """Whether rows are stored once however often they arrive: they say from when on they hold."""
    if "valid_from" not in table.column_names:
        return True
    return not table.column("valid_from").null_count


def _counted(connection: Connection, response: Any) -> IngestResult:
    counts = connection.document(response)
    if "rejected" not in counts:  # the request was refused, and not its rows
        raise connection.refused(response)
    return IngestResult(
        replaced=int(counts.get("replaced", 0)),
        unchanged=int(counts.get("unchanged", 0)),
        aged=int(counts.get("aged", 0)),
        rejected=int(counts.get("rejected", 0)),
        # Their places are those in what was sent, which no file has.
        reasons=tuple(Rejection(**{**one, "row": None}) for one in counts.get("reasons", ())),
    )
