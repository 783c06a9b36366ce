"""How a history is cut into chunks: all of it, in order, none larger than it has to be."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ai_hub.engines.arrays import HistoryArrays, Series
from ai_hub.stores import chunks
from ai_hub.stores.base import Chunk, ScanRequest

ROWS = 16
REQUEST = ScanRequest("acme", None, 0, 10**6, ("value",), (), 0, 0)


@given(st.lists(st.integers(0, 2 * ROWS), min_size=1, max_size=40))
def test_assets_stay_whole_in_their_order_and_fill_a_chunk(counts: list[int]) -> None:
    code = np.repeat(np.arange(len(counts)), counts)
    time = np.concatenate([np.arange(count) for count in counts])
    series = Series(code, time, code + time / 100)
    ids = tuple(f"{place:02}" for place in range(len(counts)))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(chunks, "CHUNK_ROWS", ROWS)
        patch.setattr(chunks, "MOST_ASSETS", 8)
        whole = Chunk(ids, 0, 10**6, HistoryArrays({"value": series}))
        parts = [*chunks.cut(whole, REQUEST)]
    assert tuple(one for part in parts for one in part.asset_ids) == ids
    own = [part.history.series["value"] for part in parts]
    assert np.array_equal(np.concatenate([one.value for one in own]), series.value)
    assert all(
        one.code.max(initial=0) < len(part.asset_ids) for one, part in zip(own, parts, strict=True)
    )
    sizes = [len(one.code) for one in own]
    assert all(
        size <= ROWS or len(part.asset_ids) == 1 for size, part in zip(sizes, parts, strict=True)
    )
    assert all(len(part.asset_ids) <= 8 for part in parts)
    # The first of the next did not fit any more: no chunk is smaller than it has to be.
    limits = [ROWS // share for share in (4, 4, 2)] + [ROWS] * len(parts)
    for (size, part, limit), (_, behind, _) in pairwise(
        zip(sizes, parts, limits[: len(parts)], strict=True)
    ):
        first = counts[ids.index(behind.asset_ids[0])]
        assert size + first > limit or len(part.asset_ids) == 8
