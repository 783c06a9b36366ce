"""What a definition takes from elsewhere is frozen when it is applied: the dates of holidays, and
what a user's own view says.

An upgrade of the library changes nothing that is applied. What it would say now is a note of
`plan`. A view that says something else is another definition.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from functools import lru_cache

from ai_hub.definitions.feature_set import FeatureSet
from ai_hub.definitions.holidays import FIRST_YEAR, HolidayDates
from ai_hub.definitions.kinds import Calendar, Feature, FromView
from ai_hub.errors import InvalidDefinition, InvalidInput

YEARS_AHEAD = 10
"""Dates are frozen to the end of so many years on."""

_APPLY = "Apply the set, which looks at the view; registering it in this process does not."
_NO_VIEWS: Mapping[str, str] = {}

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
    feature_set: FeatureSet,
    before: FeatureSet | None = None,
    dates: Dates = library_dates,
    views: Mapping[str, str] = _NO_VIEWS,
) -> FeatureSet:
    """A set whose holidays are dates, and whose views are named with what they say.

    Dates are those that it says, those of `before` (the same version as it was applied), else those
    of the library. `views` have the hash of what each view says now. Raises InvalidInput.
    """
    if not any(isinstance(f, FromView) or _is_open(f) for f in feature_set.features):
        return feature_set
    features = []
    for i, feature in enumerate(feature_set.features):
        try:
            features.append(_frozen(feature, before, dates, views))
        except InvalidInput as error:
            field = f"{feature_set.label}.{feature.name}.{error.field}"
            place = ("features", i, error.field)
            raise InvalidDefinition(place, field, error.value, error.expected, error.hint) from None
    return replace(feature_set, features=tuple(features))


def _frozen(
    feature: Feature, before: FeatureSet | None, dates: Dates, views: Mapping[str, str]
) -> Feature:
    if isinstance(feature, FromView):
        now = views.get(feature.view)
        if now is None:
            expected = "a view of the database of a set that is applied"
            raise InvalidInput("view", feature.view, expected, _APPLY)
        if feature.definition not in (None, now):
            expected = f"{now}, the hash of what {feature.view} says now, or nothing"
            raise InvalidInput("definition", feature.definition, expected)
        return replace(feature, definition=now)
    if isinstance(feature, Calendar) and _is_open(feature):
        found = _kept(feature, before) or dates(feature.country or "", feature.subdivision)
        return replace(feature, holidays=found)
    return feature


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
