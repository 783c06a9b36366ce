"""Token buckets: a second's worth at once, and in the long run no more than the rate."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ai_hub.access.bucket import Buckets
from ai_hub.errors import TooMany


def taken(buckets: Buckets, id: str) -> bool:
    try:
        buckets.take(id)
    except TooMany:
        return False
    return True


@given(
    rate=st.integers(1, 20),
    steps=st.lists(st.tuples(st.sampled_from("ab"), st.integers(0, 1_500)), max_size=80),
)
def test_a_bucket_of_each_holds_and_fills_as_said(rate: int, steps: list[tuple[str, int]]) -> None:
    """Against buckets counted in whole thousandths: as many tokens as the rate, at most."""
    now = 0
    buckets = Buckets(rate, lambda: now / 1_000)
    tokens = dict.fromkeys("ab", (rate * 1_000, 0))
    for id, waits in steps:
        now += waits
        had, since = tokens[id]
        have = min(rate * 1_000, had + rate * (now - since))
        assert taken(buckets, id) == (have >= 1_000)
        tokens[id] = (have - 1_000 if have >= 1_000 else have, now)


def test_what_is_refused_costs_nothing() -> None:
    now = 0.0
    buckets = Buckets(2, lambda: now)
    assert [taken(buckets, "a") for _ in range(50)].count(True) == 2
    now = 0.5
    assert [taken(buckets, "a") for _ in range(50)].count(True) == 1
    with pytest.raises(TooMany, match="AI_HUB_RATE_LIMIT"):
        buckets.take("a")
