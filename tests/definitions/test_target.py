from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from ai_hub import Target
from ai_hub.definitions.values import HOUR, MINUTE, Duration
from ai_hub.errors import InvalidInput


@pytest.mark.parametrize(
    ("given", "name", "micros"),
    [
        ("24h", "target_24h", 24 * HOUR),
        ("7d", "target_7d", 168 * HOUR),
        ("168h", "target_168h", 168 * HOUR),
        (timedelta(minutes=90), "target_90m", 90 * MINUTE),
        (Duration.of("1d"), "target_24h", 24 * HOUR),
    ],
)
def test_a_horizon_is_a_target_named_as_given(given: object, name: str, micros: int) -> None:
    target = Target.of(given)
    assert (target.name, target.horizon.micros) == (name, micros)
    assert Target.of(target) is target


@pytest.mark.parametrize(("horizon", "tolerance"), [("24h", "1h"), ("1h", "1h"), ("15m", "15m")])
def test_the_tolerance_is_an_hour_or_the_horizon_if_that_is_less(
    horizon: str, tolerance: str
) -> None:
    assert Target.of(horizon).tolerance == Duration.of(tolerance)


def test_a_tolerance_may_be_nothing_which_means_exactly() -> None:
    assert Target("next", "1h", tolerance="0").tolerance == Duration(0)  # type: ignore[arg-type]


def test_a_statistic_has_a_window_that_ends_at_the_horizon() -> None:
    target = Target("peak", "24h", "max", "6h", min_count=3)  # type: ignore[arg-type]
    assert (target.window, target.tolerance) == (Duration.of("6h"), None)


@pytest.mark.parametrize(
    ("field", "given"),
    [
        ("target", {"name": "a b"}),
        ("horizon", {"horizon": "0"}),
        ("horizon", {"horizon": "soon"}),
        ("tolerance", {"tolerance": "61m"}),
        ("tolerance", {"tolerance": "-1m"}),
        ("tolerance", {"stat": "max", "window": "1h", "tolerance": "1h"}),
        ("window", {"window": "1h"}),
        ("window", {"stat": "max"}),
        ("window", {"stat": "max", "window": "61m"}),
        ("window", {"stat": "max", "window": "0"}),
        ("stat", {"stat": "most", "window": "1h"}),
        ("min_count", {"min_count": 2}),
        ("min_count", {"stat": "max", "window": "1h", "min_count": 0}),
        ("min_count", {"stat": "max", "window": "1h", "min_count": True}),
    ],
)
def test_what_is_no_target_is_refused(field: str, given: dict[str, Any]) -> None:
    with pytest.raises(InvalidInput, match=f"^{field}: "):
        Target(**{"name": "t", "horizon": "1h", **given})


@pytest.mark.parametrize("given", [None, 24, "", "0", "P1D", timedelta(0)])
def test_what_is_no_horizon_is_refused(given: object) -> None:
    with pytest.raises(InvalidInput, match=r"^horizons: "):
        Target.of(given)
