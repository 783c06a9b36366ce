"""What a feature store says of its own health: the part of the front that looks everything over."""

from __future__ import annotations

from dataclasses import replace

from ai_hub.definitions.values import check_id
from ai_hub.doctor.examination import examine
from ai_hub.doctor.line import Line
from ai_hub.front.caching import Caching


class Doctor(Caching):
    """Vectors, the cache, and what is wrong with any of it."""

    async def doctor(self, tenant_id: str | None = None) -> list[Line]:
        """What is wrong with database, data, cache, exports, clocks and settings, and what mends
        it: the `state` of each line is "ok", "warning" or "fault".

        Nothing is changed, and what cannot be looked at is a line that says why. With `tenant_id`
        the lines about data are that tenant's. Raises InvalidInput.
        """
        tenant = None if tenant_id is None else check_id("tenant_id", tenant_id)
        stats, before = await self.cache_stats(), self._at_warming
        if before is not None:
            # What it did before says nothing of what is found now.
            hits, misses = stats.hits - before.hits, stats.misses - before.misses
            stats = replace(stats, hits=hits, misses=misses)
        return await examine(self.settings, self.now, tenant, self._open.store.checkup, stats)
