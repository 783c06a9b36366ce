"""Frozen dates of holidays, and the calendar features that have them."""

from __future__ import annotations

from datetime import date

import pytest

from ai_hub.definitions.feature_set import FeatureSet, definition_of
from ai_hub.definitions.holidays import HolidayDates
from ai_hub.definitions.kinds import Calendar
from ai_hub.definitions.values import parse_time
from ai_hub.engines.reference import History, value
from ai_hub.errors import InvalidInput

NEW_YEAR, CHRISTMAS = date(2025, 1, 1), date(2025, 12, 25)
DATES = HolidayDates.of([CHRISTMAS, NEW_YEAR], 2025)


def test_dates_are_sorted_once_each_and_within_the_years() -> None:
    more = [CHRISTMAS, NEW_YEAR, NEW_YEAR, date(1969, 12, 25), date(2026, 1, 1)]
    assert HolidayDates.of(more, 2025) == DATES
    assert DATES.days == (20_089, 20_447)
    assert (DATES.first_day, DATES.last_day) == (0, 20_453)


def test_the_digest_stands_for_the_dates_and_their_last_year() -> None:
    assert len(DATES.digest) == 16
    assert HolidayDates.of([CHRISTMAS, NEW_YEAR], 2026).digest != DATES.digest
    assert HolidayDates.of([NEW_YEAR], 2025).digest != DATES.digest
    assert HolidayDates.read(DATES.document()).digest == DATES.digest
    assert len({DATES, HolidayDates.of([NEW_YEAR, CHRISTMAS], 2025)}) == 1


@pytest.mark.parametrize(
    ("days", "last_year", "message"),
    [
        ((1,), 1969, "holidays: got 1969, expected a last year from 1970 to 9999"),
        ((1,), 10_000, "holidays: got 10000, expected a last year from 1970 to 9999"),
        ((20_454,), 2025, "holidays: got 1, expected dates of 1970 to the last year"),
        ((-1, 5), 2025, "holidays: got 2, expected dates of 1970 to the last year"),
    ],
)
def test_dates_that_are_outside_the_years_are_refused(
    days: tuple[int, ...], last_year: int, message: str
) -> None:
    with pytest.raises(InvalidInput) as caught:
        HolidayDates(days, last_year)
    assert str(caught.value) == message


def of_germany(**fields: object) -> Calendar:
    given: dict[str, object] = {"part": "is_holiday", "tz": "Europe/Berlin", "country": "DE"}
    return Calendar("f", **given | fields)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("at", "expected"),
    [
        # The local date: midnight in Berlin is 23:00 the day before.
        ("2024-12-31T22:59:59Z", 0),
        ("2024-12-31T23:00:00Z", 1),
        ("2025-01-01T22:59:59Z", 1),
        ("2025-01-01T23:00:00Z", 0),
        ("2025-12-31T22:59:59Z", 0),
        # Nothing is known of other years.
        ("2025-12-31T23:00:00Z", None),
        ("1969-12-31T22:00:00Z", None),
        ("1969-12-31T23:00:00Z", 0),
    ],
)
def test_a_holiday_is_of_the_local_date(at: str, expected: int | None) -> None:
    assert value(of_germany(holidays=DATES), parse_time(at), History()) == expected


def test_a_holiday_tomorrow() -> None:
    tomorrow = of_germany(holidays=DATES, offset="P1D")
    eve = parse_time("2025-12-24T12:00:00Z")
    assert [value(tomorrow, eve + shift, History()) for shift in (0, 86_400_000_000)] == [1, 0]


def test_dates_that_are_not_frozen_yet_say_nothing() -> None:
    assert value(of_germany(), parse_time("2025-12-25T12:00:00Z"), History()) is None


def test_the_dates_are_part_of_the_definition_by_their_digest() -> None:
    frozen = of_germany(holidays=DATES)
    assert definition_of(frozen)["holidays"] == DATES.digest
    later = of_germany(holidays=HolidayDates.of([NEW_YEAR], 2025))
    prints = {FeatureSet("one", 1, (one,)).fingerprint for one in (frozen, later, of_germany())}
    assert len(prints) == 3


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"country": None}, "country: got None, expected a country such as DE for is_holiday"),
        ({"country": ""}, "country: got '', expected a country such as DE for is_holiday"),
        ({"country": 49}, "country: got 49, expected a country such as DE for is_holiday"),
        (
            {"subdivision": 5},
            "subdivision: got 5, expected a part of the country, such as BY",
        ),
        ({"part": "month"}, "country: got 'DE', expected nothing but for is_holiday"),
        (
            {"part": "month", "country": None, "subdivision": "BY"},
            "subdivision: got 'BY', expected nothing but for is_holiday",
        ),
    ],
)
def test_what_is_no_holiday_is_refused(fields: dict[str, object], message: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        of_germany(**fields)
    assert str(caught.value) == message


def test_the_zone_of_a_holiday_is_said_by_name() -> None:
    with pytest.raises(InvalidInput) as caught:
        Calendar("f", "is_holiday", country="DE")
    assert str(caught.value) == (
        "tz: got None, expected the zone whose dates the holidays are, by name"
    )
    assert Calendar("f", "is_holiday", "UTC", country="DE").tz == "UTC"
