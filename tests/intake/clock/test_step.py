"""The step between readings: exact, or on the wall clock."""

from __future__ import annotations

from datetime import datetime, timedelta

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ai_hub.definitions.values import DAY, HOUR, MINUTE
from ai_hub.errors import InvalidInput
from ai_hub.intake.clock.step import Step

EPOCH = datetime(1970, 1, 1)


@pytest.mark.parametrize(
    ("value", "step"),
    [
        ("15m", Step(micros=15 * MINUTE)),
        ("PT15M", Step(micros=15 * MINUTE)),
        ("PT1H30M", Step(micros=90 * MINUTE)),
        ("1d", Step(micros=DAY)),
        (timedelta(hours=1), Step(micros=HOUR)),
        ("P1D", Step(days=1)),
        ("P2W", Step(days=14)),
        ("P1M", Step(months=1)),
        ("P1Y", Step(months=12)),
        (Step(days=1), Step(days=1)),
    ],
)
def test_a_step_is_a_width_or_a_period(value: object, step: Step) -> None:
    found = Step.of(value)
    assert found == step
    assert Step.of(str(found)) == found
    assert found.is_period == (step.micros == 0)


@pytest.mark.parametrize(
    "value", ["", "P0D", "-1h", "PT", "P1DT1H", "1 day", "P1H", "PT0S", 15, None, "P99999D", True]
)
def test_what_is_no_step_is_an_error_that_names_the_field(value: object) -> None:
    with pytest.raises(InvalidInput, match=r'interval_start: .* a width such as "15m"'):
        Step.of(value, "interval_start")


@pytest.mark.parametrize("parts", [{}, {"days": 1, "months": 1}, {"days": -1}, {"months": 999}])
def test_a_step_is_checked_when_built(parts: dict[str, int]) -> None:
    with pytest.raises(InvalidInput, match="step"):
        Step(**parts)


@given(
    st.datetimes(datetime(1900, 1, 1), datetime(2100, 1, 1)),
    st.integers(1, 100),
    st.sampled_from(["D", "M"]),
)
def test_a_period_keeps_the_time_of_day_and_stays_in_the_month(
    time: datetime, count: int, unit: str
) -> None:
    local = (time - EPOCH) // timedelta(microseconds=1)
    (later,) = Step.of(f"P{count}{unit}").on_the_wall(np.array([local])).tolist()
    found = EPOCH + timedelta(microseconds=later)
    assert found.time() == time.time()
    if unit == "D":
        assert found - time == timedelta(days=count)
    else:
        months = (found.year - time.year) * 12 + found.month - time.month
        assert months == count
        assert found.day == time.day or (found + timedelta(days=1)).day == 1 <= found.day < time.day
