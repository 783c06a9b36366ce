"""What the intake hands to a store: checked rows as Arrow, and the rows it refused with the why."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import pyarrow as pa
import pyarrow.compute as pc

from ai_hub.definitions.vocabulary import WEATHER_COLUMNS
from ai_hub.intake.options import BatchKind as BatchKind
from ai_hub.intake.result import IngestResult, Rejection, Remark

BATCH_ROWS = 100_000

TIME = pa.timestamp("us", "UTC")

OBSERVATIONS = pa.schema(
    [
        ("timestamp", TIME),
        ("tenant_id", pa.string()),
        ("asset_id", pa.string()),
        ("feature_type", pa.string()),
        ("value", pa.float64()),
        ("quality", pa.int32()),
    ]
)

WEATHER = pa.schema(
    [
        ("timestamp", TIME),
        ("issued_at", TIME),
        ("tenant_id", pa.string()),
        ("asset_id", pa.string()),
        *((column, pa.float64()) for column in WEATHER_COLUMNS),
    ]
)

ATTRIBUTES = pa.schema(
    [
        ("valid_from", TIME),
        ("tenant_id", pa.string()),
        ("asset_id", pa.string()),
        ("key", pa.string()),
        ("number", pa.float64()),
        ("text", pa.string()),
    ]
)

TIME_FIELDS = frozenset({"timestamp", "issued_at"})
ID_FIELDS = frozenset({"tenant_id", "asset_id", "feature_type"})
FIELDS = frozenset(OBSERVATIONS.names) | frozenset(WEATHER.names)

ATTRIBUTE_FIELDS = frozenset(ATTRIBUTES.names) | {"value"}
"""The columns of attributes on their way to the check: a value, or what a checked one has."""

AS_THEY_CAME = {field: f"{field}\x01" for field in TIME_FIELDS}
"""The columns that keep times as they came, beside their ISO texts, until they are in UTC."""


Part = tuple[pa.Table, float]
"""Rows that are not checked yet, and the fraction (0 to 1) of all rows that ends with them."""


@dataclass(frozen=True, slots=True)
class Batch:
    """The unit of ingest: the checked rows of one body, or of one part of a file.

    `table` has the schema OBSERVATIONS, WEATHER or ATTRIBUTES, one row per key (the last one sent),
    sorted by entity, series and time. `sent` and `rejected` count rows; `reasons` are the first
    MAX_REASONS rejections by row. `naive`: the column of times was naive datetimes, so no row was
    taken.
    `duplicates` are rows taken that a later one of the batch replaced. `unreadable` and `outside`
    count by column the optional cells that are null now: they held no number, or one that cannot
    be. `remarks` say so in words, and what else the caller should know.
    """

    table: pa.Table
    tenant_id: str | None
    sent: int
    rejected: int
    reasons: tuple[Rejection, ...]
    naive: bool
    duplicates: int = 0
    unreadable: Mapping[str, int] = field(default_factory=dict)
    outside: Mapping[str, int] = field(default_factory=dict)
    remarks: tuple[Remark, ...] = ()

    @property
    def accepted(self) -> int:
        """Rows taken; those that a later row of the batch replaced count as well."""
        return self.sent - self.rejected

    def landed(self, replaced: int, unchanged: int, aged: int) -> IngestResult:
        """What became of the rows sent, given what a store did with those accepted."""
        return IngestResult(
            self.accepted, replaced, unchanged, self.rejected, aged, self.reasons, self.duplicates,
            self.unreadable, self.outside, self.remarks,
        )  # fmt: skip

    def rows_by_tenant(self) -> dict[str, int]:
        """How many rows to land each tenant has."""
        if self.tenant_id is not None:
            return {self.tenant_id: self.table.num_rows}
        counts = self.table.group_by("tenant_id").aggregate([([], "count_all")])
        columns = (counts[name].to_pylist() for name in ("tenant_id", "count_all"))
        return dict(zip(*columns, strict=True))

    def newest(self) -> dict[str, int]:
        """The last time of each tenant's rows, in microseconds."""
        if self.tenant_id is not None and self.table.num_rows:
            return {self.tenant_id: pc.max(self.table["timestamp"]).value}
        times = self.table.group_by("tenant_id", use_threads=False).aggregate(
            [("timestamp", "max")]
        )
        return {
            tenant: time.value
            for tenant, time in zip(
                times["tenant_id"].to_pylist(), times["timestamp_max"], strict=True
            )
        }
