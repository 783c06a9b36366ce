"""Histories made short: extremes stay where they were, and nothing is drawn that was not there."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from ai_hub.engines.thinning import cadence_of, gaps, parts_of, thinned

HISTORIES = st.dictionaries(
    st.integers(0, 10_000), st.floats(-1e6, 1e6), min_size=1, max_size=300
).map(lambda found: (np.array(sorted(found)), np.array([found[one] for one in sorted(found)])))


@given(HISTORIES, st.integers(1, 40))
def test_of_each_part_the_extremes_are_kept(history: tuple, parts: int) -> None:
    time, value = history
    kept, shown = thinned(time, value, 0, 10_000, parts)
    assert len(kept) <= max(2 * parts, len(time) if len(time) <= 2 * parts else 0)
    assert (np.diff(kept) > 0).all()
    stored = dict(zip(time.tolist(), value.tolist(), strict=True))
    assert all(stored[at] == one for at, one in zip(kept.tolist(), shown.tolist(), strict=True))
    for part in parts_of(time, value, 0, 10_000, parts):
        inside = (kept >= part.start) & (kept < part.end)
        assert bool(part.readings) == bool(inside.any())
        if part.readings:
            assert shown[inside].min() == part.low
            assert shown[inside].max() == part.high
            assert part.low <= part.mean + 1e-6
            assert part.mean <= part.high + 1e-6
    assert sum(part.readings for part in parts_of(time, value, 0, 10_000, parts)) == len(time)


def test_gaps_are_steps_that_are_longer() -> None:
    time = np.array([0, 10, 20, 60, 70, 200])
    assert cadence_of(time) == 10
    assert gaps(time, 30) == [(20, 60), (70, 200)]
    assert gaps(time, 200) == []
    assert cadence_of(time[:1]) is None
    assert gaps(time[:0], 1) == []
