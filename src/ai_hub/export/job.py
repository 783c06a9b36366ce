"""What an export is asked for, checked, and what it must read for that."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal, cast, get_args

import numpy as np

from ai_hub.definitions.target import Horizon, Target
from ai_hub.definitions.values import (
    MAX_ASSETS,
    MAX_HORIZONS,
    Duration,
    Time,
    TimeRange,
    check_id,
    check_list,
    to_micros,
)
from ai_hub.engines.arrays import Ints, Points
from ai_hub.errors import InvalidInput
from ai_hub.export.layout import Layout
from ai_hub.export.rows import Rows
from ai_hub.export.spine import Spine, spine_of
from ai_hub.serving.spec import Spec
from ai_hub.stores.base import Chunk, ScanRequest

Compression = Literal["snappy", "zstd"]
PART_ROWS = 131_072
"""Rows computed at once."""
_MOST_STEPS = 100_000_000


def check_compression(value: object) -> Compression:
    """A compression of Parquet that readers have everywhere. Raises InvalidInput."""
    if value not in get_args(Compression):
        raise InvalidInput("compression", value, f"one of {', '.join(get_args(Compression))}")
    return cast(Compression, value)


@dataclass(frozen=True)
class ExportJob:
    """A feature set for a range of times, as a table.

    Rows stand at every observation time of the set's series, or at every step of `frequency` from
    the start on that is not before the asset's first observation of it.
    """

    rows: Rows
    range: TimeRange
    asset_ids: tuple[str, ...] | None = None
    compression: Compression = "snappy"
    frequency: Duration | None = None
    layout: Layout | None = None

    def __post_init__(self) -> None:
        check_compression(self.compression)
        if self.frequency is not None:
            steps = (self.range.end - self.range.start) // self.frequency.micros
            if steps > _MOST_STEPS:
                raise InvalidInput(
                    "frequency",
                    str(self.frequency),
                    f"at most {_MOST_STEPS:,} steps for each asset, and these would be {steps:,}",
                )

    @property
    def counted_by(self) -> str:
        """The field that says how many rows there are."""
        return "frequency"

    @property
    def counts_assets(self) -> bool:
        """Whether it takes all assets of a tenant, however many, to say how many rows there are."""
        return self.frequency is not None and self.asset_ids is None

    def most_rows(self, assets: int) -> int | None:
        """How many rows there may be; None where it is as many as there are observations."""
        if self.frequency is None or self.range.is_empty:
            return None
        return assets * ((self.range.end - self.range.start) // self.frequency.micros + 1)

    def scan_request(self) -> ScanRequest:
        """The history it needs: windows and fills before the start, targets beyond the end."""
        start, end = self.range.start, self.range.end
        return self.rows.scan_request(start, end, self.asset_ids, self.frequency is not None)

    def points(self, chunk: Chunk) -> Iterator[Points]:
        """Where a chunk has rows, in parts of bounded size, by ascending asset and time."""
        if self.frequency is None:
            series = chunk.history.series[self.rows.feature_set.series]
            inside = (series.time >= chunk.start) & (series.time <= chunk.end)
            if inside.all():
                yield Points(series.code, series.time)
            else:
                yield Points(series.code[inside], series.time[inside])
            return
        yield from steps(chunk, self.range.start, self.frequency)


def steps(chunk: Chunk, start: int, frequency: Duration) -> Iterator[Points]:
    """The steps from `start` on that a chunk has rows for: those of each asset that are not before
    its first observation, in parts of bounded size."""
    assert chunk.edges is not None
    held: list[Points] = []
    for code, first in enumerate(chunk.edges.first.tolist()):
        for times in _steps(start, max(first, chunk.start), chunk.end, frequency.micros):
            held.append(Points(np.full(len(times), code), times))
            if sum(map(len, held)) >= PART_ROWS:
                yield _joined(held)
                held = []
    if held:
        yield _joined(held)


def _steps(start: int, first: int, last: int, step: int) -> Iterator[Ints]:
    """The steps from `start` on in [first, last]."""
    begin = start - (start - first) // step * step
    for at in range(begin, last + 1, step * PART_ROWS):
        yield np.arange(at, min(at + step * PART_ROWS, last + 1), step, dtype=np.int64)


def _joined(parts: Sequence[Points]) -> Points:
    return Points(
        np.concatenate([part.code for part in parts]), np.concatenate([part.time for part in parts])
    )


@dataclass(frozen=True)
class SpineJob:
    """A feature set at the rows of a spine."""

    rows: Rows
    spine: Spine
    compression: Compression = "snappy"
    layout: Layout | None = None

    @property
    def counted_by(self) -> str:
        """The field that says how many rows there are."""
        return "spine"

    @property
    def counts_assets(self) -> bool:
        """The rows are there already."""
        return False

    def most_rows(self, assets: int) -> int:
        """How many rows there are."""
        return len(self.spine)

    @property
    def range(self) -> TimeRange:
        """From the first time of the spine to its last; without rows an empty range."""
        times = self.spine.time
        return TimeRange(int(times.min()), int(times.max())) if len(times) else TimeRange(0, -1)

    @property
    def asset_ids(self) -> None:
        """The record of an export does not list the assets of a spine."""
        return None


def job_of(
    spec: Spec,
    tenant_id: str,
    *,
    start_time: Time | None = None,
    end_time: Time | None = None,
    asset_ids: Sequence[str] | None = None,
    compression: str = "snappy",
    horizons: Sequence[Horizon] = (),
    indicators: bool = False,
    frequency: str | None = None,
    spine: object = None,
    layout: Layout | None = None,
) -> ExportJob | SpineJob:
    """The job that a caller describes: aware times, widths such as "24h", a table as spine.

    A spine sets times and assets by itself. Raises InvalidInput naming the field.
    """
    if spine is not None:
        given = {"frequency": frequency, "start_time": start_time, "end_time": end_time,
                 "asset_ids": asset_ids}  # fmt: skip
        for field, value in given.items():
            if value is not None:
                raise InvalidInput(field, value, "none with a spine, which says each row")
        return spine_job(spec, tenant_id, spine, horizons, indicators, compression, layout)
    start = None if start_time is None else to_micros(start_time, "start_time", "up")
    end = None if end_time is None else to_micros(end_time, "end_time")
    if start is None or end is None:
        field = "start_time" if start is None else "end_time"
        raise InvalidInput(field, None, "a time (or a spine, which sets the times)")
    rows = Rows(tenant_id, spec.plan, spec.missing, targets_of(horizons), indicators)
    if asset_ids is not None:
        ids = check_list("asset_ids", asset_ids, "asset ids", MAX_ASSETS)
        if not ids:
            raise InvalidInput("asset_ids", ids, "at least one asset id, or none for all")
        asset_ids = tuple(dict.fromkeys(check_id("asset_ids", one) for one in ids))
    return ExportJob(
        rows,
        TimeRange(start, end),
        asset_ids,
        check_compression(compression),
        None if frequency is None else Duration.of(frequency, "frequency"),
        layout,
    )


def spine_job(
    spec: Spec,
    tenant_id: str,
    spine: object,
    horizons: Sequence[Horizon] = (),
    indicators: bool = False,
    compression: str = "snappy",
    layout: Layout | None = None,
) -> SpineJob:
    """The rows of a spine, or of what a function gives, as a job.

    Raises InvalidInput naming the field, and the row.
    """
    check_id("tenant_id", tenant_id)
    targets = targets_of(horizons)
    table = spine_of(spine() if callable(spine) else spine, tenant_id)
    rows = Rows(tenant_id, spec.plan, spec.missing, targets, indicators, not table.has("value"))
    taken = rows.taken()
    wrong = [name for name in table.labels if name in taken]
    if wrong:
        raise InvalidInput(
            "spine", wrong, "labels whose names no feature, no target and no <feature>__missing has"
        )
    return SpineJob(rows, table, check_compression(compression), layout)


def targets_of(horizons: Sequence[Horizon]) -> tuple[Target, ...]:
    """Targets as they are, and those of horizons such as "24h". Raises InvalidInput."""
    wanted = check_list("horizons", horizons, 'horizons such as "24h"', MAX_HORIZONS)
    return tuple(Target.of(horizon) for horizon in wanted)
