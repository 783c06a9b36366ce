"""What a feature store writes out: the part of the front that makes training sets and exports."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable, Collection, Sequence
from functools import partial
from pathlib import PurePath
from typing import TYPE_CHECKING, Any

from ai_hub.access.actor import acting
from ai_hub.definitions.values import Time
from ai_hub.definitions.vocabulary import Missing
from ai_hub.errors import InvalidInput
from ai_hub.export.fields import record_fields
from ai_hub.export.place import named_path
from ai_hub.front.feature_sets import FeatureSets
from ai_hub.storage.url import Url

if TYPE_CHECKING:
    from ai_hub.definitions.target import Horizon
    from ai_hub.export.training_set import TrainingSet
    from ai_hub.serving.spec import Spec

_Progress = Callable[[int], None] | None


class TrainingSets(FeatureSets):
    """Feature sets, and their rows over time with targets."""

    async def export_features_to_parquet(
        self,
        tenant_id: str,
        feature_set: str | None = None,
        start_time: Time | None = None,
        end_time: Time | None = None,
        output_path: str | PurePath | Url | None = None,
        asset_ids: Sequence[str] | None = None,
        *,
        missing: Missing | None = None,
        compression: str = "snappy",
        horizons: Sequence[Horizon] = (),
        indicators: bool = False,
        frequency: str | None = None,
        spine: object = None,
        force: bool = False,
        in_tenant_folder: bool = False,
        progress: _Progress = None,
        model: str | None = None,
        parts: bool = False,
        partition_by: str | Sequence[str] | None = None,
        buckets: int | None = None,
        format: str = "parquet",
        wait_seconds: float | None = None,
        detached: bool = False,
    ) -> dict[str, Any]:
        """Write a feature set over [start_time, end_time] to a Parquet file; the export's record.

        A row for every observation time of the set's series, for every step of `frequency` from an
        asset's first observation on, or for every row of `spine` (see `get_training_set`). A
        `model` stands for the set and policy that it is bound to. `horizons` add targets,
        `indicators` say where a feature was missing. By default the file is in the export root
        (`in_tenant_folder`: in the tenant's own folder there); `parts` make a folder,
        `manifest.json` last, with folders in it by `partition_by`: `month`, `asset_bucket` (of
        `buckets`, 16), or both. So does a URL (`s3://`, `gs://`, `az://`; extra `cloud`): a new one
        below it, named by the export's id. What no export wrote is replaced with `force` only, a
        folder never. With `format="delta"` (extra `delta`) that place is a Delta table, which has a
        new version then. Status `no_data` if there are no rows. Raises ExportFailed, or Busy if too
        many wait.

        It is a job: with `wait_seconds` the record comes after so long, and the job goes on in this
        process (`wait_for_export`); without, it ends with who waits. `detached`: it is recorded
        only, for a server of the same database.
        """
        from ai_hub.export.job import job_of
        from ai_hub.export.layout import Layout

        spec = self.specs.one_set(feature_set, missing, model)
        job = await asyncio.to_thread(
            job_of, spec, tenant_id, start_time=start_time, end_time=end_time,
            asset_ids=asset_ids, compression=compression, horizons=horizons,
            indicators=indicators, frequency=frequency, spine=spine,
            layout=Layout.of(partition_by, buckets),
        )  # fmt: skip
        path = named_path(output_path)
        if format == "delta":
            path = _table(path, in_tenant_folder)
        elif format != "parquet":
            raise InvalidInput("format", format, "parquet or delta")
        if job.layout is not None and not (parts or isinstance(path, Url)):
            expected = "none without parts (--parts), or a URL as output_path (--output)"
            raise InvalidInput("partition_by", partition_by, expected)
        seconds = _seconds(wait_seconds)
        exports = self._open.exports
        record = await exports.start(
            job, path, progress, force=force, in_tenant_folder=in_tenant_folder,
            parts=parts, delta=format == "delta", detached=detached,
            by=acting().who,
        )  # fmt: skip
        if not detached and seconds is None:
            record = await exports.run(record.export_id, acting().who)
        elif not detached and seconds:
            record = await exports.wait(record.export_id, seconds)
        return record_fields(record)

    async def wait_for_export(
        self, export_id: str, wait_seconds: float | None = None
    ) -> dict[str, Any]:
        """The record of an export once it has ended, or after so many seconds; the job goes on.

        Raises UnknownExport, and what went wrong with a job of this process.
        """
        seconds = _seconds(wait_seconds)
        return record_fields(await self._open.exports.wait(export_id, seconds))

    async def cancel_export(self, export_id: str) -> dict[str, Any]:
        """End an export that is under way, wherever; its record, `cancelled` as soon as it has
        stopped. One that has ended stays as it is. Raises UnknownExport."""
        return record_fields(await self._open.exports.cancel(export_id, acting().who))

    async def resume_export(self, export_id: str) -> dict[str, Any]:
        """Go on in this process with an export that waits for one, failed or was cancelled; its
        record (`wait_for_export`).

        Raises UnknownExport, InvalidInput for one that has come to its end or cannot be made again,
        and Busy.
        """
        return record_fields(await self._open.exports.resume(export_id, self._spec_again))

    async def take_exports(self) -> None:
        """Take up exports that wait for a process, from now on: what servers do."""
        self._open.exports.take(self._spec_again)

    def _spec_again(self, label: str, missing: Any) -> Spec:
        return self.specs.of(label, None, missing)

    async def get_training_set(
        self,
        spine: object,
        feature_set: str | None = None,
        *,
        tenant_id: str,
        horizons: Sequence[Horizon] = (),
        missing: Missing | None = None,
        indicators: bool = False,
        model: str | None = None,
    ) -> TrainingSet:
        """The rows of a table of entities and times, each with its features as of its time.

        `spine`: pandas, Polars or Arrow tables, or dict rows (or a function that reads them when it
        is its turn), with asset_id, aware timestamp and any labels. As many rows come back, in
        their order, labels and times as they came. Raises InvalidInput, or Busy if many wait.
        """
        from ai_hub.export.job import spine_job

        spec = self.specs.one_set(feature_set, missing, model)
        job = partial(spine_job, spec, tenant_id, spine, horizons, indicators)
        return await self._open.exports.training_set(job)

    async def exports(
        self, tenant_id: str | Collection[str] | None = None, limit: int = 100
    ) -> list[dict[str, Any]]:
        """Recorded exports of a tenant, of several or of all, the newest first, up to 10,000."""
        return [record_fields(record) for record in await self._open.exports.find(tenant_id, limit)]

    async def export_record(self, export_id: str) -> dict[str, Any]:
        """One recorded export. Raises UnknownExport."""
        return record_fields(await self._open.exports.record(export_id))


def _seconds(given: object) -> float | None:
    """How long to wait; None to the end. Raises InvalidInput."""
    if given is None:
        return None
    if isinstance(given, bool) or not isinstance(given, int | float) or not 0 <= given < math.inf:
        raise InvalidInput("wait_seconds", given, "seconds from 0, or none to wait to the end")
    return float(given)


def _table(path: PurePath | Url | None, in_tenant_folder: bool) -> Url:
    """The URL of a Delta table. Raises InvalidInput."""
    if path is None:
        raise InvalidInput("output_path", None, "the folder or URL of a Delta table")
    if isinstance(path, Url):
        return path
    if in_tenant_folder:
        raise InvalidInput("output_path", str(path), "a URL, with delta as format")
    return Url.of(path, "output_path")
