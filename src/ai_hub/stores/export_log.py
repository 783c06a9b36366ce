"""The log of exports: what was exported or is to be, and the row of `feature_exports` that says so.

An export is a job: `pending` until a process has its turn for it, `processing` while one works on
it, and then how it ended (decision 0029). Times are microseconds since the epoch.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from typing import Any, Literal, Protocol

ExportStatus = Literal["pending", "processing", "completed", "no_data", "failed", "cancelled"]
UNDER_WAY: frozenset[ExportStatus] = frozenset({"pending", "processing"})
MOST_DEATHS = 3
"""A job that its processes did not live to the end of so often is not begun again."""

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
    "request",
    "rows_done",
    "rows_expected",
    "rows_per_second",
    "deaths",
    "cancelled_by",
)
"""The columns of the table, in the order of ExportRecord's fields."""
READ = (*COLUMNS, "heartbeat_at")
"""What is read of a row: those, and what the log writes itself."""
INSTANTS = frozenset({"start_time", "end_time", "started_at", "completed_at", "heartbeat_at"})
"""Those of them that are times."""


@dataclass(frozen=True, slots=True)
class ExportRecord:
    """One export as the log keeps it.

    `checksum` is the SHA-256 of its file, in hexadecimal; of one still processing it says that the
    file is whole. `replaced_by` is the export whose file took the place of this one's.
    `violations` says how many of its rows are outside their range, by feature. `request` is what
    else it takes to make the job again; None where it cannot be, as its rows came with a request.
    `deaths` counts processes that did not live to its end. While it is under way `rows_done`,
    `rows_expected` and `rows_per_second` say how far it is, as of `heartbeat_at`.
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
    request: Mapping[str, Any] | None = None
    rows_done: int = 0
    rows_expected: int | None = None
    rows_per_second: float = 0.0
    deaths: int = 0
    cancelled_by: str | None = None
    heartbeat_at: int | None = field(default=None, compare=False)
    """The last sign of life, which the log writes itself."""

    @property
    def under_way(self) -> bool:
        """Whether it has not ended."""
        return self.status in UNDER_WAY

    def begun(self, at: int) -> ExportRecord:
        """The same export when its turn comes."""
        return replace(self, status="processing", started_at=at)

    def again(self, deaths: int) -> ExportRecord:
        """The same export when it waits for a process, after so many that died of it."""
        return replace(
            self.failed(0, ""), status="pending", completed_at=None, error=None, deaths=deaths
        )

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

    def cancelled(self, at: int, by: str) -> ExportRecord:
        """The same export when somebody ended it."""
        return replace(
            self.failed(at, f"cancelled by {by or 'nobody in particular'}"),
            status="cancelled",
            cancelled_by=by,
        )

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
    values = (getattr(record, one.name) for one in fields(record) if one.compare)
    row = dict(zip(COLUMNS, values, strict=True))
    return row | {
        "asset_ids": None if record.asset_ids is None else list(record.asset_ids),
        "violations": json.dumps(record.violations) if record.violations else None,
        "request": None if record.request is None else json.dumps(record.request),
    }


def record_of(row: Sequence[Any]) -> ExportRecord:
    """The export of a row with the values of READ, instants in microseconds."""
    values = dict(zip(READ, row, strict=True))
    version, assets = values.pop("feature_set_version"), values.pop("asset_ids")
    replaced_by, violations = values.pop("replaced_by"), values.pop("violations")
    request = values.pop("request")
    values["export_id"] = str(values["export_id"])
    values["row_count"] = values["row_count"] or 0
    values["file_size_bytes"] = values["file_size_bytes"] or 0
    for name in ("rows_done", "rows_per_second", "deaths"):
        values[name] = values[name] or 0
    return ExportRecord(
        **values,
        version=None if version is None else int(version),
        asset_ids=None if assets is None else tuple(assets),
        replaced_by=None if replaced_by is None else str(replaced_by),
        violations={} if violations is None else json.loads(violations),
        request=None if request is None else json.loads(request),
    )


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a job is: rows that are written, how many there will be where that is known, and how
    fast it goes."""

    rows: int
    expected: int | None
    per_second: float


@dataclass(frozen=True, slots=True)
class Heard:
    """What a process hears of its jobs: those that somebody ends, by whom, and those that another
    process has now."""

    cancelled: Mapping[str, str] = field(default_factory=dict)
    lost: Collection[str] = ()


class ExportLog(Protocol):
    """What was exported, or is to be: the `feature_exports` table.

    A job is had by one process at a time: who records it first, or takes it.
    """

    @property
    def writable(self) -> bool:
        """Whether records can be written there: not on a standby, whose exports have theirs beside
        their files."""

    @property
    def beat_seconds(self) -> float:
        """How often `beat` is to be called while there are jobs."""

    async def record(self, export: ExportRecord, keep: bool = True) -> None:
        """Insert an export, or replace what is known of one that this process has; with `keep`
        false it has it no more, and another one may take it.

        One that is completed replaces those completed before whose file was in the same place, and
        those that wait for a process and were to be there. Raises ExportTaken if another process
        has it.
        """

    async def find(
        self,
        tenant_ids: Collection[str] | None = None,
        export_id: str | None = None,
        limit: int = 100,
    ) -> list[ExportRecord]:
        """Recorded exports, of some tenants or all, the newest first."""

    async def interrupted(self) -> list[ExportRecord]:
        """Exports under way that no living process has, this one included, and that do not just
        wait for one."""

    async def waiting(self, limit: int) -> list[ExportRecord]:
        """Exports that wait for a process to take them, the oldest first."""

    async def take(self, export: ExportRecord) -> bool:
        """Have a job that no living process has; False if it is not any more as it was read. One
        that failed or was cancelled is pending then."""

    async def cancel(self, export_id: str, by: str) -> None:
        """Say that somebody ends a job under way; whoever has it hears of it."""

    async def beat(self, progress: Mapping[str, Progress]) -> Heard:
        """Say that the jobs of this process are alive, and how far they are."""
