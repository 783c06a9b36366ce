"""What a feature store does ahead of requests: the part of the front that is about the cache."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from ai_hub.access.grant import EVERYTHING, Grant
from ai_hub.definitions.values import (
    DAY,
    MAX_ASSETS,
    MAX_BATCH,
    Time,
    check_count,
    check_id,
    check_list,
    to_micros,
)
from ai_hub.front.vectors import Vectors
from ai_hub.serving.assets import check_assets, described
from ai_hub.serving.cache import CacheStats
from ai_hub.serving.warming import Progress, forget, warm


class Caching(Vectors):
    """Vectors made ready and forgotten, and the assets that there are."""

    _at_warming: CacheStats | None = None
    """What the cache of this process had done when it was warmed last."""

    async def warm_feature_cache(
        self,
        tenant_id: str,
        asset_ids: Sequence[str] | None = None,
        feature_set: str | None = None,
        timestamp: Time | None = None,
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
        found = await warm(
            lambda spec, some: self.found(spec, tenant_id, some, at), specs, ids, abreast, progress
        )
        if not self._open.cache.shared:
            self._at_warming = await self.cache_stats()
        return found

    async def tenants(self, by: Grant = EVERYTHING, *, limit: int = 1_000) -> list[str]:
        """The tenants that have data, sorted; for a grant of some tenants these, whether they have
        any or not. Raises StoreError."""
        check_count("limit", limit, MAX_ASSETS)
        if by.tenants is not None:
            return sorted(by.tenants)[:limit]
        return await self._open.store.tenants(limit)

    async def seen_assets(self, tenant_id: str, since: Time | None = None) -> list[str]:
        """The assets with a usable observation since a time (None: in the last day), sorted."""
        check_id("tenant_id", tenant_id)
        first = self.now() - DAY if since is None else to_micros(since, "since", "up")
        return await self._open.store.seen(tenant_id, first)

    async def assets(
        self,
        tenant_id: str,
        since: Time | None = None,
        *,
        after: str | None = None,
        limit: int = 100,
        search: str | None = None,
    ) -> dict[str, Any]:
        """A page of a tenant's `assets`, sorted by id, and after which one (`next`) there are more.

        Each with its series (first and last reading, the usual step between the newest ones), the
        station whose weather it reads, and its attributes, as they are now. Those that have a
        usable reading or an attribute; with `since`, those with a reading since then; with
        `search`, those with that text in their id.
        """
        check_id("tenant_id", tenant_id)
        check_count("limit", limit, MAX_ASSETS)
        first = None if since is None else to_micros(since, "since", "up")
        start = "" if after is None else check_id("after", after)
        text = check_id("search", search) if search else ""
        found = await self._open.store.describe_assets(
            tenant_id, first, start, limit + 1, self.now(), text
        )
        following = found[limit - 1].asset_id if len(found) > limit else None
        return {"assets": [described(one) for one in found[:limit]], "next": following}

    async def freshness(self, tenant_id: str, limit: int = 50) -> dict[str, Any]:
        """How new a tenant's data is: how many `assets` have readings, how many of them one of
        `today` (in UTC), of `yesterday`, of the `week` before now and today, and none since
        (`older`); and the `stalest`, as `assets` lists them: those whose newest reading is the
        oldest. Raises StoreError.
        """
        check_id("tenant_id", tenant_id)
        check_count("limit", limit, MAX_BATCH)
        now = self.now()
        today = now - now % DAY
        since = (today, today - DAY, today - 7 * DAY)
        found = await self._open.store.freshness(tenant_id, since, limit)
        facts = await self._open.store.describe_assets(
            tenant_id, None, "", limit, now, asset_ids=found.stalest
        )
        of_today, of_two, of_week = found.newer
        return {
            "tenant_id": tenant_id,
            "assets": found.assets,
            "today": of_today,
            "yesterday": of_two - of_today,
            "week": of_week - of_two,
            "older": found.assets - of_week,
            "stalest": [described(one) for one in facts],
        }

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
