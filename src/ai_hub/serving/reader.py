"""The one read path: cache, else store, keep.

A vector travels as JSON bytes from the moment it is computed, so a hit formats no number twice:
`{"features":{...},"missing":[...],"violations":[...],"degraded":false,"feature_count":6,
"computed_at":"..."}`. One that its set rejects is kept as well: it begins with `{"error":"..."`,
and has no features.
"""

from __future__ import annotations

import asyncio
import logging
import math
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

import msgspec

from ai_hub.definitions.feature_set import FeatureSet
from ai_hub.definitions.kinds import Lag
from ai_hub.definitions.values import HOUR, Duration, check_id, iso
from ai_hub.engines.calendars import calendar_at
from ai_hub.engines.plan import Plan
from ai_hub.engines.views import Fault
from ai_hub.engines.violations import in_words
from ai_hub.errors import HistoryArchived, StoreError, StoreSlow
from ai_hub.fairness import others_first
from ai_hub.metrics import Metrics
from ai_hub.serving.cache import Cache, Token
from ai_hub.serving.flights import Asked, Flights
from ai_hub.serving.live_part import LivePart
from ai_hub.serving.spec import Spec
from ai_hub.stores.base import Store, Vectors
from ai_hub.stores.views import fault_in_words
from ai_hub.tracing import span

_log = logging.getLogger(__name__)

_COUNT = b',"feature_count":'
_encode = msgspec.json.Encoder().encode
_MOMENT = 0.08
"""Seconds that a request waits for a store that is known to be away."""
_TRIES_WHILE_AWAY = 4
_AT_ONCE = 100
"""Vectors that are made into bytes before others have their turn."""
_NEXT_TO_NOTHING = Plan.of(FeatureSet("next_to_nothing", 1, (Lag("lag", Duration(HOUR)),)))

Noted = Callable[[Spec, str, Sequence[str], int], None]
"""A spec, a tenant, assets and a time."""
ComputedNow = Callable[[Spec, str, int, int, Vectors], None]
"""A spec, a tenant, a time, and the vectors of so many assets."""
Found = tuple[bytes, bool]
"""A vector as JSON bytes, and whether it came out of the cache."""


class _Rejected(msgspec.Struct):
    error: str


_decode_rejected = msgspec.json.Decoder(_Rejected).decode


def error_of(value: bytes) -> str | None:
    """Why a vector is rejected by its set; None for one that is not."""
    return _decode_rejected(value).error if value.startswith(b'{"error":') else None


def short(value: bytes) -> bytes:
    """The members of a vector that a batch shows: up to `degraded`, braces left out."""
    return value[1 : value.rindex(_COUNT)]


