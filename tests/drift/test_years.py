"""How often there is an alarm where nothing drifts, and whether faults are found, by simulation.

`tests/drift/figures.py` makes the table of docs/drift.md, of more kinds of years.
"""

from __future__ import annotations

import pytest

from drift.figures import figures
from drift.years import Year


def test_faults_are_found_and_little_else() -> None:
    one = figures(Year(), 2, past=26, weeks=8)
    # Of 16 weeks; the years are the same each time.
    assert one.set_weeks <= 5 / 16
    assert one.feature_weeks <= 0.05
    assert one.found["unit"] == one.found["stuck"] == 1
    assert all(share >= 0.5 for share in one.found.values())


@pytest.mark.long
def test_over_two_hundred_stationary_years() -> None:
    one = figures(Year(), 200, weeks=26)
    assert one.feature_weeks <= 0.05
    assert one.set_weeks <= 0.1
    assert (one.found["half_iqr_up"] + one.found["half_iqr_down"]) / 2 >= 0.95
    assert one.found["hour_late"] >= 0.95
    assert one.found["hour_early"] >= 0.95
    assert one.found["unit"] == one.found["stuck"] == 1


@pytest.mark.long
@pytest.mark.parametrize("year", [Year(season=1.0), Year(season=1.0, heavy=True)])
def test_from_summer_to_winter_with_a_year_behind(year: Year) -> None:
    one = figures(year, 10, weeks=52, faults=())
    assert one.feature_weeks <= 0.05
    assert one.set_weeks <= 0.1


@pytest.mark.long
def test_looked_at_each_day_and_with_half_a_year_behind() -> None:
    assert figures(Year(), 4, weeks=26, step=24, faults=()).feature_weeks <= 0.05
    half = figures(Year(), 10, past=26, weeks=26, faults=())
    assert half.feature_weeks <= 0.05
    assert half.set_weeks <= 0.1
