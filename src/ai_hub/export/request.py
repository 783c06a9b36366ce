"""A job as its record says it, and made again from that."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from ai_hub.definitions.target import Target
from ai_hub.definitions.values import Duration, TimeRange
from ai_hub.errors import ExportFailed
from ai_hub.export.job import ExportJob, SpineJob
from ai_hub.export.layout import Layout
from ai_hub.export.rows import Rows, target_fields
from ai_hub.serving.spec import Spec
from ai_hub.stores.export_log import ExportRecord

_SAID = frozenset(
    ("fingerprint", "missing", "targets", "indicators", "frequency", "compression", "layout",
     "parts", "delta", "force")
)  # fmt: skip
Resolve = Callable[[str, Any], Spec]
"""The set of a label (`name@version`) with a missing policy. Raises NotFound."""


def request_of(
    job: ExportJob | SpineJob, parts: bool, force: bool, delta: bool = False
) -> dict[str, Any] | None:
    """What it takes to make a job again beside the columns of its record; None for one that cannot
    be: its rows came with it, or its features have no name."""
    chosen = job.rows.feature_set
    if isinstance(job, SpineJob) or chosen.name is None:
        return None
    return {
        "fingerprint": chosen.fingerprint,
        "missing": job.rows.missing,
        "targets": [target_fields(target) for target in job.rows.targets],
        "indicators": job.rows.indicators,
        "frequency": None if job.frequency is None else str(job.frequency),
        "compression": job.compression,
        "layout": None if job.layout is None else [[*job.layout.by], job.layout.buckets],
        "parts": parts,
        "delta": delta,
        "force": force,
    }


def job_again(record: ExportRecord, resolve: Resolve) -> ExportJob:
    """The job of a record. Raises ExportFailed where its set is another one now, and NotFound."""
    request = said(record)
    label = f"{record.feature_set}@{record.version}"
    spec = resolve(label, request["missing"])
    if spec.plan.feature_set.fingerprint != request["fingerprint"]:
        raise ExportFailed(f"the feature set {label} is another one than it was asked for with")
    frequency, layout = request["frequency"], request["layout"]
    targets = tuple(Target.of(one) for one in request["targets"])
    return ExportJob(
        Rows(record.tenant_id, spec.plan, spec.missing, targets, request["indicators"]),
        TimeRange(record.start_time, record.end_time),
        record.asset_ids,
        request["compression"],
        None if frequency is None else Duration.of(frequency, "frequency"),
        None if layout is None else Layout(tuple(layout[0]), layout[1]),
    )


def said(record: ExportRecord) -> Mapping[str, Any]:
    """What a record says of its job. Raises ExportFailed where it cannot be made again."""
    if record.request is None:
        raise ExportFailed("its rows came with the request, and ended with its process")
    if record.request.keys() != _SAID:
        raise ExportFailed("another version of the service was asked for it: ask for it again")
    return record.request
