"""Having vectors ready before they are asked for: in parts, a bounded number of them at a time."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence

from ai_hub.definitions.values import Entity, check_count
from ai_hub.serving.cache import Cache
from ai_hub.serving.reader import Found
from ai_hub.serving.spec import Spec

_PART = 200
"""Assets that are computed or forgotten together: so many that a part costs little, so few that
others are not kept waiting."""

_MOST_ABREAST = 1_000
_DEGRADED = b'"degraded":true'

Warming = Callable[[Spec, Sequence[str]], Awaitable[list[Found]]]
Progress = Callable[[int, int], None]
"""Told how many vectors are ready, and of how many."""


async def warm(
    get: Warming,
    specs: Sequence[Spec],
    asset_ids: Sequence[str],
    abreast: int,
    progress: Progress | None = None,
) -> dict[str, int]:
    """Ask for the vectors of every spec and asset; `abreast` parts at most are under way at once.

    Those that read a view are left out: they are not cached.
    Counts: `assets`, `warmed` vectors, and of these `computed` now.
    """
    room = asyncio.Semaphore(check_count("abreast", abreast, _MOST_ABREAST))
    specs = [spec for spec in specs if not spec.plan.views]
    total = len(specs) * len(asset_ids)
    counts = {"assets": len(asset_ids), "warmed": 0, "computed": 0}

    async def part(spec: Spec, some: Sequence[str]) -> None:
        async with room:
            # A degraded answer is not kept.
            found = [one for one in await get(spec, some) if _DEGRADED not in one[0]]
        counts["warmed"] += len(found)
        counts["computed"] += sum(not hit for _, hit in found)
        if progress is not None:
            progress(counts["warmed"], total)

    firsts = range(0, len(asset_ids), _PART)
    parts = (part(spec, asset_ids[first : first + _PART]) for spec in specs for first in firsts)
    await asyncio.gather(*parts)
    return counts


async def forget(cache: Cache, tenant_id: str, asset_ids: Sequence[str], prefix: str) -> int:
    """Drop the vectors of assets, some at a time, so that others are answered in between."""
    dropped = 0
    for begin in range(0, len(asset_ids), _PART):
        part = [Entity(tenant_id, one) for one in asset_ids[begin : begin + _PART]]
        dropped += await cache.drop(part, prefix)
        await asyncio.sleep(0)
    return dropped
