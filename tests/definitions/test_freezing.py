"""Holidays are the library's when a set is applied, and stay what they were then."""

from __future__ import annotations

from datetime import UTC, date, datetime

import pytest

from ai_hub.definitions.changes import changes_of
from ai_hub.definitions.feature_set import FeatureSet
from ai_hub.definitions.freezing import YEARS_AHEAD, frozen, library_dates, notes
from ai_hub.definitions.holidays import HolidayDates
from ai_hub.definitions.kinds import Calendar
from ai_hub.definitions.registry import Registry
from ai_hub.errors import InvalidDefinition

YEAR = 2025
CHRISTMAS, NEW_YEAR = date(YEAR, 12, 25), date(YEAR, 1, 1)


def own(country: str = "DE", subdivision: str | None = None, version: int = 1) -> FeatureSet:
    holiday = Calendar(
        "holiday", "is_holiday", "Europe/Berlin", country=country, subdivision=subdivision
    )
    return FeatureSet("own", version, (Calendar("month", "month"), holiday))


def dates_of(feature_set: FeatureSet) -> HolidayDates | None:
    (holiday,) = (f for f in feature_set.features if f.name == "holiday")
    assert isinstance(holiday, Calendar)
    return holiday.holidays


def upgraded(country: str, subdivision: str | None) -> HolidayDates:
    """As a later library says it: one date is other, and it goes on for a year."""
    return HolidayDates.of([NEW_YEAR, date(YEAR, 5, 8)], YEAR + 1)


def first(country: str, subdivision: str | None) -> HolidayDates:
    return HolidayDates.of([NEW_YEAR, CHRISTMAS], YEAR)


def test_the_library_is_asked_for_country_part_and_observed_days() -> None:
    day = date(1970, 1, 1).toordinal()
    germany, bavaria = (library_dates("DE", part) for part in (None, "BY"))
    assert germany.last_year == datetime.now(UTC).year + YEARS_AHEAD
    corpus_christi = date(2025, 6, 19).toordinal() - day
    assert corpus_christi in bavaria.days
    assert corpus_christi not in germany.days
    assert date(1970, 7, 14).toordinal() - day in library_dates("FR", None).days
    # A Saturday, observed the day before.
    assert date(2026, 7, 3).toordinal() - day in library_dates("US", None).days


def test_a_set_without_holidays_and_one_with_dates_stay_as_they_are() -> None:
    plain = FeatureSet("plain", 1, (Calendar("month", "month"),))
    assert frozen(plain, None, first) is plain
    kept = frozen(own(), None, first)
    assert dates_of(kept) == first("DE", None)
    assert frozen(kept, None, upgraded) is kept


def test_an_upgrade_of_the_library_changes_no_version_and_is_a_note_of_the_plan() -> None:
    applied = frozen(own(), None, first)
    registry = Registry([applied])
    stored = {applied.label: applied.fingerprint}
    again, newer = changes_of(registry, stored, [own(), own(version=2)], upgraded)
    assert (again.action, again.feature_set) == ("none", applied)
    assert again.notes == notes(applied, upgraded) == (
        "holiday: its holidays of DE stay as they were frozen, to the end of 2025; the library has "
        "2 other dates by then now, and goes to 2026. A new version takes those.",
    )  # fmt: skip
    assert (newer.action, newer.notes) == ("create", ())
    assert dates_of(newer.feature_set) == upgraded("DE", None)
    assert notes(applied, first) == ()


def test_dates_are_kept_for_the_same_place_alone() -> None:
    applied = frozen(own(), None, first)
    assert dates_of(frozen(own(), applied, upgraded)) == first("DE", None)
    for other in (own("AT"), own(subdivision="BY")):
        assert dates_of(frozen(other, applied, upgraded)) == upgraded("DE", None)
    # So another place under the same version is another definition.
    (change,) = changes_of(Registry([applied]), {}, [own("AT")], upgraded)
    assert change.action == "refuse"


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        (
            own("XX"),
            "own@1.holiday.country: got 'XX', expected an ISO 3166 code of a country with known "
            "holidays, such as DE",
        ),
        (
            own("de"),
            "own@1.holiday.country: got 'de', expected an ISO 3166 code of a country with known "
            "holidays, such as DE. Did you mean DE?",
        ),
        (
            own("FR", "Bretagne"),
            "own@1.holiday.subdivision: got 'Bretagne', expected one of ",
        ),
    ],
)
def test_what_the_library_does_not_have_is_refused_at_its_place(
    wrong: FeatureSet, said: str
) -> None:
    with pytest.raises(InvalidDefinition) as refused:
        frozen(wrong)
    # Which parts a country has is the library's.
    assert str(refused.value).startswith(said)
    assert refused.value.place == ("features", 1, refused.value.field.rpartition(".")[2])
