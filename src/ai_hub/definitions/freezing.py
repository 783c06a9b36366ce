"""What a definition takes from a library is frozen when it is applied: the dates of holidays.

An upgrade of the library changes nothing that is applied. What it would say now is a note of
`plan`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from functools import lru_cache

from ai_hub.definitions.feature_set import FeatureSet
from ai_hub.definitions.holidays import FIRST_YEAR, HolidayDates
from ai_hub.definitions.kinds import Calendar, Feature
from ai_hub.errors import InvalidDefinition, InvalidInput

YEARS_AHEAD = 10
"""Dates are frozen to the end of so many years on."""

Dates = Callable[[str, str | None], HolidayDates]
"""The holidays of a country and a subdivision of it."""


def library_dates(country: str, subdivision: str | None) -> HolidayDates:
    """The public holidays of a country, observed days included, as the library `holidays` has them.

    Raises InvalidInput for a country or subdivision that it does not have.
    """
    return _library_dates(country, subdivision, datetime.now(UTC).year + YEARS_AHEAD)


@lru_cache(maxsize=64)
def _library_dates(country: str, subdivision: str | None, last_year: int) -> HolidayDates:
    # Its many countries are worth the import only where a set has holidays.
    import holidays

    known = holidays.list_supported_countries()
    if country not in known:
        expected = "an ISO 3166 code of a country with known holidays, such as DE"
        hint = f"Did you mean {country.upper()}?" if country.upper() in known else ""
        raise InvalidInput("country", country, expected, hint)
    if subdivision is not None and subdivision not in known[country]:
        expected = f"one of {', '.join(known[country])}" if known[country] else "none"
        raise InvalidInput("subdivision", subdivision, expected)
    years = range(FIRST_YEAR, last_year + 1)
    return HolidayDates.of(
        holidays.country_holidays(country, subdiv=subdivision, years=years, observed=True),
        last_year,
    )


def frozen(
    feature_set: FeatureSet, before: FeatureSet | None = None, dates: Dates = library_dates
) -> FeatureSet:
    """A set whose holidays are dates: those that it says, those of `before` (the same version as
    it was applied), else those of the library. Raises InvalidInput."""
    if not any(_is_open(feature) for feature in feature_set.features):
        return feature_set
    features = tuple(
        replace(f, holidays=_kept(f, before) or _dates(feature_set, i, f, dates))
        if isinstance(f, Calendar) and _is_open(f)
        else f
        for i, f in enumerate(feature_set.features)
    )
    return replace(feature_set, features=features)


def _dates(feature_set: FeatureSet, i: int, feature: Calendar, dates: Dates) -> HolidayDates:
    """The holidays of a feature, the i-th of its set; what is refused of it names both."""
    try:
        return dates(feature.country or "", feature.subdivision)
    except InvalidInput as error:
        field = f"{feature_set.label}.{feature.name}.{error.field}"
        place = ("features", i, error.field)
        raise InvalidDefinition(place, field, error.value, error.expected, error.hint) from None


def notes(feature_set: FeatureSet, dates: Dates = library_dates) -> tuple[str, ...]:
    """What the library would say now of the holidays of an applied set, where that is other."""
    found = []
    for feature in feature_set.features:
        if not isinstance(feature, Calendar) or feature.holidays is None:
            continue
        kept, now = feature.holidays, dates(feature.country or "", feature.subdivision)
        both = min(kept.last_day, now.last_day)
        changed = {day for day in set(kept.days) ^ set(now.days) if day <= both}
        if changed or now.last_year > kept.last_year:
            place = "-".join(filter(None, (feature.country, feature.subdivision)))
            found.append(
                f"{feature.name}: its holidays of {place} stay as they were frozen, to the end of "
                f"{kept.last_year}; the library has {len(changed)} other dates by then now, and "
                f"goes to {now.last_year}. A new version takes those."
            )
    return tuple(found)


def _is_open(feature: Feature) -> bool:
    if not isinstance(feature, Calendar):
        return False
    return feature.part == "is_holiday" and feature.holidays is None


def _kept(feature: Calendar, before: FeatureSet | None) -> HolidayDates | None:
    """The dates that a feature of the same name and place was frozen with."""
    wanted = (feature.name, feature.country, feature.subdivision)
    for one in () if before is None else before.features:
        if isinstance(one, Calendar) and (one.name, one.country, one.subdivision) == wanted:
            return one.holidays
    return None
