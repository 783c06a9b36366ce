"""The stretches of time that a look-up reads: all that is wanted, and little of what is not."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from ai_hub.stores.arrays import spans_of


@given(st.lists(st.integers(-50, 500)), st.integers(0, 60), st.integers(1, 5))
def test_every_time_is_in_one_stretch_and_wide_gaps_in_none(
    times: list[int], gap: int, most: int
) -> None:
    spans = spans_of(np.array(times, np.int64), gap, most)
    assert len(spans) <= most
    assert bool(spans) == bool(times)
    assert all(sum(first <= t <= last for first, last in spans) == 1 for t in times)
    between = [b[0] - a[1] for a, b in pairwise(spans)]
    assert all(width > gap for width in between)
    inside = sorted({*times})
    kept = [b - a for a, b in pairwise(inside)
            if any(first <= a and b <= last for first, last in spans)]  # fmt: skip
    if len(spans) < most:
        assert all(width <= gap for width in kept)
    elif between and kept:
        assert max(kept) <= max(gap, min(between))
