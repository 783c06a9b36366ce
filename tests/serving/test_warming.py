"""Warming asks for parts, a bounded number at a time."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from ai_hub.serving.reader import Found
from ai_hub.serving.spec import Spec
from ai_hub.serving.warming import warm
from serving.doubles import SPEC

KEPT = b'{"features":{},"missing":[],"degraded":false}'
DEGRADED = b'{"features":{},"missing":[],"degraded":true}'


async def test_so_many_parts_are_under_way_and_no_more() -> None:
    under_way = most = 0

    async def get(spec: Spec, some: Sequence[str]) -> list[Found]:
        nonlocal under_way, most
        under_way += 1
        most = max(most, under_way)
        await asyncio.sleep(0.001)
        under_way -= 1
        return [(KEPT, asset_id.endswith("0")) for asset_id in some]

    ids = [str(number) for number in range(2_050)]
    counts = await warm(get, [SPEC, SPEC], ids, 3)
    assert most == 3
    assert counts == {"assets": 2_050, "warmed": 4_100, "computed": 4_100 - 410}


async def test_what_is_degraded_is_not_warmed() -> None:
    async def get(spec: Spec, some: Sequence[str]) -> list[Found]:
        return [(DEGRADED if asset_id == "b" else KEPT, False) for asset_id in some]

    counts = await warm(get, [SPEC], ["a", "b", "c"], 1)
    assert counts == {"assets": 3, "warmed": 2, "computed": 2}