class Reader:
    """Answers for entities at a truncated time.

    Concurrent misses of one key compute once: see `Flights`.
    A store that fails or takes longer than `patience` seconds (for each hundred assets) is answered
    for by the calendar. If it answers nothing else either, nobody waits for longer than a moment
    from then on, and a few computations at a time go on trying, until one of them succeeds.
    """

    def __init__(
        self,
        store: Store,
        cache: Cache,
        now: Callable[[], int],
        patience: float = 5.0,
        metrics: Metrics | None = None,
    ) -> None:
        self._store = store
        self._cache = cache
        self._now = now
        self._patience = patience
        self._metrics = metrics or Metrics()
        self._away_since: float | None = None
        self._answered = -math.inf
        self._looking: asyncio.Task[None] | None = None
        self.live_part = LivePart(now)
        """Told of the archive, if the store has one."""
        self._flights = Flights(self._from_store, cache, self._is_away)
        self.noted: Noted | None = None
        """Told of the keys that are asked for, if anybody wants to know."""
        self.computed: ComputedNow | None = None
        """Told of the vectors that are computed, likewise."""

    async def vectors(
        self, spec: Spec, tenant_id: str, asset_ids: Sequence[str], at: int
    ) -> list[Found]:
        """The vectors of distinct assets at `at`, in their order, by way of the cache.

        What reads a view is not cached: nobody tells when its rows change. Only what the cache does
        not know needs checking: raises InvalidInput for an illegal id.
        """
        if spec.plan.views:
            return await self.exact(spec, tenant_id, asset_ids, at)
        timestamp = iso(at)
        if self.noted is not None:
            self.noted(spec, tenant_id, asset_ids, at)
        found = await self._cache.read(tenant_id, asset_ids, timestamp, spec.field)
        hits: list[Found] = [(value, True) for value, _ in found if value is not None]
        self._metrics.hits += len(hits)
        self._metrics.answered_by(spec.label, len(found))
        if len(hits) == len(found):
            return hits
        misses = [
            (asset_id, token)
            for asset_id, (value, token) in zip(asset_ids, found, strict=True)
            if value is None
        ]
        if len(misses) > _AT_ONCE:
            await others_first()
        for asset_id, _ in misses:
            check_id("asset_id", asset_id)
        others = await self._missed(Asked(spec, tenant_id, at, timestamp), misses)
        late = sum(hit for _, hit in others.values())
        self._metrics.hits += late
        self._metrics.misses += len(misses) - late
        return [
            others[asset_id] if value is None else (value, True)
            for asset_id, (value, _) in zip(asset_ids, found, strict=True)
        ]

    async def ready(self, spec: Spec, tenant_id: str, asset_ids: Sequence[str], at: int) -> None:
        """Have the vectors of some assets in the cache, without counting it as an answer.

        While the store is away nothing is done, nor while it is a standby: nothing is kept then.
        """
        if self._away_since is not None or self._cache.follows:
            return
        asked = Asked(spec, tenant_id, at, iso(at))
        found = await self._cache.read(tenant_id, asset_ids, asked.timestamp, spec.field)
        both = zip(asset_ids, found, strict=True)
        misses = [(asset_id, token) for asset_id, (value, token) in both if value is None]
        if misses:
            await self._missed(asked, misses)

    async def exact(
        self, spec: Spec, tenant_id: str, asset_ids: Sequence[str], at: int, served: bool = True
    ) -> list[Found]:
        """The vectors at exactly `at`, past the cache; `served` is whether a model gets them.

        Raises InvalidInput for an illegal id.
        """
        for asset_id in asset_ids:
            check_id("asset_id", asset_id)
        values: list[bytes] | None = None
        if self._may_try():
            # It goes on when nobody waits any more: it is how a store that is back is noticed.
            asked = Asked(spec, tenant_id, at, iso(at))
            task = self._flights.task(self._from_store(asked, asset_ids, served))
            task.add_done_callback(_seen)
            begin = time.monotonic()
            await asyncio.wait([task], timeout=self._wait(len(asset_ids)))
            try:
                values = task.result() if task.done() else None
            except StoreError as error:
                self._is_away(error)
            if not task.done():
                self._is_late(begin)
        if values is None:
            values = [self._degraded(Asked(spec, tenant_id, at, iso(at))) for _ in asset_ids]
        self._metrics.answered_by(spec.label, len(values))
        return [(value, False) for value in values]

    async def close(self) -> None:
        """Wait for the computations under way, as long as somebody could; end the others."""
        if self._looking is not None:
            self._looking.cancel()
            await asyncio.wait([self._looking], timeout=self._patience)
        await self._flights.close(self._patience)

    async def _missed(
        self, asked: Asked, misses: Sequence[tuple[str, Token | None]]
    ) -> dict[str, Found]:
        """What the cache has not got: computed here, or by another process meanwhile."""
        waiting = self._flights.under_way(asked, misses)
        free = [asset_id for asset_id, _ in misses if asset_id not in waiting]
        others: dict[str, bytes] = {}

        def begin(some: Iterable[tuple[str, Token | None]]) -> None:
            waiting.update(self._flights.begin(asked, some))

        if free and self._may_try():
            spec, tenant_id, _, timestamp = asked
            others = await self._cache.claim(
                tenant_id, free, timestamp, spec.field, begin, self._wait(len(free))
            )
        if waiting:
            start = time.monotonic()
            _, late = await asyncio.wait({*waiting.values()}, timeout=self._wait(len(waiting)))
            if late:
                self._is_late(start)
        if len(misses) > _AT_ONCE:
            await others_first()
        found: dict[str, Found] = {}
        for asset_id, _ in misses:
            other, flight = others.get(asset_id), waiting.get(asset_id)
            if other is not None:
                found[asset_id] = (other, True)
                continue
            value = flight.result().get(asset_id) if flight is not None and flight.done() else None
            found[asset_id] = (self._degraded(asked) if value is None else value, False)
        return found

    def _may_try(self) -> bool:
        """Whether to ask the store: while it is away, a few at a time."""
        return self._away_since is None or len(self._flights) < _TRIES_WHILE_AWAY

    def _wait(self, assets: int) -> float:
        """How long to wait for the store: while it is away, a moment."""
        if self._away_since is not None:
            return _MOMENT
        return self._patience * (1 + assets // 100)

    async def _from_store(
        self, asked: Asked, asset_ids: Sequence[str], served: bool = True
    ) -> list[bytes]:
        spec, tenant_id, at, _ = asked
        begin = time.monotonic()
        with span("compute", tenant_id=tenant_id, feature_set=spec.label, assets=len(asset_ids)):
            vectors = await self._store.compute(spec.plan, spec.missing, tenant_id, asset_ids, at)
            await self.live_part.check(spec, at)
        now = time.monotonic()
        if len(asset_ids) > _AT_ONCE:
            await others_first()
        # An answer that came too late is no sign of recovery, nor that the store is there.
        if now - begin < self._patience:
            self._answered = now
            self._is_back()
        self._metrics.computed += len(asset_ids)
        if self.computed is not None and served:
            self.computed(spec, tenant_id, at, len(asset_ids), vectors)
        for name, mask in vectors.masks.items():
            self._metrics.filled(spec.feature_set.label, name, int(mask.sum()))
        for name, mask in vectors.violations.items():
            self._metrics.violated(spec.feature_set.label, name, int(mask.sum()))
        for (name, fault), mask in vectors.faults.items():
            self._faulty(spec.feature_set.label, name, fault, int(mask.sum()))
        values: list[bytes] = []
        for value in encoded(spec, vectors, len(asset_ids), iso(self._now())):
            values.append(value)
            if len(values) % _AT_ONCE == 0:
                await others_first()
        return values

    def _faulty(self, feature_set: str, feature: str, fault: Fault, count: int) -> None:
        """Count what a view had no value for; the log has the first time of each."""
        if self._metrics.no_view(feature_set, feature, fault, count):
            _log.warning(
                "view without a value",
                extra={
                    "feature_set": feature_set,
                    "feature": feature,
                    "why": fault_in_words(fault),
                },
            )

    def _is_late(self, begin: float) -> None:
        """Some answer did not come: look whether another one does, if none has since `begin`."""
        if self._answered < begin and self._looking is None:
            self._looking = asyncio.create_task(self._look())

    async def _look(self) -> None:
        """Ask for next to nothing: one slow statement is no reason to degrade everybody else.

        Two assets that nobody has: one alone may wait for the statement of others.
        """
        moment = max(_MOMENT, self._patience / 4)
        late = asyncio.get_running_loop().call_later(moment, self._is_away, TimeoutError())
        try:
            await self._store.compute(_NEXT_TO_NOTHING, "keep", "-", ("-", "--"), self._now())
            self._answered = time.monotonic()
        except StoreError as error:
            self._is_away(error)
        finally:
            late.cancel()
            self._looking = None

    def _is_away(self, error: Exception) -> None:
        """Log the first of the failures in a row; a request that took too long is none."""
        if self._away_since is None and not isinstance(error, StoreSlow | HistoryArchived):
            self._away_since = time.monotonic()
            why = str(error) or f"no answer within {self._patience:g} s"
            _log.warning("store unavailable", extra={"error": why, "answers": "degraded"})

    def _is_back(self) -> None:
        if self._away_since is not None:
            seconds = round(time.monotonic() - self._away_since, 3)
            self._away_since = None
            _log.warning("store recovered", extra={"seconds": seconds})

    def _degraded(self, asked: Asked) -> bytes:
        spec, at = asked.spec, asked.at
        self._metrics.degraded += 1
        found, names = calendar_at(spec.plan.calendars, at), spec.feature_set.feature_names
        features = {name: found[name] for name in names if name in found}
        absent = tuple(name for name in names if name not in features)
        members = _members(features, absent, (), True, iso(self._now()))
        if (why := self.live_part.why(spec, at)) is not None:
            # Before what a batch leaves out.
            members = {"reason": why, **members}
        return _encode(members)


def _seen(task: asyncio.Task[Any]) -> None:
    """Take note of how a computation ended that nobody may wait for any more."""
    if not task.cancelled():
        task.exception()


def encoded(spec: Spec, vectors: Vectors, count: int, computed_at: str) -> Iterator[bytes]:
    """Computed vectors as JSON bytes, one for each entity."""
    names = spec.feature_set.feature_names
    columns = []
    for name in names:
        values: list[object] = vectors.columns[name].tolist()
        mask = vectors.masks.get(name)
        if mask is not None:
            # Only the policy `keep` leaves a NaN behind, and only where something was missing.
            values = [None if value != value else value for value in values]
        columns.append(values)
    masks = [(name, vectors.masks[name].tolist()) for name in names if name in vectors.masks]
    wrong = [
        (name, vectors.violations[name].tolist()) for name in names if name in vectors.violations
    ]
    rows = zip(*columns, strict=True) if columns else [()] * count
    for i, row in enumerate(rows):
        violations = tuple(name for name, mask in wrong if mask[i])
        if violations and spec.rejects:
            why = in_words(spec.feature_set.features, vectors.columns, vectors.violations, i)
            yield _encode({"error": why} | _members({}, (), violations, False, computed_at))
            continue
        missing = tuple(name for name, mask in masks if mask[i])
        features = dict(zip(names, row, strict=True))
        yield _encode(_members(features, missing, violations, False, computed_at))


def _members(
    features: Mapping[str, object],
    missing: tuple[str, ...],
    violations: tuple[str, ...],
    degraded: bool,
    computed_at: str,
) -> dict[str, object]:
    return {
        "features": features,
        "missing": missing,
        "violations": violations,
        "degraded": degraded,
        "feature_count": len(features),
        "computed_at": computed_at,
    }
