"""The backend on the database itself: the feature store's answers in the words of HTTP."""

from __future__ import annotations

import asyncio
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ai_hub.cli.failure import Stop
from ai_hub.cli.following import LocalJobs
from ai_hub.cli.registry import LocalRegistry
from ai_hub.definitions.values import iso, parse_time, to_datetime, to_micros

if TYPE_CHECKING:
    from datetime import datetime

    from ai_hub.cli.backend import Document, Output
    from ai_hub.cli.output import Progress
    from ai_hub.feature_store import FeatureStore
    from ai_hub.intake.batch import Batch, BatchKind
    from ai_hub.intake.result import IngestResult
    from ai_hub.serving.answer import Answer

_SHARED = ("tenant_id", "timestamp", "feature_set", "version", "fingerprint", "policy")
_OWN = ("version", "fingerprint", "policy")


class LocalBackend:
    """The commands on an open feature store."""

    def __init__(self, store: FeatureStore) -> None:
        self._store = store

    async def get(self, request: Document) -> Document:
        """The answer for one asset."""
        return _spoken(await self._store.get(**_timed(request)))

    async def batch(self, request: Document) -> Document:
        """The answers for several assets."""
        answers = await self._store.get_batch(**_timed(request))
        spoken = {asset_id: _spoken(answer) for asset_id, answer in answers.items()}
        shared = {key: next(iter(spoken.values()))[key] for key in _SHARED}
        kept: tuple[str, ...] = (
            "error", "reason", "features", "missing", "violations", "degraded", "cache_hit",
        )  # fmt: skip
        if len({one["version"] for one in spoken.values()}) > 1:
            # Under a rollout each names its own.
            kept, shared = (*kept, *_OWN), shared | dict.fromkeys(_OWN)
        results = {
            asset_id: {key: one[key] for key in kept if key in one}
            for asset_id, one in spoken.items()
        }
        return {**shared, "results": results}

    async def explain(self, request: Document) -> Document:
        """The answer for one asset, each feature explained."""
        return await self._store.explain(**_timed(request))

    async def chart(self, request: Document) -> Document:
        """The readings of one asset over a range, with a feature."""
        return await self._store.chart(**request)

    async def land(self, batch: Batch, kind: BatchKind) -> IngestResult:
        """Land the rows of a checked batch; what became of all that were sent."""
        return await self._store.land(batch, kind)

    @property
    def in_chunks(self) -> bool:
        """Whether rows of a week are kept together."""
        return self._store.in_chunks

    async def assign_weather_source(self, request: Document) -> Document:
        """Let assets take their weather from a station."""
        since = _datetime(request.get("valid_from"))
        changed = await self._store.assign_weather_source(**{**request, "valid_from": since})
        return {
            "tenant_id": request["tenant_id"],
            "source_id": request["source_id"],
            "assets": len(set(request["asset_ids"])),
            "changed": changed,
        }

    async def export(
        self, request: Document, output: Output, force: bool, show: Progress
    ) -> Document:
        """Write a training set; its record, where `storage_path` says where the file is."""
        times = {key: _datetime(request[key]) for key in ("start_time", "end_time")}
        return await self._store.export_features_to_parquet(
            **{**request, **times},
            output_path=output,
            force=force,
            progress=lambda rows: show(None, rows),
        )

    async def detach(self, request: Document, output: Output) -> Document:
        """Record an export for a server of the same database; its record."""
        if not self._store.settings.on_server:
            raise Stop(
                "--detach: expected a server, which goes on with it when this command has ended: "
                "start one with `ai-hub serve`"
            )
        times = {key: _datetime(request[key]) for key in ("start_time", "end_time")}
        return await self._store.export_features_to_parquet(
            **{**request, **times}, output_path=output, detached=True
        )

    @property
    def jobs(self) -> LocalJobs:
        """Exports as jobs."""
        return LocalJobs(self._store)

    async def training_set(
        self, request: Document, spine: Path, output: Output, force: bool, show: Progress
    ) -> Document:
        """Write the training set of a spine's file; its record."""
        from ai_hub.intake.files import read_labelled_file

        table = await asyncio.to_thread(read_labelled_file, spine)
        return await self._store.export_features_to_parquet(
            **request,
            spine=table,
            output_path=output,
            force=force,
            progress=lambda rows: show(None, rows),
        )

    async def assets(self, request: Document) -> Document:
        """A page of a tenant's assets, with what is known of each."""
        since = _datetime(request.get("since"))
        page = await self._store.assets(**{**request, "since": since})
        return {"tenant_id": request["tenant_id"], **page}

    async def exports(self, tenant_id: str | None, limit: int) -> Document:
        """Recorded exports."""
        return {"exports": await self._store.exports(tenant_id, limit)}

    async def audit(self, request: Document) -> Document:
        """A page of the audit log."""
        times = {key: _datetime(request.get(key)) for key in ("start_time", "end_time")}
        return await self._store.audit(**{**request, **times})

    async def drift(self, request: Document) -> Document:
        """How far a set's values are from a baseline."""
        return await self._store.drift(**_between(request))

    async def drift_baseline(self, request: Document) -> Document:
        """Keep what a set's values were in a time of history."""
        return await self._store.drift_baseline(**_between(request))

    async def delete(self, request: Document) -> Document:
        """Remove data, or count what would go."""
        times = {key: _datetime(request.get(key)) for key in ("start_time", "end_time")}
        return await self._store.delete(**{**request, **times})

    async def archive(self, request: Document) -> Document:
        """Seal history before a time; the steps that it took."""
        before = to_datetime(parse_time(request["before"]))
        return await self._store.archive(**{**request, "before": before})

    async def unarchive(self, request: Document) -> Document:
        """Bring archived rows back and end the archive; the steps that it took."""
        return await self._store.unarchive(**request)

    async def archives(self, tenant_id: str | None) -> Document:
        """What is sealed."""
        return await self._store.archives(tenant_id)

    @property
    def registry(self) -> LocalRegistry:
        """The feature sets of the database."""
        return LocalRegistry(self._store)


def _datetime(text: str | None) -> datetime | None:
    return None if text is None else to_datetime(parse_time(text))


def _between(request: Document) -> dict[str, Any]:
    return {**request, **{key: _datetime(request.get(key)) for key in ("start_time", "end_time")}}


def _timed(request: Document) -> dict[str, Any]:
    return {**request, "timestamp": _datetime(request.get("timestamp"))}


def _spoken(answer: Answer) -> Document:
    """An answer as `POST /ai/features/get` gives it."""
    members = asdict(answer)
    members["timestamp"] = iso(to_micros(answer.timestamp))
    members["computed_at"] = iso(to_micros(answer.computed_at))
    members["missing"] = list(answer.missing)
    members["violations"] = list(answer.violations)
    for name in ("error", "reason"):
        if members[name] is None:
            del members[name]
    members["feature_count"] = answer.feature_count
    return members
