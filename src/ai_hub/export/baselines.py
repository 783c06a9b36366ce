"""The baseline of an export's rows, kept with it: what its values were like, to see drift by."""

from __future__ import annotations

import asyncio
import logging

from ai_hub.definitions.feature_set import FeatureSet
from ai_hub.definitions.values import TimeRange
from ai_hub.drift.baseline import clock_features
from ai_hub.drift.sample import Sample
from ai_hub.errors import StoreError
from ai_hub.stores.drift_table import DriftTable, SetOf, StoredBaseline, set_of
from ai_hub.stores.export_log import ExportRecord

_log = logging.getLogger(__name__)


async def made_of(
    sample: Sample,
    of: SetOf,
    chosen: FeatureSet,
    times: TimeRange,
    made_at: int,
    baseline_id: str,
    of_export: bool,
) -> StoredBaseline:
    """The baseline of a sample as it is kept. Raises InvalidInput where no rows were drawn from."""
    clock = clock_features(chosen.features)
    document = await asyncio.to_thread(lambda: sample.baseline(clock).to_bytes())
    rows, start, end = sample.rows, times.start, times.end
    return StoredBaseline(baseline_id, *of, of_export, start, end, made_at, rows, document)


async def keep_with(
    table: DriftTable, record: ExportRecord, chosen: FeatureSet, sample: Sample
) -> None:
    """Keep the baseline of an export that has completed. Where it cannot be kept, the log says it:
    the file is in its place."""
    of = set_of(record.tenant_id, chosen)
    if of is None or not table.writable or not sample.rows:
        return
    times = TimeRange(record.start_time, record.end_time)
    made_at = record.started_at if record.completed_at is None else record.completed_at
    made = await made_of(sample, of, chosen, times, made_at, record.export_id, True)
    try:
        await table.keep_baseline(made)
    except StoreError as error:
        told = {"export_id": record.export_id, "error": str(error)}
        _log.warning("baseline not kept", extra=told)
