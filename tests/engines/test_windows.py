"""Both ways of walking windows, by literal answers and against each other."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ai_hub.definitions.kinds import Ewm, Rolling
from ai_hub.definitions.measures import Measure
from ai_hub.definitions.values import Duration
from ai_hub.definitions.vocabulary import CLOSED, STATS, Closed
from ai_hub.engines.statistics import statistic_of
from ai_hub.engines.windows import window_stats
from ai_hub.testing import taking

SPAN = 1_000
WIDTH = Duration.of("1h")
MEASURES: dict[str, Measure] = {
    **{stat: Rolling("f", stat, WIDTH, **taking(stat)).measure for stat in STATS},
    "ewm": Ewm("f", WIDTH, WIDTH).measure,
}


def stats(keys, values, at, width, closed: Closed, dense: bool):
    found = window_stats(
        np.array(keys, np.int64), np.array(values, float), np.array(at, np.int64),
        SPAN, width, closed, tuple(MEASURES.values()), dense,
    )  # fmt: skip
    return {stat: found[measure] for stat, measure in MEASURES.items()}


@pytest.mark.parametrize("dense", [True, False])
@pytest.mark.parametrize(
    ("closed", "held"),
    [("both", [1, 2, 4]), ("right", [2, 4]), ("left", [1, 2]), ("none", [2])],
)
def test_each_edge_is_inside_or_not(dense: bool, closed: Closed, held: list[int]) -> None:
    found = stats([10, 15, 20], [1, 2, 4], [20], 10, closed, dense)
    assert found["count"].tolist() == [len(held)]
    assert found["sum"].tolist() == [sum(held)]
    assert found["mean"].tolist() == [sum(held) / len(held)]
    assert found["median"].tolist() == [float(np.median(held))]
    assert found["quantile"] == pytest.approx([np.quantile(held, 0.9)])
    assert found["first"].tolist() == [held[0]]
    assert found["last"].tolist() == [held[-1]]
    assert found["delta"].tolist() == [held[-1] - held[0]]
    assert found["range"].tolist() == [max(held) - min(held)]
    assert found["std"][0] == pytest.approx(np.std(held, ddof=1) if len(held) > 1 else np.nan,
                                            nan_ok=True)  # fmt: skip


@pytest.mark.parametrize("dense", [True, False])
@pytest.mark.parametrize("closed", CLOSED)
def test_an_empty_window_has_a_count_and_a_coverage_of_zero_and_nothing_else(
    dense: bool, closed: Closed
) -> None:
    found = stats([10], [5.0], [100, 101], 10, closed, dense)
    assert found["count"].tolist() == [0, 0]
    assert found["count"].dtype == np.int64
    for stat, column in found.items():
        if stat in ("count", "coverage"):
            assert column.tolist() == [0, 0], stat
        else:
            assert np.isnan(column).all(), stat


@pytest.mark.parametrize("dense", [True, False])
@pytest.mark.parametrize("closed", CLOSED)
def test_a_point_before_the_only_observation(dense: bool, closed: Closed) -> None:
    found = stats([10], [5.0], [9, 10, 11], 10, closed, dense)
    own = closed in ("both", "right")
    assert found["count"].tolist() == [0, int(own), 1]


@pytest.mark.parametrize("dense", [True, False])
@pytest.mark.parametrize("closed", CLOSED)
def test_a_sum_that_has_left_leaves_no_rounding_in_an_empty_window(
    dense: bool, closed: Closed
) -> None:
    found = stats([0, 1, 2], [0.1, 0.2, 0.3], list(range(60)), 10, closed, dense)
    empty = found["count"] == 0
    assert empty.sum() > 40
    assert np.isnan(found["sum"][empty]).all()


@pytest.mark.parametrize("dense", [True, False])
@pytest.mark.parametrize("closed", CLOSED)
@pytest.mark.parametrize("flat", [0.1, 1.1, 2.3, 1234.56, 1.7e308])
def test_a_flat_window_is_flat_to_the_bit(dense: bool, closed: Closed, flat: float) -> None:
    values = [7.7, *[flat] * 40, 9.9]
    keys = list(range(len(values)))
    found = stats(keys, values, keys, 10, closed, dense)
    inside = slice(12, 41)
    for stat in ("mean", "median", "min", "max", "quantile", "first", "last", "time_mean", "ewm"):
        assert set(found[stat][inside]) == {flat}, stat
    for stat in ("std", "range", "delta", "increase"):
        assert set(found[stat][inside]) == {0.0}, stat


@pytest.mark.parametrize("dense", [True, False])
def test_no_window_reaches_into_the_entity_before(dense: bool) -> None:
    keys, values = [990, 999, SPAN + 100, SPAN + 101], [1e15, 1e15, 1.0, 3.0]
    found = stats(keys, values, keys, 50, "both", dense)
    assert found["sum"].tolist() == [1e15, 2e15, 1.0, 4.0]
    assert found["max"].tolist() == [1e15, 1e15, 1.0, 3.0]


@pytest.mark.parametrize("dense", [True, False])
def test_a_spike_that_has_left_leaves_nothing_behind(dense: bool) -> None:
    values = [1e15, 0.1, 0.2, 0.3, 0.4, -1e15, *[0.1] * 8]
    keys = list(range(len(values)))
    found = stats(keys, values, keys, 3, "right", dense)
    assert found["sum"][4] == pytest.approx(0.9, abs=1e-12)
    assert found["mean"][-1] == pytest.approx(0.1, abs=1e-12)
    assert found["std"][-1] == pytest.approx(0.0, abs=1e-12)


@pytest.mark.parametrize("dense", [True, False])
@pytest.mark.parametrize(
    ("values", "expected"),
    [([-1.7e308, 1.7e308], 0.0), ([1e308, 1.2e308, 1.7e308], 1.2e308), ([2.0, 4.0], 3.0)],
)
def test_a_median_of_large_values(dense: bool, values: list[float], expected: float) -> None:
    found = stats(range(len(values)), values, [len(values) - 1], 50, "both", dense)
    assert found["median"][0] == expected


@pytest.mark.parametrize("dense", [True, False])
def test_what_overflows_is_null(dense: bool) -> None:
    found = stats([1, 2], [1.7e308, -1.7e308], [1, 2], 50, "both", dense)
    assert np.isnan(found["range"][1])
    assert np.isnan(found["std"][1])
    assert found["min"][1] == -1.7e308


def test_the_way_is_chosen_by_the_work_and_gives_the_same() -> None:
    random = np.random.default_rng(0)
    keys = np.cumsum(random.integers(1, 5, 20_000))
    values = random.normal(100, 9, 20_000)
    chosen, forced = (
        window_stats(
            keys, values, keys, int(keys[-1]) + 500, 400, "both", tuple(MEASURES.values()), dense
        )
        for dense in (None, False)
    )
    assert {*chosen} == {*MEASURES.values()}
    for measure, column in chosen.items():
        if statistic_of(measure).exact:
            np.testing.assert_array_equal(column, forced[measure], measure.stat)
        np.testing.assert_allclose(column, forced[measure], rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("closed", ["both", "right"])
@given(st.lists(st.tuples(st.integers(1, 40), st.sampled_from([0.1, 0.7])), max_size=60))
def test_windows_whose_values_are_the_same_have_their_mean_and_no_spread(
    closed: Closed, rows: list[tuple[int, float]]
) -> None:
    keys = np.cumsum([step for step, _ in rows], dtype=np.int64)
    values = [value for _, value in rows]
    found = stats(keys, values, keys, 25, closed, dense=True)
    for row, key in enumerate(keys):
        inside = [v for k, v in zip(keys, values, strict=True)
                  if key - 25 <= k <= key and (k > key - 25 or closed == "both")]  # fmt: skip
        if len(set(inside)) == 1:
            assert found["mean"][row] == inside[0]
            assert found["std"][row] == 0 if len(inside) > 1 else np.isnan(found["std"][row])
