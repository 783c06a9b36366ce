"""How many rows one export may have, and will have."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ai_hub.definitions.values import FIRST_INSTANT
from ai_hub.errors import InvalidInput
from ai_hub.stores.base import OfflineStore

if TYPE_CHECKING:
    from ai_hub.export.job import ExportJob, SpineJob


class Limits:
    """The rows that exports of a store may have: `most`."""

    def __init__(self, store: OfflineStore, most: int) -> None:
        self._store = store
        self._most = most

    async def check(self, job: ExportJob | SpineJob) -> int | None:
        """How many rows a job will have at most, where that is known before it begins. Raises
        InvalidInput for one that would have more than it may."""
        from ai_hub.export.job import ExportJob

        assets = len(job.asset_ids or ())
        of_one = job.most_rows(1)
        if job.counts_assets and of_one is not None:
            # No more of them than it takes to be too many.
            enough = self._most // of_one + 1
            assets = len(await self._store.seen(job.rows.tenant_id, FIRST_INSTANT, enough))
            if assets == enough:
                raise self._too_many(job.counted_by, f"more than {self._most:,} rows")
        rows = job.most_rows(assets)
        if rows is not None:
            if rows > self._most:
                raise self._too_many(job.counted_by, f"up to {rows:,} rows")
        elif isinstance(job, ExportJob) and not job.range.is_empty:
            series = job.rows.feature_set.series
            found = await self._store.most_rows(job.scan_request(), series, self._most)
            if found > self._most:
                raise self._too_many("end_time", f"more than {self._most:,} rows")
        return rows

    async def count(self, job: ExportJob | SpineJob) -> int | None:
        """How many rows a job will have, counted, where that was not known before."""
        from ai_hub.export.job import ExportJob

        if not isinstance(job, ExportJob) or job.range.is_empty:
            return None
        series = job.rows.feature_set.series
        return await self._store.most_rows(job.scan_request(), series, self._most, exact=True)

    def check_done(self, rows: int) -> None:
        """Raise InvalidInput for one that has more rows than it may: some came since they were
        counted."""
        if rows > self._most:
            raise self._too_many("end_time", f"more than {self._most:,} rows")

    def _too_many(self, field: str, got: str) -> InvalidInput:
        expected = f"at most {self._most:,} in one export (AI_HUB_EXPORT_ROWS)"
        return InvalidInput(field, got, expected)
