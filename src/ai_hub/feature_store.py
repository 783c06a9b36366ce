"""The front that users import: a method for each task, on the parts that `opening` opens."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Collection, Iterable, Sequence
from datetime import datetime
from functools import partial
from pathlib import PurePath
from typing import TYPE_CHECKING, Any

from ai_hub.access_keys import AccessKeys
from ai_hub.config import Settings
from ai_hub.definitions.registry import Registry
from ai_hub.definitions.values import (
    DAY,
    MAX_ASSETS,
    check_count,
    check_id,
    check_list,
    iso,
    to_micros,
)
from ai_hub.definitions.vocabulary import Missing
from ai_hub.errors import OutOfRange, StoreUnavailable
from ai_hub.export.place import named_path
from ai_hub.export.record import record_fields
from ai_hub.ingestion import Ingestion
from ai_hub.metrics import Metrics
from ai_hub.opening import Open, open_parts
from ai_hub.serving.answer import Answer, Features, answers_of
from ai_hub.serving.assets import check_assets, check_batch, described
from ai_hub.serving.cache import CacheStats
from ai_hub.serving.first_fills import FirstFills
from ai_hub.serving.reader import Found
from ai_hub.serving.readiness import Part
from ai_hub.serving.spec import Spec
from ai_hub.serving.warming import Progress, forget, warm

if TYPE_CHECKING:
    from ai_hub.definitions.target import Horizon
    from ai_hub.export.training_set import TrainingSet
    from ai_hub.stores.registry_table import RegistryTable
    from ai_hub.stores.views import Views

_Progress = Callable[[int], None] | None


def _now() -> int:
    return time.time_ns() // 1_000


class FeatureStore(Ingestion, AccessKeys):
    """Meter readings in, feature vectors and training sets out.

    Use it as `async with FeatureStore.open("duckdb:///features.duckdb") as store:`. Instants are
    aware datetimes. Wrong input raises InvalidInput (or NotFound), a store that cannot do its
    work StoreError; an answer of `get` is then a degraded one instead.
    """

    def __init__(
        self, settings: Settings, registry: Registry | None = None, now: Callable[[], int] = _now
    ) -> None:
        super().__init__(registry or Registry())
        self.settings = settings
        self.now = now
        self.metrics = Metrics()
        self._first_fills = FirstFills()
        self._parts: Open | None = None
        self._closed = False

    @classmethod
    def open(
        cls,
        database_url: str | None = None,
        *,
        settings: Settings | None = None,
        registry: Registry | None = None,
        **overrides: Any,
    ) -> FeatureStore:
        """A store for `async with`, on a database URL and settings (environment and file else)."""
        settings = settings or Settings.load(database_url=database_url, **overrides)
        return cls(settings, registry)

    async def __aenter__(self) -> FeatureStore:
        spec = self.specs.of(self.registry.sets()[0].label)
        self._parts = await open_parts(self.settings, spec, self.now, self.metrics, self._hear)
        self._closed = False
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def close(self) -> None:
        """Finish what is under way, then let go of store and cache."""
        self._closed = True
        if self._parts is not None:
            await self._parts.close()

    async def prepare(self) -> None:
        """Import and connect now what the first ingest and the first export would."""
        await self._open.prepare()

    # Answers out.

    async def get(
        self,
        *,
        tenant_id: str,
        asset_id: str,
        feature_set: str | None = None,
        feature_names: Sequence[str] | None = None,
        timestamp: datetime | None = None,
        missing: Missing | None = None,
        exact: bool = False,
        model: str | None = None,
    ) -> Answer:
        """The features of an asset as of `timestamp` (now if None), and all there is to know.

        The time is truncated to the store's granularity; `exact` skips that and the cache.
        A `model` (`load-model@3`) stands for the version and policy that it is bound to. Without a
        set, names or model: every built-in feature. Raises OutOfRange for values outside their
        range where the set rejects such.
        """
        spec = self.specs.of(feature_set, feature_names, missing, model)
        spec, at = spec.of_asset(tenant_id, asset_id), self._at(timestamp)
        found = await self.found(spec, tenant_id, [asset_id], at, exact)
        answers = answers_of(spec, tenant_id, [asset_id], self._effective(at, exact), found)
        (answer,) = answers
        if answer.error is not None:
            raise OutOfRange(asset_id, iso(to_micros(answer.timestamp)), answer.error)
        if answer.missing:
            self._first_fills.note(answers, self.now())
        return answer

    async def get_batch(
        self,
        *,
        tenant_id: str,
        asset_ids: Sequence[str],
        feature_set: str | None = None,
        feature_names: Sequence[str] | None = None,
        timestamp: datetime | None = None,
        missing: Missing | None = None,
        exact: bool = False,
        model: str | None = None,
    ) -> dict[str, Answer]:
        """The answers for up to 1,000 assets by id: one read and one computation for all, under a
        rollout for each version. Where a set rejects values, an answer has an `error` instead."""
        spec = self.specs.of(feature_set, feature_names, missing, model)
        ids, at = check_assets(tenant_id, asset_ids), self._at(timestamp)
        check_batch(tenant_id, ids)
        answers: dict[str, Answer] = {}
        parts = spec.of_assets(tenant_id, ids)
        reads = (self.found(one, tenant_id, some, at, exact) for one, some in parts)
        for (one, some), found in zip(parts, await asyncio.gather(*reads), strict=True):
            of_part = answers_of(one, tenant_id, some, self._effective(at, exact), found)
            answers |= zip(some, of_part, strict=True)
        self._first_fills.note(answers.values(), self.now())
        return {asset_id: answers[asset_id] for asset_id in ids}

    async def get_features(
        self,
        tenant_id: str,
        asset_id: str,
        timestamp: datetime | None = None,
        feature_names: Sequence[str] | None = None,
        feature_set: str | None = None,
        missing: Missing | None = None,
        model: str | None = None,
    ) -> Features:
        """Feature name to value, every built-in feature or those named: a dict that also has
        `missing`, `degraded`, `violations`, `timestamp` and `policy`."""
        answer = await self.get(
            tenant_id=tenant_id, asset_id=asset_id, feature_set=feature_set,
            feature_names=feature_names, timestamp=timestamp, missing=missing, model=model,
        )  # fmt: skip
        return Features(answer.features, answer)

    async def compute_feature_set(
        self,
        tenant_id: str,
        asset_id: str,
        feature_set_name: str,
        timestamp: datetime | None = None,
        missing: Missing | None = None,
    ) -> Features:
        """Feature name to value, for a feature set; see `get_features`."""
        get = self.get_features
        return await get(tenant_id, asset_id, timestamp, None, feature_set_name, missing)

    async def get_batch_features(
        self,
        tenant_id: str,
        asset_ids: Sequence[str],
        feature_set_name: str | None = None,
        timestamp: datetime | None = None,
        feature_names: Sequence[str] | None = None,
        missing: Missing | None = None,
        model: str | None = None,
    ) -> dict[str, Features]:
        """Asset to (feature name to value), for up to 1,000 assets in one read; see `get_batch`."""
        answers = await self.get_batch(
            tenant_id=tenant_id, asset_ids=asset_ids, feature_set=feature_set_name,
            feature_names=feature_names, timestamp=timestamp, missing=missing, model=model,
        )  # fmt: skip
        return {one: Features(answer.features, answer) for one, answer in answers.items()}

    async def found(
        self, spec: Spec, tenant_id: str, asset_ids: Sequence[str], at: int, exact: bool = False
    ) -> list[Found]:
        """The vectors of distinct assets as JSON bytes, in their order (what the doors splice)."""
        check_batch(tenant_id, asset_ids)
        if exact:
            return await self._open.reader.exact(spec, tenant_id, asset_ids, at)
        at = self._effective(at, exact)
        return await self._open.reader.vectors(spec, tenant_id, asset_ids, at)

    # The cache.

    async def warm_feature_cache(
        self,
        tenant_id: str,
        asset_ids: Sequence[str] | None = None,
        feature_set: str | None = None,
        timestamp: datetime | None = None,
        *,
        abreast: int = 2,
        progress: Progress | None = None,
    ) -> dict[str, int]:
        """Have the vectors of some assets ready: of a set, or of every registered one.

        By default of every asset seen in the last day. `abreast` parts of 200 assets are computed
        at a time; `progress` is told how many vectors are ready, and of how many. Counts `assets`,
        `warmed` vectors, and of these `computed` now.
        """
        specs, at = self.specs.of_sets(feature_set), self._at(timestamp)
        named = None if asset_ids is None else check_assets(tenant_id, asset_ids)
        ids = await self.seen_assets(tenant_id) if named is None else named
        return await warm(
            lambda spec, some: self.found(spec, tenant_id, some, at), specs, ids, abreast, progress
        )

    async def seen_assets(self, tenant_id: str, since: datetime | None = None) -> list[str]:
        """The assets with a usable observation since a time (None: in the last day), sorted."""
        check_id("tenant_id", tenant_id)
        first = self.now() - DAY if since is None else to_micros(since, "since", "up")
        return await self._open.store.seen(tenant_id, first)

    async def assets(
        self,
        tenant_id: str,
        since: datetime | None = None,
        *,
        after: str | None = None,
        limit: int = 100,
    ) -> dict[str, Any]:
        """A page of a tenant's `assets`, sorted by id, and after which one (`next`) there are more.

        Each with its series (first and last reading, the usual step between the newest ones), the
        station whose weather it reads, and its attributes, as they are now. Those that have a
        usable reading or an attribute; with `since`, those with a reading since then.
        """
        check_id("tenant_id", tenant_id)
        check_count("limit", limit, MAX_ASSETS)
        first = None if since is None else to_micros(since, "since", "up")
        start = "" if after is None else check_id("after", after)
        found = await self._open.store.describe_assets(
            tenant_id, first, start, limit + 1, self.now()
        )
        following = found[limit - 1].asset_id if len(found) > limit else None
        return {"assets": [described(one) for one in found[:limit]], "next": following}

    async def invalidate_feature_cache(
        self,
        tenant_id: str,
        asset_id: str | None = None,
        asset_ids: Iterable[str] = (),
        feature_set: str | None = None,
    ) -> dict[str, int]:
        """Forget the cached vectors of some assets, of one set or all; counts what was dropped."""
        one = [] if asset_id is None else [asset_id]
        wanted = [*check_list("asset_ids", asset_ids, "asset ids", MAX_ASSETS), *one]
        ids, dropped = check_assets(tenant_id, wanted), 0
        for prefix in self.specs.prefixes(feature_set):
            dropped += await forget(self._open.cache, tenant_id, ids, prefix)
        return {"assets": len(ids), "invalidated": dropped}

    async def cache_stats(self) -> CacheStats:
        """What the cache holds and how it did."""
        return await self._open.cache.stats()

    async def ready(self) -> dict[str, Part]:
        """How database, cache and exports are now, each in a word and a sentence."""
        return await self._open.readiness.parts()

    def measured(self) -> Metrics:
        """What this process counted until now (what the doors show)."""
        self._open.count_cache(self.metrics)
        return self.metrics

    # Training sets out.

    async def export_features_to_parquet(
        self,
        tenant_id: str,
        feature_set: str | None = None,
        start_time: datetime | None = None,
        end_time: datetime | None = None,
        output_path: str | PurePath | None = None,
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
    ) -> dict[str, Any]:
        """Write a feature set over [start_time, end_time] to a Parquet file; the export's record.

        A row for every observation time of the set's series, for every step of `frequency` from an
        asset's first observation on, or for every row of `spine` (see `get_training_set`). A
        `model` stands for the set and policy that it is bound to. `horizons` add targets,
        `indicators` say where a feature was missing. By default the file is in the export root
        (`in_tenant_folder`: in the tenant's own folder there); `parts` make a folder,
        `manifest.json` last. What no export wrote is replaced with `force` only, a folder never.
        Status `no_data` if there are no rows. Raises ExportFailed, or Busy if too many wait.
        """
        from ai_hub.export.job import job_of

        spec = self.specs.one_set(feature_set, missing, model)
        job = await asyncio.to_thread(
            job_of, spec, tenant_id, start_time=start_time, end_time=end_time,
            asset_ids=asset_ids, compression=compression, horizons=horizons,
            indicators=indicators, frequency=frequency, spine=spine,
        )  # fmt: skip
        path = named_path(output_path)
        how = {"force": force, "in_tenant_folder": in_tenant_folder, "parts": parts}
        return record_fields(await self._open.exports.run(job, path, progress, **how))

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

    @property
    def _table(self) -> RegistryTable:
        return self._open.store.registry_table

    @property
    def _views(self) -> Views:
        return self._open.store.views

    @property
    def _open(self) -> Open:
        if self._parts is None or self._closed:
            why = "closed" if self._closed else "not open: use `async with`"
            raise StoreUnavailable(f"the feature store is {why}")
        return self._parts

    def _at(self, timestamp: datetime | None) -> int:
        return self.now() if timestamp is None else to_micros(timestamp)

    def _effective(self, at: int, exact: bool) -> int:
        return at if exact else self.settings.granularity.truncate(at)
