"""The record of an export as plain values."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ai_hub.definitions.values import iso

if TYPE_CHECKING:  # clients have records too, and import little
    from ai_hub.stores.export_log import ExportRecord

_MEGABYTE = 1_000_000


class Record(dict[str, Any]):
    """The record of an export as plain values: a dict that a notebook shows as a table."""

    def _repr_html_(self) -> str:
        from ai_hub.notebooks import table

        caption = f"export {self.get('export_id')}: {self.get('status')}"
        return table(caption, ["field", "value"], self.items())


def record_fields(record: ExportRecord) -> Record:
    """A record as the guide's fields; times as ISO texts, file_size_mb in 10^6 bytes. Of one that
    has not ended also how far it is."""
    return Record(
        {
            "export_id": record.export_id,
            "tenant_id": record.tenant_id,
            "feature_set": record.feature_set,
            "status": record.status,
            "storage_path": None if record.status == "no_data" else record.storage_path,
            "row_count": record.row_count,
            "file_size_bytes": record.file_size_bytes,
            "file_size_mb": record.file_size_bytes / _MEGABYTE,
            "started_at": iso(record.started_at),
            "completed_at": None if record.completed_at is None else iso(record.completed_at),
            "checksum": record.checksum,
            "replaced_by": record.replaced_by,
            "violations": dict(record.violations),
            **({} if record.error is None else {"error": record.error}),
            **({} if record.cancelled_by is None else {"cancelled_by": record.cancelled_by}),
            **({"progress": _progress(record)} if record.under_way else {}),
        }
    )


def _progress(record: ExportRecord) -> dict[str, Any]:
    """How far an export is that has not ended; null is what is not known."""
    rows, expected, speed = record.rows_done, record.rows_expected, record.rows_per_second
    known = expected is not None and expected > 0
    return {
        "rows": rows,
        "rows_expected": expected,
        "share": round(min(1.0, rows / expected), 4) if known and expected else None,
        "rows_per_second": round(speed, 1),
        "seconds_left": (
            round(max(0, expected - rows) / speed, 1) if known and expected and speed else None
        ),
        "heartbeat_at": None if record.heartbeat_at is None else iso(record.heartbeat_at),
    }
