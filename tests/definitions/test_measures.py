"""What a stat takes, and what is said where it is given something else."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from ai_hub.definitions.kinds import Bucket, Ewm, Feature, Rolling, Seasonal
from ai_hub.definitions.measures import Measure
from ai_hub.definitions.values import HOUR, Duration
from ai_hub.errors import InvalidInput

STATS = (
    "mean, std, min, max, range, sum, count, median, quantile, first, last, delta, increase, "
    "time_mean, coverage"
)
Make = Callable[..., Feature]


def rolling(stat: str = "mean", **fields: object) -> Feature:
    return Rolling("f", stat, "24h", **fields)  # type: ignore[arg-type]


def bucket(stat: str = "mean", **fields: object) -> Feature:
    return Bucket("f", stat, "P1D", **fields)  # type: ignore[arg-type]


def seasonal(stat: str = "mean", **fields: object) -> Feature:
    return Seasonal("f", stat, "P7D", 4, **fields)  # type: ignore[arg-type]


def ewm(**fields: object) -> Feature:
    return Ewm("f", "6h", "24h", **fields)  # type: ignore[arg-type]


@pytest.mark.parametrize("make", [rolling, bucket])
def test_a_measure_is_the_stat_and_what_it_takes(make: Make) -> None:
    assert make().measure == Measure("mean")  # type: ignore[union-attr]
    assert make("quantile", q=1).measure == Measure("quantile", q=1.0)  # type: ignore[union-attr]
    assert make("coverage", step="1h").measure == Measure("coverage", step=HOUR)  # type: ignore[union-attr]
    assert make("increase").measure == Measure("increase")  # type: ignore[union-attr]
    increase = make("increase", tolerance=2)
    assert increase.measure == Measure("increase", tolerance=2.0)  # type: ignore[union-attr]


def test_a_number_is_a_float_so_that_equal_definitions_are_equal() -> None:
    assert rolling("quantile", q=1) == rolling("quantile", q=1.0)
    assert type(rolling("quantile", q=1).q) is float  # type: ignore[union-attr]


def test_a_weighted_mean_has_a_halflife() -> None:
    made = Ewm("f", Duration.of("6h"), Duration.of("24h"))
    assert made.measure == Measure("ewm", halflife=6 * HOUR)


@pytest.mark.parametrize("make", [rolling, bucket])
@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"stat": "mode"}, f"stat: got 'mode', expected one of {STATS}"),
        ({"stat": "ewm"}, f"stat: got 'ewm', expected one of {STATS}"),
        (
            {"stat": "quantile"},
            "q: got None, expected a share from 0 to 1, such as 0.9, for a quantile",
        ),
        *(
            (
                {"stat": "quantile", "q": q},
                f"q: got {q!r}, expected a share from 0 to 1, such as 0.9, for a quantile",
            )
            for q in (1.5, -0.1, True, float("nan"), "0.5", 90)
        ),
        ({"q": 0.5}, "q: got 0.5, expected nothing, since only a quantile has one"),
        (
            {"stat": "coverage"},
            'step: got None, expected a distance of readings such as "15m" for coverage',
        ),
        (
            {"stat": "coverage", "step": "0h"},
            'step: got \'0h\', expected a width such as "24h", "90m" or "7d"',
        ),
        (
            {"stat": "coverage", "step": "P1D"},
            'step: got \'P1D\', expected a width such as "24h", "90m" or "7d"',
        ),
        ({"step": "1h"}, "step: got '1h', expected nothing, since only coverage has one"),
        (
            {"tolerance": 1},
            "tolerance: got 1, expected nothing, since of stats only increase has one",
        ),
        *(
            (
                {"stat": "increase", "tolerance": tolerance},
                f"tolerance: got {tolerance!r}, expected a finite number from 0",
            )
            for tolerance in (-1, float("inf"), "1h", True)
        ),
        (
            {"stat": "count", "min_count": 2},
            "min_count: got 2, expected 1, since a count is there for any number",
        ),
        (
            {"stat": "coverage", "step": "1h", "min_count": 2},
            "min_count: got 2, expected 1, since a coverage is there for any number",
        ),
    ],
)
def test_what_a_stat_does_not_take_is_refused(
    make: Make, fields: dict[str, object], message: str
) -> None:
    with pytest.raises(InvalidInput) as caught:
        make(**fields)
    assert str(caught.value) == message


@pytest.mark.parametrize("make", [rolling, bucket, seasonal, ewm])
@pytest.mark.parametrize("min_count", [0, -1, 2.0, True, None, "3", 10_000_001])
def test_a_least_number_of_values_is_a_whole_number(make: Make, min_count: object) -> None:
    with pytest.raises(InvalidInput) as caught:
        make(min_count=min_count)
    assert str(caught.value) == (
        f"min_count: got {min_count!r}, expected a whole number from 1 to 10,000,000"
    )


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        (
            {"stat": "first"},
            "stat: got 'first', expected one of mean, std, min, max, range, sum, count, median, "
            "quantile",
        ),
        (
            {"stat": "quantile"},
            "q: got None, expected a share from 0 to 1, such as 0.9, for a quantile",
        ),
        (
            {"stat": "count", "min_count": 2},
            "min_count: got 2, expected 1, since a count is there for any number",
        ),
        ({"count": 0}, "count: got 0, expected a whole number from 1 to 1,000"),
        ({"count": 1_001}, "count: got 1001, expected a whole number from 1 to 1,000"),
        (
            {"every": "P50Y", "count": 3},
            "count: got 3, expected so many times P50Y as reach back 100 years at most",
        ),
        (
            {"every": "500000h", "count": 3},
            "count: got 3, expected so many times 500000h as reach back 100 years at most",
        ),
        (
            {"every": "0h"},
            'every: got \'0h\', expected a width such as "24h", "90m" or "7d", or a period '
            'such as "P1D"',
        ),
    ],
)
def test_what_is_no_season_is_refused(fields: dict[str, object], message: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        Seasonal("f", **{"stat": "mean", "every": "P7D", "count": 4} | fields)  # type: ignore[arg-type]
    assert str(caught.value) == message


def test_the_earliest_season_is_one_step() -> None:
    assert str(Seasonal("f", "mean", "P1M", 3).by(3)) == "P3M"  # type: ignore[arg-type]
    assert Seasonal("f", "mean", "24h", 7).by(7) == Duration.of("168h")  # type: ignore[arg-type]


@pytest.mark.parametrize("every", ["P2D", "P3M", "P2Y"])
def test_a_bucket_is_of_few_periods(every: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        Bucket("f", "mean", every)  # type: ignore[arg-type]
    assert str(caught.value) == (
        f"every: got {every!r}, expected of periods P1D, P1W, P1M and P1Y alone"
    )
