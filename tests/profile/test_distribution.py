"""Sums over batches say what the whole column would."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ai_hub.profile.distribution import SHARES, Distribution, Together

FINITE = st.floats(-1e9, 1e9, allow_subnormal=False)


def of(*batches: list[float]) -> Distribution:
    found = Distribution()
    for one in batches:
        found.add(np.array(one, np.float64))
    return found


@given(st.lists(st.lists(FINITE, max_size=20), max_size=6))
def test_batches_together_are_the_whole_column(batches: list[list[float]]) -> None:
    found, whole = of(*batches), np.array([value for one in batches for value in one])
    assert found.count == len(whole)
    if not len(whole):
        assert (found.std, found.quantiles(), found.histogram()) == (None, {}, None)
        return
    assert (found.low, found.high) == (whole.min(), whole.max())
    assert found.mean == pytest.approx(whole.mean(), rel=1e-9, abs=1e-6)
    if len(whole) > 1:
        assert found.std == pytest.approx(whole.std(ddof=1), rel=1e-6, abs=1e-6)
    # So few values are all kept as they are.
    wanted = np.quantile(whole, SHARES, method="inverted_cdf")
    assert [*found.quantiles().values()] == wanted.tolist()
    drawn = found.histogram(5)
    assert drawn is not None
    assert sum(drawn.counts) == len(whole)
    assert len(drawn.counts) == (1 if found.low == found.high else 5)


def test_a_quantile_of_many_values_has_about_the_rank_that_it_says() -> None:
    draw = np.random.default_rng(1)
    batches = [draw.lognormal(size=5_000) for _ in range(37)]
    found = of(*[one.tolist() for one in batches])
    whole = np.sort(np.concatenate(batches))
    for share, value in zip(SHARES, found.quantiles().values(), strict=True):
        assert abs(np.searchsorted(whole, value) / len(whole) - share) < 0.005
    assert sum(len(one.cell) for one in found._levels) <= 6 * 2_000
    drawn = found.histogram(10)
    assert drawn is not None
    counts, _ = np.histogram(whole, 10)
    assert np.abs(np.array(drawn.counts) - counts).max() < 0.005 * len(whole)


def test_numbers_that_no_float_can_add_up() -> None:
    found = of([-1.7e308, 1.7e308], [1.7e308, 0.0])
    drawn = found.histogram(2)
    assert drawn is not None
    assert drawn.counts == (1, 3)
    assert found.std is not None
    assert math.isfinite(found.std)
    same = of([0.1] * 3, [0.1] * 7)
    assert (same.std, same.histogram()) == (0.0, same.histogram(1))


@given(st.lists(st.lists(st.tuples(FINITE, FINITE, st.booleans()), max_size=20), max_size=5))
def test_correlations_of_batches_are_that_of_the_rows_that_have_both(
    batches: list[list[tuple[float, float, bool]]],
) -> None:
    found = Together()
    for one in batches:
        x, y, both = ([row[place] for row in one] for place in range(3))
        found.add(np.array(x, float), np.array(y, float), np.array(both, bool))
    rows = [(x, y) for one in batches for x, y, both in one if both]
    assert found.count == len(rows)
    if len(rows) < 2:
        assert found.correlation() is None
        return
    x, y = np.array(rows).T
    scale = 1e-4 * max(1.0, np.abs(rows).max())
    if x.std() > scale and y.std() > scale:
        assert found.correlation() == pytest.approx(np.corrcoef(x, y)[0, 1], abs=1e-6)
