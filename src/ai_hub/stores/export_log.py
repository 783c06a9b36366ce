"""The log of exports: what was exported, and the row of `feature_exports` that says so.

Times are microseconds since the epoch.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from typing import Any, Literal, Protocol

ExportStatus = Literal["processing", "completed", "no_data", "failed"]

COLUMNS = (
    "export_id",
    "tenant_id",
    "feature_set",
    "feature_set_version",
    "status",
    "storage_path",
    "start_time",
    "end_time",
    "asset_ids",
    "started_at",
    "completed_at",
    "row_count",
    "file_size_bytes",
    "error",
    "checksum",
    "replaced_by",
    "violations",
)
"""The columns of the table, in the order of ExportRecord's fields."""
INSTANTS = frozenset({"start_time", "end_time", "started_at", "completed_at"})
"""Those of them that are times."""


@dataclass(frozen=True, slots=True)
class ExportRecord:
    """One export as the log keeps it.

    `checksum` is the SHA-256 of its file, in hexadecimal; of one still processing it says that the
    file is whole. `replaced_by` is the export whose file took the place of this one's.
    `violations` says how many of its rows are outside their range, by feature.
    """

    export_id: str
    tenant_id: str
    feature_set: str
    version: int | None
    status: ExportStatus
    storage_path: str
    start_time: int
    end_time: int
    asset_ids: tuple[str, ...] | None
    started_at: int
    completed_at: int | None = None
    row_count: int = 0
    file_size_bytes: int = 0
    error: str | None = None
    checksum: str | None = None
    replaced_by: str | None = None
    violations: Mapping[str, int] = field(default_factory=dict)

    def written(
        self, rows: int, size: int, checksum: str, violations: Mapping[str, int]
    ) -> ExportRecord:
        """The same export when its file is whole, and about to take its place."""
        return replace(
            self, row_count=rows, file_size_bytes=size, checksum=checksum, violations=violations
        )

    def completed(self, at: int) -> ExportRecord:
        """The same export when its file is in its place."""
        return replace(self, status="completed", completed_at=at)

    def without_data(self, at: int) -> ExportRecord:
        """The same export when it found no rows."""
        return replace(self, status="no_data", completed_at=at)

    def failed(self, at: int, error: str) -> ExportRecord:
        """The same export when nothing became of it."""
        return replace(
            self,
            status="failed",
            completed_at=at,
            row_count=0,
            file_size_bytes=0,
            error=error,
            checksum=None,
            violations={},
        )


def row_of(record: ExportRecord) -> dict[str, Any]:
    """An export as a row, value by column."""
    # Not `astuple`, which copies every asset id.
    values = (getattr(record, one.name) for one in fields(record))
    row = dict(zip(COLUMNS, values, strict=True))
    return row | {
        "asset_ids": None if record.asset_ids is None else list(record.asset_ids),
        "violations": json.dumps(record.violations) if record.violations else None,
    }


def record_of(row: Sequence[Any]) -> ExportRecord:
    """The export of a row with the values of COLUMNS, instants in microseconds."""
    values = dict(zip(COLUMNS, row, strict=True))
    version, assets = values.pop("feature_set_version"), values.pop("asset_ids")
    replaced_by, violations = values.pop("replaced_by"), values.pop("violations")
    values["export_id"] = str(values["export_id"])
    values["row_count"] = values["row_count"] or 0
    values["file_size_bytes"] = values["file_size_bytes"] or 0
    return ExportRecord(
        **values,
        version=None if version is None else int(version),
        asset_ids=None if assets is None else tuple(assets),
        replaced_by=None if replaced_by is None else str(replaced_by),
        violations={} if violations is None else json.loads(violations),
    )


class ExportLog(Protocol):
    """What was exported: the `feature_exports` table."""

    @property
    def writable(self) -> bool:
        """Whether records can be written there: not on a standby, whose exports have theirs beside
        their files."""

    async def record(self, export: ExportRecord) -> None:
        """Insert an export, or replace what is known of it.

        One that is completed replaces those completed before whose file was in the same place.
        """

    async def find(
        self,
        tenant_ids: Collection[str] | None = None,
        export_id: str | None = None,
        limit: int = 100,
    ) -> list[ExportRecord]:
        """Recorded exports, of some tenants or all, the newest first."""

    async def interrupted(self) -> list[ExportRecord]:
        """Exports still called processing that no living process writes, this one included."""
