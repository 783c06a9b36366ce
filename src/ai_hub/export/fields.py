"""The record of an export as plain values."""

from __future__ import annotations

from typing import Any

from ai_hub.definitions.values import iso
from ai_hub.stores.export_log import ExportRecord

_MEGABYTE = 1_000_000


def record_fields(record: ExportRecord) -> dict[str, Any]:
    """A record as the guide's fields; times as ISO texts, file_size_mb in 10^6 bytes."""
    return {
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
    }
