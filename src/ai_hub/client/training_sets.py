"""Training sets, exports and drift of a server."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from time import monotonic
from typing import TYPE_CHECKING, Any

from ai_hub.client.base import FEATURES, Asking, said, texts, time_of
from ai_hub.definitions.values import Time
from ai_hub.definitions.vocabulary import Missing
from ai_hub.errors import ExportFailed
from ai_hub.export.fields import Record

if TYPE_CHECKING:
    from ai_hub.definitions.target import Horizon
    from ai_hub.export.training_set import TrainingSet

_PARQUET = "application/vnd.apache.parquet"
_UNDER_WAY = ("pending", "processing")
_FIRST_LOOK, _LOOKS = 0.05, 1.0
"""Seconds between two looks at an export that is under way: at first, and later on."""


class TrainingSets(Asking):
    """Feature sets over time: as files that the server keeps, and as tables."""

    async def export_features_to_parquet(
        self,
        tenant_id: str,
        feature_set: str | None = None,
        start_time: Time | None = None,
        end_time: Time | None = None,
        output_path: str | None = None,
        asset_ids: Sequence[str] | None = None,
        *,
        missing: Missing | None = None,
        compression: str = "snappy",
        horizons: Sequence[Horizon] = (),
        indicators: bool = False,
        frequency: str | None = None,
        model: str | None = None,
        parts: bool = False,
        partition_by: str | Sequence[str] | None = None,
        buckets: int | None = None,
        format: str = "parquet",
        wait_seconds: float | None = None,
    ) -> dict[str, Any]:
        """Write a feature set over [start_time, end_time] to a Parquet file of the server; the
        export's record once it has ended, or after `wait_seconds`.

        `output_path` is relative to the tenant's folder there, or a URL that the server allows. It
        is not sent again where it is unknown whether it arrived: `exports` says what there is.
        Raises ExportFailed.
        """
        asked = said(
            tenant_id=tenant_id, feature_set=feature_set, model=model,
            start_time=time_of(start_time, "start_time", "up"),
            end_time=time_of(end_time, "end_time"), output_path=output_path,
            asset_ids=texts(asset_ids), missing=missing, compression=compression,
            horizons=_plain(horizons), indicators=indicators, frequency=frequency, parts=parts,
            wait_seconds=0,
            partition_by=texts(
                [partition_by] if isinstance(partition_by, str) else partition_by,
                "partition_by", "words",
            ),
            buckets=buckets, format=format,
        )  # fmt: skip
        record = await self._ask("POST", "/export", asked)
        return await self.wait_for_export(record["export_id"], wait_seconds)

    async def wait_for_export(
        self, export_id: str, wait_seconds: float | None = None
    ) -> dict[str, Any]:
        """The record of an export once it has ended, or after so many seconds; the job goes on.

        Raises UnknownExport, and ExportFailed.
        """
        import asyncio

        wait, until = _FIRST_LOOK, None if wait_seconds is None else monotonic() + wait_seconds
        while True:
            record = await self.export_record(export_id)
            if record["status"] == "failed":
                raise ExportFailed(record.get("error") or f"export {export_id} failed")
            left = wait if until is None else min(wait, until - monotonic())
            if record["status"] not in _UNDER_WAY or left <= 0:
                return record
            await asyncio.sleep(left)
            wait = min(2 * wait, _LOOKS)

    async def cancel_export(self, export_id: str) -> dict[str, Any]:
        """End an export that is under way; its record, `cancelled` as soon as it has stopped. One
        that has ended stays as it is."""
        return Record(await self._ask("DELETE", _export(export_id), safe=True))

    async def resume_export(self, export_id: str) -> dict[str, Any]:
        """Go on with an export that waits for a process, failed or was cancelled; its record
        (`wait_for_export`)."""
        return Record(await self._ask("POST", f"{_export(export_id)}/resume"))

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

        `spine`: pandas, Polars or Arrow tables, or dict rows, with asset_id, aware timestamp and
        any labels. As many rows come back, in their order, labels and times as they came.
        """
        import asyncio
        import io

        import pyarrow.parquet as pq

        from ai_hub.export.training_set import TrainingSet
        from ai_hub.intake.labels import whole_table

        def packed() -> bytes:
            content = io.BytesIO()
            pq.write_table(whole_table(spine), content)
            return content.getvalue()

        params = said(
            tenant_id=tenant_id, feature_set=feature_set, model=model,
            missing=None if missing is None else str(missing),
            horizons=[_as_text(one) for one in _plain(horizons)] or None,
            indicators="true" if indicators else None,
        )  # fmt: skip
        response = await self.connection.send(
            "POST",
            f"{FEATURES}/training-set",
            params=params,
            content=await asyncio.to_thread(packed),
            content_type=_PARQUET,
            safe=True,
            work=True,
        )
        table = await asyncio.to_thread(lambda: pq.read_table(io.BytesIO(response.content)))
        return TrainingSet(table)

    async def exports(
        self, tenant_id: str | Collection[str] | None = None, limit: int = 100
    ) -> list[dict[str, Any]]:
        """Recorded exports of a tenant, or of all of the key, the newest first, up to 10,000."""
        asked = said(tenant_id=tenant_id, limit=limit)
        found = await self._ask("GET", "/exports", params=asked, safe=True)
        return [Record(one) for one in found["exports"]]

    async def export_record(self, export_id: str) -> dict[str, Any]:
        """One recorded export."""
        return Record(await self._ask("GET", _export(export_id), safe=True))

    async def drift(
        self,
        tenant_id: str | None = None,
        feature_set: str | None = None,
        start_time: Time | None = None,
        end_time: Time | None = None,
        *,
        source: str | None = None,
        baseline_id: str | None = None,
        model: str | None = None,
    ) -> dict[str, Any]:
        """How far a set's values over at most seven days (by default the last ones) are from a
        baseline, feature by feature, as plain values: the newest one, or that of an export."""
        asked = said(
            tenant_id=tenant_id, feature_set=feature_set, model=model, source=source,
            start_time=time_of(start_time, "start_time", "up"),
            end_time=time_of(end_time, "end_time"), baseline_id=baseline_id,
        )  # fmt: skip
        return await self._ask("POST", "/drift", asked, safe=True, work=True)

    async def drift_baseline(
        self,
        tenant_id: str | None = None,
        feature_set: str | None = None,
        start_time: Time | None = None,
        end_time: Time | None = None,
        *,
        model: str | None = None,
    ) -> dict[str, Any]:
        """Keep what the values of a set were in a time of history; the baseline as plain values."""
        asked = said(
            tenant_id=tenant_id, feature_set=feature_set, model=model,
            start_time=time_of(start_time, "start_time", "up"),
            end_time=time_of(end_time, "end_time"),
        )  # fmt: skip
        return await self._ask("POST", "/drift/baseline", asked, work=True)


def _export(export_id: str) -> str:
    from urllib.parse import quote

    return f"/exports/{quote(export_id, '', errors='replace')}"


def _plain(horizons: Sequence[Horizon]) -> list[str | dict[str, Any]]:
    """Targets as requests say them."""
    from dataclasses import asdict

    from ai_hub.definitions.target import Target
    from ai_hub.definitions.values import MAX_HORIZONS, Duration, check_list

    found: list[str | dict[str, Any]] = []
    for one in check_list("horizons", horizons, "targets", MAX_HORIZONS):
        if isinstance(one, str):
            found.append(one)
            continue
        target = Target.of(one)
        members = said(**{name: getattr(target, name) for name in asdict(target)})
        found.append(
            {
                name: str(value) if isinstance(value, Duration) else value
                for name, value in members.items()
            }
        )
    return found


def _as_text(target: str | Mapping[str, Any]) -> str:
    """A target of a query: `peak=24h,stat=max,window=6h`."""
    if isinstance(target, str):
        return target
    rest = {name: value for name, value in target.items() if name not in ("name", "horizon")}
    return ",".join(
        [f"{target['name']}={target['horizon']}", *(f"{name}={rest[name]}" for name in rest)]
    )
