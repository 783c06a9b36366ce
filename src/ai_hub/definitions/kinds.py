"""The algebra of features: what each kind is, checked when built.

Every kind takes its `name` first. A kind says what a value means and nothing about how an engine
computes it. Of every feature there is a `unit`, a `description`, what its values may be (`valid`:
a pair of limits, or a set of numbers) and its own `missing` policy, None where the set's applies.
Those on observations are in `readings`.
"""

from __future__ import annotations

from dataclasses import Field, dataclass, field, fields
from typing import Any

from ai_hub.definitions.described import Described, check_described, set_width
from ai_hub.definitions.expressions import expression_tree, names_of
from ai_hub.definitions.holidays import HolidayDates
from ai_hub.definitions.periods import NO_OFFSET, UTC, Offset, check_zone
from ai_hub.definitions.readings import Age, Bucket, Ewm, Lag, Reading, Rolling, Seasonal
from ai_hub.definitions.values import DAY, HOUR, Duration
from ai_hub.definitions.vocabulary import (
    PARTS,
    WEATHER_COLUMNS,
    Part,
    WeatherColumn,
    check_choice,
    check_digest,
    check_identifier,
    check_name,
    check_view,
)
from ai_hub.errors import InvalidInput

__all__ = [
    "Age",
    "Attribute",
    "Bucket",
    "Calendar",
    "Derived",
    "Ewm",
    "Feature",
    "FromView",
    "Lag",
    "Latest",
    "Reading",
    "Rolling",
    "Seasonal",
    "fields_of",
    "is_default",
]

_ONE_HOUR = Duration(HOUR)
_ONE_DAY = Duration(DAY)


class _Unsaid(str):
    """A default that can be told from the same text said by a caller."""

    __slots__ = ()


_UNSAID_UTC = _Unsaid(UTC)


@dataclass(frozen=True, slots=True)
class Calendar(Described):
    """A pure function of t: `part` of the local wall clock in `tz`, moved by `offset`.

    `is_holiday` is of a `country` (and its `subdivision`), and of a zone that is named; `holidays`
    are its dates, frozen when the set that it is in is applied.
    """

    part: Part
    tz: str = _UNSAID_UTC
    offset: Offset = NO_OFFSET
    country: str | None = None
    subdivision: str | None = None
    holidays: HolidayDates | None = field(default=None, kw_only=True)

    def __post_init__(self) -> None:
        check_described(self)
        check_choice("part", self.part, PARTS)
        object.__setattr__(self, "offset", Offset.of(self.offset))
        check_zone(self.tz)
        if self.holidays is not None:
            object.__setattr__(self, "holidays", HolidayDates.read(self.holidays))
        if self.part != "is_holiday":
            for name in ("country", "subdivision", "holidays"):
                if getattr(self, name) is not None:
                    raise InvalidInput(name, getattr(self, name), "nothing but for is_holiday")
            return
        if not isinstance(self.country, str) or not self.country:
            raise InvalidInput("country", self.country, "a country such as DE for is_holiday")
        if self.subdivision is not None and not isinstance(self.subdivision, str):
            raise InvalidInput("subdivision", self.subdivision, "a part of the country, such as BY")
        if isinstance(self.tz, _Unsaid):
            raise InvalidInput("tz", None, "the zone whose dates the holidays are, by name")


@dataclass(frozen=True, slots=True)
class Latest(Described):
    """The newest known value of a weather column.

    Among the source's rows with t-max_age < τ <= t, issued_at <= t and the column not null: a
    measurement (issued_at >= τ) with τ > t-measured_within if there is one, else any row; of those
    the value of the latest τ, and of that the latest issue. `measured_within="0"` prefers nothing.
    """

    column: WeatherColumn
    max_age: Duration = _ONE_DAY
    measured_within: Duration = _ONE_HOUR

    def __post_init__(self) -> None:
        check_described(self)
        check_choice("column", self.column, WEATHER_COLUMNS)
        set_width(self, "max_age")
        set_width(self, "measured_within", zero=True)


@dataclass(frozen=True, slots=True)
class Attribute(Described):
    """The asset's number `key` with the latest valid_from <= t."""

    key: str

    def __post_init__(self) -> None:
        check_described(self)
        check_name("key", self.key)


@dataclass(frozen=True, slots=True)
class FromView(Described):
    """The newest value of a column of a view or table of one's own.

    Of its rows (timestamp, tenant_id, asset_id and columns) with t-max_age < timestamp <= t and the
    column not null: that of the latest; more than one row at that timestamp is null. `view` may
    have its schema before it. `definition` is the hash of what the view says, frozen when the set
    that it is in is applied: of a view that says something else there is no value.
    """

    view: str
    column: str
    max_age: Duration = _ONE_DAY
    definition: str | None = field(default=None, kw_only=True)

    def __post_init__(self) -> None:
        check_described(self)
        check_view("view", self.view)
        check_identifier("column", self.column)
        set_width(self, "max_age")
        if self.definition is not None:
            check_digest("definition", self.definition)


@dataclass(frozen=True, slots=True)
class Derived(Described):
    """Arithmetic, comparisons and a few functions over other features of the same vector.

    It reads them as they are before filling. Null in, null out (`coalesce` alone sees nulls), and
    what is no finite number is null.
    """

    expression: str

    def __post_init__(self) -> None:
        check_described(self)
        if not isinstance(self.expression, str):
            raise InvalidInput("expression", self.expression, "arithmetic over feature names")
        expression_tree(self.expression)

    @property
    def inputs(self) -> tuple[str, ...]:
        """The features it reads, in order of first use."""
        return names_of(expression_tree(self.expression))


Feature = (
    Calendar
    | Rolling
    | Lag
    | Bucket
    | Latest
    | Seasonal
    | Ewm
    | Age
    | Attribute
    | FromView
    | Derived
)


def fields_of(kind: Feature | type[Feature]) -> tuple[Field[Any], ...]:
    """The fields of a kind: those that may be said by their place first, in that order."""
    return tuple(sorted(fields(kind), key=lambda field: bool(field.kw_only)))


def is_default(field: Field[Any], value: object) -> bool:
    """Whether a field says what it says by default, and no caller has said it."""
    return type(value) is type(field.default) and value == field.default
