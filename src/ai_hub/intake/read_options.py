"""All that a caller may say about rows on their way in: one definition for every door.

`READ_OPTIONS` has, for each kind of rows, the names, types and help sentences: flags of
the commands, query parameters of the routes, keywords in Python.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any, Self, TypedDict, get_args

from ai_hub.definitions.valid_range import ValidRange
from ai_hub.errors import InvalidInput
from ai_hub.intake.dialect.column_names import COLUMN_OPTIONS, ColumnNames
from ai_hub.intake.dialect.dialect import OPTIONS as DIALECT_OPTIONS
from ai_hub.intake.dialect.dialect import Dialect
from ai_hub.intake.options import BatchKind, Option, options_of
from ai_hub.intake.row_options import RowOptions

ROW_OPTIONS = options_of(RowOptions)

GROUPS: Mapping[str, tuple[Option, ...]] = {
    "Columns": COLUMN_OPTIONS,
    "How the file is written (found out where it is not said)": DIALECT_OPTIONS,
    "What the rows mean": ROW_OPTIONS,
}
"""The options by what they are about."""

_OF_READINGS = frozenset(
    ("timestamp_column", "asset_id", "time_column", "wide", "interval_start", "interval_end")
)
"""Options about rows that have a time."""

_ATTRIBUTES_AS = {
    "asset_id": "asset_id",
    "tenant_id": "tenant_id",
    "key": "feature_type",
    "valid_from": "issued_at",
}
"""The columns of attributes that hold no value, and the column of readings that is like each."""


def _is_for(option: Option, kind: BatchKind) -> bool:
    if kind == "attributes" and option.name in _OF_READINGS:
        return False
    return option.only in (None, kind)


READ_OPTIONS: Mapping[BatchKind, tuple[Option, ...]] = {
    kind: tuple(option for group in GROUPS.values() for option in group if _is_for(option, kind))
    for kind in get_args(BatchKind)
}

DRY_RUN = Option(
    "dry_run",
    bool,
    "",
    "Land nothing: show the first rows as they would land, what was found out about the file, "
    "and the options that say it.",
)

# What programs write is not searched for the ways of people.
_PROGRAMS = Dialect(time_format="iso", decimal=".", thousands="")


def _is_nothing(value: object) -> bool:
    return value is None or (isinstance(value, list | tuple) and not value)


def _check_single(name: str, value: object) -> None:
    from ai_hub.intake.clock.step import Step

    ends = name == "valid_range" and isinstance(value, list | tuple)
    if not ends and not isinstance(value, str | int | float | timedelta | Step | ValidRange):
        raise InvalidInput(name, value, "one text, number or flag")


class AttributeKeywords(TypedDict, total=False):
    """`dry_run`, `progress` and READ_OPTIONS of attributes, as a type checker reads them."""

    dry_run: bool
    progress: Callable[[int], None] | None
    asset_column: str | None
    tenant_column: str | None
    valid_from_column: str | None
    delimiter: str | None
    decimal: str | None
    thousands: str | None
    encoding: str | None
    time_format: str | None
    skip_lines: int | None
    comment: str | None
    units_row: bool | None
    sheet: str | None
    timezone: str | None
    ambiguous: str | None
    null: object


class _Keywords(TypedDict, total=False):
    dry_run: bool
    progress: Callable[[int], None] | None
    timestamp_column: str | None
    asset_column: str | None
    tenant_column: str | None
    asset_id: str | None
    delimiter: str | None
    decimal: str | None
    thousands: str | None
    encoding: str | None
    time_format: str | None
    time_column: str | None
    skip_lines: int | None
    comment: str | None
    units_row: bool | None
    wide: str | None
    sheet: str | None
    timezone: str | None
    ambiguous: str | None
    interval_start: object
    interval_end: object
    null: object


class ObservationKeywords(_Keywords, total=False):
    """`dry_run`, `progress` and READ_OPTIONS of observations, as a type checker reads them."""

    value_column: str | None
    feature_type_column: str | None
    quality_column: str | None
    feature_type: str | None
    valid_range: object


class WeatherKeywords(_Keywords, total=False):
    """`dry_run`, `progress` and READ_OPTIONS of weather, as a type checker reads them."""

    issued_at_column: str | None
    column: object


@dataclass(frozen=True, slots=True)
class ReadOptions:
    """How rows of a kind are read: where our columns are, how they are written, what they mean.

    `said` is what a caller said, by option.
    """

    kind: BatchKind
    names: ColumnNames
    dialect: Dialect
    rows: RowOptions
    said: Mapping[str, object]

    @classmethod
    def of(
        cls,
        kind: BatchKind,
        given: Mapping[str, object] | None = None,
        valid_ranges: Mapping[str, ValidRange] | None = None,
    ) -> Self:
        """Options by name, as values or as their texts; None and an empty list say nothing.

        `valid_ranges` (of series, from the settings) hold where no `valid_range` is given. Raises
        InvalidInput for a name that is no option, and for a value that it cannot have.
        """
        known = {option.name for option in READ_OPTIONS[kind]}
        said = {name: value for name, value in (given or {}).items() if not _is_nothing(value)}
        for name in said:
            if name not in known:
                raise InvalidInput("options", name, f"one of {', '.join(sorted(known))}")
        for option in READ_OPTIONS[kind]:
            if option.name in said:
                option.check(said[option.name])
                if not option.repeatable:
                    _check_single(option.name, said[option.name])

        def some(options: Sequence[Option]) -> dict[str, Any]:
            return {option.name: said[option.name] for option in options if option.name in said}

        names = ColumnNames.of(**some(COLUMN_OPTIONS))
        dialect = Dialect.of(some(DIALECT_OPTIONS))
        rows = RowOptions.of(
            **some(ROW_OPTIONS), quality=names.takes_quality, valid_ranges=valid_ranges
        )
        return cls(kind, names, dialect, rows, said)

    def of_programs(self) -> Self:
        """The same for rows that a program wrote as values: ISO 8601 and decimal points, unless
        something else is said."""
        given = self.dialect.given()
        return replace(self, dialect=Dialect.of(_PROGRAMS.given() | given))

    def required(self, tenant_id: str | None) -> tuple[str, ...]:
        """Our columns that must be there."""
        needed = [] if self.kind == "attributes" else ["timestamp"]
        needed += ["asset_id", *(["value"] if self.kind == "observations" else [])]
        needed += ["tenant_id"] if tenant_id is None else []
        constant = self.names.constants()
        return tuple(name for name in needed if name not in constant)

    def fields_of(self, names: Sequence[str]) -> dict[str, str]:
        """Which of our columns each of these names stands for; in a wide table, where all the
        others are readings or times, that is `value`. Of attributes: as which of them its cells
        are read."""
        from ai_hub.intake.batch import FIELDS
        from ai_hub.intake.dialect.header import Names

        mapped, places_of = self.names.mapped(), Names(names).places_of
        if self.kind == "attributes":
            read_as = {
                names[at]: field
                for ours, field in _ATTRIBUTES_AS.items()
                for at in places_of(mapped.get(ours, ours))
            }
            return {name: read_as.get(name, "value") for name in names}
        asked = [*mapped.items(), *((field, field) for field in sorted(FIELDS - {*mapped}))]
        if self.dialect.time_column is not None:
            asked.append(("timestamp", self.dialect.time_column))
        found = {names[at]: field for field, name in asked for at in places_of(name)}
        if self.dialect.wide is not None:
            found |= {name: "value" for name in names if name not in found}
        return found
